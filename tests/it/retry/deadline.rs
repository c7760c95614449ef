//! Deadlines, timeouts, the retry budget, and idempotency keys.

use std::time::Duration;

use agentgate::simulator::{Fault, RecordedRequest, Simulator};
use agentgate::types::WorkOrderCreated;
use agentgate::{Client, Error, ErrorKind, RateLimitMode, WorkspaceSource};
use common::script::{Server, Step, closed_port, respond};
use common::time::SimulatedTime;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const FOREVER: u32 = u32::MAX;
/// Real time for which a server stalls. Everything else runs on simulated time.
const STALL: Duration = Duration::from_millis(50);
const CREATED: &str = r#"{"workOrderId":"wo_1","runId":"run_1","status":"pending","createdAt":"2026-01-15T10:30:00Z"}"#;

async fn start() -> (SimulatedTime, Client) {
    let time = SimulatedTime::start(Simulator::builder().rate_limit(1_000_000)).await;
    let client = time.client();
    (time, client)
}

async fn read(client: &Client) -> Result<(), Error> {
    client.credits().balance().await.map(drop)
}

fn source() -> WorkspaceSource {
    WorkspaceSource::git("https://github.com/your-org/your-repo").into()
}

fn sent(time: &SimulatedTime) -> usize {
    time.simulator().request_count()
}

fn busy(retry_after: u64) -> Fault {
    Fault::error("SERVICE_UNAVAILABLE").header("retry-after", &retry_after.to_string())
}

// Deadlines

#[tokio::test]
async fn retries_stop_if_retry_after_exceeds_the_deadline() {
    let (time, client) = start().await;
    time.simulator().inject(busy(4).times(FOREVER));
    let error = time.run(client.credits().balance().deadline(10 * SECOND).into_future()).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Unavailable, 3));
    assert_eq!(error.retry_after(), Some(4 * SECOND));
    assert_eq!((time.passed(), sent(&time)), (8 * SECOND, 3));
}

#[tokio::test]
async fn retries_stop_if_the_backoff_exceeds_the_deadline() {
    let (time, client) = start().await;
    time.simulator().inject(Fault::error("SERVICE_UNAVAILABLE").times(FOREVER));
    for _ in 0..20 {
        let before = time.passed();
        let deadline = Duration::from_millis(700);
        let error = time.run(client.credits().balance().deadline(deadline).into_future()).await.unwrap_err();
        assert!(time.passed_since(before) < deadline, "{error}");
        // Some random delays are so short that all retries fit.
        assert!(error.attempts() == 4 || error.retry_after().is_some(), "{error:?}");
    }
}

#[tokio::test]
async fn the_deadline_of_a_call_overrides_that_of_the_client() {
    let time = SimulatedTime::start(Simulator::builder()).await;
    let client = time.builder().deadline(3 * SECOND).build().unwrap();
    time.simulator().inject(busy(2).times(FOREVER));
    let error = time.run(read(&client)).await.unwrap_err();
    assert_eq!((error.attempts(), error.retry_after()), (2, Some(2 * SECOND)));
    let longer = client.credits().balance().deadline(5 * SECOND);
    assert_eq!(time.run(longer.into_future()).await.unwrap_err().attempts(), 3);
    let shorter = client.credits().balance().deadline(SECOND);
    assert_eq!(time.run(shorter.into_future()).await.unwrap_err().attempts(), 1);
}

#[tokio::test]
async fn a_zero_deadline_sends_nothing() {
    let (time, client) = start().await;
    for error in [
        client.credits().balance().deadline(Duration::ZERO).await.unwrap_err(),
        client.work_orders().create("Fix it", source()).deadline(Duration::ZERO).await.unwrap_err(),
    ] {
        assert!(error.is_timeout(), "{error:?}");
        assert_eq!((error.attempts(), error.may_have_reached_server()), (0, false));
    }
    assert_eq!(sent(&time), 0);
    read(&client).await.unwrap();
}

#[tokio::test]
async fn the_maximum_deadline_never_expires() {
    let (time, client) = start().await;
    time.simulator().inject(busy(30));
    time.run(client.credits().balance().deadline(Duration::MAX).into_future()).await.unwrap();
    assert_eq!(sent(&time), 2);
}

#[tokio::test]
async fn an_attempt_times_out_at_the_deadline() {
    let silent = || vec![Step::Read, Step::Stall];
    let server = Server::start([respond("503 Service Unavailable", "retry-after: 60\r\n", ""), silent()]).await;
    let (time, _) = start().await;
    let client = time.builder().base_url(server.url()).max_retry_delay(MINUTE).timeout(MINUTE).build().unwrap();
    let call = client.credits().balance().deadline(MINUTE + STALL).max_retries(1);
    let error = time.run(call.into_future()).await.unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    assert_eq!((error.attempts(), time.passed()), (2, MINUTE));
    assert!(error.to_string().contains("longer than its time-out of 50ms"), "{error}");
}

#[tokio::test]
async fn a_timeout_shorter_than_the_deadline_is_unchanged() {
    let server = Server::start([vec![Step::Read, Step::Stall]]).await;
    let (time, _) = start().await;
    let client = time.builder().base_url(server.url()).deadline(MINUTE).timeout(STALL).max_retries(0).build().unwrap();
    let error = read(&client).await.unwrap_err();
    assert!(error.to_string().contains("longer than its time-out of 50ms"), "{error}");
}

#[tokio::test]
async fn the_wait_for_the_rate_limit_counts_towards_the_deadline() {
    let time = SimulatedTime::start(Simulator::builder().rate_limit(1)).await;
    let client = time.client();
    read(&client).await.unwrap();
    time.simulator().inject(busy(20).times(FOREVER));
    // The window opens after a minute, and another 20 s exceed the deadline.
    let error = time.run(client.credits().balance().deadline(75 * SECOND).into_future()).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Unavailable, 1));
    assert_eq!(error.retry_after(), Some(20 * SECOND));
    assert_eq!((time.passed(), sent(&time)), (MINUTE, 2));
}

#[tokio::test]
async fn the_last_error_is_returned_if_the_rate_limit_leaves_no_time_for_a_retry() {
    let time = SimulatedTime::start(Simulator::builder().rate_limit(2)).await;
    let client = time.client();
    read(&client).await.unwrap();
    // The request counts against the limit, so none remains for the retry.
    time.simulator().inject(busy(1).after_acting());
    let error = time.run(client.credits().balance().deadline(30 * SECOND).into_future()).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Unavailable, 1));
    assert_eq!(error.retry_after(), Some(59 * SECOND));
    assert_eq!((time.passed(), sent(&time)), (SECOND, 2));
}

// Retries

#[tokio::test]
async fn the_retry_budget_allows_at_most_100_retries_during_an_outage() {
    let (time, client) = start().await;
    time.simulator().inject(Fault::error("SERVICE_UNAVAILABLE").times(FOREVER));
    let mut given_up = 0;
    for _ in 0..200 {
        let clone = client.clone();
        let error = time.run(async move { read(&clone).await }).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        given_up += u32::from(error.attempts() < 4);
    }
    println!("200 calls in an outage sent {} requests; {given_up} calls had no retry left", sent(&time));
    assert_eq!(sent(&time), 200 + 100);
    let error = time.run(read(&client)).await.unwrap_err();
    assert!(error.to_string().contains("stopped retrying until some succeed"), "{error}");
    // Another client has its own budget.
    assert_eq!(time.run(read(&time.client())).await.unwrap_err().attempts(), 4);
}

#[tokio::test]
async fn successful_calls_refill_the_retry_budget() {
    let time = SimulatedTime::start(Simulator::builder().rate_limit(1_000_000)).await;
    let client = time.builder().rate_limit_mode(RateLimitMode::Off).build().unwrap();
    let outage = Fault::error("SERVICE_UNAVAILABLE");
    time.simulator().inject(outage.clone().times(300));
    for _ in 0..200 {
        time.run(read(&client)).await.unwrap_err();
    }
    assert_eq!(sent(&time), 300);
    for _ in 0..4 {
        read(&client).await.unwrap();
    }
    time.simulator().inject(outage.clone());
    assert_eq!(time.run(read(&client)).await.unwrap_err().attempts(), 1);
    read(&client).await.unwrap();
    time.simulator().inject(outage);
    time.run(read(&client)).await.unwrap();
}

// Unknown outcomes

#[tokio::test]
async fn an_unknown_outcome_is_kept_after_a_later_connect_error() {
    let hang_up = || vec![Step::Read];
    let (time, _) = start().await;

    let server = Server::start_then_refuse([hang_up()]).await;
    let client = time.builder().base_url(server.url()).build().unwrap();
    let error = time.run(read(&client)).await.unwrap_err();
    assert!(error.is_connect(), "{error:?}");
    assert_eq!(error.attempts(), 4);
    assert!(error.may_have_reached_server());

    let server = Server::start_then_refuse([hang_up()]).await;
    let client = time.builder().base_url(server.url()).build().unwrap();
    let call = client.work_orders().create("Fix it", source()).repeatable();
    let error = time.run(call.into_future()).await.unwrap_err();
    assert!(error.is_connect() && error.may_have_reached_server(), "{error:?}");
    assert!(error.to_string().contains("may have taken effect"), "{error}");

    // Nothing was sent, so the outcome is known.
    let client = time.builder().base_url(closed_port().await).build().unwrap();
    let error = time.run(read(&client)).await.unwrap_err();
    assert!(error.is_connect() && !error.may_have_reached_server(), "{error:?}");
}

#[tokio::test]
async fn a_repeatable_submission_is_retried_with_the_same_idempotency_key() {
    let created = respond("201 Created", "content-type: application/json\r\n", CREATED);
    let cut = vec![Step::Read];
    let server = Server::start([cut.clone(), cut, created]).await;
    let (time, _) = start().await;
    let client = time.builder().base_url(server.url()).build().unwrap();
    let call = client.work_orders().create("Fix it", source()).repeatable();
    let order: WorkOrderCreated = time.run(call.into_future()).await.unwrap();
    assert_eq!(order.run_id, "run_1");
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    assert_eq!(requests[0].headers("idempotency-key").len(), 1);
    assert!(requests[0].headers("idempotency-key")[0].len() >= 32, "{requests:?}");
    for request in &requests {
        assert_eq!((&request.head, &request.body), (&requests[0].head, &requests[0].body));
    }
}

#[tokio::test]
async fn an_accepted_submission_is_not_resent_unless_it_is_repeatable() {
    let lost = || Fault::response(502, "text/html", "<h1>Bad Gateway</h1>").on("createWorkOrder").after_acting();
    let (time, client) = start().await;
    time.simulator().inject(lost());
    let order = time.run(client.work_orders().create("Fix it", source()).into_future()).await.unwrap();
    assert_eq!(order.run_id, "run_000001");
    // One submission, one page of runs, one work order, and the end of the list, which may show a second work order.
    assert_eq!(sent(&time), 4);
    assert_eq!(client.runs().list().await.unwrap().data.len(), 1);

    time.simulator().inject(lost());
    time.run(client.work_orders().create("Fix it", source()).repeatable().into_future()).await.unwrap();
    assert_eq!(client.runs().list().await.unwrap().data.len(), 3);
}

fn keys(requests: &[RecordedRequest]) -> Vec<Option<&str>> {
    requests.iter().map(|request| request.header("idempotency-key")).collect()
}

#[tokio::test]
async fn a_custom_idempotency_key_is_sent_with_every_attempt() {
    let (time, client) = start().await;
    time.simulator().inject(busy(1).times(2));
    let call = client.work_orders().create("Fix it", source()).idempotency_key("order 17");
    time.run(call.into_future()).await.unwrap();
    assert_eq!(keys(&time.simulator().requests()), [Some("order 17"); 3]);
}

#[tokio::test]
async fn each_submission_has_its_own_idempotency_key_and_reads_have_none() {
    let (time, client) = start().await;
    for _ in 0..2 {
        client.work_orders().create("Fix it", source()).await.unwrap();
    }
    read(&client).await.unwrap();
    let requests = time.simulator().requests();
    let [Some(first), Some(second), None] = keys(&requests)[..] else { panic!("{requests:?}") };
    assert_ne!(first, second);
}

#[tokio::test]
async fn an_invalid_idempotency_key_is_rejected_before_anything_is_sent() {
    let (time, client) = start().await;
    for key in ["", " ", "a\nb", "a\r\nx-evil: 1", "a\0", "schlüssel", "\u{7f}"] {
        let error = client.work_orders().create("Fix it", source()).idempotency_key(key).await.unwrap_err();
        assert!(error.is_invalid_request(), "{key:?}: {error:?}");
        assert_eq!((error.attempts(), error.may_have_reached_server()), (0, false));
    }
    assert_eq!(sent(&time), 0);
}

#[tokio::test]
async fn a_fail_fast_call_does_not_retry_a_429() {
    let simulator = Simulator::start().await.unwrap();
    let builder = Client::builder().base_url(simulator.url()).api_key(simulator.api_key());
    let client = builder.rate_limit_mode(RateLimitMode::FailFast).build().unwrap();
    simulator.inject(Fault::error("RATE_LIMITED"));
    let error = client.runs().list().await.unwrap_err();
    assert!(error.is_rate_limited());
    assert_eq!((error.attempts(), error.retry_after()), (1, Some(Duration::from_secs(1))));
}
