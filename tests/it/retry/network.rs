//! Network failures, simulated by scripted servers.
//!
//! The servers close connections, truncate responses, stall, and send invalid HTTP. Delays between attempts take no
//! time: the clock records them.

use std::fmt::Write as _;
use std::time::Duration;

use agentgate::types::{Run, RunStatus};
use agentgate::{Client, ClientBuilder, Error, ErrorKind, Operation, WorkspaceSource};
use common::clock::InstantClock;
use common::script::{Connection, Server, Step, closed_port, respond, respond_raw, respond_raw_and_stall};
use common::{assert_chain_repeats_nothing, call, fill};

const KEY: &str = "org_live_k3yThatN0bodyMaySee";
const RUN: &str = r#"{"id":"run_1","workOrderId":"wo_1","status":"running"}"#;
const UNAVAILABLE: &str = r#"{"error":{"code":"SERVICE_UNAVAILABLE","message":"The service is not available."}}"#;
const CREATED: &str = r#"{"workOrderId":"wo_1","runId":"run_1","status":"pending","createdAt":"2026-01-15T10:30:00Z"}"#;

// The server

fn found() -> Connection {
    respond("200 OK", "content-type: application/json\r\n", RUN)
}

fn created() -> Connection {
    respond("201 Created", "content-type: application/json\r\n", CREATED)
}

/// An empty page of runs, for the search for a submission.
fn no_runs() -> Connection {
    respond("200 OK", "content-type: application/json\r\n", r#"{"data":[],"total":0}"#)
}

/// Returns the number of submissions received.
fn submissions(server: &Server) -> usize {
    server.requests().iter().filter(|request| request.line() == "POST /v1/work-orders").count()
}

fn html(status: &str) -> Connection {
    respond(status, "content-type: text/html\r\nserver: proxy\r\n", "<html><h1>It is not your day</h1></html>")
}

/// Every way in which a response can break.
fn broken_responses() -> Vec<(&'static str, Connection)> {
    vec![
        ("closed before the response", vec![Step::Read]),
        ("closed within the status line", respond_raw("HTTP/1.1 20")),
        (
            "closed within the headers",
            respond_raw("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-ratelimit-li"),
        ),
        ("closed before the body", respond_raw("HTTP/1.1 200 OK\r\ncontent-length: 54\r\n\r\n")),
        ("closed within the body", respond_raw(format!("HTTP/1.1 200 OK\r\ncontent-length: 54\r\n\r\n{}", &RUN[..20]))),
        ("closed within a chunk", respond_raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n36\r\n{\"id\":")),
        (
            "closed between chunks",
            respond_raw(format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n36\r\n{RUN}\r\n")),
        ),
        ("not HTTP", respond_raw("SSH-2.0-OpenSSH_9.9\r\n\r\n")),
        ("a TLS alert", respond_raw(b"\x15\x03\x01\x00\x02\x02\x46".as_slice())),
        ("a status that is not a number", respond_raw("HTTP/1.1 OK\r\n\r\n")),
        ("a length that is not a number", respond_raw("HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n{}")),
        (
            "a chunk size that is not a number",
            respond_raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n"),
        ),
    ]
}

// The client

/// No delays.
const NONE: [Duration; 0] = [];

fn builder(url: impl Into<String>) -> (ClientBuilder, InstantClock) {
    let waits = InstantClock::default();
    (Client::builder().api_key(KEY).base_url(url).clock(waits.clone()), waits)
}

fn client(url: impl Into<String>) -> (Client, InstantClock) {
    let (builder, waits) = builder(url);
    (builder.build().unwrap(), waits)
}

async fn get(client: &Client) -> Result<Run, Error> {
    client.runs().get("run_1").await.map_err(without_key)
}

async fn submit(client: &Client) -> Result<String, Error> {
    let source = WorkspaceSource::git("https://github.com/your-org/your-repo");
    let order = client.work_orders().create("Fix it", source).await.map_err(without_key)?;
    Ok(order.run_id.to_string())
}

/// Checks that an error and its sources do not contain the key.
fn without_key(error: Error) -> Error {
    assert_chain_repeats_nothing(&error);
    let mut texts = vec![format!("{error}"), format!("{error:?}"), format!("{error:#?}")];
    let mut source = error.underlying();
    while let Some(cause) = source {
        texts.extend([cause.to_string(), format!("{cause:?}"), format!("{cause:#?}")]);
        source = cause.source();
    }
    for text in texts {
        assert!(!text.contains(&KEY[9..]), "{text}");
    }
    error
}

/// Returns the error's message without values that depend on the machine.
fn portable(error: &Error, port: u16) -> String {
    let mut text = error.to_string();
    assert!(!text.contains(['\n', '\r']), "{text}");
    let mut source = error.underlying();
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<std::io::Error>().filter(|io| io.raw_os_error().is_some()) {
            text = text.replace(&io.to_string(), &format!("[{:?}]", io.kind()));
        }
        source = cause.source();
    }
    text.replace(&port.to_string(), "PORT")
}

fn seconds(seconds: &[u64]) -> Vec<Duration> {
    seconds.iter().copied().map(Duration::from_secs).collect()
}

/// Checks that the random delays are below doubling limits.
fn assert_backs_off(waits: &InstantClock, count: usize) {
    let waits = waits.sleeps();
    assert_eq!(waits.len(), count, "{waits:?}");
    for (wait, ceiling) in waits.iter().zip([500, 1000, 2000]) {
        assert!(*wait <= Duration::from_millis(ceiling), "{waits:?}");
    }
}

// No connection

#[tokio::test]
async fn a_refused_connection_is_retried_for_reads_and_submissions() {
    let (client, waits) = client(closed_port().await);
    for error in [get(&client).await.unwrap_err(), submit(&client).await.unwrap_err()] {
        assert!(error.is_connect(), "{error:?}");
        assert_eq!(error.attempts(), 4);
        assert!(!error.may_have_reached_server());
        assert_eq!((error.status(), error.headers(), error.body()), (None, None, None));
        assert!(error.to_string().ends_with("(4 attempts)"), "{error}");
    }
    assert_eq!(waits.sleeps().len(), 6);
}

#[tokio::test]
async fn zero_retries_means_one_attempt_without_delay() {
    let (builder, waits) = builder(closed_port().await);
    let client = builder.max_retries(0).build().unwrap();
    for error in [get(&client).await.unwrap_err(), submit(&client).await.unwrap_err()] {
        assert_eq!(error.attempts(), 1);
        assert!(!error.to_string().contains("attempts"), "{error}");
    }
    assert_eq!(waits.sleeps(), NONE);
}

#[tokio::test]
async fn max_retries_of_a_call_overrides_that_of_the_client() {
    let (builder, waits) = builder(closed_port().await);
    let client = builder.max_retries(0).build().unwrap();
    let error = client.runs().get("run_1").max_retries(2).await.unwrap_err();
    assert_eq!((error.attempts(), waits.sleeps().len()), (3, 2));
    let error = client.runs().get("run_1").await.unwrap_err();
    assert_eq!((error.attempts(), waits.sleeps().len()), (1, 2));
}

// Broken connections

#[tokio::test]
async fn reads_are_retried_after_every_kind_of_broken_response() {
    for (what, connection) in broken_responses() {
        let server = Server::start([connection, found()]).await;
        let (client, waits) = client(server.url());
        let response =
            client.runs().get("run_1").with_response().await.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(response.value().id, "run_1", "{what}");
        assert_eq!(response.attempts(), 2, "{what}");
        assert_eq!((server.connections(), server.requests().len()), (2, 2), "{what}");
        assert_backs_off(&waits, 1);
    }
}

#[tokio::test]
async fn a_submission_with_a_broken_response_is_not_resent() {
    for (what, connection) in broken_responses() {
        let server = Server::start([connection, no_runs(), created()]).await;
        let (client, waits) = client(server.url());
        let error = submit(&client).await.expect_err(what);
        assert_eq!(error.kind(), ErrorKind::Interrupted, "{what}: {error:?}");
        assert!(error.may_have_reached_server(), "{what}");
        assert_eq!(error.attempts(), 1, "{what}");
        assert_eq!(error.operation(), Some(Operation::CREATE_WORK_ORDER), "{what}");
        assert_eq!((server.connections(), submissions(&server)), (2, 1), "{what}");
        assert_eq!(waits.sleeps(), seconds(&[1]), "{what}");
    }
}

#[tokio::test]
async fn a_response_that_arrives_byte_by_byte_is_read_to_its_end() {
    let response = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{RUN}", RUN.len());
    let bytes = response.into_bytes().into_iter().map(|byte| Step::Write(vec![byte]));
    let server = Server::start([std::iter::once(Step::Read).chain(bytes).collect()]).await;
    let (client, _) = client(server.url());
    assert_eq!(get(&client).await.unwrap().id, "run_1");
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_connection_closed_right_after_accept_is_retried_for_reads() {
    let server = Server::start([vec![], found()]).await;
    let (client, _) = client(server.url());
    assert_eq!(get(&client).await.unwrap().id, "run_1");
    assert_eq!(server.connections(), 2);

    // The submission may or may not be written before the client sees the close.
    let server = Server::start([vec![], created()]).await;
    let (client, _) = self::client(server.url());
    match submit(&client).await {
        Ok(run) => assert_eq!((run.as_str(), submissions(&server)), ("run_1", 1)),
        Err(error) => {
            assert_eq!((error.kind(), error.attempts()), (ErrorKind::Interrupted, 1));
            assert!(error.may_have_reached_server());
            assert_eq!(submissions(&server), 0);
        }
    }
}

#[tokio::test]
async fn a_submission_on_a_reused_connection_that_closes_is_not_resent() {
    let alive = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{RUN}", RUN.len());
    let server = Server::start([vec![Step::Read, Step::Write(alive.into_bytes()), Step::Read], no_runs()]).await;
    let (client, _) = client(server.url());
    get(&client).await.unwrap();
    let error = submit(&client).await.unwrap_err();
    assert!(error.may_have_reached_server());
    assert_eq!(server.connections(), 2);
    let requests = server.requests();
    let paths: Vec<_> = requests.iter().map(|request| request.line().split('?').next().unwrap()).collect();
    assert_eq!(paths, ["GET /v1/runs/run_1", "POST /v1/work-orders", "GET /v1/runs"]);
}

#[tokio::test]
async fn attempts_are_limited_if_every_connection_breaks() {
    let server = Server::start(vec![vec![Step::Read]; 9]).await;
    let (client, waits) = client(server.url());
    let error = get(&client).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Interrupted, 4));
    assert_eq!(server.requests().len(), 4);
    assert_backs_off(&waits, 3);
}

#[tokio::test]
async fn a_response_without_a_length_ends_with_its_connection() {
    let server = Server::start([respond_raw(format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{RUN}"))]).await;
    let (client, _) = client(server.url());
    assert_eq!(get(&client).await.unwrap().status, RunStatus::Running);
}

// Timeouts

const SHORT_TIMEOUT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn a_server_that_never_responds_times_out() {
    let server = Server::start(vec![respond_raw_and_stall(""); 2]).await;
    let (client, waits) = client(server.url());
    let error = without_key(client.runs().get("run_1").timeout(SHORT_TIMEOUT).max_retries(1).await.unwrap_err());
    assert!(error.is_timeout(), "{error:?}");
    assert!(!error.is_connect());
    assert!(error.may_have_reached_server());
    assert_eq!(error.attempts(), 2);
    assert_backs_off(&waits, 1);
}

#[tokio::test]
async fn a_body_that_never_ends_times_out() {
    let start = format!("HTTP/1.1 200 OK\r\ncontent-length: 54\r\n\r\n{}", &RUN[..20]);
    let server = Server::start(vec![respond_raw_and_stall(start); 2]).await;
    let (client, waits) = client(server.url());
    let error = without_key(client.runs().get("run_1").timeout(SHORT_TIMEOUT).max_retries(1).await.unwrap_err());
    assert!(error.is_timeout(), "{error:?}");
    assert!(error.may_have_reached_server());
    assert_eq!(error.attempts(), 2);
    assert_backs_off(&waits, 1);
}

#[tokio::test]
async fn a_submission_that_times_out_is_not_resent() {
    let starts = ["", "HTTP/1.1 201 Created\r\ncontent-length: 88\r\n\r\n{\"workOrderId\":"];
    for start in starts {
        let server = Server::start([respond_raw_and_stall(start), no_runs(), created()]).await;
        let (builder, waits) = builder(server.url());
        let error = submit(&builder.timeout(SHORT_TIMEOUT).build().unwrap()).await.unwrap_err();
        assert!(error.is_timeout(), "{error:?}");
        assert!(error.may_have_reached_server());
        assert_eq!(error.attempts(), 1);
        assert_eq!(submissions(&server), 1);
        assert_eq!(waits.sleeps(), seconds(&[1]));
    }
}

// Retry-After

#[tokio::test]
async fn retry_after_is_respected_to_the_second() {
    let busy = |seconds| respond("429 Too Many Requests", &format!("retry-after: {seconds}\r\n"), "");
    let server = Server::start([busy(7), busy(1), busy(30), found()]).await;
    let (client, waits) = client(server.url());
    let response = client.runs().get("run_1").with_response().await.unwrap();
    assert_eq!(response.attempts(), 4);
    assert_eq!(waits.sleeps(), seconds(&[7, 1, 30]));
}

#[tokio::test]
async fn a_submission_refused_by_429_or_503_is_resent_unchanged() {
    for (status, body) in [("429 Too Many Requests", ""), ("503 Service Unavailable", UNAVAILABLE)] {
        let server = Server::start([respond(status, "retry-after: 3\r\n", body), created()]).await;
        let (client, waits) = client(server.url());
        assert_eq!(submit(&client).await.unwrap(), "run_1");
        assert_eq!(waits.sleeps(), seconds(&[3]));
        let requests = server.requests();
        assert_eq!(requests.len(), 2);
        assert_eq!((&requests[0].head, &requests[0].body), (&requests[1].head, &requests[1].body));
        assert!(requests[0].body.starts_with(b"{"), "{requests:?}");
    }
}

#[tokio::test]
async fn a_retry_after_beyond_the_maximum_delay_is_returned_to_the_caller() {
    for (status, body) in [("429 Too Many Requests", ""), ("503 Service Unavailable", UNAVAILABLE)] {
        let server = Server::start([respond(status, "retry-after: 3600\r\n", body), found()]).await;
        let (client, waits) = client(server.url());
        let error = get(&client).await.unwrap_err();
        assert_eq!(error.retry_after(), Some(Duration::from_secs(3600)));
        assert_eq!((error.attempts(), server.connections()), (1, 1));
        assert!(!error.may_have_reached_server());
        assert_eq!(waits.sleeps(), NONE);
        assert!(error.to_string().contains("should wait 3600 s"), "{error}");
    }
}

// Failures of the service

#[tokio::test]
async fn a_5xx_is_retried_only_for_reads() {
    for (status, kind) in [
        ("500 Internal Server Error", ErrorKind::Server),
        ("502 Bad Gateway", ErrorKind::Server),
        ("503 Service Unavailable", ErrorKind::Unavailable),
        ("504 Gateway Timeout", ErrorKind::Server),
    ] {
        let server = Server::start(vec![html(status); 9]).await;
        let (client, waits) = client(server.url());
        let error = get(&client).await.unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (kind, 4));
        assert_eq!(server.requests().len(), 4);
        assert_backs_off(&waits, 3);

        let server = Server::start([html(status), no_runs(), created()]).await;
        let (client, waits) = self::client(server.url());
        let error = submit(&client).await.unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (kind, 1));
        assert!(error.may_have_reached_server());
        assert_eq!((submissions(&server), server.requests().len()), (1, 2));
        assert_eq!(waits.sleeps(), seconds(&[1]));
    }
}

#[tokio::test]
async fn an_error_with_a_truncated_body_keeps_its_status() {
    for (status, kind) in [
        ("401 Unauthorized", ErrorKind::UnexpectedStatus),
        ("402 Payment Required", ErrorKind::UnexpectedStatus),
        ("502 Bad Gateway", ErrorKind::Server),
    ] {
        let start = r#"{"error": {"code": "#;
        for cut in [
            format!("content-length: 500\r\n\r\n{start}"),
            format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n{start}\r\n", start.len()),
        ] {
            let cut = respond_raw(format!("HTTP/1.1 {status}\r\nx-request-id: req_1\r\n{cut}"));
            let server = Server::start(vec![cut; 2]).await;
            let (builder, _) = builder(server.url());
            let client = builder.max_retries(0).build().unwrap();
            for error in [get(&client).await.unwrap_err(), submit(&client).await.unwrap_err()] {
                assert_eq!(error.kind(), kind, "{error}");
                assert!(status.starts_with(error.status().unwrap().as_str()));
                assert_eq!((error.request_id(), error.body()), (Some("req_1"), Some(start.as_bytes())));
            }
        }
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Server::start(vec![found(); 9]).await;
    for status in
        ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"]
    {
        let location = format!("location: {}/v1/runs/run_1\r\n", elsewhere.url());
        let redirect = respond(status, &location, "");
        let server = Server::start([redirect.clone(), redirect, no_runs()]).await;
        let (client, waits) = client(server.url());
        for error in [get(&client).await.unwrap_err(), submit(&client).await.unwrap_err()] {
            assert_eq!((error.kind(), error.attempts()), (ErrorKind::UnexpectedStatus, 1));
            assert!(status.starts_with(error.status().unwrap().as_str()));
            assert_eq!(error.headers().unwrap()["location"], location["location: ".len()..].trim_end());
            // A 303 may refer to the result of a POST.
            let may_be_done = status.starts_with("303") && error.operation() == Some(Operation::CREATE_WORK_ORDER);
            assert_eq!(error.may_have_reached_server(), may_be_done, "{status}");
        }
        let searches = usize::from(status.starts_with("303"));
        assert_eq!(waits.sleeps().len(), searches);
        assert_eq!(server.requests().len(), 2 + searches);
    }
    assert_eq!(elsewhere.connections(), 0);
}

// Large responses

#[tokio::test]
async fn a_body_with_a_length_over_the_limit_is_rejected_before_it_is_read() {
    // The rest is never sent.
    let start = "HTTP/1.1 200 OK\r\nx-cache: hit\r\ncontent-length: 1000000000000\r\n\r\n{";
    let server = Server::start([respond_raw_and_stall(start)]).await;
    let (builder, waits) = builder(server.url());
    let error = get(&builder.max_body_size(100).build().unwrap()).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::BodyTooLarge, 1));
    assert_eq!(
        (error.status().unwrap().as_u16(), &error.headers().unwrap()["x-cache"]),
        (200, &"hit".parse().unwrap())
    );
    assert!(error.may_have_reached_server());
    assert_eq!(waits.sleeps(), NONE);
}

#[tokio::test]
async fn a_body_of_unknown_length_is_rejected_once_it_exceeds_the_limit() {
    let body = "x".repeat(60);
    let chunks = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3c\r\n{body}\r\n3c\r\n{body}\r\n");
    let server = Server::start([respond_raw_and_stall(chunks)]).await;
    let (builder, waits) = builder(server.url());
    let error = get(&builder.max_body_size(100).build().unwrap()).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::BodyTooLarge, 1));
    assert_eq!(error.status().unwrap(), 200);
    assert_eq!((server.connections(), waits.sleeps()), (1, vec![]));
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_accepted() {
    let chunked = respond_raw(format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{RUN}\r\n0\r\n\r\n",
        RUN.len()
    ));
    for connection in [found(), chunked] {
        let server = Server::start(vec![connection; 2]).await;
        let client = |size| builder(server.url()).0.max_body_size(size).build().unwrap();
        assert_eq!(get(&client(RUN.len())).await.unwrap().id, "run_1");
        assert_eq!(get(&client(RUN.len() - 1)).await.unwrap_err().kind(), ErrorKind::BodyTooLarge);
    }
}

#[tokio::test]
async fn an_error_keeps_its_kind_if_its_body_exceeds_the_limit() {
    let page = format!("<html>{}", "x".repeat(1000));
    let server = Server::start([respond("429 Too Many Requests", "x-request-id: req_1\r\n", &page)]).await;
    let (builder, _) = builder(server.url());
    let error = get(&builder.max_body_size(100).max_retries(0).build().unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    assert_eq!((error.status().unwrap().as_u16(), error.request_id()), (429, Some("req_1")));
    assert!(error.body().unwrap().starts_with(b"<html>"));
}

// Requests

#[tokio::test]
async fn a_path_in_the_base_url_is_kept_and_a_trailing_slash_is_not_doubled() {
    for (suffix, line) in [
        ("", "GET /v1/runs/run_1"),
        ("/", "GET /v1/runs/run_1"),
        ("/gate/way", "GET /gate/way/v1/runs/run_1"),
        ("/gate/way/", "GET /gate/way/v1/runs/run_1"),
        ("/gate/way///", "GET /gate/way/v1/runs/run_1"),
    ] {
        let server = Server::start([found()]).await;
        let (client, _) = client(server.url() + suffix);
        get(&client).await.unwrap();
        assert_eq!(server.request().line(), line, "{suffix}");
        assert_eq!(server.request().headers("host"), [server.address.to_string()]);
    }
}

#[tokio::test]
async fn every_operation_sends_the_api_key_and_user_agent() {
    for operation in Operation::ALL {
        let server = Server::start([html("404 Not Found")]).await;
        let (builder, _) = builder(server.url());
        let client = builder.user_agent("acme-ci/2.1").build().unwrap();
        let error = without_key(call(&client, operation.id(), "id_1").await.unwrap_err());
        assert_eq!(error.operation(), Some(*operation));
        let request = server.request();
        assert_eq!(request.headers("authorization"), [format!("Bearer {KEY}")], "{operation}");
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(request.headers("user-agent"), [format!("agentgate-rust/{version} acme-ci/2.1")], "{operation}");
        assert_eq!(request.headers("api-version"), [""; 0], "{operation}");
        let line = format!("{} {}", operation.method(), fill(operation.path(), "id_1"));
        assert_eq!(request.line(), line);
    }
}

/// Operations without a response body need it too, as errors are JSON.
#[tokio::test]
async fn every_operation_accepts_only_json() {
    let mut others = Vec::new();
    for operation in Operation::ALL {
        let server = Server::start([html("404 Not Found")]).await;
        let (client, _) = client(server.url());
        call(&client, operation.id(), "id_1").await.unwrap_err();
        let request = server.request();
        if request.headers("accept") != ["application/json"] {
            others.push(format!("{operation}: {:?}", request.headers("accept")));
        }
    }
    assert_eq!(others, [""; 0]);
}

#[tokio::test]
async fn request_bodies_are_json_with_a_content_length() {
    for operation in Operation::ALL {
        let server = Server::start([html("404 Not Found")]).await;
        let (client, _) = client(server.url());
        call(&client, operation.id(), "id_1").await.unwrap_err();
        let request = server.request();
        if request.body.is_empty() {
            assert_eq!(request.headers("content-type"), [""; 0], "{operation}");
        } else {
            assert_eq!(request.headers("content-type"), ["application/json"], "{operation}");
            assert!(serde_json::from_slice::<serde_json::Value>(&request.body).unwrap().is_object(), "{operation}");
        }
        assert_eq!(request.headers("transfer-encoding"), [""; 0], "{operation}");
        let takes_body = matches!(operation.method(), "PUT" | "PATCH") || operation.id().starts_with("create");
        assert_eq!(request.body.is_empty(), !takes_body, "{operation}");
    }
}

fn with_id() -> impl Iterator<Item = &'static Operation> {
    Operation::ALL.iter().filter(|operation| operation.path().contains('{'))
}

#[tokio::test]
async fn an_id_cannot_leave_its_path_segment() {
    for (id, encoded) in
        [("run/../x?y#z ä", "run%2F..%2Fx%3Fy%23z%20%C3%A4"), ("../credits", "..%2Fcredits"), ("%2e%2e", "%252e%252e")]
    {
        let mut wrong = Vec::new();
        for operation in with_id() {
            let server = Server::start([html("404 Not Found")]).await;
            let (client, _) = client(server.url() + "/gate");
            call(&client, operation.id(), id).await.unwrap_err();
            let expected = format!("{} /gate{}", operation.method(), fill(operation.path(), encoded));
            let request = server.request();
            if request.line() != expected {
                wrong.push(format!("{}, not {expected}", request.line()));
            }
        }
        assert_eq!(wrong, [""; 0], "{id}");
    }
    assert_ne!(with_id().count(), 0);
}

/// URL parsers treat a backslash as a slash. Such an id can be rejected or encoded.
#[tokio::test]
async fn a_backslash_in_an_id_does_not_change_the_path() {
    for id in [r"..\credits", r"a\..\..\credits", r"a\b"] {
        let mut wrong = Vec::new();
        for operation in with_id() {
            let server = Server::start([html("404 Not Found")]).await;
            let (client, _) = client(server.url());
            let error = call(&client, operation.id(), id).await.unwrap_err();
            let encoded = fill(operation.path(), &id.replace('\\', "%5C"));
            match server.requests().first() {
                None => assert!(error.is_invalid_request(), "{error:?}"),
                Some(request) if request.line() == format!("{} {encoded}", operation.method()) => {}
                Some(request) => wrong.push(format!("{operation}: {}", request.line())),
            }
        }
        assert_eq!(wrong, [""; 0], "{id}");
    }
}

#[tokio::test]
async fn an_invalid_id_is_rejected_before_anything_is_sent() {
    let server = Server::start(vec![found(); 9]).await;
    let (client, waits) = client(server.url());
    for operation in with_id() {
        for id in ["", ".", "..", " ", "\n", "run_1\n", "a\0b"] {
            let error = call(&client, operation.id(), id).await.map(|_| ()).expect_err(id);
            assert!(error.is_invalid_request(), "{error:?}");
            assert_eq!((error.operation(), error.attempts()), (Some(*operation), 0));
            assert!(!error.may_have_reached_server());
            assert_eq!(error.status(), None);
        }
    }
    assert_eq!((server.connections(), waits.sleeps()), (0, vec![]));
}

// Messages

#[tokio::test]
async fn every_network_error_has_a_one_line_message_with_advice() {
    let page = "x".repeat(1000);
    let mut cases = broken_responses();
    cases.extend([
        ("a stall", respond_raw_and_stall("")),
        (
            "a stall in the body",
            respond_raw_and_stall(format!("HTTP/1.1 200 OK\r\ncontent-length: 54\r\n\r\n{}", &RUN[..20])),
        ),
        ("429", respond("429 Too Many Requests", "retry-after: 7\r\n", "")),
        ("503 for an hour", respond("503 Service Unavailable", "retry-after: 3600\r\n", "")),
        ("500", respond("500 Internal Server Error", "x-request-id: req_1\r\n", "")),
        ("a 502 from a proxy", html("502 Bad Gateway")),
        ("a redirect", respond("302 Found", "location: https://login.example/\r\n", "")),
        ("304", respond_raw("HTTP/1.1 304 Not Modified\r\nconnection: close\r\n\r\n")),
        ("a body over the limit", respond("200 OK", "", &page)),
        ("a page over the limit from a proxy", respond("502 Bad Gateway", "", &page)),
    ]);
    let mut texts = String::new();
    let mut note = |what: &str, port, errors: [Error; 2]| {
        writeln!(texts, "{what}").unwrap();
        for error in errors {
            writeln!(texts, "    {}", portable(&without_key(error), port)).unwrap();
        }
    };

    let url = closed_port().await;
    let port = url.rsplit(':').next().unwrap().parse().unwrap();
    let (client, _) = client(url);
    note("a closed port", port, [get(&client).await.unwrap_err(), submit(&client).await.unwrap_err()]);

    for (what, connection) in cases {
        let server = Server::start([connection.clone(), connection, no_runs()]).await;
        let (builder, _) = builder(server.url());
        // Only the stalls last as long as the timeout.
        let timeout = if what.starts_with("a stall") { SHORT_TIMEOUT } else { Duration::from_secs(30) };
        let client = builder.max_retries(0).max_body_size(500).timeout(timeout).build().unwrap();
        let errors = [get(&client).await.expect_err(what), submit(&client).await.expect_err(what)];
        note(what, server.address.port(), errors);
    }

    let (client, _) = self::client("http://127.0.0.1:1");
    let refused = |id: &'static str| {
        let client = client.clone();
        async move { client.runs().get(id).await.unwrap_err() }
    };
    note("an invalid id", 1, [refused("").await, refused("..").await]);
    insta::assert_snapshot!(texts);
}
