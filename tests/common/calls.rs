//! A call of each operation, made of the contract's examples. A new operation of the contract is there without an edit.

use agentgate::{Client, Operation, Response, Result, WorkspaceSource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

include!(concat!(env!("OUT_DIR"), "/calls.rs"));

/// The outcome of a call.
#[derive(Debug)]
pub struct Answered {
    /// The typed value, written as JSON again.
    pub value: Value,
    pub status: u16,
    pub attempts: u32,
}

/// The values that a call sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Required,
    /// Everything that has a generated setter.
    Everything,
    /// Null, for everything that may be null.
    Cleared,
}

/// Makes the typed call of an operation, with what is required. The id stands for each text in the path.
///
/// # Errors
///
/// Those of the call.
///
/// # Panics
///
/// If the contract has no such operation.
pub async fn call(client: &Client, operation: &str, id: &str) -> Result<Answered> {
    call_with(client, operation, id, Form::Required).await
}

fn answered<T>(response: &Response<T>, value: Value) -> Answered {
    Answered { value, status: response.status().as_u16(), attempts: response.attempts() }
}

fn json<T: Serialize + ?Sized>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or_else(|error| panic!("{error}"))
}

/// The typed value of an example.
fn value<T: DeserializeOwned>(json: &str) -> T {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

/// Makes what an operation is about in a simulator, and returns its id: one of the prefix of its path, such as `/v1/runs/`. For an
/// operation on a thing that no call here can make, and for one on nothing, it is any id.
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
    id.transpose().unwrap_or_else(|error| panic!("{error}")).unwrap_or_else(|| "any_1".to_owned())
}
