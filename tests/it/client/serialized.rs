//! Errors as JSON, for structured logs.

use std::future::IntoFuture;
use std::time::Duration;

use agentgate::simulator::{Fault, RunPlan, Simulator};
use agentgate::test_util::Reply;
use agentgate::{Client, Error, Operation, RateLimitMode, WorkspaceSource};
use serde_json::json;

/// Errors of each shape, without values that differ between runs.
async fn errors() -> Vec<Error> {
    let simulator = Simulator::start().await.unwrap();
    let builder = Client::builder().base_url(simulator.url()).api_key(simulator.api_key()).clock(simulator.clock());
    let client = builder.rate_limit_mode(RateLimitMode::Off).max_retries(0).build().unwrap();
    let source = || WorkspaceSource::template("python-flask");
    let mut errors = vec![
        Client::new("").unwrap_err(),
        client.work_orders().create("", source()).await.unwrap_err(),
        client.runs().get("run_9").await.unwrap_err(),
    ];
    simulator.set_credits(10);
    errors.push(client.work_orders().create("Fix it", source()).await.unwrap_err());
    simulator.set_credits(10_000);
    for code in ["RATE_LIMITED", "SCOPE_REQUIRED", "INTERNAL_ERROR"] {
        simulator.inject(Fault::error(code));
        errors.push(client.runs().list().await.unwrap_err());
    }
    for plan in [RunPlan::fails("TESTS_FAILED", "2 of 14 tests have failed."), RunPlan::succeeds().forever()] {
        simulator.next_run(plan);
        let id = client.work_orders().create("Fix it", source()).await.unwrap().run_id;
        let finished = client.runs().wait(&id).timeout(Duration::from_secs(600)).into_future().await;
        errors.push(finished.and_then(agentgate::follow::FinishedRun::succeeded).unwrap_err());
    }
    errors.extend([
        Reply::interruption().into_error(Operation::CREATE_WORK_ORDER),
        Reply::error("INVALID_VALUE")
            .message("The key org_live_1234567890 is wrong.")
            .details(json!({ "errors": [{ "field": "webhookUrl", "message": "holds whsec_1234567890" }] }))
            .into_error(Operation::CREATE_WORK_ORDER),
    ]);
    errors
}

#[tokio::test]
async fn errors_serialize_to_json() {
    let text = serde_json::to_string_pretty(&errors().await).unwrap();
    assert!(!text.contains("1234567890"), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn operations_serialize_as_their_id() {
    assert_eq!(serde_json::to_value(Operation::GET_RUN).unwrap(), "getRun");
}
