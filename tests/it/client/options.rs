//! Options of calls and of derived clients, and the maximum wait.

use std::future::{IntoFuture, poll_fn};
use std::task::Poll;
use std::time::Duration;

use agentgate::simulator::{Fault, Simulator};
use agentgate::{CallOptions, Client, ErrorKind, RateLimitMode, WorkspaceSource};
use common::script::{Server, respond_raw_and_stall};
use common::time::SimulatedTime;

use super::start;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

// Derived clients

#[tokio::test]
async fn a_derived_client_has_its_own_options_and_shares_its_state() {
    let (simulator, client) = start().await;
    let derived = client.with_options(CallOptions::new().max_retries(0).request_header("x-team", "a"));
    simulator.inject(Fault::error("SERVICE_UNAVAILABLE").times(1));
    assert_eq!(derived.credits().balance().await.unwrap_err().attempts(), 1);
    assert_eq!(client.rate_limit(), derived.rate_limit());
    assert!(client.rate_limit().is_some());

    simulator.inject(Fault::error("SERVICE_UNAVAILABLE").times(2));
    client.credits().balance().await.unwrap();
    derived.credits().balance().request_header("x-call", "b").await.unwrap();
    let request = simulator.requests().pop().unwrap();
    assert_eq!((request.header("x-team"), request.header("x-call")), (Some("a"), Some("b")));
    assert_eq!(simulator.requests()[1].header("x-team"), None);
}

#[tokio::test]
async fn options_of_a_call_override_those_of_its_client_and_of_the_parent_client() {
    let (simulator, client) = start().await;
    let first = client.with_options(CallOptions::new().max_retries(5).request_header("x-first", "1"));
    let second = first.with_options(CallOptions::new().max_retries(1).request_header("x-second", "2"));
    simulator.inject(Fault::error("SERVICE_UNAVAILABLE").times(30));
    assert_eq!(first.credits().balance().await.unwrap_err().attempts(), 6);
    assert_eq!(second.credits().balance().await.unwrap_err().attempts(), 2);
    assert_eq!(second.credits().balance().max_retries(2).await.unwrap_err().attempts(), 3);
    let request = simulator.requests().pop().unwrap();
    assert_eq!((request.header("x-first"), request.header("x-second")), (Some("1"), Some("2")));
    let raw = second.request(agentgate::http::Method::GET, "/v1/credits");
    assert_eq!(raw.await.unwrap_err().attempts(), 2);
}

#[tokio::test]
async fn polls_ignore_the_options_of_a_derived_client() {
    let time = SimulatedTime::start(Simulator::builder()).await;
    let options = CallOptions::new().deadline(Duration::from_nanos(1)).request_header("x-team", "a");
    let client = time.client();
    let order = client.work_orders().create("Fix it", WorkspaceSource::template("python-flask")).await.unwrap();
    time.simulator().clear_requests();
    let derived = client.with_options(options);
    time.run(derived.runs().wait(&order.run_id).into_future()).await.unwrap().succeeded().unwrap();
    assert!(time.simulator().requests().iter().all(|request| request.header("x-team").is_none()));
}

// The maximum wait

/// Returns a client that has used the 2 requests of the first minute.
async fn spent() -> (SimulatedTime, Client) {
    let time = SimulatedTime::start(Simulator::builder().rate_limit(2)).await;
    let client = time.client();
    for _ in 0..2 {
        client.credits().balance().await.unwrap();
    }
    (time, client)
}

#[tokio::test]
async fn a_call_fails_at_once_if_it_would_wait_longer_than_max_wait() {
    let (time, client) = spent().await;
    let error = client.credits().balance().max_wait(5 * SECOND).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::RateLimited, 0));
    assert_eq!(error.retry_after(), Some(MINUTE));
    assert!(error.is_retryable());
    assert_eq!((time.simulator().request_count(), time.passed()), (2, Duration::ZERO));
    time.run(client.credits().balance().max_wait(MINUTE).into_future()).await.unwrap();
    assert_eq!(time.passed(), MINUTE);
}

#[tokio::test]
async fn max_wait_of_a_client_is_the_default_and_a_call_can_override_it() {
    let (time, _) = spent().await;
    let client = time.builder().max_wait(5 * SECOND).build().unwrap();
    client.credits().balance().await.unwrap_err();
    assert_eq!(time.passed(), Duration::ZERO);
    time.run(client.credits().balance().max_wait(2 * MINUTE).into_future()).await.unwrap();
    assert_eq!(time.passed(), MINUTE);
}

#[tokio::test]
async fn delays_requested_by_429s_count_towards_max_wait_in_total() {
    let time = SimulatedTime::start(Simulator::builder()).await;
    let client = time.client();
    let refuse = || time.simulator().inject(Fault::error("RATE_LIMITED").header("retry-after", "4").times(2));
    refuse();
    time.run(client.credits().balance().max_wait(9 * SECOND).into_future()).await.unwrap();
    assert_eq!(time.passed(), 8 * SECOND);
    refuse();
    let error = time.run(client.credits().balance().max_wait(7 * SECOND).into_future()).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts(), error.retry_after()), (ErrorKind::RateLimited, 2, Some(4 * SECOND)));
    assert_eq!(time.passed(), 12 * SECOND);
}

#[tokio::test]
async fn other_delays_do_not_count_towards_max_wait() {
    let time = SimulatedTime::start(Simulator::builder()).await;
    time.simulator().inject(Fault::error("SERVICE_UNAVAILABLE").header("retry-after", "20"));
    let client = time.builder().max_wait(Duration::ZERO).build().unwrap();
    time.run(client.credits().balance().into_future()).await.unwrap();
    assert_eq!(time.passed(), 20 * SECOND);
}

/// Returns a client with ten pending calls whose responses never arrive, so that the limit is unknown.
async fn unknown() -> (SimulatedTime, Client, Vec<agentgate::resources::CallFuture<agentgate::types::CreditBalance>>) {
    let time = SimulatedTime::start(Simulator::builder()).await;
    let server = Server::start(vec![respond_raw_and_stall(""); 20]).await;
    let client = time.builder().base_url(server.url()).build().unwrap();
    let mut calls: Vec<_> = (0..10).map(|_| client.credits().balance().into_future()).collect();
    for call in &mut calls {
        assert!(poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await.is_pending());
    }
    (time, client, calls)
}

#[tokio::test]
async fn max_wait_limits_the_wait_for_the_first_response() {
    let (time, client, _calls) = unknown().await;
    let error = time.run(client.credits().balance().max_wait(3 * SECOND).into_future()).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts(), time.passed()), (ErrorKind::RateLimited, 0, 3 * SECOND));
    insta::assert_snapshot!(error.to_string(), @"could not get the credit balance: the rate limit allowed no request within the time that the call may wait; nothing was sent. Wait, allow the call a longer `deadline` or `max_wait`, or spread the calls; the whole organization shares the limit.");
}

#[tokio::test]
async fn a_deadline_that_passes_before_the_first_response_is_a_timeout() {
    let (time, client, _calls) = unknown().await;
    let call = client.credits().balance().deadline(3 * SECOND).max_wait(MINUTE);
    let error = time.run(call.into_future()).await.unwrap_err();
    assert_eq!((error.kind(), time.passed()), (ErrorKind::Timeout, 3 * SECOND));
}

// The rate limit mode of a call

#[tokio::test]
async fn the_rate_limit_mode_can_be_set_per_call() {
    let (time, client) = spent().await;
    let error = client.credits().balance().rate_limit_mode(RateLimitMode::FailFast).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts(), error.retry_after()), (ErrorKind::RateLimited, 0, Some(MINUTE)));
    let call = client.credits().balance().rate_limit_mode(RateLimitMode::Off).max_retries(0);
    let error = call.await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::RateLimited, 1));
    assert_eq!((time.simulator().request_count(), time.passed()), (3, Duration::ZERO));
}

#[tokio::test]
async fn a_fail_fast_call_waits_for_the_first_response() {
    let (_time, client, _calls) = unknown().await;
    let call = client.credits().balance().rate_limit_mode(RateLimitMode::FailFast).into_future();
    let mut call = call;
    assert!(poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await.is_pending());
}
