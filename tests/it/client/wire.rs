//! What each call sends, as a server saw it. A difference here is a difference that the service sees.

use std::fmt::Write as _;
use std::future::IntoFuture;

use agentgate::simulator::{Fault, RecordedRequest, Simulator};
use agentgate::types::{
    ArchiveFormat, CreditTransactionType, RunStatus, TemplateVariable, TenantContext, WebhookEventType,
};
use agentgate::{Client, Operation, WorkspaceSource};
use chrono::{TimeZone, Utc};
use serde_json::json;

use agentgate::chrono;

/// Headers that say nothing of the contract.
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

    /// Sends a call, and writes down what the server saw. The answer does not matter here: 418 ends each call.
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

#[tokio::test]
async fn work_orders_on_the_wire() {
    let mut on = Recorder::start().await;
    let orders = on.client.work_orders();
    let git = WorkspaceSource::git("https://github.com/your-org/your-repo");
    on.record("create, with what is required", orders.create("Fix it", git.clone())).await;
    let mut tenant = TenantContext::new();
    tenant.tenant_id = Some("acme-corp".to_owned());
    tenant.metadata = json!({"plan": "pro"}).as_object().unwrap().clone();
    let everything = orders
        .create("Fix it", git.branch("main").commit("4f2a9c1"))
        .max_iterations(5)
        .gate_plan(json!({"tests": true}).as_object().unwrap().clone())
        .webhook_url("https://example.com/hook")
        .tenant_context(tenant)
        .metadata("ticket", "API-42")
        .metadata("priority", 2);
    on.record("create, with everything", everything).await;
    on.record("create, for a tenant", orders.create("x", WorkspaceSource::git("r")).tenant("acme-corp", "user_123"))
        .await;
    let template = WorkspaceSource::template("python-fastapi").variable("name", "shop");
    on.record("create, from a template", orders.create("x", template)).await;
    let archive = WorkspaceSource::url("https://example.com/a.tgz").format(ArchiveFormat::TarGz);
    on.record("create, from an archive", orders.create("x", archive)).await;
    on.record("get", orders.get("wo_8f2k1m")).await;
    insta::assert_snapshot!(on.wire);
}

#[tokio::test]
async fn runs_on_the_wire() {
    let mut on = Recorder::start().await;
    let runs = on.client.runs();
    on.record("list", runs.list()).await;
    let filtered = runs.list().status(RunStatus::Running).tenant("acme & co").tenant_user("ü").limit(100).offset(200);
    on.record("list, with every filter", filtered).await;
    on.record("get", runs.get("run_3n9x2p")).await;
    on.record("get, an id that needs encoding", runs.get("a/b?c#d %ä")).await;
    on.record("cancel", runs.cancel("run_3n9x2p")).await;
    insta::assert_snapshot!(on.wire);
}

#[tokio::test]
async fn credits_on_the_wire() {
    let mut on = Recorder::start().await;
    let credits = on.client.credits();
    on.record("balance", credits.balance()).await;
    on.record("usage", credits.usage()).await;
    let filtered = credits
        .usage()
        .start_date(Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).unwrap())
        .end_date(Utc.with_ymd_and_hms(2026, 1, 31, 23, 59, 59).unwrap())
        .kind(CreditTransactionType::Deduction)
        .tenant("acme-corp")
        .tenant_user("user_123")
        .limit(10)
        .offset(20);
    on.record("usage, with every filter", filtered).await;
    insta::assert_snapshot!(on.wire);
}

#[tokio::test]
async fn webhooks_on_the_wire() {
    let mut on = Recorder::start().await;
    let webhooks = on.client.webhooks();
    let events = [WebhookEventType::RunCompleted, WebhookEventType::from("run.no-such-event")];
    on.record("list", webhooks.list()).await;
    on.record("create, with what is required", webhooks.create("https://example.com/hook", events.clone())).await;
    let everything = webhooks
        .create("https://example.com/hook", events)
        .enabled(false)
        .description("staging")
        .header("x-token", "t1")
        .header("x-other", "t2");
    on.record("create, with everything", everything).await;
    on.record("get", webhooks.get("wh_5d7q")).await;
    on.record("update, one thing", webhooks.update("wh_5d7q").enabled(true)).await;
    let everything =
        webhooks.update("wh_5d7q").url("https://example.com/new").events(["run.failed"]).enabled(false).description("");
    on.record("update, everything", everything).await;
    on.record("update, to no events", webhooks.update("wh_5d7q").events([] as [WebhookEventType; 0])).await;
    on.record("delete", webhooks.delete("wh_5d7q")).await;
    on.record("test", webhooks.test("wh_5d7q")).await;
    insta::assert_snapshot!(on.wire);
}

#[tokio::test]
async fn templates_on_the_wire() {
    let mut on = Recorder::start().await;
    let templates = on.client.templates();
    let source = WorkspaceSource::git("https://github.com/your-org/template");
    let mut variable = TemplateVariable::new("name");
    variable.required = Some(true);
    variable.default = Some(json!("shop"));
    on.record("list", templates.list()).await;
    on.record("list, by tag", templates.list().tag("python")).await;
    on.record("create, with what is required", templates.create("our-api", "Our API", source.clone())).await;
    let everything = templates
        .create("our-api", "Our API", source.clone())
        .description("d")
        .variables([variable.clone()])
        .hooks(json!({"setup": "make"}).as_object().unwrap().clone())
        .tags(["api"]);
    on.record("create, with everything", everything).await;
    on.record("get", templates.get("our-api")).await;
    let everything = templates
        .update("our-api")
        .name("New")
        .source(source)
        .description("d")
        .variables([variable])
        .hooks(json!({}).as_object().unwrap().clone())
        .tags([] as [&str; 0]);
    on.record("update, everything, some of it emptied", everything).await;
    on.record("delete", templates.delete("our-api")).await;
    insta::assert_snapshot!(on.wire);
}

#[test]
fn the_operations_of_the_contract() {
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
