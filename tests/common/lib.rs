//! What the integration tests share: clocks, servers that follow a script, deliveries, and a call for each operation.

#![allow(
    missing_docs,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::return_self_not_must_use,
    reason = "for this repository's tests alone"
)]

pub mod clock;
pub mod deliver;
pub mod delivery;
pub mod gateway;
pub mod proxy;
pub mod script;
pub mod time;
pub mod told;

/// Compiles and runs the programs of the README.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

/// The text of the contract.
pub const CONTRACT: &str = include_str!("../../openapi.yaml");

use agentgate::{Client, Response, Result, WorkspaceSource};
use serde::Serialize;
use serde_json::{Value, json};

/// What a call came to.
#[derive(Debug)]
pub struct Answered {
    /// The typed value, written as JSON again.
    pub value: Value,
    pub status: u16,
    pub attempts: u32,
}

/// Makes the typed call of an operation. The id is that of whatever the operation is about.
///
/// # Errors
///
/// Those of the call.
///
/// # Panics
///
/// If this function does not know the operation.
pub async fn call(client: &Client, operation: &str, id: &str) -> Result<Answered> {
    let source = || WorkspaceSource::git("https://github.com/your-org/your-repo");
    match operation {
        "createWorkOrder" => answered(client.work_orders().create("Fix it", source()).with_response().await),
        "getWorkOrder" => answered(client.work_orders().get(id).with_response().await),
        "listRuns" => answered(client.runs().list().with_response().await),
        "getRun" => answered(client.runs().get(id).with_response().await),
        "cancelRun" => answered(client.runs().cancel(id).with_response().await),
        "getCredits" => answered(client.credits().balance().with_response().await),
        "listCreditUsage" => answered(client.credits().usage().with_response().await),
        "listWebhooks" => answered(client.webhooks().list().with_response().await),
        "createWebhook" => {
            let call = client.webhooks().create("https://app.example.com/hooks", ["run.completed"]);
            // The secret is never written by itself.
            call.with_response().await.map(|response| {
                let value =
                    json!({ "webhook": response.value().webhook, "secret": response.value().secret.expose_secret() });
                taken(&response, value)
            })
        }
        "getWebhook" => answered(client.webhooks().get(id).with_response().await),
        "updateWebhook" => answered(client.webhooks().update(id).enabled(false).with_response().await),
        "deleteWebhook" => answered(client.webhooks().delete(id).with_response().await),
        "testWebhook" => answered(client.webhooks().test(id).with_response().await),
        "listTemplates" => answered(client.templates().list().with_response().await),
        "createTemplate" => answered(client.templates().create("our-api", "Our API", source()).with_response().await),
        "getTemplate" => answered(client.templates().get(id).with_response().await),
        "updateTemplate" => answered(client.templates().update(id).name("Our API").with_response().await),
        "deleteTemplate" => answered(client.templates().delete(id).with_response().await),
        other => panic!("there is no call for the operation {other}"),
    }
}

fn answered<T: Serialize>(response: Result<Response<T>>) -> Result<Answered> {
    response.map(|response| {
        let value = serde_json::to_value(response.value()).unwrap_or_else(|error| panic!("{error}"));
        taken(&response, value)
    })
}

fn taken<T>(response: &Response<T>, value: Value) -> Answered {
    Answered { value, status: response.status().as_u16(), attempts: response.attempts() }
}

/// The path with this text in the place of each parameter, such as `{id}`.
#[must_use]
pub fn fill(path: &str, text: &str) -> String {
    let segments = path.split('/').map(|segment| if segment.starts_with('{') { text } else { segment });
    segments.collect::<Vec<_>>().join("/")
}
