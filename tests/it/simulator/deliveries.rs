//! Deliveries to webhooks.
//!
//! The receivers use TCP directly, so that they can respond as no HTTP server does. No test sleeps: the clock is
//! advanced, and the simulator settles.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agentgate::simulator::{
    Builder, DeliveryOrder, DeliveryOutcome, RecordedDelivery, RunPlan, SimulatedClock, Simulator,
};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// Longer than any of these tests takes if it passes.
const GUARD: Duration = Duration::from_secs(300);

const ALL: [&str; 8] = [
    "run.created", "run.started", "run.completed", "run.failed", "run.cancelled", "verification.started",
    "verification.passed", "verification.failed",
];

// Receivers

/// The reaction of a receiver to a delivery.
#[derive(Clone, Copy, Debug)]
enum Reply {
    Status(u16),
    /// It closes the connection.
    Cut,
    /// It closes the connection before the end of the response.
    CutInBody,
    /// It sends nothing and keeps the connection open.
    Hang,
}

#[derive(Clone)]
struct Receiver {
    port: u16,
    inbox: Arc<Inbox>,
}

#[derive(Default)]
struct Inbox {
    received: Mutex<Vec<Received>>,
    /// The reactions to the next deliveries. The default is 200.
    replies: Mutex<VecDeque<Reply>>,
    /// Notified of every delivery.
    came: Notify,
    /// Number of hanging connections that the simulator closed.
    gone: Mutex<usize>,
}

#[derive(Clone, Debug)]
struct Received {
    line: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Received {
    fn header(&self, name: &str) -> &str {
        let header = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        header.map_or_else(|| panic!("no {name}: {self:?}"), |(_, value)| value.as_str())
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn text(&self, field: &str) -> String {
        self.json()[field].as_str().unwrap().to_owned()
    }
}

impl Receiver {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Self { port: listener.local_addr().unwrap().port(), inbox: Arc::default() };
        let inbox = Arc::clone(&receiver.inbox);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let inbox = Arc::clone(&inbox);
                tokio::spawn(async move { inbox.take(stream).await });
            }
        });
        receiver
    }

    async fn replying(replies: impl IntoIterator<Item = Reply>) -> Self {
        let receiver = Self::start().await;
        receiver.inbox.replies.lock().unwrap().extend(replies);
        receiver
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hooks?from=agentgate", self.port)
    }

    fn received(&self) -> Vec<Received> {
        self.inbox.received.lock().unwrap().clone()
    }

    fn types(&self) -> Vec<String> {
        self.received().iter().map(|received| received.text("type")).collect()
    }

    fn ids(&self) -> Vec<String> {
        self.received().iter().map(|received| received.text("id")).collect()
    }

    /// Waits until this many deliveries have been received.
    async fn has(&self, count: usize) {
        let wait = async {
            loop {
                let came = self.inbox.came.notified();
                if self.received().len() >= count {
                    return;
                }
                came.await;
            }
        };
        tokio::time::timeout(GUARD, wait).await.unwrap();
    }

    /// Waits until this many hanging connections have been closed.
    async fn was_left(&self, count: usize) {
        let wait = async {
            loop {
                let came = self.inbox.came.notified();
                if *self.inbox.gone.lock().unwrap() >= count {
                    return;
                }
                came.await;
            }
        };
        tokio::time::timeout(GUARD, wait).await.unwrap();
    }
}

impl Inbox {
    async fn take(&self, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        let Ok(received) = read(&mut stream).await else { return };
        self.received.lock().unwrap().push(received);
        let reply = self.replies.lock().unwrap().pop_front().unwrap_or(Reply::Status(200));
        self.came.notify_waiters();
        let response = match reply {
            Reply::Status(status) => {
                format!("HTTP/1.1 {status} Status\r\nlocation: /else\r\ncontent-length: 0\r\n\r\n")
            }
            Reply::CutInBody => "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf".to_owned(),
            Reply::Cut => return,
            Reply::Hang => {
                // The simulator sends nothing more, so this ends with the connection.
                let _ = stream.read(&mut [0]).await;
                *self.gone.lock().unwrap() += 1;
                self.came.notify_waiters();
                return;
            }
        };
        let _ = stream.write_all(response.as_bytes()).await;
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> io::Result<Received> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let header = |line: &String| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
    let headers: Vec<_> = lines.iter().filter_map(header).collect();
    let mut received = Received { line: lines.swap_remove(0), headers, body: Vec::new() };
    received.body.resize(received.header("content-length").parse().unwrap(), 0);
    stream.read_exact(&mut received.body).await?;
    Ok(received)
}

// The simulator and its API

struct Api {
    simulator: Simulator,
    http: reqwest::Client,
}

impl Api {
    async fn start() -> Self {
        Self::with(Simulator::builder()).await
    }

    async fn with(builder: Builder) -> Self {
        let simulator = builder.start().await.unwrap();
        Self { simulator, http: reqwest::Client::builder().no_proxy().build().unwrap() }
    }

    async fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let url = format!("{}{path}", self.simulator.url());
        let request = self.http.request(method.parse().unwrap(), url).bearer_auth(self.simulator.api_key());
        let response = request.json(&body).send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default())
    }

    /// Creates a webhook for these events and returns its secret.
    async fn webhook(&self, url: &str, events: &[&str]) -> String {
        let (status, created) = self.call("POST", "/v1/webhooks", json!({ "url": url, "events": events })).await;
        assert_eq!(status, 201, "{created}");
        created["secret"].as_str().unwrap().to_owned()
    }

    async fn submit(&self) {
        self.submit_with(json!({})).await;
    }

    async fn submit_with(&self, more: Value) {
        let mut order = json!({
            "taskPrompt": "Add error handling to the API routes",
            "workspaceSource": { "type": "git", "repository": "https://github.com/your-org/your-repo" },
        });
        order.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (status, created) = self.call("POST", "/v1/work-orders", order).await;
        assert_eq!(status, 201, "{created}");
    }

    async fn test(&self, webhook: &str) -> (u16, Value) {
        self.call("POST", &format!("/v1/webhooks/{webhook}/test"), Value::Null).await
    }

    async fn settle(&self) {
        tokio::time::timeout(GUARD, self.simulator.settle()).await.unwrap();
    }

    /// Advances the clock and waits for the deliveries that are due.
    async fn pass(&self, seconds: u64) {
        self.simulator.advance(Duration::from_secs(seconds));
        self.settle().await;
    }

    fn outcomes(&self) -> Vec<DeliveryOutcome> {
        self.simulator.deliveries().into_iter().map(|delivery| delivery.outcome).collect()
    }

    fn attempts(&self) -> Vec<(String, u32)> {
        let attempt = |delivery: RecordedDelivery| (delivery.event_id, delivery.attempt);
        self.simulator.deliveries().into_iter().map(attempt).collect()
    }
}

fn signature(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    let mut hex = String::new();
    for byte in mac.finalize().into_bytes() {
        write!(hex, "{byte:02x}").unwrap();
    }
    format!("sha256={hex}")
}

/// A URL on this machine that refuses connections.
async fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}/hooks", listener.local_addr().unwrap())
}

// Events

#[tokio::test]
async fn the_events_of_a_successful_run_are_delivered_in_order() {
    let (api, receiver) = (Api::start().await, Receiver::start().await);
    api.webhook(&receiver.url(), &ALL).await;
    api.submit().await;
    api.pass(60).await;
    assert_eq!(
        receiver.types(),
        ["run.created", "run.started", "verification.started", "verification.passed", "run.completed"]
    );
    let ids: Vec<_> = (1..=5).map(|number| format!("evt_{number:06}")).collect();
    assert_eq!(receiver.ids(), ids);
    let times: Vec<_> = receiver.received().iter().map(|received| received.text("createdAt")).collect();
    assert_eq!(times, [0, 2, 10, 12, 12].map(|seconds| format!("2026-01-01T00:00:{seconds:02}.000Z")));
}

#[tokio::test]
async fn a_failed_run_has_the_event_of_a_failed_verification() {
    let (api, receiver) = (Api::start().await, Receiver::start().await);
    api.webhook(&receiver.url(), &ALL).await;
    api.simulator.next_run(RunPlan::fails("TESTS_FAILED", "2 of 14 tests failed"));
    api.submit().await;
    api.pass(60).await;
    assert_eq!(
        receiver.types(),
        ["run.created", "run.started", "verification.started", "verification.failed", "run.failed"]
    );
    assert_eq!(receiver.received()[4].json()["data"]["error"]["code"], "TESTS_FAILED");
}

#[tokio::test]
async fn a_cancelled_run_has_no_further_events() {
    let (api, receiver) = (Api::start().await, Receiver::start().await);
    api.webhook(&receiver.url(), &ALL).await;
    api.submit().await;
    api.pass(5).await;
    assert_eq!(api.call("POST", "/v1/runs/run_000001/cancel", Value::Null).await.0, 200);
    api.settle().await;
    assert_eq!(receiver.types(), ["run.created", "run.started", "run.cancelled"]);
    let cancelled = receiver.received()[2].json();
    assert_eq!((&cancelled["id"], &cancelled["data"]["status"]), (&json!("evt_000003"), &json!("cancelled")));
    assert_eq!(cancelled["createdAt"], "2026-01-01T00:00:05.000Z");
    api.pass(60).await;
    assert_eq!(receiver.received().len(), 3);
}

#[tokio::test]
async fn an_endless_run_has_a_final_event_only_when_it_is_cancelled() {
    let (api, receiver) = (Api::start().await, Receiver::start().await);
    api.webhook(&receiver.url(), &ALL).await;
    api.simulator.next_run(RunPlan::succeeds().forever());
    api.submit().await;
    api.pass(3600).await;
    assert_eq!(receiver.types(), ["run.created", "run.started"]);
    api.call("POST", "/v1/runs/run_000001/cancel", Value::Null).await;
    api.settle().await;
    assert_eq!(receiver.types()[2..], ["run.cancelled"]);
}

#[tokio::test]
async fn events_contain_the_run_as_it_was_at_their_time() {
    let (api, receiver) = (Api::start().await, Receiver::start().await);
    api.webhook(&receiver.url(), &ALL).await;
    let tenant = json!({ "tenantId": "acme-corp", "tenantUserId": "user_123", "metadata": { "plan": "team" } });
    api.submit_with(json!({ "tenantContext": tenant })).await;
    let mut seen = vec![api.call("GET", "/v1/runs/run_000001", Value::Null).await.1];
    for seconds in [2, 10] {
        api.simulator.advance(Duration::from_secs(seconds));
        seen.push(api.call("GET", "/v1/runs/run_000001", Value::Null).await.1);
    }
    api.settle().await;
    let received = receiver.received();
    let events: Vec<_> = [0, 1, 4].map(|event| received[event].json()["data"].clone()).into();
    assert_eq!(events, seen);
    assert_eq!(
        received[2].json()["data"],
        json!({ "runId": "run_000001", "workOrderId": "wo_000001", "iterations": 2, "tenantContext": tenant })
    );
}

#[tokio::test]
async fn events_of_several_runs_are_delivered_in_the_order_of_their_times() {
    let (api, receiver) = (Api::start().await, Receiver::start().await);
    api.webhook(&receiver.url(), &["run.started", "run.completed"]).await;
    api.simulator.next_run(RunPlan::succeeds().running(Duration::from_secs(30)));
    for _ in 0..3 {
        api.submit().await;
        api.simulator.advance(Duration::from_secs(1));
    }
    api.pass(60).await;
    let events: Vec<_> = receiver
        .received()
        .iter()
        .map(|received| (received.text("type"), received.json()["data"]["id"].as_str().unwrap().to_owned()))
        .collect();
    let expected =
        [("started", 1), ("started", 2), ("started", 3), ("completed", 2), ("completed", 3), ("completed", 1)];
    assert_eq!(events, expected.map(|(word, run)| (format!("run.{word}"), format!("run_{run:06}"))));
}

#[tokio::test]
async fn an_event_has_the_same_id_and_body_for_all_receivers() {
    let api = Api::start().await;
    let receivers = [Receiver::start().await, Receiver::start().await];
    api.webhook(&receivers[0].url(), &["run.completed"]).await;
    api.webhook(&receivers[1].url(), &["run.failed", "run.completed"]).await;
    api.submit().await;
    api.pass(60).await;
    let bodies = receivers.each_ref().map(|receiver| receiver.received()[0].body.clone());
    assert_eq!(bodies[0], bodies[1]);
    // The four events before, which have no receiver, are counted.
    assert_eq!(receivers.each_ref().map(Receiver::ids), [["evt_000005"], ["evt_000005"]]);
}

// Receivers of events

#[tokio::test]
async fn a_webhook_gets_the_events_of_its_types_from_its_creation_on() {
    let (api, receiver, late) = (Api::start().await, Receiver::start().await, Receiver::start().await);
    api.webhook(&receiver.url(), &["run.completed", "run.no-such-event"]).await;
    api.submit().await;
    api.simulator.advance(Duration::from_secs(60));
    api.webhook(&late.url(), &ALL).await;
    api.settle().await;
    assert_eq!(receiver.types(), ["run.completed"]);
    assert_eq!(late.types(), [""; 0]);
}

#[tokio::test]
async fn a_disabled_or_deleted_webhook_gets_neither_events_nor_retries() {
    for (method, body) in [("PATCH", json!({ "enabled": false })), ("DELETE", Value::Null)] {
        let (api, receiver) = (Api::start().await, Receiver::replying([Reply::Status(500)]).await);
        api.webhook(&receiver.url(), &ALL).await;
        api.submit().await;
        api.settle().await;
        api.call(method, "/v1/webhooks/wh_000001", body).await;
        api.pass(3600).await;
        assert_eq!(receiver.types(), ["run.created"], "{method}");
        assert_eq!(api.simulator.delivery_count(), 1, "{method}");
    }
}

#[tokio::test]
async fn a_webhook_that_is_enabled_again_gets_later_events() {
    let (api, receiver) = (Api::start().await, Receiver::start().await);
    let body = json!({ "url": receiver.url(), "events": ALL, "enabled": false });
    api.call("POST", "/v1/webhooks", body).await;
    api.submit().await;
    api.pass(5).await;
    api.call("PATCH", "/v1/webhooks/wh_000001", json!({ "enabled": true, "events": ["run.completed"] })).await;
    api.pass(60).await;
    assert_eq!(receiver.types(), ["run.completed"]);
}

#[tokio::test]
async fn a_retry_is_sent_to_the_current_url_of_the_webhook() {
    let (api, old, new) = (Api::start().await, Receiver::replying([Reply::Status(500)]).await, Receiver::start().await);
    api.webhook(&old.url(), &["run.created"]).await;
    api.submit().await;
    api.settle().await;
    api.call("PATCH", "/v1/webhooks/wh_000001", json!({ "url": new.url() })).await;
    api.pass(10).await;
    assert_eq!((old.received().len(), new.received().len()), (1, 1));
    assert_eq!(old.received()[0].body, new.received()[0].body);
}

#[tokio::test]
async fn a_webhook_url_gets_the_events_of_its_run_signed_with_the_secret_of_the_organization() {
    assert_eq!(Api::start().await.simulator.webhook_secret(), "whsec_simulator");
    let (api, receiver) = (Api::with(Simulator::builder().webhook_secret("whsec_mine")).await, Receiver::start().await);
    api.submit().await;
    api.submit_with(json!({ "webhookUrl": receiver.url() })).await;
    api.pass(60).await;
    assert_eq!(receiver.types().len(), 5);
    assert_eq!(api.simulator.webhook_secret(), "whsec_mine");
    for received in receiver.received() {
        let data = received.json()["data"].clone();
        assert!(data["id"] == "run_000002" || data["runId"] == "run_000002", "{data}");
        let signed = signature(api.simulator.webhook_secret(), &received.body);
        assert_eq!(received.header("x-agentgate-signature"), signed);
    }
    assert!(api.simulator.deliveries().iter().all(|delivery| delivery.webhook_id.is_none()));
}

#[tokio::test]
async fn a_test_is_delivered_at_once_without_a_subscription() {
    let (api, receiver) = (Api::start().await, Receiver::start().await);
    let secret = api.webhook(&receiver.url(), &["run.failed"]).await;
    assert_eq!(api.test("wh_000001").await.0, 200);
    api.settle().await;
    let received = &receiver.received()[0];
    assert_eq!(
        received.json(),
        json!({
            "id": "evt_000001",
            "type": "webhook.test",
            "createdAt": "2026-01-01T00:00:00.000Z",
            "data": { "webhookId": "wh_000001" },
        })
    );
    assert_eq!(received.header("x-agentgate-signature"), signature(&secret, &received.body));
}

#[tokio::test]
async fn a_test_beyond_the_limit_or_of_a_disabled_webhook_delivers_nothing() {
    let (api, receiver) = (Api::start().await, Receiver::start().await);
    api.webhook(&receiver.url(), &ALL).await;
    for expected in [[200; 10].as_slice(), &[429]].concat() {
        assert_eq!(api.test("wh_000001").await.0, expected);
    }
    api.settle().await;
    assert_eq!(receiver.received().len(), 10);
    api.call("PATCH", "/v1/webhooks/wh_000001", json!({ "enabled": false })).await;
    api.simulator.advance(Duration::from_secs(60));
    assert_eq!(api.test("wh_000001").await.0, 200);
    api.settle().await;
    assert_eq!(receiver.received().len(), 10);
}

// Requests

#[tokio::test]
async fn a_delivery_is_a_post_of_json_signed_with_the_whole_secret() {
    let (api, receiver) = (Api::start().await, Receiver::start().await);
    let secret = api.webhook(&receiver.url(), &["run.created"]).await;
    api.submit().await;
    api.settle().await;
    let received = &receiver.received()[0];
    assert_eq!(received.line, "POST /hooks?from=agentgate HTTP/1.1");
    assert!(secret.starts_with("whsec_"));
    assert_eq!(received.header("x-agentgate-signature"), signature(&secret, &received.body));
    assert_eq!(received.header("content-type"), "application/json");
    assert_eq!(received.header("host"), format!("127.0.0.1:{}", receiver.port));
    assert!(received.header("user-agent").starts_with("agentgate-simulator/"));
}

#[tokio::test]
async fn the_headers_of_a_webhook_are_sent_with_each_delivery() {
    let (api, receiver) = (Api::start().await, Receiver::start().await);
    let headers = json!({ "X-Environment": "production", "Authorization": "Bearer hook", "User-Agent": "ours" });
    let body = json!({ "url": receiver.url(), "events": ["run.created"], "headers": headers });
    let (_, created) = api.call("POST", "/v1/webhooks", body).await;
    assert_eq!(created["webhook"].get("headers"), None);
    api.submit().await;
    api.settle().await;
    let received = &receiver.received()[0];
    for (name, value) in headers.as_object().unwrap() {
        assert_eq!(received.header(name), value.as_str().unwrap());
    }
    let names: BTreeSet<_> = received.headers.iter().map(|(name, _)| name.to_lowercase()).collect();
    assert_eq!(names.len(), received.headers.len(), "{received:?}");
}

#[tokio::test]
async fn a_reserved_or_invalid_header_of_a_webhook_is_not_sent() {
    let (api, receiver) = (Api::start().await, Receiver::start().await);
    let ours = json!({
        "X-Fine": "yes",
        "not a name": "x",
        "": "x",
        "X-AgentGate-Signature": "sha256=00",
        "Content-Type": "text/plain",
        "Content-Length": "0",
        "Host": "example.com",
        "Transfer-Encoding": "chunked",
        "Connection": "keep-alive",
    });
    let body = json!({ "url": receiver.url(), "events": ["run.created"], "headers": ours });
    let (status, created) = api.call("POST", "/v1/webhooks", body).await;
    assert_eq!(status, 201);
    api.submit().await;
    api.settle().await;
    let received = &receiver.received()[0];
    assert_eq!((received.header("x-fine"), received.header("content-type")), ("yes", "application/json"));
    let secret = created["secret"].as_str().unwrap();
    assert_eq!(received.header("x-agentgate-signature"), signature(secret, &received.body));
    let sent = |(name, value): (&String, &Value)| {
        received.headers.iter().any(|(known, sent)| known.eq_ignore_ascii_case(name) && sent == value.as_str().unwrap())
    };
    let sent: Vec<_> = ours.as_object().unwrap().iter().filter(|header| sent(*header)).map(|(name, _)| name).collect();
    assert_eq!(sent, ["X-Fine"]);
}

#[tokio::test]
async fn an_invalid_header_value_is_refused() {
    let api = Api::start().await;
    let headers = json!({ "X-Fine": "yes", "x-lines": "a\r\nx-smuggled: b", "x-accent": "caf\u{e9}" });
    let body = json!({ "url": "http://localhost/", "events": ["run.created"], "headers": headers });
    let (status, refused) = api.call("POST", "/v1/webhooks", body).await;
    assert_eq!((status, &refused["error"]["code"]), (400, &json!("INVALID_VALUE")));
    let errors = refused["error"]["details"]["errors"].as_array().unwrap();
    let fields: BTreeSet<_> = errors.iter().map(|error| error["field"].as_str().unwrap()).collect();
    assert_eq!(fields, BTreeSet::from(["headers.x-accent", "headers.x-lines"]));
}

// Failures

#[tokio::test]
async fn a_failed_delivery_is_retried_with_the_same_body() {
    for (reply, outcome) in [
        (Reply::Status(500), DeliveryOutcome::Responded(500)),
        (Reply::Status(404), DeliveryOutcome::Responded(404)),
        (Reply::Status(302), DeliveryOutcome::Responded(302)),
        (Reply::Cut, DeliveryOutcome::Failed("connection closed before message completed".to_owned())),
        (Reply::CutInBody, DeliveryOutcome::Failed("error reading a body from connection".to_owned())),
    ] {
        let (api, receiver) = (Api::start().await, Receiver::replying([reply]).await);
        let secret = api.webhook(&receiver.url(), &["run.created"]).await;
        api.submit().await;
        api.pass(9).await;
        assert_eq!(receiver.received().len(), 1, "{reply:?}");
        api.pass(1).await;
        let received = receiver.received();
        assert_eq!(received.len(), 2, "{reply:?}");
        assert_eq!(received[0].body, received[1].body);
        assert_eq!(received[1].header("x-agentgate-signature"), signature(&secret, &received[1].body));
        let first = api.outcomes().swap_remove(0);
        match (&first, &outcome) {
            (DeliveryOutcome::Failed(reason), DeliveryOutcome::Failed(expected)) => {
                assert!(reason.contains(expected), "{reason}");
            }
            _ => assert_eq!(first, outcome),
        }
        assert_eq!(api.attempts(), [("evt_000001".to_owned(), 1), ("evt_000001".to_owned(), 2)]);
        api.pass(100_000).await;
        assert_eq!(receiver.received().len(), 2, "{reply:?}: it succeeded");
    }
}

#[tokio::test]
async fn deliveries_to_a_receiver_that_is_down_are_retried_by_the_schedule_and_given_up() {
    let api = Api::start().await;
    api.webhook(&nowhere().await, &["run.created"]).await;
    api.submit().await;
    api.settle().await;
    for (attempts, pause) in [(1, 10), (2, 60), (3, 600), (4, 3600)] {
        assert_eq!(api.simulator.delivery_count(), attempts);
        api.pass(pause - 1).await;
        assert_eq!(api.simulator.delivery_count(), attempts, "less than {pause} s");
        api.pass(1).await;
    }
    api.pass(1_000_000).await;
    let outcomes = api.outcomes();
    assert_eq!(outcomes.len(), 5);
    for outcome in outcomes {
        assert!(
            matches!(&outcome, DeliveryOutcome::Failed(reason) if reason.contains("could not connect")),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn the_schedule_of_retries_can_be_set() {
    for retries in [&[][..], &[0, 0, 5]] {
        let pauses = retries.iter().copied().map(Duration::from_secs);
        let api = Api::with(Simulator::builder().delivery_retries(pauses)).await;
        api.webhook(&nowhere().await, &["run.created"]).await;
        api.submit().await;
        api.settle().await;
        assert_eq!(api.simulator.delivery_count(), 1 + retries.iter().filter(|pause| **pause == 0).count());
        api.pass(5).await;
        assert_eq!(api.simulator.delivery_count(), 1 + retries.len());
    }
}

#[tokio::test]
async fn a_retry_does_not_delay_other_events() {
    let (api, receiver) = (Api::start().await, Receiver::replying([Reply::Status(503)]).await);
    api.webhook(&receiver.url(), &ALL).await;
    api.submit().await;
    api.settle().await;
    api.pass(5).await;
    api.pass(60).await;
    assert_eq!(
        receiver.types(),
        [
            "run.created", "run.started",
            // Both are due after 10 s. The retry was scheduled later.
            "verification.started", "run.created", "verification.passed", "run.completed",
        ]
    );
}

#[tokio::test]
async fn a_receiver_that_hangs_times_out_when_the_clock_is_advanced() {
    let (api, receiver) = (Api::start().await, Receiver::replying([Reply::Hang]).await);
    api.webhook(&receiver.url(), &["run.created"]).await;
    api.submit().await;
    receiver.has(1).await;
    api.pass(30).await;
    assert_eq!(api.outcomes(), [DeliveryOutcome::Failed("no response within 30s".to_owned())]);
    api.pass(10).await;
    assert_eq!(api.outcomes()[1..], [DeliveryOutcome::Responded(200)]);
}

#[tokio::test]
async fn a_receiver_that_responds_does_not_time_out_however_far_the_clock_is_advanced() {
    let (api, receiver) = (Api::start().await, Receiver::start().await);
    api.webhook(&receiver.url(), &ALL).await;
    for _ in 0..10 {
        api.submit().await;
        api.simulator.advance(Duration::from_secs(3600));
    }
    api.settle().await;
    assert_eq!(api.outcomes(), vec![DeliveryOutcome::Responded(200); 50]);
}

#[tokio::test]
async fn a_receiver_that_hangs_does_not_delay_another() {
    let (api, hanging, well) = (Api::start().await, Receiver::replying([Reply::Hang]).await, Receiver::start().await);
    api.webhook(&hanging.url(), &ALL).await;
    api.webhook(&well.url(), &ALL).await;
    api.submit_with(json!({ "webhookUrl": well.url() })).await;
    api.simulator.advance(Duration::from_secs(20));
    well.has(10).await;
    assert_eq!(hanging.types(), ["run.created"], "one at a time");
}

#[tokio::test]
async fn deliveries_to_other_machines_are_neither_sent_nor_retried() {
    let api = Api::start().await;
    api.webhook("https://app.example.com/hooks", &["run.created"]).await;
    api.webhook("https://127.0.0.1:9/hooks", &["run.created"]).await;
    api.submit_with(json!({ "webhookUrl": "https://app.example.com/runs" })).await;
    api.pass(100_000).await;
    let deliveries = api.simulator.deliveries();
    assert_eq!(deliveries.len(), 2 + 5);
    for delivery in deliveries {
        let DeliveryOutcome::Undeliverable(reason) = &delivery.outcome else { panic!("{delivery:?}") };
        assert!(reason.contains("HTTPS"), "{reason}");
        assert_eq!(delivery.attempt, 1);
        assert!(delivery.header("x-agentgate-signature").is_some());
    }
}

// Faults

#[tokio::test]
async fn duplicates_are_sent_right_after_a_successful_delivery() {
    let (api, receiver) = (Api::start().await, Receiver::replying([Reply::Status(500)]).await);
    let secret = api.webhook(&receiver.url(), &["run.created", "run.started"]).await;
    api.simulator.duplicate_deliveries(2);
    api.submit().await;
    api.settle().await;
    assert_eq!(receiver.ids(), ["evt_000001"], "it failed");
    api.pass(60).await;
    let ids = receiver.ids();
    assert_eq!(ids[1..], ["evt_000002", "evt_000002", "evt_000002", "evt_000001", "evt_000001", "evt_000001"]);
    let received = receiver.received();
    assert_eq!((&received[1].body, &received[4].body), (&received[2].body, &received[6].body));
    assert_eq!(received[6].header("x-agentgate-signature"), signature(&secret, &received[6].body));
    let attempts: Vec<_> = api.attempts().into_iter().map(|(_, attempt)| attempt).collect();
    assert_eq!(attempts, [1, 1, 2, 3, 2, 3, 4]);
    api.simulator.duplicate_deliveries(0);
    api.test("wh_000001").await;
    api.settle().await;
    assert_eq!(receiver.received().len(), 8);
}

#[tokio::test]
async fn a_duplicate_that_fails_is_not_retried() {
    let replies = [Reply::Status(200), Reply::Status(500)];
    let (api, receiver) = (Api::start().await, Receiver::replying(replies).await);
    api.webhook(&receiver.url(), &["run.created"]).await;
    api.simulator.duplicate_deliveries(1);
    api.submit().await;
    api.pass(100_000).await;
    assert_eq!(receiver.received().len(), 2);
}

#[tokio::test]
async fn a_lost_delivery_is_neither_sent_nor_retried() {
    let (api, receiver) = (Api::start().await, Receiver::start().await);
    api.webhook(&receiver.url(), &ALL).await;
    api.submit().await;
    api.simulator.lose_deliveries(2);
    api.pass(100_000).await;
    assert_eq!(receiver.types(), ["run.created", "verification.passed", "run.completed"]);
    let lost: Vec<_> = api
        .simulator
        .deliveries()
        .into_iter()
        .filter(|delivery| delivery.outcome == DeliveryOutcome::Lost)
        .map(|delivery| (delivery.event_kind, delivery.attempt))
        .collect();
    assert_eq!(lost, [("run.started".to_owned(), 1), ("verification.started".to_owned(), 1)]);
    assert_eq!(api.simulator.delivery_count(), 5);
}

#[tokio::test]
async fn a_retry_can_be_lost_too() {
    let (api, receiver) = (Api::start().await, Receiver::replying([Reply::Status(500)]).await);
    api.webhook(&receiver.url(), &["run.created"]).await;
    api.submit().await;
    api.settle().await;
    api.simulator.lose_deliveries(1);
    api.pass(100_000).await;
    assert_eq!(api.outcomes(), [DeliveryOutcome::Responded(500), DeliveryOutcome::Lost]);
}

#[tokio::test]
async fn held_deliveries_are_released_in_the_given_order() {
    let ids: Vec<_> = (1..=15).map(|number| format!("evt_{number:06}")).collect();
    let mut orders = Vec::new();
    for order in [
        DeliveryOrder::AsHappened,
        DeliveryOrder::Reversed,
        DeliveryOrder::Shuffled(1),
        DeliveryOrder::Shuffled(1),
        DeliveryOrder::Shuffled(2),
    ] {
        let (api, receiver) = (Api::start().await, Receiver::start().await);
        api.webhook(&receiver.url(), &ALL).await;
        api.simulator.hold_deliveries();
        for _ in 0..3 {
            api.submit().await;
        }
        api.pass(60).await;
        assert_eq!(receiver.ids(), [""; 0]);
        api.simulator.release_deliveries(order);
        api.settle().await;
        let mut order = receiver.ids();
        orders.push(order.clone());
        order.sort();
        assert_eq!(order, ids);
        api.test("wh_000001").await;
        api.settle().await;
        assert_eq!(receiver.ids().len(), 16, "the hold has ended");
    }
    assert_eq!(orders[0], ids);
    assert!(orders[1].iter().eq(ids.iter().rev()));
    assert_eq!(orders[2], orders[3]);
    assert!(orders[2] != orders[4] && orders[2] != ids);
}

#[tokio::test]
async fn held_deliveries_of_a_deleted_webhook_are_not_sent() {
    let (api, receiver) = (Api::start().await, Receiver::start().await);
    api.webhook(&receiver.url(), &ALL).await;
    api.simulator.hold_deliveries();
    api.submit().await;
    api.pass(60).await;
    api.call("DELETE", "/v1/webhooks/wh_000001", Value::Null).await;
    api.simulator.release_deliveries(DeliveryOrder::AsHappened);
    api.settle().await;
    assert_eq!((receiver.received().len(), api.simulator.delivery_count()), (0, 0));
}

#[tokio::test]
async fn held_deliveries_are_due_when_they_are_released() {
    let (api, receiver) = (Api::start().await, Receiver::replying([Reply::Status(500)]).await);
    api.webhook(&receiver.url(), &["run.created"]).await;
    api.simulator.hold_deliveries();
    api.submit().await;
    api.pass(3600).await;
    api.simulator.release_deliveries(DeliveryOrder::AsHappened);
    api.pass(9).await;
    assert_eq!(receiver.received().len(), 1, "the delay before the retry starts at the release");
    api.pass(1).await;
    assert_eq!(receiver.received().len(), 2);
}

// The simulator itself

#[tokio::test]
async fn deliveries_are_recorded_as_they_were_sent() {
    let (api, receiver) = (Api::start().await, Receiver::start().await);
    let secret = api.webhook(&receiver.url(), &["run.created"]).await;
    api.submit().await;
    api.settle().await;
    let (received, recorded) = (receiver.received().swap_remove(0), api.simulator.deliveries().swap_remove(0));
    assert_eq!((recorded.event_id.as_str(), recorded.event_kind.as_str()), ("evt_000001", "run.created"));
    assert_eq!((recorded.url, recorded.webhook_id.as_deref()), (receiver.url(), Some("wh_000001")));
    assert_eq!((recorded.body, recorded.attempt), (received.body, 1));
    let sorted = |mut headers: Vec<(String, String)>| {
        headers.sort();
        headers
    };
    assert_eq!(sorted(recorded.headers), sorted(received.headers));
    let debug = format!("{:?}", api.simulator.deliveries());
    assert!(!debug.contains(&secret), "{debug}");
    api.simulator.clear_requests();
    assert_eq!((api.simulator.deliveries(), api.simulator.delivery_count()), (Vec::new(), 0));
}

#[tokio::test]
async fn debug_of_a_delivery_shows_its_signature_but_no_secret() {
    let api = Api::start().await;
    let url = "http://me:hunter2@localhost:9/hooks@home?token=hunter2";
    let headers = json!({ "x-internal-token": "hunter2" });
    let body = json!({ "url": url, "events": ["run.created"], "headers": headers });
    assert_eq!(api.call("POST", "/v1/webhooks", body).await.0, 201);
    api.simulator.lose_deliveries(1);
    api.submit().await;
    let debug = format!("{:?}", api.simulator.deliveries());
    assert!(!debug.contains("hunter2"), "{debug}");
    for shown in ["sha256=", "x-internal-token", "http://localhost:9/hooks@home?[redacted]", "evt_000001"] {
        assert!(debug.contains(shown), "{shown} in {debug}");
    }
}

#[tokio::test]
async fn deliveries_that_are_not_recorded_are_counted() {
    let (api, receiver) = (Api::with(Simulator::builder().record_requests(false)).await, Receiver::start().await);
    api.webhook(&receiver.url(), &ALL).await;
    api.submit().await;
    api.pass(60).await;
    assert_eq!((api.simulator.deliveries(), api.simulator.delivery_count()), (Vec::new(), 5));
}

#[tokio::test]
async fn a_simulator_without_deliveries_has_settled() {
    let api = Api::start().await;
    api.settle().await;
    api.submit().await;
    api.pass(60).await;
    assert_eq!(api.simulator.delivery_count(), 0);
}

#[tokio::test]
async fn a_scaled_clock_delivers_without_advancing() {
    let clock = SimulatedClock::Scaled(1000.0);
    let (api, receiver) = (Api::with(Simulator::builder().clock(clock)).await, Receiver::start().await);
    api.webhook(&receiver.url(), &ALL).await;
    api.submit().await;
    receiver.has(5).await;
    assert_eq!(receiver.types()[4], "run.completed");
}

#[tokio::test]
async fn a_scaled_clock_retries_and_times_out_without_advancing() {
    let clock = SimulatedClock::Scaled(1000.0);
    let replies = [Reply::Hang, Reply::Status(500)];
    let (api, receiver) = (Api::with(Simulator::builder().clock(clock)).await, Receiver::replying(replies).await);
    api.webhook(&receiver.url(), &["run.created"]).await;
    api.submit().await;
    receiver.has(3).await;
    api.settle().await;
    assert_eq!(
        api.outcomes(),
        [
            DeliveryOutcome::Failed("no response within 30s".to_owned()),
            DeliveryOutcome::Responded(500),
            DeliveryOutcome::Responded(200),
        ]
    );
}

#[tokio::test]
async fn a_clock_with_the_factor_0_delivers_when_it_is_advanced() {
    let clock = SimulatedClock::Scaled(0.0);
    let (api, receiver) = (Api::with(Simulator::builder().clock(clock)).await, Receiver::start().await);
    api.webhook(&receiver.url(), &["run.completed"]).await;
    api.submit().await;
    api.pass(60).await;
    assert_eq!(receiver.types(), ["run.completed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_simulator_cancels_its_deliveries() {
    let (api, hanging) = (Api::start().await, Receiver::replying([Reply::Hang]).await);
    api.webhook(&hanging.url(), &ALL).await;
    api.submit().await;
    api.simulator.advance(Duration::from_secs(60));
    hanging.has(1).await;
    drop(api.simulator);
    hanging.was_left(1).await;
    assert_eq!(hanging.types(), ["run.created"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn settling_waits_for_all_deliveries_that_are_due() {
    let api =
        Api::with(Simulator::builder().rate_limit(100_000).submission_limit(100_000).concurrent_runs(100_000)).await;
    let receivers = [Receiver::start().await, Receiver::start().await];
    for receiver in &receivers {
        api.webhook(&receiver.url(), &ALL).await;
    }
    api.simulator.set_credits(1_000_000);
    for round in 1..=100 {
        api.submit().await;
        api.pass(60).await;
        for receiver in &receivers {
            assert_eq!(receiver.received().len(), 5 * round);
        }
    }
}

#[tokio::test]
async fn every_run_can_have_its_own_receiver() {
    let builder = Simulator::builder().rate_limit(100_000).submission_limit(100_000).concurrent_runs(100_000).price(0);
    let (api, receiver) = (Api::with(builder).await, Receiver::start().await);
    for run in 0..1000 {
        api.submit_with(json!({ "webhookUrl": format!("{}&run={run}", receiver.url()) })).await;
    }
    api.pass(60).await;
    assert_eq!(receiver.ids().into_iter().collect::<BTreeSet<_>>().len(), 5000);
    assert!(api.simulator.deliveries().iter().all(|delivery| delivery.outcome.is_success()));
}
