//! Extra headers, query parameters and body fields: sent with every request of the call, or rejected before it is sent.

use std::time::Duration;

use agentgate::simulator::{Fault, Simulator};
use agentgate::{Client, ErrorKind, Result, WorkspaceSource};

use super::start;

fn source() -> WorkspaceSource {
    WorkspaceSource::git("https://github.com/your-org/your-repo").into()
}

#[track_caller]
fn assert_rejected<T>(simulator: &Simulator, result: Result<T>, problem: &str) {
    let error = result.map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
    assert!(error.to_string().contains(problem), "{error}");
    assert!(error.operation().is_some() && error.attempts() == 0, "{error}");
    assert_eq!(simulator.request_count(), 0, "{error}");
}

#[tokio::test]
async fn extra_headers_query_and_fields_are_sent_with_each_attempt() {
    let (simulator, client) = start().await;
    simulator.inject(Fault::response(502, "text/html", ""));
    let call = client.templates().create("ours", "Ours", source()).repeatable();
    call.request_header("x-team", "a").extra_query("dry", "1").extra_body("x-new", true).await.ok();
    let requests = simulator.requests();
    assert_eq!(requests.len(), 2);
    for request in requests {
        assert_eq!(request.header("x-team"), Some("a"));
        assert_eq!(request.query.as_deref(), Some("dry=1"));
        assert_eq!(request.body_json().unwrap()["x-new"], true);
    }
}

#[tokio::test]
async fn a_delivery_header_is_not_sent_as_a_request_header() {
    let (simulator, client) = start().await;
    let call = client.webhooks().create("https://example.com/hook", ["run.failed"]);
    call.header("x-delivery", "d").request_header("x-request", "r").await.unwrap();
    let request = simulator.requests().remove(0);
    assert_eq!((request.header("x-request"), request.header("x-delivery")), (Some("r"), None));
    assert_eq!(request.body_json().unwrap()["headers"], serde_json::json!({ "x-delivery": "d" }));
}

#[tokio::test]
async fn headers_set_by_the_client_are_rejected() {
    let (simulator, client) = start().await;
    for name in [
        "Authorization", "ACCEPT", "content-type", "Content-Length", "host", "user-agent", "Idempotency-Key",
        "transfer-encoding",
    ] {
        let result = client.credits().balance().request_header(name, "x").await;
        assert_rejected(&simulator, result, &format!("the header `{}` is set by the client", name.to_lowercase()));
    }
}

#[tokio::test]
async fn invalid_headers_are_rejected_without_showing_their_values() {
    let (simulator, client) = start().await;
    for name in ["", "x team", "x:y", "ü", "x\r\ny"] {
        assert_rejected(
            &simulator,
            client.credits().balance().request_header(name, "x").await,
            "not a name that a header",
        );
    }
    for value in ["s3cret\r\nx: y", "s3cret\n", "s3cret\0"] {
        let error = client.credits().balance().request_header("x-team", value).await.unwrap_err();
        assert!(!format!("{error:#?}").contains("s3cret"), "{error:#?}");
        assert_rejected::<()>(&simulator, Err(error), "`x-team` has a value that no header can have");
    }
}

#[tokio::test]
async fn an_extra_field_is_rejected_if_the_body_is_not_an_object() {
    let (simulator, client) = start().await;
    assert_rejected(&simulator, client.runs().list().extra_body("a", 1).await, "no JSON object as its body");
    assert_rejected(&simulator, client.runs().cancel("run_1").extra_body("a", 1).await, "no JSON object as its body");
}

#[tokio::test]
async fn fields_and_parameters_set_by_the_call_cannot_be_overwritten() {
    let (simulator, client) = start().await;
    let create = || client.work_orders().create("Fix it", source());
    assert_rejected(&simulator, create().extra_body("taskPrompt", "x").await, "the call sets the field `taskPrompt`");
    assert_rejected(&simulator, create().extra_body("metadata", "x").await, "the call sets the field `metadata`");
    assert_rejected(
        &simulator,
        client.runs().list().limit(1).extra_query("limit", "2").await,
        "query parameter `limit`",
    );
    let items = client.runs().list().extra_query("offset", "0").items().next().await.unwrap();
    assert_rejected(&simulator, items, "query parameter `offset`");
}

#[tokio::test]
async fn an_unset_field_of_the_call_can_be_added() {
    let (_simulator, client) = start().await;
    let created = client.work_orders().create("Fix it", source()).extra_body("maxIterations", 7).await.unwrap();
    let order = client.work_orders().get(&created.work_order_id).await.unwrap();
    assert_eq!(order.max_iterations, Some(7));
}

#[tokio::test]
async fn every_page_of_a_list_is_requested_with_the_extra_header() {
    let (simulator, client) = start().await;
    for _ in 0..3 {
        client.work_orders().create("Fix it", source()).await.unwrap();
        simulator.advance(Duration::from_secs(60));
    }
    simulator.clear_requests();
    let mut items = client.runs().list().limit(1).request_header("x-team", "a").items();
    while let Some(item) = items.next().await {
        item.unwrap();
    }
    let requests = simulator.requests();
    assert!(requests.len() > 1 && requests.iter().all(|request| request.header("x-team") == Some("a")));
}

/// A gateway may require a header on every request, but a field of a work order does not apply to a list.
#[tokio::test]
async fn reconciliation_requests_have_only_the_extra_headers() {
    let (simulator, client) = start().await;
    simulator.inject(Fault::response(502, "text/html", "").on("createWorkOrder").after_acting());
    let call = client.work_orders().create("Fix it", source()).request_header("x-team", "a");
    call.extra_query("dry", "0").extra_body("maxIterations", 7).await.unwrap();
    let requests = simulator.requests();
    assert!(requests.len() > 2);
    for request in &requests {
        assert_eq!(request.header("x-team"), Some("a"));
        assert_eq!(request.method == "POST", request.query.as_deref().is_some_and(|query| query.contains("dry=0")));
    }
}

#[tokio::test]
async fn the_check_after_a_lost_cancellation_has_only_the_extra_headers() {
    let (simulator, client) = start().await;
    let order = client.work_orders().create("Fix it", source()).await.unwrap();
    simulator.inject(Fault::response(502, "text/html", "").on("cancelRun").after_acting());
    simulator.clear_requests();
    client.runs().cancel(&order.run_id).request_header("x-team", "a").extra_query("dry", "0").await.unwrap();
    let requests = simulator.requests();
    let last = requests.last().unwrap();
    assert_eq!((last.method.as_str(), last.header("x-team"), last.query.as_deref()), ("GET", Some("a"), None));
}

#[test]
fn debug_output_of_a_call_shows_names_of_extras_without_values() {
    let client = Client::new("org_live_test").unwrap();
    let call = client.templates().create("ours", "Ours", source());
    let call = call.request_header("x-team", "s3cret").extra_query("dry", "s3cret").extra_body("new", "s3cret");
    let shown = format!("{call:?}");
    assert!(["x-team", "dry", "new"].iter().all(|name| shown.contains(name)), "{shown}");
    assert!(!shown.contains("s3cret"), "{shown}");
}
