//! Requests that the typed calls do not cover, sent by the same transport.

use std::sync::{Arc, Mutex};

use agentgate::http::Method;
use agentgate::simulator::{Fault, Simulator};
use agentgate::types::{Run, RunStatus, WorkOrderCreated};
use agentgate::{Client, ErrorKind, Operation, RateLimitMode};
use common::clock::InstantClock;
use serde::Serialize;
use serde_json::{Value, json};

use super::start;

fn order() -> Value {
    json!({ "taskPrompt": "Fix it", "workspaceSource": { "type": "git", "repository": "r" } })
}

#[tokio::test]
async fn a_raw_request_returns_json_a_type_or_the_response() {
    let (_simulator, client) = start().await;
    let created = client.request(Method::POST, "/v1/work-orders").json(&order()).send_as::<WorkOrderCreated>().await;
    let path = format!("/v1/runs/{}", created.unwrap().run_id);
    let json = client.request(Method::GET, &path).await.unwrap();
    assert_eq!(json["status"], "pending");
    let run = client.request(Method::GET, &path).send_as::<Run>().await.unwrap();
    assert_eq!(run.status, RunStatus::Pending);
    let response = client.request(Method::GET, &path).with_response().await.unwrap();
    assert_eq!((response.status().as_u16(), response.attempts()), (200, 1));
    assert!(response.rate_limit().is_some());
    assert_eq!(response.value(), &json);
}

#[tokio::test]
async fn a_response_without_a_body_is_null() {
    let (simulator, client) = start().await;
    let created = client.webhooks().create("https://example.com/hook", ["run.failed"]).await.unwrap();
    let path = format!("/v1/webhooks/{}", created.webhook.id);
    assert_eq!(client.request(Method::DELETE, path).await.unwrap(), Value::Null);
    simulator.inject(Fault::response(204, "text/plain", "").times(3));
    client.request(Method::PUT, "/v1/x").send_as::<()>().await.unwrap();
    assert_eq!(client.request(Method::PUT, "/v1/x").send_as::<Option<Run>>().await.unwrap(), None);
    let error = client.request(Method::PUT, "/v1/x").send_as::<Run>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Decode);
    assert!(error.to_string().starts_with("could not send `PUT /v1/x`: the response 204 has no body"), "{error}");
}

#[tokio::test]
async fn the_error_names_the_method_and_path() {
    let (_simulator, client) = start().await;
    let error = client.request(Method::GET, "/v1/runs/none").query("token", "s3cret").await.unwrap_err();
    assert!(error.to_string().starts_with("could not send `GET /v1/runs/none`: 404"), "{error}");
    assert!(!error.to_string().contains("s3cret"), "{error}");
    assert!(error.is_not_found());
    assert_eq!(error.operation(), Some(Operation::GET_RUN));
    let error = client.request(Method::POST, "/v1/no-such").await.unwrap_err();
    assert!(error.to_string().starts_with("could not send `POST /v1/no-such`: 404"), "{error}");
    let operation = error.operation().unwrap();
    assert_eq!((operation.id(), operation.method(), operation.path()), ("request", "POST", ""));
    assert!(!Operation::ALL.contains(&operation));
}

#[tokio::test]
async fn a_lost_response_is_retried_if_the_method_or_the_caller_allows_it() {
    let (simulator, client) = start().await;
    for (method, path, is_stated, attempts) in [
        (Method::GET, "/v1/x", false, 2),
        (Method::HEAD, "/v1/x", false, 2),
        (Method::OPTIONS, "/v1/x", false, 2),
        (Method::PUT, "/v1/x", false, 2),
        (Method::DELETE, "/v1/x", false, 2),
        (Method::PATCH, "/v1/x", false, 2),
        (Method::POST, "/v1/x", false, 1),
        (Method::POST, "/v1/x", true, 2),
        (Method::POST, "/v1/work-orders", false, 1),
        // Idempotent by the contract.
        (Method::POST, "/v1/runs/run_1/cancel", false, 2),
    ] {
        simulator.clear_requests();
        simulator.inject(Fault::response(502, "text/html", ""));
        let mut request = client.request(method.clone(), path);
        if is_stated {
            request = request.idempotent();
        }
        let error = request.await.unwrap_err();
        assert_eq!((error.attempts(), simulator.request_count()), (attempts, attempts as usize), "{method} {path}");
        assert!(error.may_have_reached_server(), "{method} {path}");
        let keys: Vec<_> =
            simulator.requests().iter().map(|request| request.header("idempotency-key").map(str::to_owned)).collect();
        let has_key = method == Method::POST && !path.ends_with("cancel");
        assert!(keys.iter().all(|key| key.is_some() == has_key && *key == keys[0]), "{method} {path}: {keys:?}");
    }
}

#[tokio::test]
async fn a_raw_submission_counts_towards_the_submission_limit() {
    let simulator = Simulator::start().await.unwrap();
    let client = Client::builder().base_url(simulator.url()).api_key(simulator.api_key()).submissions_per_minute(1);
    let client = client.rate_limit_mode(RateLimitMode::FailFast).build().unwrap();
    let submit = |path| client.request(Method::POST, path).json(&order());
    submit("/v1/work-orders").await.unwrap();
    for path in ["/v1/work-orders", "/v1/work-orders/", "/v1//work-orders"] {
        let error = submit(path).await.unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::RateLimited, 0), "{error}");
    }
}

#[tokio::test]
async fn an_invalid_raw_request_is_rejected_before_it_is_sent() {
    struct Unwritable;
    impl Serialize for Unwritable {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("not serializable"))
        }
    }
    let (simulator, client) = start().await;
    let get = |path| client.request(Method::GET, path);
    for (request, problem) in [
        (get("v1/runs"), "could not send `GET v1/runs`: the path does not begin with a slash"),
        (get("/v1/../admin"), "a `.` or `..` segment"),
        (get("/v1/runs?limit=1"), "contains a query"),
        (get("/v1/runs").json(&Unwritable), "cannot be written as JSON: not serializable"),
        (get("/v1/runs").request_header("authorization", "x"), "the header `authorization` is set by the client"),
        (client.request(Method::TRACE, "/v1/runs"), "could not send `TRACE /v1/runs`: the client does not support"),
        (client.request(Method::from_bytes(b"get").unwrap(), "/v1/runs"), "the client does not support"),
    ] {
        let error = request.await.unwrap_err();
        assert!(error.is_invalid_request() && error.to_string().contains(problem), "{error}");
    }
    assert_eq!(simulator.request_count(), 0);
}

#[tokio::test]
async fn the_error_hides_the_body_of_an_undecodable_response() {
    let (simulator, client) = start().await;
    simulator.inject(Fault::response(200, "text/plain", "s3cret").times(2));
    for path in ["/v1/tokens", "/v1/webhooks"] {
        let error = client.request(Method::POST, path).await.unwrap_err();
        assert!(error.is_decode() && !format!("{error} {error:#?}").contains("s3cret"), "{error:#?}");
    }
}

#[tokio::test]
async fn a_raw_request_calls_on_retry_and_can_be_spawned() {
    let simulator = Simulator::start().await.unwrap();
    let retries = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&retries);
    let client = Client::builder()
        .base_url(simulator.url())
        .api_key(simulator.api_key())
        .clock(InstantClock::default())
        .on_retry(move |retry| record.lock().unwrap().push(retry.error.to_string()))
        .build()
        .unwrap();
    simulator.inject(Fault::error("SERVICE_UNAVAILABLE"));
    simulator.inject(Fault::response(200, "application/json", "[1]"));
    let value = tokio::spawn(client.request(Method::POST, "/v1/x").send_as::<Vec<u8>>()).await.unwrap().unwrap();
    assert_eq!(value, [1]);
    let retries = retries.lock().unwrap();
    assert!(retries.len() == 1 && retries[0].starts_with("could not send `POST /v1/x`: 503"), "{retries:?}");
}

#[test]
fn debug_output_of_a_raw_request_hides_values() {
    let client = Client::new("org_live_test").unwrap();
    let request = client.request(Method::POST, "/v1/x").query("q", "s3cret").json("s3cret");
    let shown = format!("{:?}", request.request_header("x-team", "s3cret"));
    assert!(["POST", "/v1/x", "x-team", "q"].iter().all(|part| shown.contains(part)), "{shown}");
    assert!(!shown.contains("s3cret"), "{shown}");
}
