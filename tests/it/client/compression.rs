//! Compressed responses: not requested by the client, and bounded where a custom HTTP client decompresses them.

use std::io::Write as _;

use agentgate::{Client, ClientBuilder, ErrorKind};
use common::script::{Server, respond_raw};
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

#[tokio::test]
async fn no_compression_is_requested_even_if_it_is_supported() {
    let server = serve_zeros(1024).await;
    let error = builder(&server.url()).build().unwrap().runs().get("run_1").await.unwrap_err();
    assert!(error.is_decode(), "{error}");
    let request = server.request();
    assert_eq!(request.headers("accept-encoding"), [""; 0], "{request:?}");
}
