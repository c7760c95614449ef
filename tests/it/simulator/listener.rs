//! Refused connections, and the counts of requests and responses.

use std::io::ErrorKind;
use std::time::Duration;

use agentgate::simulator::{Fault, Simulator};
use serde_json::json;
use tokio::net::TcpStream;

fn http() -> reqwest::Client {
    // A test that hangs fails.
    reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(300)).build().unwrap()
}

async fn connect(simulator: &Simulator) -> std::io::Result<TcpStream> {
    TcpStream::connect(simulator.url().trim_start_matches("http://")).await
}

async fn list(http: &reqwest::Client, simulator: &Simulator) -> reqwest::Result<u16> {
    let url = format!("{}/v1/runs", simulator.url());
    Ok(http.get(url).bearer_auth(simulator.api_key()).send().await?.status().as_u16())
}

async fn submit(http: &reqwest::Client, simulator: &Simulator) -> reqwest::Result<u16> {
    let body = json!({
        "taskPrompt": "Add error handling to the API routes",
        "workspaceSource": { "type": "git", "repository": "https://github.com/your-org/your-repo" },
    });
    let url = format!("{}/v1/work-orders", simulator.url());
    Ok(http.post(url).bearer_auth(simulator.api_key()).json(&body).send().await?.status().as_u16())
}

// Refusing connections

#[tokio::test]
async fn connections_can_be_refused_and_accepted_repeatedly() {
    let simulator = Simulator::start().await.unwrap();
    let (http, url) = (http(), simulator.url().to_owned());
    assert_eq!(submit(&http, &simulator).await.unwrap(), 201);
    for _ in 0..20 {
        simulator.refuse_connections(true).unwrap();
        simulator.refuse_connections(true).unwrap();
        assert_eq!(connect(&simulator).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        simulator.refuse_connections(false).unwrap();
        simulator.refuse_connections(false).unwrap();
        assert_eq!(list(&self::http(), &simulator).await.unwrap(), 200);
    }
    assert_eq!((simulator.url(), simulator.work_order_count()), (url.as_str(), 1));
}

#[tokio::test]
async fn an_http_client_cannot_connect_while_connections_are_refused() {
    let simulator = Simulator::start().await.unwrap();
    simulator.refuse_connections(true).unwrap();
    let error = submit(&http(), &simulator).await.unwrap_err();
    assert!(error.is_connect(), "{error:?}");
    assert_eq!((simulator.request_count(), simulator.work_order_count()), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_connections_are_closed_with_their_requests() {
    let simulator = Simulator::start().await.unwrap();
    simulator.inject(Fault::stall().on("createWorkOrder").after_acting());
    let http = http();
    assert_eq!(list(&http, &simulator).await.unwrap(), 200);
    let (submitted, ()) = tokio::join!(submit(&http, &simulator), async {
        while simulator.work_order_count() == 0 {
            tokio::task::yield_now().await;
        }
        simulator.refuse_connections(true).unwrap();
    });
    assert!(submitted.is_err());
    assert!(list(&http, &simulator).await.is_err());
    simulator.refuse_connections(false).unwrap();
    assert_eq!(list(&self::http(), &simulator).await.unwrap(), 200);
}

#[tokio::test]
async fn the_port_stays_bound_while_connections_are_refused() {
    let simulator = Simulator::start().await.unwrap();
    simulator.refuse_connections(true).unwrap();
    let address = simulator.url().trim_start_matches("http://").to_owned();
    // Unlike tokio's, this socket does not share a port on which nothing listens.
    let error = tokio::net::TcpSocket::new_v4().unwrap().bind(address.parse().unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
}

#[test]
fn connections_can_be_refused_from_a_thread_without_a_runtime() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let simulator = runtime.block_on(Simulator::start()).unwrap();
    simulator.refuse_connections(true).unwrap();
    assert!(runtime.block_on(connect(&simulator)).is_err());
    simulator.refuse_connections(false).unwrap();
    assert_eq!(runtime.block_on(list(&http(), &simulator)).unwrap(), 200);
}

#[tokio::test]
async fn a_dropped_simulator_releases_its_port_at_once() {
    for refuse in [false, true] {
        let simulator = Simulator::start().await.unwrap();
        simulator.refuse_connections(refuse).unwrap();
        let port = simulator.url().rsplit(':').next().unwrap().parse().unwrap();
        drop(simulator);
        let next = Simulator::builder().port(port).start().await.unwrap();
        assert_eq!(list(&http(), &next).await.unwrap(), 200);
    }
}

// Counts

#[tokio::test]
async fn responses_are_counted_by_status() {
    let simulator = Simulator::builder().rate_limit(5).start().await.unwrap();
    let http = http();
    for _ in 0..8 {
        list(&http, &simulator).await.unwrap();
    }
    assert_eq!(
        (simulator.response_count(200), simulator.response_count(429), simulator.response_count(500)),
        (5, 3, 0)
    );
    assert_eq!(simulator.request_count(), 8);
    simulator.clear_requests();
    assert_eq!((simulator.response_count(200), simulator.response_count(429), simulator.request_count()), (0, 0, 0));
}

#[tokio::test]
async fn an_incomplete_response_is_counted_and_a_missing_one_is_not() {
    let simulator = Simulator::start().await.unwrap();
    simulator.inject(Fault::bad_gateway());
    simulator.inject(Fault::cut_body());
    simulator.inject(Fault::reset().after_acting());
    let http = http();
    for _ in 0..3 {
        let _ = submit(&http, &simulator).await;
    }
    assert_eq!((simulator.response_count(502), simulator.response_count(201)), (1, 1));
    assert_eq!((simulator.request_count(), simulator.work_order_count()), (3, 2));
}

#[tokio::test]
async fn requests_that_are_not_recorded_are_counted() {
    let simulator = Simulator::builder().record_requests(false).start().await.unwrap();
    assert_eq!(submit(&http(), &simulator).await.unwrap(), 201);
    assert_eq!(simulator.requests(), []);
    assert_eq!((simulator.request_count(), simulator.response_count(201), simulator.work_order_count()), (1, 1, 1));
    simulator.clear_requests();
    assert_eq!(simulator.request_count(), 0);
}
