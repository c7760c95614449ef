//! Checks in a JavaScript host. `run.mjs` loads this module in Node, and intercepts its requests to the simulator.

use std::future::{Future, IntoFuture as _, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use agentgate::events::CallEvent;
use agentgate::types::RunStatus;
use agentgate::webhook::Verifier;
use agentgate::{Client, WorkspaceSource};
use wasm_bindgen::JsError;
use wasm_bindgen::prelude::wasm_bindgen;

type Outcome = Result<(), JsError>;

fn check(holds: bool, what: &str) -> Outcome {
    if holds { Ok(()) } else { Err(JsError::new(what)) }
}

fn client(base_url: &str, key: &str) -> Result<(Client, Arc<AtomicU32>), JsError> {
    let waits = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&waits);
    let builder = Client::builder().api_key(key).base_url(base_url).on_event(move |event| {
        if matches!(event, CallEvent::Wait(_)) {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    Ok((builder.build()?, waits))
}

/// The host responds with a 503 once.
#[wasm_bindgen]
pub async fn retries(base_url: String, key: String) -> Outcome {
    let (client, _) = client(&base_url, &key)?;
    let response = client.credits().balance().with_response().await?;
    check(response.attempts() == 2, "expected exactly one retry")
}

/// The first response reports no remaining requests for two seconds.
#[wasm_bindgen]
pub async fn waits_for_the_rate_limit(base_url: String, key: String) -> Outcome {
    let (client, waits) = client(&base_url, &key)?;
    client.runs().list().await?;
    client.runs().list().await?;
    check(waits.load(Ordering::Relaxed) > 0, "no call waited")
}

/// The host never responds.
#[wasm_bindgen]
pub async fn times_out(base_url: String, key: String) -> Outcome {
    let (client, _) = client(&base_url, &key)?;
    let call = client.runs().list().max_retries(0).timeout(Duration::from_millis(100));
    check(call.await.is_err_and(|error| error.is_timeout()), "not a time-out")
}

/// The host responds with an endless body.
#[wasm_bindgen]
pub async fn times_out_within_a_body(base_url: String, key: String) -> Outcome {
    times_out(base_url, key).await
}

/// The host never responds.
#[wasm_bindgen]
pub async fn cancels_a_dropped_call(base_url: String, key: String) -> Outcome {
    let (client, _) = client(&base_url, &key)?;
    let mut call = Box::pin(client.runs().list().into_future());
    let timer = client.clone();
    let mut pause = pin!(async move { timer.runs().list().max_retries(0).timeout(Duration::from_millis(100)).await });
    poll_fn(|context| {
        assert!(call.as_mut().poll(context).is_pending(), "the host responds");
        pause.as_mut().poll(context).map(drop)
    })
    .await;
    drop(call);
    Ok(())
}

/// Submits a work order, and polls until its run has ended.
#[wasm_bindgen]
pub async fn follows_a_run(base_url: String, key: String) -> Outcome {
    let (client, _) = client(&base_url, &key)?;
    let source = WorkspaceSource::template("python-flask");
    let finished = client.work_orders().create("Fix it", source).and_wait().await?;
    check(*finished.status() == RunStatus::Succeeded, "the run has not succeeded")
}

/// Calls are `Send`, as on other platforms.
#[wasm_bindgen]
pub fn calls_are_send(base_url: String, key: String) -> Outcome {
    fn is_send(_: impl Send) {}
    let (client, _) = client(&base_url, &key)?;
    is_send(client.runs().get("run_1").into_future());
    is_send(client.runs().wait("run_1").into_future());
    Ok(())
}

/// Verification reads the clock.
#[wasm_bindgen]
pub fn verifies_a_delivery() -> Outcome {
    let verifier = Verifier::new(["whsec_0123456789"])?.max_age(Duration::from_secs(300));
    let body = br#"{"id": "evt_1", "type": "run.completed", "data": {"runId": "run_1"}}"#;
    verifier.verify(body, verifier.sign(body))?;
    check(verifier.verify(b"something else", verifier.sign(body)).is_err(), "a forged delivery is accepted")
}
