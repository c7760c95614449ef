//! Attempts that end before a connection is established, so that nothing was sent.

use std::net::SocketAddr;
use std::time::Duration;

use agentgate::{Client, ClientBuilder, ErrorKind, WorkspaceSource};
use common::clock::InstantClock;
use common::script::{Server, Step, respond};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

const SHORT: Duration = Duration::from_millis(60);
const LONG: Duration = Duration::from_secs(30);

/// Returns a loopback address whose backlog is full, so that connecting to it hangs.
async fn unreachable() -> (String, TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    while let Ok(Ok(stream)) = tokio::time::timeout(SHORT, TcpStream::connect(address)).await {
        queue.push(stream);
        assert!(queue.len() < 100, "this system accepts connections without end");
    }
    (format!("http://{address}"), listener, queue)
}

fn builder(url: &str) -> ClientBuilder {
    Client::builder().base_url(url).api_key("org_live_x1").clock(InstantClock::default()).max_retries(1)
}

#[tokio::test]
async fn a_connect_timeout_reports_that_nothing_was_sent_whichever_timeout_is_shorter() {
    let (url, _listener, _queue) = unreachable().await;
    for (timeout, connect_timeout, of_call) in [
        (LONG, SHORT, None),
        (SHORT, SHORT, None),
        (SHORT, LONG, None),
        (LONG, LONG, Some(SHORT)),
        (LONG, SHORT, Some(SHORT)),
    ] {
        let client = builder(&url).timeout(timeout).connect_timeout(connect_timeout).build().unwrap();
        let ready = reqwest::Client::builder().no_proxy().build().unwrap();
        let other = builder(&url).timeout(of_call.unwrap_or(timeout).min(SHORT)).http_client(ready).build().unwrap();
        for client in [client, other] {
            let mut call = client.work_orders().create("Fix it", WorkspaceSource::git("r"));
            if let Some(timeout) = of_call {
                call = call.timeout(timeout);
            }
            let error = call.await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
            assert!(!error.may_have_reached_server(), "{error}");
            assert_eq!(error.attempts(), 2, "{error}");
        }
    }
    // Without a body, only the timeouts of the client show that no connection was established.
    let client = builder(&url).timeout(SHORT).connect_timeout(LONG).build().unwrap();
    assert_eq!(client.runs().get("run_1").await.unwrap_err().kind(), ErrorKind::Connect);
}

#[tokio::test]
async fn a_timeout_after_connecting_may_have_reached_the_server() {
    let empty = respond("200 OK", "", r#"{"data":[],"total":0}"#);
    let server = Server::start([vec![Step::Read, Step::Stall], empty]).await;
    let client = builder(&server.url()).build().unwrap();
    let error = client.work_orders().create("Fix it", WorkspaceSource::git("r")).timeout(SHORT).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Timeout, 1), "{error}");
    assert!(error.may_have_reached_server());
}

#[tokio::test]
async fn an_idle_connection_is_reused_only_for_a_few_seconds() {
    let run = r#"{"id":"run_1","workOrderId":"wo_1","status":"running"}"#;
    let response = Step::Write(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{run}", run.len()).into_bytes());
    let connection: Vec<_> = [Step::Read, response].into_iter().cycle().take(8).collect();
    let server = Server::start(vec![connection; 3]).await;
    let client = builder(&server.url()).build().unwrap();
    for (idle, connections) in [(0, 1), (3, 1), (5, 2), (60, 3)] {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(idle)).await;
        tokio::time::resume();
        client.runs().get("run_1").await.unwrap();
        assert_eq!(server.connections(), connections, "after {idle} s");
    }
}
