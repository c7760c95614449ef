//! Faults, as a TCP client and an HTTP client see them.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::future::Future;
use std::io::ErrorKind;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use agentgate::simulator::{Fault, Simulator};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The time after which a test fails. A test that passes does not wait for it.
const HANGS: Duration = Duration::from_secs(300);

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(HANGS, future).await.unwrap_or_else(|_| panic!("hangs"))
}

/// Yields until the condition is true.
async fn until(mut condition: impl FnMut() -> bool) {
    within(async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

fn work_order() -> Value {
    json!({
        "taskPrompt": "Add error handling to the API routes",
        "workspaceSource": { "type": "git", "repository": "https://github.com/your-org/your-repo" },
    })
}

/// Starts a simulator with a fault of the next work order.
async fn with(fault: Fault) -> Simulator {
    let simulator = Simulator::start().await.unwrap();
    simulator.inject(fault.on("createWorkOrder"));
    simulator
}

// A TCP client

struct Wire {
    stream: TcpStream,
    key: String,
}

impl Wire {
    async fn connect(simulator: &Simulator) -> Self {
        let stream = TcpStream::connect(simulator.url().trim_start_matches("http://")).await.unwrap();
        Self { stream, key: simulator.api_key().to_owned() }
    }

    async fn send(&mut self, line: &str, body: &str) {
        let (key, length) = (&self.key, body.len());
        let request = format!(
            "{line} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{body}"
        );
        self.stream.write_all(request.as_bytes()).await.unwrap();
    }

    async fn submit(&mut self) {
        self.send("POST /v1/work-orders", &work_order().to_string()).await;
    }

    /// Reads to the end of the stream. Returns `true` if that was a reset.
    async fn rest(&mut self) -> (String, bool) {
        let mut bytes = Vec::new();
        let end = within(self.stream.read_to_end(&mut bytes)).await;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        match end {
            Ok(_) => (text, false),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::ConnectionReset);
                (text, true)
            }
        }
    }

    /// Sends a `GET` and returns the status of its response. The connection stays open.
    async fn status(&mut self, line: &str) -> u16 {
        self.send(line, "").await;
        let mut text = String::new();
        loop {
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
                if body.len() == length.parse::<usize>().unwrap() {
                    return head[9..12].parse().unwrap();
                }
            }
            let mut bytes = [0; 1024];
            let count = within(self.stream.read(&mut bytes)).await.unwrap();
            assert!(count > 0, "incomplete: {text:?}");
            text.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
        }
    }

    /// Returns `true` if there is nothing to read, not even the end.
    async fn is_silent(&mut self) -> bool {
        let mut byte = [0];
        let mut read = pin!(self.stream.read(&mut byte));
        std::future::poll_fn(|context| Poll::Ready(read.as_mut().poll(context).is_pending())).await
    }
}

/// Returns what a TCP client reads after a submission with this fault.
async fn read_after(fault: Fault) -> (String, bool) {
    let simulator = with(fault).await;
    let mut wire = Wire::connect(&simulator).await;
    wire.submit().await;
    wire.rest().await
}

/// Splits a response into head and body.
fn split(response: &str) -> (&str, &str) {
    response.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no end of the headers: {response:?}"))
}

const CREATED: &str =
    r#"{"createdAt":"2026-01-01T00:00:00.000Z","runId":"run_000001","status":"pending","workOrderId":"wo_000001"}"#;

#[tokio::test]
async fn a_connection_is_reset_or_closed_as_the_fault_says() {
    for _ in 0..10 {
        for fault in [Fault::reset(), Fault::reset().after_acting()] {
            assert_eq!(read_after(fault).await, (String::new(), true));
        }
        for fault in [Fault::close(), Fault::close().after_acting()] {
            assert_eq!(read_after(fault).await, (String::new(), false));
        }
    }
}

#[tokio::test]
async fn bytes_are_sent_unchanged_before_the_connection_is_closed() {
    assert_eq!(read_after(Fault::bytes("HTTP/1.1 999 ?")).await, ("HTTP/1.1 999 ?".to_owned(), false));
    assert!(read_after(Fault::garbage()).await.0.starts_with("220 mail.example.com ESMTP\r\n"));
}

#[tokio::test]
async fn a_cut_body_ends_after_its_first_half_with_all_headers() {
    let (text, reset) = read_after(Fault::cut_body().header("x-cut", "yes")).await;
    let (head, body) = split(&text);
    for header in [&format!("content-length: {}", CREATED.len()), "x-cut: yes", "x-request-id: req_000001"] {
        assert!(head.contains(&format!("\r\n{header}\r\n")), "{header} in {head}");
    }
    assert_eq!((body, reset), (&CREATED[..CREATED.len() / 2], false));
}

#[tokio::test]
async fn an_error_of_the_service_can_be_cut() {
    let simulator = with(Fault::cut_body().status(418)).await;
    let mut wire = Wire::connect(&simulator).await;
    wire.send("POST /v1/work-orders", "{}").await;
    let text = wire.rest().await.0;
    assert!(text.starts_with("HTTP/1.1 418 I'm a teapot\r\n") && text.contains(r#"{"error":{"#), "{text}");
    assert_eq!(simulator.work_order_count(), 0);
}

#[tokio::test]
async fn a_response_without_a_body_is_not_cut() {
    let simulator = Simulator::start().await.unwrap();
    let body = json!({ "url": "https://app.example.com/hooks", "events": ["run.completed"] }).to_string();
    for fault in [Fault::cut_body(), Fault::stall_body()] {
        let mut wire = Wire::connect(&simulator).await;
        wire.send("POST /v1/webhooks", &body).await;
        simulator.inject(fault.on("deleteWebhook"));
        let id = simulator.request_count() / 2 + 1;
        wire.send(&format!("DELETE /v1/webhooks/wh_{id:06}"), "").await;
        let text = wire.rest().await.0;
        assert!(text.contains("HTTP/1.1 204 No Content\r\n") && text.ends_with("connection: close\r\n\r\n"), "{text}");
    }
}

// Stalls

#[tokio::test]
async fn a_stalled_request_does_not_affect_other_connections() {
    let simulator = with(Fault::stall().after_acting()).await;
    let (mut stalled, mut other) = (Wire::connect(&simulator).await, Wire::connect(&simulator).await);
    stalled.submit().await;
    until(|| simulator.work_order_count() == 1).await;
    for _ in 0..5 {
        assert_eq!(other.status("GET /v1/runs").await, 200);
        assert!(stalled.is_silent().await);
    }
    drop(simulator);
    assert_eq!(stalled.rest().await, (String::new(), false));
}

#[tokio::test]
async fn a_stalled_body_ends_when_the_simulator_is_dropped() {
    let simulator = with(Fault::stall_body()).await;
    let (mut stalled, mut other) = (Wire::connect(&simulator).await, Wire::connect(&simulator).await);
    stalled.submit().await;
    stalled.send("GET /v1/runs", "").await;
    until(|| simulator.work_order_count() == 1).await;
    assert_eq!(other.status("GET /v1/runs").await, 200);
    assert_eq!(simulator.request_count(), 2);
    drop(simulator);
    let mut bytes = Vec::new();
    let _ = within(stalled.stream.read_to_end(&mut bytes)).await;
    let text = String::from_utf8(bytes).unwrap();
    assert_eq!(split(&text).1, &CREATED[..CREATED.len() / 2]);
}

#[tokio::test]
async fn a_client_that_closes_a_stalled_connection_affects_no_other() {
    let simulator = with(Fault::stall().times(2)).await;
    for _ in 0..2 {
        let mut wire = Wire::connect(&simulator).await;
        let before = simulator.request_count();
        wire.submit().await;
        until(|| simulator.request_count() == before + 1).await;
    }
    let mut wire = Wire::connect(&simulator).await;
    assert_eq!(wire.status("GET /v1/runs").await, 200);
    wire.submit().await;
    until(|| simulator.work_order_count() == 1).await;
}

// An HTTP client

fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

fn submission(http: &reqwest::Client, simulator: &Simulator) -> reqwest::RequestBuilder {
    let url = format!("{}/v1/work-orders", simulator.url());
    http.post(url).bearer_auth(simulator.api_key()).json(&work_order())
}

/// Describes the result of a submission.
async fn result(request: reqwest::RequestBuilder) -> String {
    result_and(request, || ()).await
}

/// Describes the result of a submission, and calls `between` between the head of the response and its body.
async fn result_and(request: reqwest::RequestBuilder, between: impl FnOnce()) -> String {
    let response = match within(request.send()).await {
        Ok(response) => response,
        Err(error) if error.is_connect() => return "no connection".to_owned(),
        Err(_) => return "no response".to_owned(),
    };
    between();
    let status = response.status().as_u16();
    let kind = response.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned()).unwrap_or_default();
    match within(response.bytes()).await {
        Err(_) => format!("{status} and no end"),
        Ok(body) if body.is_empty() => format!("{status} and nothing"),
        Ok(body) if kind == "application/json" => match serde_json::from_slice::<Value>(&body) {
            Ok(Value::Object(fields)) if fields.contains_key("runId") => format!("{status} and a run"),
            Ok(value) => format!("{status} {}", value["error"]["code"].as_str().unwrap()),
            Err(error) if error.is_eof() => format!("{status} and half a JSON"),
            Err(_) => format!("{status} and no JSON"),
        },
        Ok(_) => format!("{status} {kind}"),
    }
}

/// Every fault of the catalogue, and the result for an HTTP client.
const RESULTS: [(&str, &str); 14] = [
    ("rate_limited", "429 RATE_LIMITED"),
    ("service_unavailable", "503 SERVICE_UNAVAILABLE"),
    ("internal_error", "500 INTERNAL_ERROR"),
    ("bad_gateway", "502 text/html"),
    ("empty_bad_gateway", "502 and nothing"),
    ("gateway_timeout", "504 text/html"),
    ("redirect", "302 text/html"),
    ("no_content", "204 and nothing"),
    ("reset", "no response"),
    ("close", "no response"),
    ("stall", "no response"),
    ("garbage", "no response"),
    ("cut_body", "201 and no end"),
    ("stall_body", "201 and no end"),
];

#[tokio::test]
async fn an_http_client_sees_every_fault_once() {
    let http = http();
    let mut seen = Vec::new();
    for (name, fault) in Fault::catalogue() {
        let simulator = with(fault).await;
        // The fault affects a connection that was kept open.
        assert_eq!(result(http.get(format!("{}/nowhere", simulator.url()))).await, "401 MISSING_API_KEY");
        let head_seen = Cell::new(false);
        let (result_of_fault, ()) =
            tokio::join!(result_and(submission(&http, &simulator), || head_seen.set(true)), async {
                // Only this ends them.
                match name {
                    "stall" => until(|| simulator.request_count() == 2).await,
                    "stall_body" => until(|| head_seen.get()).await,
                    _ => return,
                }
                simulator.refuse_connections(true).unwrap();
                simulator.refuse_connections(false).unwrap();
            });
        seen.push((name, result_of_fault));
        assert_eq!(result(submission(&http, &simulator)).await, "201 and a run", "after {name}");
    }
    let seen: Vec<_> = seen.iter().map(|(name, result)| (*name, result.as_str())).collect();
    assert_eq!(seen, RESULTS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_has_been_carried_out_when_its_fault_is_noticed() {
    for (name, fault) in Fault::catalogue() {
        for acting in [false, true] {
            let fault = if acting { fault.clone().after_acting() } else { fault.clone() };
            let expected = usize::from(fault.is_after_acting());
            let simulator = with(fault).await;
            let mut wire = Wire::connect(&simulator).await;
            wire.submit().await;
            if name == "stall" {
                until(|| simulator.request_count() == 1).await;
            } else {
                // The first byte, or the end.
                let _ = within(wire.stream.read(&mut [0])).await;
            }
            assert_eq!(simulator.work_order_count(), expected, "{name}, acting: {acting}");
            assert_eq!(simulator.credits(), if expected == 1 { 9_950 } else { 10_000 }, "{name}");
        }
    }
}

#[test]
fn the_catalogue_names_each_fault_once() {
    let names: BTreeSet<_> = Fault::catalogue().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), Fault::catalogue().len());
}

// The affected requests

#[tokio::test]
async fn a_fault_affects_only_its_request_on_a_kept_connection() {
    for (name, fault) in Fault::catalogue() {
        let simulator = with(fault.after_acting()).await;
        let mut wire = Wire::connect(&simulator).await;
        let mut other = Wire::connect(&simulator).await;
        for _ in 0..3 {
            assert_eq!(wire.status("GET /v1/runs").await, 200, "{name}");
            assert_eq!(other.status("GET /v1/runs").await, 200, "{name}");
        }
        wire.submit().await;
        until(|| simulator.work_order_count() == 1).await;
        assert_eq!(other.status("GET /v1/runs/run_000001").await, 200, "{name}");
        assert_eq!(simulator.request_count(), 8, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_applies_to_as_many_concurrent_requests_as_it_says() {
    for fault in [Fault::reset(), Fault::close(), Fault::garbage(), Fault::cut_body()] {
        let simulator = Simulator::builder().submission_limit(1000).concurrent_runs(1000).rate_limit(1000);
        let simulator = simulator.start().await.unwrap();
        simulator.inject(fault.on("createWorkOrder").times(13));
        let http = http();
        let mut tasks = Vec::new();
        for _ in 0..8 {
            let requests: Vec<_> = (0..10).map(|_| submission(&http, &simulator)).collect();
            tasks.push(tokio::spawn(async move {
                let mut created = 0;
                for request in requests {
                    created += usize::from(result(request).await == "201 and a run");
                }
                created
            }));
        }
        let mut created = 0;
        for task in tasks {
            created += task.await.unwrap();
        }
        assert_eq!((created, simulator.request_count()), (67, 80));
    }
}
