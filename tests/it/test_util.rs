//! Test utilities of the crate: replies, replays, examples and tokio's time.

use std::future::IntoFuture;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use agentgate::test_util::{Replay, Reply, TokioClock, example, finished};
use agentgate::types::{CreditBalance, ErrorCode, Run, RunStatus, WorkOrderCreated};
use agentgate::{Clock, ErrorKind, Operation, WorkspaceSource};
use serde_json::{Value, json};
use tokio::time::Instant;

fn source() -> WorkspaceSource {
    WorkspaceSource::template("python-flask").into()
}

// Values

#[test]
fn every_operation_has_an_example_that_decodes() {
    for operation in Operation::ALL {
        let response = Reply::example(*operation).into_result::<Value>(*operation).unwrap();
        assert!(response.status().is_success());
    }
    let order: WorkOrderCreated = example(Operation::CREATE_WORK_ORDER).unwrap();
    let run: Run = example(Operation::GET_RUN).unwrap();
    assert!(!order.run_id.as_str().is_empty() && !run.id.as_str().is_empty());
    let error = example::<CreditBalance>(Operation::GET_RUN).unwrap_err();
    assert!(error.is_decode() && error.operation() == Some(Operation::GET_RUN), "{error}");
}

#[test]
fn finished_returns_the_result_of_a_wait() {
    let mut run: Run = example(Operation::GET_RUN).unwrap();
    run.status = RunStatus::Cancelled;
    assert_eq!(finished(run).succeeded().unwrap_err().kind(), ErrorKind::RunCancelled);
}

#[test]
fn a_response_of_a_reply_has_its_headers_and_value() {
    let reply = Reply::json(json!({ "id": "run_1", "workOrderId": "wo_1", "status": "pending" }))
        .header("x-request-id", "req_1")
        .header("x-ratelimit-remaining", "7");
    let response = reply.into_result::<Run>(Operation::GET_RUN).unwrap();
    assert_eq!((response.request_id(), response.attempts()), (Some("req_1"), 1));
    assert_eq!(response.rate_limit().unwrap().remaining, Some(7));
    assert_eq!(response.value().status, RunStatus::Pending);
}

// Errors

/// Returns the text and the JSON of an error.
fn details(error: &agentgate::Error) -> (String, Value) {
    (error.to_string(), serde_json::to_value(error).unwrap())
}

#[tokio::test(start_paused = true)]
async fn an_error_of_a_reply_equals_the_error_of_a_call() {
    let mut replies: Vec<_> = ErrorCode::KNOWN.iter().map(|code| Reply::error(code).message("It failed.")).collect();
    replies.extend([
        Reply::error("NEW_CODE").status(422),
        Reply::error("INSUFFICIENT_CREDITS").details(json!({ "required": 50, "available": 10 })),
        Reply::error("RATE_LIMITED").header("retry-after", "7"),
        Reply::text("<html>Bad Gateway</html>").status(502),
        Reply::text("").status(404),
        Reply::text("").status(303),
        Reply::text("{"),
        Reply::json(json!({ "id": 7 })),
        Reply::connect_failure(),
        Reply::timeout(),
        Reply::interruption(),
        Reply::text("").status(99),
        Reply::json(json!({})).header("a b", "c"),
        Reply::json(json!({})).details(json!({})),
    ]);
    for reply in replies {
        let replay = Replay::new([reply.clone()]);
        let called = replay.client().unwrap().runs().get("run_1").max_retries(0).await.unwrap_err();
        if !called.is_decode() {
            assert_eq!(details(&reply.clone().into_error(Operation::GET_RUN)), details(&called));
        }
        let made = reply.into_result::<Run>(Operation::GET_RUN).unwrap_err();
        assert_eq!(details(&made), details(&called));
        assert_eq!(made.may_have_reached_server(), called.may_have_reached_server());
    }
}

#[test]
fn into_error_of_a_success_is_an_unexpected_status() {
    let error = Reply::json(json!({})).into_error(Operation::GET_RUN);
    assert_eq!((error.kind(), error.status().unwrap().as_u16()), (ErrorKind::UnexpectedStatus, 200));
}

#[test]
fn secrets_in_a_reply_are_redacted() {
    let error = Reply::error("INVALID_API_KEY").message("No key org_live_1234.").into_error(Operation::GET_RUN);
    let (text, json) = details(&error);
    assert!(!text.contains("1234") && !json.to_string().contains("1234"), "{text} {json}");
}

// Replays

#[tokio::test(start_paused = true)]
async fn a_replay_records_requests_and_retries_without_real_delays() {
    let replies = [
        Reply::error("SERVICE_UNAVAILABLE"),
        Reply::connect_failure(),
        Reply::error("RATE_LIMITED").header("retry-after", "20"),
        Reply::example(Operation::CREATE_WORK_ORDER),
    ];
    let replay = Replay::new(replies);
    let client = replay.client().unwrap();
    let began = Instant::now();
    client.work_orders().create("Fix it", source()).tenant("acme-corp", "user_123").await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(20));
    let requests = replay.requests();
    assert_eq!(requests.len(), 4);
    for request in requests {
        assert_eq!((request.method().as_str(), request.uri().path()), ("POST", "/v1/work-orders"));
        assert!(request.headers()["authorization"].is_sensitive());
        let body: Value = serde_json::from_slice(request.body()).unwrap();
        assert_eq!((&body["taskPrompt"], &body["tenantContext"]["tenantId"]), (&json!("Fix it"), &json!("acme-corp")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_after_the_last_reply_is_an_error_that_is_not_retried() {
    let replay = Replay::new([]);
    let error = replay.client().unwrap().runs().get("run_1").await.unwrap_err();
    assert_eq!((error.kind(), replay.requests().len()), (ErrorKind::Configuration, 1));
    insta::assert_snapshot!(error);
}

#[tokio::test(start_paused = true)]
async fn a_replayed_lost_submission_is_searched_for() {
    let replay = Replay::with(|request| match request.method().as_str() {
        "POST" => Reply::interruption(),
        _ => Reply::json(json!({ "data": [], "total": 0, "limit": 100, "offset": 0 })),
    });
    let error = replay.client().unwrap().work_orders().create("Fix it", source()).await.unwrap_err();
    assert!(error.may_have_reached_server());
    let requests = replay.requests();
    let submissions = requests.iter().filter(|request| request.method() == "POST").count();
    assert!(submissions == 1 && requests.len() > 1, "{requests:#?}");
}

/// Responds with a run of this status, as a single run or in a list.
fn run(request: &agentgate::http::Request<bytes::Bytes>, status: &str) -> Reply {
    let run = json!({ "id": "run_1", "workOrderId": "wo_1", "status": status, "createdAt": "2026-01-01T00:00:00Z" });
    match request.uri().path() {
        "/v1/runs/run_1" => Reply::json(run),
        _ => Reply::json(json!({ "data": [run], "total": 1, "limit": 100, "offset": 0 })),
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_polls_until_the_run_ends_or_the_timeout_passes() {
    let polls = AtomicUsize::new(0);
    let replay = Replay::with(move |request| match polls.fetch_add(1, Ordering::Relaxed) {
        0..5 => run(request, "running"),
        _ => run(request, "succeeded"),
    });
    let client = replay.client().unwrap();
    client.runs().wait("run_1").timeout(Duration::from_secs(1800)).await.unwrap().succeeded().unwrap();

    let client = Replay::with(|request| run(request, "running")).client().unwrap();
    let began = Instant::now();
    let error = client.runs().wait("run_1").timeout(Duration::from_secs(1800)).into_future().await.unwrap_err();
    assert_eq!((error.kind(), began.elapsed().as_secs()), (ErrorKind::WaitTimeout, 1800));
}

#[test]
fn a_blocking_client_can_use_a_replay() {
    let replay = Replay::new([Reply::example(Operation::GET_RUN)]);
    let client = agentgate::Client::builder().replay(&replay).build_blocking().unwrap();
    agentgate::blocking::Call::send(client.runs().get("run_1")).unwrap();
    assert_eq!(replay.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_tokio_clock_follows_the_time_of_tokio() {
    let clock = TokioClock::default();
    let began = clock.now();
    assert_eq!(began.to_rfc3339(), "2026-01-01T00:00:00+00:00");
    let earlier = tokio::spawn(clock.sleep(Duration::from_secs(5)));
    clock.sleep(Duration::from_secs(7)).await;
    assert!(earlier.is_finished());
    let passed = (clock.now() - began).to_std().unwrap();
    assert!(passed >= Duration::from_secs(7) && passed < Duration::from_secs(8), "{passed:?}");
    assert!(clock.monotonic() >= Duration::from_secs(7));
}
