//! The request of each call, as a server receives it.

use std::fmt::Write as _;
use std::future::IntoFuture;

use agentgate::http::Method;
use agentgate::simulator::{Fault, RecordedRequest, Simulator};
use agentgate::types::{ArchiveFormat, WebhookEventType};
use agentgate::{Client, Operation, WorkspaceSource};
use common::{Form, call_with};
use serde_json::json;

/// Headers that do not depend on the call.
const LEFT_OUT: [&str; 2] = ["host", "content-length"];

struct Recorder {
    simulator: Simulator,
    client: Client,
    wire: String,
}

impl Recorder {
    async fn start() -> Self {
        let simulator = Simulator::start().await.unwrap();
        let client = Client::builder()
            .base_url(simulator.url())
            .api_key(simulator.api_key())
            .user_agent("acme/1.0")
            .max_retries(0)
            .build()
            .unwrap();
        Self { simulator, client, wire: String::new() }
    }

    /// Sends a call, and records the request. The response is a 418, which ends each call.
    async fn record<C: IntoFuture>(&mut self, what: &str, call: C) {
        self.simulator.clear_requests();
        self.simulator.inject(Fault::response(418, "text/plain", ""));
        call.into_future().await;
        let requests = self.simulator.requests();
        assert_eq!(requests.len(), 1, "{what}");
        writeln!(self.wire, "## {what}\n{}", shown(&requests[0])).unwrap();
    }
}

fn shown(request: &RecordedRequest) -> String {
    let mut text = format!("{} {}", request.method, request.path);
    if let Some(query) = &request.query {
        write!(text, "?{query}").unwrap();
    }
    let mut headers: Vec<_> = request
        .headers
        .iter()
        .filter(|(name, _)| !LEFT_OUT.contains(&name.as_str()))
        .map(|(name, value)| match name.as_str() {
            "authorization" => format!("{name}: Bearer [redacted]"),
            "idempotency-key" => {
                assert_eq!(value.len(), 36, "{value}");
                format!("{name}: [random]")
            }
            "user-agent" => format!("{name}: {}", value.replace(env!("CARGO_PKG_VERSION"), "VERSION")),
            _ => format!("{name}: {value}"),
        })
        .collect();
    headers.sort();
    for header in headers {
        write!(text, "\n{header}").unwrap();
    }
    if !request.body.is_empty() {
        let mut body = request.body_json().unwrap();
        if let Some(token) = body.pointer_mut("/metadata/agentgate-submission") {
            assert_eq!(token.as_str().map(str::len), Some(36), "{token}");
            *token = "[random]".into();
        }
        write!(text, "\n\n{body:#}").unwrap();
    }
    text.push('\n');
    text
}

/// The calls from the contract's examples: with the required values, with every value, and with nulls.
#[tokio::test]
async fn every_operation_sends_the_documented_request() {
    let mut on = Recorder::start().await;
    let client = on.client.clone();
    for operation in Operation::ALL {
        let required = call_with(&client, operation.id(), "id_1", Form::Required);
        on.record(operation.id(), required).await;
        let required = on.wire.len();
        for (form, title) in [(Form::Everything, "with everything"), (Form::Cleared, "with nulls")] {
            let before = on.wire.len();
            let call = call_with(&client, operation.id(), "id_1", form);
            on.record(&format!("{}, {title}", operation.id()), call).await;
            if same_request(&on.wire[..required], &on.wire[before..]) {
                on.wire.truncate(before);
            }
        }
    }
    insta::assert_snapshot!(on.wire);
}

/// Returns `true` if the last requests of two texts are equal, apart from their titles.
fn same_request(before: &str, after: &str) -> bool {
    let request = |text: &str| {
        text.rsplit("## ").next().and_then(|text| text.split_once('\n')).map(|(_, request)| request.to_owned())
    };
    request(before) == request(after)
}

#[tokio::test]
async fn hand_written_setters_send_the_documented_request() {
    let mut on = Recorder::start().await;
    let (orders, runs, webhooks, templates) =
        (on.client.work_orders(), on.client.runs(), on.client.webhooks(), on.client.templates());
    let metadata =
        orders.create("Fix it", WorkspaceSource::git("r")).metadata("ticket", "API-42").metadata("priority", 2);
    on.record("create a work order, with metadata", metadata).await;
    on.record("create, for a tenant", orders.create("x", WorkspaceSource::git("r")).tenant("acme-corp", "user_123"))
        .await;
    let template = WorkspaceSource::template("python-fastapi").variable("name", "shop");
    on.record("create, from a template", orders.create("x", template)).await;
    let archive = WorkspaceSource::url("https://example.com/a.tgz").format(ArchiveFormat::TarGz);
    on.record("create, from an archive", orders.create("x", archive)).await;
    on.record("list runs, with text that needs encoding", runs.list().tenant("acme & co").tenant_user("ü")).await;
    on.record("get a run, an id that needs encoding", runs.get("a/b?c#d %ä")).await;
    let events = [WebhookEventType::RunCompleted, WebhookEventType::from("run.no-such-event")];
    let headers = webhooks.create("https://example.com/hook", events).header("x-token", "t1").header("x-other", "t2");
    on.record("create a webhook, with headers", headers).await;
    on.record("update, to no events", webhooks.update("wh_5d7q").events([] as [WebhookEventType; 0])).await;
    let emptied = templates.update("our-api").hooks(serde_json::Map::new()).tags([] as [&str; 0]);
    on.record("update a template, some of it emptied", emptied).await;
    let listed = runs.list().limit(5).extra_query("sort by", "a&b").extra_query("sort by", "ü");
    on.record("list runs, with a header and a query of one's own", listed.request_header("X-Team", "payments")).await;
    let order = orders.create("x", WorkspaceSource::git("r")).extra_body("priority", 2).extra_body("labels", vec!["a"]);
    on.record("create a work order, with fields of one's own", order).await;
    let request = on.client.request(Method::POST, "/v1/labels ü").query("a", "1").query("a", "2&3");
    on.record("a raw request", request.json(&json!({ "name": "urgent" })).request_header("x-team", "payments")).await;
    on.record("a raw request without a body", on.client.request(Method::DELETE, "/v1/labels/urgent")).await;
    insta::assert_snapshot!(on.wire);
}

#[test]
fn the_operation_constants_match_the_contract() {
    let table: Vec<_> = Operation::ALL
        .iter()
        .map(|operation| {
            let repeatable = if operation.is_idempotent() { "idempotent" } else { "not idempotent" };
            format!(
                "{:18} {:6} {:28} {:18} {:15} {}",
                operation.id(),
                operation.method(),
                operation.path(),
                operation.scope(),
                repeatable,
                operation.summary()
            )
        })
        .collect();
    insta::assert_snapshot!(table.join("\n"));
}
