//! A connection that stalls costs the call that uses it, and is not used again.

use std::time::Duration;

use agentgate::ErrorKind;
use common::script::{Connection, Server, Step, respond_raw_and_stall};
use common::tls::Tls;

use crate::{RUN, builder, trusting};

/// Responds to this number of requests on one connection.
fn found(count: usize) -> Connection {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", RUN.len());
    let response = Step::Write((head + RUN).into_bytes());
    [Step::Read, response].into_iter().cycle().take(2 * count).collect()
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_timed_out_is_not_used_again() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 54\r\n\r\n{\"id\":";
    for stall in [vec![Step::Read, Step::Stall], respond_raw_and_stall(head)] {
        let stalls = [found(1), stall].concat();
        let server = Server::start_tls(Tls::default().acceptor(), [stalls, found(3)]).await;
        let client = builder(server.url()).configure_http(trusting).build().unwrap();
        let get = || client.runs().get("run_1").max_retries(0);
        get().await.unwrap();
        assert_eq!(get().await.unwrap_err().kind(), ErrorKind::Timeout);
        for _ in 0..3 {
            get().await.unwrap();
        }
        assert_eq!((server.connections(), server.requests().len()), (2, 5));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stalled_connection_costs_one_call() {
    let stalls = vec![Step::Read, Step::Stall];
    let server = Server::start_tls(Tls::default().acceptor(), [stalls, found(75), found(75)]).await;
    let client = builder(server.url()).configure_http(trusting).build().unwrap();
    let stalled = tokio::spawn(client.runs().get("run_1").max_retries(0).into_future());
    while server.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    for _ in 0..75 {
        client.runs().get("run_1").timeout(Duration::from_secs(1)).max_retries(0).await.unwrap();
    }
    assert_eq!(stalled.await.unwrap().unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(server.connections(), 2);
}

#[cfg(feature = "http2")]
mod http2 {
    use super::*;
    use agentgate::http::Method;
    use common::tls::{Http2, Http2Server};
    use serde_json::Value;

    fn ready() -> reqwest::Client {
        trusting(reqwest::Client::builder()).retry(reqwest::retry::never()).build().unwrap()
    }

    #[tokio::test]
    async fn a_response_that_ends_early_is_interrupted() {
        for part in ["", "{\"id\":", RUN] {
            let cut = Http2::Cut { part, length: RUN.len() + 1 };
            let server = Http2Server::start([vec![cut, cut, cut, Http2::Respond(RUN)]]).await;
            let client = builder(&server.url).http_client(ready()).build().unwrap();
            let run = client.request(Method::GET, "/v1/runs/run_1").max_retries(0).send_as::<Value>().await;
            let error = run.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
            assert!(error.to_string().contains("of 55 bytes"), "{error}");
            assert_eq!(error.status().unwrap(), 200);
            let run = client.runs().get("run_1").with_response().await.unwrap();
            assert_eq!((run.attempts(), server.connections()), (3, 1));
        }
    }

    #[tokio::test]
    async fn a_response_that_has_no_body_may_announce_one() {
        let server = Http2Server::start([vec![Http2::Head(200, 54), Http2::Head(204, 54)]]).await;
        let client = builder(&server.url).http_client(ready()).build().unwrap();
        let head = client.request(Method::HEAD, "/v1/runs").max_retries(0).send_as::<Value>().await;
        let deleted = client.request(Method::DELETE, "/v1/runs").max_retries(0).send_as::<Value>().await;
        assert_eq!((head.unwrap(), deleted.unwrap()), (Value::Null, Value::Null));
    }

    #[tokio::test(start_paused = true)]
    async fn with_pings_a_connection_that_stalls_is_replaced() {
        let server = Http2Server::start([vec![Http2::StallConnection], vec![Http2::Respond(RUN); 9]]).await;
        let client = builder(&server.url).configure_http(|http| {
            trusting(http)
                .http2_prior_knowledge()
                .http2_keep_alive_interval(Duration::from_secs(5))
                .http2_keep_alive_timeout(Duration::from_secs(5))
                .http2_keep_alive_while_idle(true)
        });
        let client = client.build().unwrap();
        let begun = tokio::time::Instant::now();
        for _ in 0..5 {
            client.runs().get("run_1").await.unwrap();
        }
        // Not the time-out of an attempt, which is 30 s.
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        assert!(server.connections() > 1);
    }
}
