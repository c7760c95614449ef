//! A call of each operation, generated from the contract's examples. New operations of the contract need no edit here.

use agentgate::{Client, Operation, Response, Result, WorkspaceSource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

include!(concat!(env!("OUT_DIR"), "/calls.rs"));

/// The result of a successful call.
#[derive(Debug)]
pub struct Outcome {
    /// The typed value, serialized to JSON.
    pub value: Value,
    pub status: u16,
    pub attempts: u32,
    /// The paths of the members that were left out.
    pub ignored: Vec<String>,
}

/// The values that a call sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Required,
    /// Everything that has a generated setter.
    Everything,
    /// Null for every nullable value.
    Cleared,
}

/// Makes the typed call of an operation with its required values. The id replaces each path parameter.
///
/// # Errors
///
/// Those of the call.
///
/// # Panics
///
/// If the contract has no such operation.
pub async fn call(client: &Client, operation: &str, id: &str) -> Result<Outcome> {
    call_with(client, operation, id, Form::Required).await
}

fn outcome<T>(response: &Response<T>, value: Value) -> Outcome {
    let ignored = response.ignored().to_vec();
    Outcome { value, status: response.status().as_u16(), attempts: response.attempts(), ignored }
}

fn json<T: Serialize + ?Sized>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or_else(|error| panic!("{error}"))
}

/// The typed value of an example.
fn value<T: DeserializeOwned>(json: &str) -> T {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

/// Creates the resource of an operation in a simulator, such as a run for `/v1/runs/{id}`, and returns its id. Returns
/// a placeholder for an operation without a resource, or with one that no call can create.
///
/// # Panics
///
/// If the simulator refuses.
pub async fn prepare(client: &Client, operation: Operation) -> String {
    let source = WorkspaceSource::git("https://github.com/your-org/your-repo");
    let id = match operation.path().split('/').nth(2) {
        _ if !operation.path().contains('{') => None,
        Some("work-orders") => {
            Some(client.work_orders().create("Fix it", source).await.map(|created| created.work_order_id.into()))
        }
        Some("runs") => Some(client.work_orders().create("Fix it", source).await.map(|created| created.run_id.into())),
        Some("webhooks") => {
            let call = client.webhooks().create("https://example.com/hook", ["run.failed"]);
            Some(call.await.map(|created| created.webhook.id.into()))
        }
        Some("templates") => {
            Some(client.templates().create("ours", "Ours", source).await.map(|template| template.id.into()))
        }
        _ => None,
    };
    id.transpose().unwrap_or_else(|error| panic!("{error}")).unwrap_or_else(|| example_id(operation.id()).to_owned())
}
