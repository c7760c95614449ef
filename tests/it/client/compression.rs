//! Compressed answers: not asked for by the SDK, and bounded where a program's own HTTP client unpacks them.

use std::io::Write as _;

use agentgate::{Client, ClientBuilder, ErrorKind};
use flate2::{Compression, write::GzEncoder};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Answers one request with a packed body of so many zeros, and gives the request.
async fn serve_zeros(length: usize) -> (String, JoinHandle<String>) {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..length / 1024 {
        packed.write_all(&[b'0'; 1024]).unwrap();
    }
    let packed = packed.finish().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4096];
        let read = stream.read(&mut request).await.unwrap();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
            packed.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // A client that has had enough hangs up.
        let _ = stream.write_all(&packed).await;
        String::from_utf8_lossy(&request[..read]).into_owned()
    });
    (url, server)
}

fn builder(url: &str) -> ClientBuilder {
    Client::builder().base_url(url).api_key("org_live_key").max_retries(0)
}

#[tokio::test]
async fn a_small_body_that_unpacks_to_a_large_one_is_refused() {
    let (url, _server) = serve_zeros(256 * 1024 * 1024).await;
    let http = reqwest::Client::builder().no_proxy().gzip(true).build().unwrap();
    let client = builder(&url).http_client(http).build().unwrap();
    let error = client.runs().get("run_1").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BodyTooLarge, "{error}");
    assert!(error.to_string().contains("8388608 bytes"), "{error}");
    assert_eq!(error.status().unwrap(), 200);
}

#[tokio::test]
async fn the_sdk_asks_for_no_compression_even_if_the_program_can_unpack() {
    let (url, server) = serve_zeros(1024).await;
    let error = builder(&url).build().unwrap().runs().get("run_1").await.unwrap_err();
    assert!(error.is_decode(), "{error}");
    let request = server.await.unwrap().to_lowercase();
    assert!(!request.contains("accept-encoding"), "{request}");
}
