//! Compressed responses, and many headers: compression is not requested by the client, and bounded where a custom HTTP
//! client decompresses them.

use std::io::Write as _;

use agentgate::{Client, ClientBuilder, ErrorKind, WorkspaceSource};
use common::script::{Server, respond, respond_raw};
use flate2::{Compression, write::GzEncoder};

/// Responds to one request with a compressed body of `length` zeros.
async fn serve_zeros(length: usize) -> Server {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..length / 1024 {
        packed.write_all(&[b'0'; 1024]).unwrap();
    }
    let packed = packed.finish().unwrap();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
        packed.len()
    );
    Server::start([respond_raw([head.as_bytes(), &packed].concat())]).await
}

fn builder(url: &str) -> ClientBuilder {
    Client::builder().base_url(url).api_key("org_live_key").max_retries(0)
}

#[tokio::test]
async fn a_small_body_that_decompresses_beyond_the_limit_is_rejected() {
    let server = serve_zeros(256 * 1024 * 1024).await;
    let http = reqwest::Client::builder().no_proxy().gzip(true).build().unwrap();
    let client = builder(&server.url()).http_client(http).build().unwrap();
    let error = client.runs().get("run_1").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BodyTooLarge, "{error}");
    assert!(error.to_string().contains("8388608 bytes"), "{error}");
    assert_eq!(error.status().unwrap(), 200);
}

/// Returns a gzip body of these bytes.
fn packed(body: &str) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(body.as_bytes()).unwrap();
    packed.finish().unwrap()
}

#[tokio::test]
async fn a_response_that_is_compressed_unasked_is_named_in_the_error() {
    let run = r#"{"id":"run_1","workOrderId":"wo_1","status":"running"}"#;
    let failure = r#"{"error":{"code":"INTERNAL_ERROR","message":"secret of the database"}}"#;
    let mut texts = Vec::new();
    for (status, coding, body) in [
        ("200 OK", "br", run.as_bytes().iter().rev().copied().collect()),
        ("200 OK", "gzip", packed(run)),
        ("200 OK", "", packed(run)),
        ("502 Bad Gateway", "gzip", packed(failure)),
        ("200 OK", "zstd", Vec::new()),
    ] {
        let head = format!("HTTP/1.1 {status}\r\ncontent-encoding: {coding}\r\ncontent-length: {}\r\n\r\n", body.len());
        let server = Server::start([respond_raw([head.as_bytes(), &body].concat())]).await;
        let error = builder(&server.url()).build().unwrap().runs().get("run_1").await.unwrap_err();
        assert_eq!(server.request().headers("accept-encoding"), ["identity"]);
        texts.push(error.to_string());
    }
    insta::assert_snapshot!(texts.join("\n"));
}

#[tokio::test]
async fn a_coding_that_changes_nothing_is_no_obstacle() {
    let run = r#"{"id":"run_1","workOrderId":"wo_1","status":"running"}"#;
    for coding in ["identity", "Identity", "", "utf-8"] {
        let response = respond("200 OK", &format!("content-encoding: {coding}\r\n"), run);
        let server = Server::start([response]).await;
        builder(&server.url()).build().unwrap().runs().get("run_1").await.unwrap();
    }
}

#[tokio::test]
async fn a_submission_whose_response_is_compressed_may_have_taken_effect() {
    let body = packed(r#"{"workOrderId":"wo_1","runId":"run_1","status":"pending"}"#);
    let head = format!("HTTP/1.1 201 Created\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", body.len());
    let server = Server::start([respond_raw([head.as_bytes(), &body].concat())]).await;
    let client = builder(&server.url()).build().unwrap();
    let error = client.work_orders().create("Fix it", WorkspaceSource::template("react-typescript")).await.unwrap_err();
    assert!(error.may_have_reached_server(), "{error}");
}

#[tokio::test]
async fn a_response_with_hundreds_of_headers_is_read() {
    let headers = (0..400).map(|number| format!("x-edge-{number}: {number}\r\n")).collect::<Vec<_>>().concat();
    let server =
        Server::start([respond("200 OK", &headers, r#"{"id":"run_1","workOrderId":"wo_1","status":"running"}"#)]).await;
    let response = builder(&server.url()).build().unwrap().runs().get("run_1").with_response().await.unwrap();
    assert_eq!(response.headers()["x-edge-399"], "399");
}
