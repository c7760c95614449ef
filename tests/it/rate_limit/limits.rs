//! Many calls against the organization's limits, in simulated time.
//!
//! The simulator enforces the documented limits, and the client uses the simulator's clock, which advances as soon as
//! everything else is idle.

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agentgate::events::{CallEvent, WaitReason};
use agentgate::simulator::{Fault, Simulator};
use agentgate::types::WorkOrderCreated;
use agentgate::{Client, ClientBuilder, Error, ErrorKind, RateLimitMode, WorkspaceSource};
use common::time::SimulatedTime;
use tokio::task::JoinSet;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const RUN: &str = r#"{"id":"run_1","workOrderId":"wo_1","status":"running"}"#;

async fn read(client: &Client) -> Result<(), Error> {
    client.credits().balance().await.map(drop)
}

async fn submit(client: &Client) -> Result<WorkOrderCreated, Error> {
    client.work_orders().create("Fix it", WorkspaceSource::git("https://github.com/your-org/your-repo")).await
}

/// Spawns these futures in order.
fn spawn<F>(futures: impl IntoIterator<Item = F>) -> JoinSet<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    futures.into_iter().collect()
}

fn reads(client: &Client, count: usize) -> JoinSet<Result<(), Error>> {
    let clients = vec![client.clone(); count];
    spawn(clients.into_iter().map(|client| async move { read(&client).await }))
}

fn submissions(client: &Client, count: usize) -> JoinSet<Result<WorkOrderCreated, Error>> {
    let clients = vec![client.clone(); count];
    spawn(clients.into_iter().map(|client| async move { submit(&client).await }))
}

/// Returns the number of calls that have completed, once all tasks are idle.
async fn ended<T: 'static>(time: &SimulatedTime, calls: &mut JoinSet<Result<T, Error>>) -> usize {
    time.settle().await;
    let mut count = 0;
    while let Some(call) = calls.try_join_next() {
        call.unwrap().unwrap();
        count += 1;
    }
    count
}

fn sent(time: &SimulatedTime) -> usize {
    time.simulator().request_count()
}

/// Counts the 429s of a client: each is followed by a retry or is the call's error.
#[derive(Clone, Debug, Default)]
struct TooManyRequests(Arc<AtomicU32>);

impl TooManyRequests {
    fn watch(&self, builder: ClientBuilder) -> ClientBuilder {
        let count = self.clone();
        builder.on_retry(move |retry| count.add(retry.error))
    }

    fn add(&self, error: &Error) {
        if error.status().is_some_and(|status| status.as_u16() == 429) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

// A thousand calls

#[derive(Debug)]
struct Figures {
    succeeded: u32,
    failed: u32,
    requests: u32,
    refused: u32,
    took: Duration,
}

/// 200 tasks make five calls each, one after the other.
async fn thousand_calls(set_up: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Figures {
    let time = SimulatedTime::start(Simulator::builder()).await;
    let too_many = TooManyRequests::default();
    let client = too_many.watch(set_up(time.builder())).build().unwrap();
    let succeeded = Arc::new(AtomicU32::new(0));
    let tasks = spawn((0..200).map(|_| {
        let (client, too_many, succeeded) = (client.clone(), too_many.clone(), Arc::clone(&succeeded));
        async move {
            for _ in 0..5 {
                match read(&client).await {
                    Ok(()) => _ = succeeded.fetch_add(1, Ordering::Relaxed),
                    Err(error) => too_many.add(&error),
                }
            }
        }
    }));
    time.run(tasks.join_all()).await;
    let succeeded = succeeded.load(Ordering::Relaxed);
    Figures {
        succeeded,
        failed: 1000 - succeeded,
        requests: sent(&time).try_into().unwrap(),
        refused: too_many.count(),
        took: time.passed(),
    }
}

#[tokio::test]
async fn a_thousand_calls_from_200_tasks_succeed_with_at_most_one_percent_429s() {
    let figures = thousand_calls(|builder| builder).await;
    println!("waiting: {figures:?}");
    assert_eq!((figures.succeeded, figures.failed), (1000, 0));
    assert!(figures.refused * 100 <= figures.requests, "{figures:?}");
    // A hundred per minute, without an unused slot.
    assert_eq!(figures.took, 9 * MINUTE);
}

#[tokio::test]
async fn without_the_limiter_most_of_the_thousand_calls_fail() {
    let off = thousand_calls(|builder| builder.rate_limit_mode(RateLimitMode::Off).max_retries(3)).await;
    println!("off: {off:?}");
    assert!(off.failed >= 500, "{off:?}");
    assert!(off.refused * 100 >= off.requests * 50, "{off:?}");

    // Respecting each `Retry-After` is not enough either.
    let patient =
        |builder: ClientBuilder| builder.rate_limit_mode(RateLimitMode::Off).max_retries(3).max_retry_delay(2 * MINUTE);
    let patient = thousand_calls(patient).await;
    println!("off, with pauses as long as `Retry-After`: {patient:?}");
    assert!(patient.refused * 100 >= patient.requests * 30, "{patient:?}");
}

// Waiting

#[tokio::test]
async fn one_429_pauses_all_calls_of_the_client_and_its_clones() {
    let time = SimulatedTime::start(Simulator::builder()).await;
    time.simulator().inject(Fault::error("RATE_LIMITED").header("retry-after", "7"));
    let client = time.client();
    let mut calls = reads(&client, 1);
    assert_eq!(ended(&time, &mut calls).await, 0);
    assert_eq!(sent(&time), 1);

    for _ in 0..20 {
        let clone = client.clone();
        calls.spawn(async move { read(&clone).await });
    }
    time.settle().await;
    assert_eq!(sent(&time), 1);
    time.advance(Duration::from_millis(6_999));
    time.settle().await;
    assert_eq!(sent(&time), 1);
    time.advance(Duration::from_millis(1));
    assert_eq!(ended(&time, &mut calls).await, 21);
    assert_eq!(sent(&time), 22);
}

#[tokio::test]
async fn calls_are_sent_in_order_of_arrival() {
    let time = SimulatedTime::start(Simulator::builder().rate_limit(1)).await;
    let client = time.client();
    read(&client).await.unwrap();
    time.simulator().clear_requests();
    let calls = spawn((0..9).map(|number| {
        let client = client.clone();
        async move { client.runs().get(format!("run_{number}")).await.map(drop) }
    }));
    let ends = time.run(calls.join_all()).await;
    assert!(ends.iter().all(|end| end.as_ref().is_err_and(Error::is_not_found)), "{ends:?}");
    let paths: Vec<_> = time.simulator().requests().into_iter().map(|request| request.path).collect();
    assert_eq!(paths, (0..9).map(|number| format!("/v1/runs/run_{number}")).collect::<Vec<_>>());
    assert_eq!(time.passed(), 9 * MINUTE);
}

#[tokio::test]
async fn calls_dropped_while_waiting_use_no_permits() {
    let time = SimulatedTime::start(Simulator::builder().rate_limit(2)).await;
    let client = time.client();
    read(&client).await.unwrap();
    read(&client).await.unwrap();
    let mut waiting = reads(&client, 1000);
    assert_eq!(ended(&time, &mut waiting).await, 0);
    drop(waiting);
    time.settle().await;
    assert_eq!(sent(&time), 2);

    // Dropped calls do not count as waiting: the next two fit into the next window.
    let mut calls = spawn([1, 2].map(|_| {
        let client = client.clone();
        async move { client.credits().balance().deadline(MINUTE + SECOND).await }
    }));
    time.settle().await;
    time.advance(MINUTE);
    assert_eq!(ended(&time, &mut calls).await, 2);
    assert_eq!(sent(&time), 4);
}

#[tokio::test]
async fn the_second_waiter_is_sent_next_if_the_first_is_dropped() {
    let time = SimulatedTime::start(Simulator::builder().rate_limit(1)).await;
    let client = time.client();
    read(&client).await.unwrap();
    let first = reads(&client, 1);
    time.settle().await;
    let mut second = reads(&client, 1);
    time.settle().await;
    drop(first);
    time.settle().await;
    time.advance(MINUTE);
    assert_eq!(ended(&time, &mut second).await, 1);
    assert_eq!(time.passed(), MINUTE);
}

#[tokio::test]
async fn a_submission_dropped_before_it_is_sent_uses_no_slot() {
    let time = SimulatedTime::start(Simulator::builder().concurrent_runs(100)).await;
    let client = time.client();
    assert_eq!(ended(&time, &mut reads(&client, 100)).await, 100);
    let mut waiting = submissions(&client, 20);
    assert_eq!(ended(&time, &mut waiting).await, 0);
    drop(waiting);
    time.advance(MINUTE);
    assert_eq!(ended(&time, &mut submissions(&client, 20)).await, 20);
}

#[tokio::test]
async fn two_clients_of_one_organization_both_make_progress() {
    let time = SimulatedTime::start(Simulator::builder()).await;
    let too_many = TooManyRequests::default();
    let done = Arc::new(Mutex::new([0, 0]));
    let (mut tasks, mut progress) = (JoinSet::new(), Vec::new());
    for number in 0..2 {
        let client = too_many.watch(time.builder()).build().unwrap();
        for _ in 0..250 {
            let (client, done) = (client.clone(), Arc::clone(&done));
            tasks.spawn(async move {
                read(&client).await.unwrap();
                done.lock().unwrap()[number] += 1;
            });
        }
    }
    for _ in 0..20 {
        time.settle().await;
        progress.push(*done.lock().unwrap());
        time.advance(MINUTE);
    }
    println!("two clients: {} 429s, calls done in each minute: {progress:?}", too_many.count());
    assert_eq!(progress[19], [250, 250]);
    for minute in &progress[2..] {
        assert!(minute.iter().all(|done| *done >= 25), "{progress:?}");
    }
}

#[tokio::test]
async fn clients_that_know_nothing_of_each_other_lose_no_call() {
    for clients in [2, 3, 5] {
        let time = SimulatedTime::start(Simulator::builder()).await;
        let too_many = TooManyRequests::default();
        let clients: Vec<_> = (0..clients).map(|_| too_many.watch(time.builder()).build().unwrap()).collect();
        let calls = spawn((0..600).map(|number| {
            let client = clients[number % clients.len()].clone();
            async move { client.credits().balance().with_response().await.map(|response| response.attempts()) }
        }));
        let attempts: Result<Vec<_>, _> = time.run(calls.join_all()).await.into_iter().collect();
        let most = attempts.unwrap().into_iter().max();
        println!("{} clients: {} 429s, at most {most:?} for a call", clients.len(), too_many.count());
    }
}

// Failing instead of waiting

/// Returns a client that has used all requests of a minute.
async fn spent(set_up: impl FnOnce(ClientBuilder) -> ClientBuilder) -> (SimulatedTime, Client) {
    let time = SimulatedTime::start(Simulator::builder().rate_limit(3)).await;
    let client = set_up(time.builder()).build().unwrap();
    for _ in 0..3 {
        read(&client).await.unwrap();
    }
    (time, client)
}

fn assert_not_sent(error: &Error, wait: Duration) {
    assert_eq!(error.kind(), ErrorKind::RateLimited, "{error}");
    assert_eq!((error.retry_after(), error.attempts()), (Some(wait), 0));
    assert_eq!((error.status(), error.may_have_reached_server()), (None, false));
}

#[tokio::test]
async fn a_deadline_before_the_window_opens_fails_the_call_at_once() {
    let (time, client) = spent(|builder| builder).await;
    time.advance(20 * SECOND);
    let call = client.credits().balance().deadline(39 * SECOND);
    assert_not_sent(&call.await.unwrap_err(), 40 * SECOND);
    assert_eq!(sent(&time), 3);
    assert_eq!(time.passed(), 20 * SECOND);

    let call = client.credits().balance().deadline(41 * SECOND);
    time.run(call.into_future()).await.unwrap();
    assert_eq!(time.passed(), MINUTE);
}

#[tokio::test]
async fn a_deadline_takes_the_waiting_calls_into_account() {
    let (time, client) = spent(|builder| builder).await;
    let mut waiting = reads(&client, 5);
    assert_eq!(ended(&time, &mut waiting).await, 0);
    // The next window has room for three calls, the one after it for the rest.
    let error = client.credits().balance().deadline(119 * SECOND).await.unwrap_err();
    assert_not_sent(&error, 2 * MINUTE);
    let mut call = JoinSet::new();
    call.spawn(client.credits().balance().deadline(121 * SECOND).into_future());
    time.run(waiting.join_all()).await;
    assert_eq!(ended(&time, &mut call).await, 1);
    assert_eq!(time.passed(), 2 * MINUTE);
}

#[tokio::test]
async fn a_fail_fast_call_fails_at_once_with_retry_after() {
    let (time, client) = spent(|builder| builder.rate_limit_mode(RateLimitMode::FailFast)).await;
    time.advance(15 * SECOND);
    assert_not_sent(&read(&client).await.unwrap_err(), 45 * SECOND);
    assert_eq!(sent(&time), 3);
    time.advance(45 * SECOND);
    read(&client).await.unwrap();
}

#[tokio::test]
async fn fail_fast_calls_do_not_fail_before_a_limit_is_known() {
    let time = SimulatedTime::start(Simulator::builder()).await;
    let client = time.builder().rate_limit_mode(RateLimitMode::FailFast).build().unwrap();
    assert_eq!(ended(&time, &mut reads(&client, 50)).await, 50);
}

#[tokio::test]
async fn a_deadline_does_not_fail_calls_before_a_limit_is_known() {
    let time = SimulatedTime::start(Simulator::builder()).await;
    let client = time.builder().deadline(10 * SECOND).build().unwrap();
    assert_eq!(ended(&time, &mut reads(&client, 50)).await, 50);
}

#[tokio::test]
async fn with_the_mode_off_everything_is_sent() {
    let (time, client) = spent(|builder| builder.rate_limit_mode(RateLimitMode::Off).max_retries(0)).await;
    for _ in 0..5 {
        let error = read(&client).await.unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::RateLimited, 1));
        assert_eq!(error.retry_after(), Some(MINUTE));
    }
    assert_eq!(sent(&time), 8);
}

// Other limits

#[tokio::test]
async fn forty_submissions_are_limited_to_twenty_per_minute() {
    let time = SimulatedTime::start(Simulator::builder().concurrent_runs(100)).await;
    let too_many = TooManyRequests::default();
    let client = too_many.watch(time.builder()).build().unwrap();
    let mut calls = submissions(&client, 40);
    assert_eq!(ended(&time, &mut calls).await, 20);
    time.advance(MINUTE);
    assert_eq!(ended(&time, &mut calls).await, 20);
    assert_eq!((sent(&time), too_many.count()), (40, 0));
}

#[tokio::test]
async fn the_submission_limit_can_be_changed() {
    for limit in [3, 50] {
        let time = SimulatedTime::start(Simulator::builder().concurrent_runs(100).submission_limit(limit)).await;
        let too_many = TooManyRequests::default();
        let client = too_many.watch(time.builder()).submissions_per_minute(limit).build().unwrap();
        let count = limit as usize;
        let mut calls = submissions(&client, 2 * count);
        assert_eq!(ended(&time, &mut calls).await, count);
        time.advance(MINUTE);
        assert_eq!(ended(&time, &mut calls).await, count);
        assert_eq!((sent(&time), too_many.count()), (2 * count, 0));
    }
}

#[tokio::test]
async fn a_deadline_too_short_for_the_submission_limit_fails_the_call_at_once() {
    let time = SimulatedTime::start(Simulator::builder().concurrent_runs(100)).await;
    let client = time.client();
    assert_eq!(ended(&time, &mut submissions(&client, 20)).await, 20);
    let source = WorkspaceSource::git("https://github.com/your-org/your-repo");
    let error = client.work_orders().create("Fix it", source).deadline(59 * SECOND).await.unwrap_err();
    assert_not_sent(&error, MINUTE);
    assert_eq!(sent(&time), 20);
}

#[tokio::test]
async fn fail_fast_submissions_have_retry_after_while_earlier_ones_are_pending() {
    let time = SimulatedTime::start(Simulator::builder().concurrent_runs(100)).await;
    let client = time.builder().rate_limit_mode(RateLimitMode::FailFast).build().unwrap();
    let errors: Vec<_> = submissions(&client, 25).join_all().await.into_iter().filter_map(Result::err).collect();
    assert_eq!(errors.len(), 5, "{errors:?}");
    for error in errors {
        assert_not_sent(&error, MINUTE);
    }
}

#[tokio::test]
async fn a_429_for_the_submission_limit_does_not_pause_reads() {
    let time = SimulatedTime::start(Simulator::builder().submission_limit(1)).await;
    let client = time.client();
    read(&client).await.unwrap();
    let mut submitted = submissions(&client, 3);
    assert_eq!(ended(&time, &mut submitted).await, 1);
    assert_eq!(ended(&time, &mut reads(&client, 50)).await, 50);
    assert_eq!(client.rate_limit().unwrap().limit, Some(100));
    // Further submissions are not sent.
    let before = sent(&time);
    submitted.spawn(async move { submit(&client).await });
    time.settle().await;
    assert_eq!(sent(&time), before);
    time.advance(MINUTE);
    assert_eq!(ended(&time, &mut submitted).await, 1);
}

#[tokio::test]
async fn a_429_for_too_many_concurrent_runs_does_not_pause_reads() {
    let time = SimulatedTime::start(Simulator::builder().concurrent_runs(1)).await;
    let client = time.client();
    assert_eq!(ended(&time, &mut submissions(&client, 1)).await, 1);
    let mut second = submissions(&client, 1);
    assert_eq!(ended(&time, &mut second).await, 0);
    assert_eq!(ended(&time, &mut reads(&client, 50)).await, 50);
}

#[tokio::test]
async fn a_429_for_the_webhook_test_limit_does_not_pause_reads() {
    let time = SimulatedTime::start(Simulator::builder()).await;
    let client = time.client();
    let created = client.webhooks().create("https://app.example.com/hooks", ["run.completed"]).await.unwrap();
    let id = created.webhook.id;
    let mut tests = spawn((0..11).map(|_| client.webhooks().test(id.clone()).into_future()));
    assert_eq!(ended(&time, &mut tests).await, 10);
    assert_eq!(ended(&time, &mut reads(&client, 50)).await, 50);
    time.advance(MINUTE);
    assert_eq!(ended(&time, &mut tests).await, 1);
}

/// Returns a 429 with requests remaining in the window, which concerns another limit.
fn with_requests_remaining(operation: &str) -> Fault {
    Fault::error("RATE_LIMITED")
        .header("retry-after", "50")
        .header("x-ratelimit-limit", "100")
        .header("x-ratelimit-remaining", "60")
        .header("x-ratelimit-reset", "1767225660")
        .on(operation)
}

#[tokio::test]
async fn a_429_with_requests_remaining_pauses_only_its_call() {
    for is_known in [true, false] {
        let time = SimulatedTime::start(Simulator::builder().concurrent_runs(100)).await;
        let client = time.client();
        if is_known {
            read(&client).await.unwrap();
        }
        time.simulator().inject(with_requests_remaining("listTemplates"));
        let mut refused = spawn([client.templates().list().into_future()]);
        assert_eq!(ended(&time, &mut refused).await, 0);
        assert_eq!(ended(&time, &mut reads(&client, 30)).await, 30, "is known: {is_known}");
        assert_eq!(ended(&time, &mut submissions(&client, 10)).await, 10, "is known: {is_known}");
        let mut others = spawn([client.templates().list().into_future()]);
        assert_eq!(ended(&time, &mut others).await, 1, "is known: {is_known}");
        time.advance(50 * SECOND);
        assert_eq!(ended(&time, &mut refused).await, 1, "is known: {is_known}");
    }
}

#[tokio::test]
async fn a_429_to_a_submission_with_requests_remaining_pauses_only_submissions() {
    for is_known in [true, false] {
        let time = SimulatedTime::start(Simulator::builder().concurrent_runs(100)).await;
        let client = time.client();
        if is_known {
            read(&client).await.unwrap();
        }
        time.simulator().inject(with_requests_remaining("createWorkOrder"));
        let mut submitted = submissions(&client, 1);
        assert_eq!(ended(&time, &mut submitted).await, 0);
        assert_eq!(ended(&time, &mut reads(&client, 30)).await, 30, "is known: {is_known}");
        let before = sent(&time);
        submitted.spawn(async move { submit(&client).await });
        time.advance(49 * SECOND);
        time.settle().await;
        assert_eq!(sent(&time), before, "is known: {is_known}");
        time.advance(SECOND);
        assert_eq!(ended(&time, &mut submitted).await, 2, "is known: {is_known}");
    }
}

// Reported limits

#[tokio::test]
async fn rate_limit_returns_the_last_reported_limit() {
    let time = SimulatedTime::start(Simulator::builder()).await;
    let client = time.client();
    let clone = client.clone();
    assert_eq!(client.rate_limit(), None);
    read(&client).await.unwrap();
    read(&client).await.unwrap();
    let limit = clone.rate_limit().unwrap();
    assert_eq!((limit.limit, limit.remaining), (Some(100), Some(98)));
    assert_eq!(limit.reset_at, Some(time.simulator().now() + MINUTE));
    assert_eq!(time.client().rate_limit(), None);
}

#[tokio::test]
async fn calls_are_not_limited_without_rate_limit_headers() {
    let time = SimulatedTime::start(Simulator::builder()).await;
    let client = time.client();
    time.simulator().inject(Fault::response(200, "application/json", RUN).times(u32::MAX));
    let mut calls = spawn((0..500).map(|_| client.runs().get("run_1").into_future()));
    assert_eq!(ended(&time, &mut calls).await, 500);
    assert_eq!(client.rate_limit(), None);
}

#[tokio::test]
async fn a_wait_by_the_word_of_a_gateway_says_so() {
    let time = SimulatedTime::start(Simulator::builder()).await;
    let reasons = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&reasons);
    let client = time.builder().on_event(move |event| {
        if let CallEvent::Wait(wait) = event {
            note.lock().unwrap().push(wait.reason);
        }
    });
    let client = client.build().unwrap();
    let page = Fault::response(429, "text/html", "<h1>Too Many Requests</h1>").header("x-ratelimit-limit", "10");
    time.simulator().inject(page.header("x-ratelimit-remaining", "0").header("x-ratelimit-reset", "45"));
    client.credits().balance().max_retries(0).await.unwrap_err();
    let error = client.credits().balance().rate_limit_mode(RateLimitMode::FailFast).await.unwrap_err();
    let text = "the rate limit of something in front of the service is exhausted and resets in 45 s; nothing was sent";
    assert!(error.to_string().contains(text), "{error}");
    time.run(client.credits().balance().into_future()).await.unwrap();
    assert_eq!(time.passed(), 45 * SECOND);
    // The service's own word ends it.
    time.run(reads(&client, 150).join_all()).await.into_iter().for_each(Result::unwrap);
    let reasons = reasons.lock().unwrap();
    assert_eq!((reasons[0], reasons.last().copied()), (WaitReason::Gateway, Some(WaitReason::RateLimit)));
}

#[tokio::test]
async fn gateway_errors_before_the_first_response_do_not_lift_the_limit() {
    for (what, fault) in [
        ("502", Fault::bad_gateway()),
        ("504", Fault::gateway_timeout()),
        ("503", Fault::response(503, "text/html", "")),
        ("429", Fault::response(429, "", "")),
        ("404", Fault::response(404, "text/html", "no such host")),
    ] {
        let time = SimulatedTime::start(Simulator::builder()).await;
        // Slow enough to send all of them before the second response.
        let url = time.slow_line(|| Duration::from_millis(100)).await;
        let too_many = TooManyRequests::default();
        let client = too_many.watch(time.builder()).base_url(url).build().unwrap();
        time.simulator().inject(fault.times(10));
        let ends = time.run(reads(&client, 500).join_all()).await;
        let failed = ends.iter().filter(|end| end.is_err()).count();
        // The faults themselves may be 429s, and a 404 is not retried.
        assert!(too_many.count() <= 10 && failed <= 10, "{what}: {} 429s, {failed} failed", too_many.count());
    }
}

#[tokio::test]
async fn an_idle_client_respects_the_current_window_when_it_resumes() {
    let time = SimulatedTime::start(Simulator::builder()).await;
    let too_many = TooManyRequests::default();
    let client = too_many.watch(time.builder()).build().unwrap();
    read(&client).await.unwrap();
    // Fifty seconds into some later window.
    time.advance(5 * MINUTE + 50 * SECOND);
    time.run(async {
        for _ in 0..300 {
            read(&client).await.unwrap();
        }
    })
    .await;
    // The rest of that window, and the two after it.
    assert_eq!((time.passed(), too_many.count()), (7 * MINUTE, 0));
}

#[tokio::test]
async fn absurd_rate_limit_headers_do_not_stall_calls() {
    let year_ahead = (1_767_225_600 + 365 * 24 * 60 * 60).to_string();
    let limits = ["", "0", "1", "100", "-5", "NaN", "4294967295"];
    let lefts = ["", "0", "1000000", "-1"];
    let resets = ["NaN", "0", "-1", "1767225540", year_ahead.as_str(), "9223372036854775807", "8210266876799"];
    let mut slowest = Duration::ZERO;
    for status in [200, 429] {
        for limit in limits {
            for left in lefts {
                for reset in resets {
                    let what = format!("{status}: limit {limit:?}, remaining {left:?}, reset {reset:?}");
                    let took = absurd(status, [limit, left, reset]).await;
                    slowest = slowest.max(took);
                    // Each of four calls waits for at most a window, and again after each of thirty 429s.
                    assert!(took <= 4 * 31 * (MINUTE + SECOND), "{what}: {took:?}");
                }
            }
        }
    }
    println!("the slowest four calls with absurd headers took {slowest:?}");
}

async fn absurd(status: u16, [limit, left, reset]: [&str; 3]) -> Duration {
    let time = SimulatedTime::start(Simulator::builder()).await;
    let client = time.client();
    let fault = Fault::response(status, "application/json", RUN)
        .header("x-ratelimit-limit", limit)
        .header("x-ratelimit-remaining", left)
        .header("x-ratelimit-reset", reset);
    time.simulator().inject(fault.times(u32::MAX));
    let mut calls = JoinSet::new();
    for _ in 0..2 {
        let client = client.clone();
        calls.spawn(async move {
            for _ in 0..2 {
                let end = client.runs().get("run_1").await;
                assert_eq!(end.is_ok(), status == 200, "{end:?}");
            }
        });
    }
    time.run(calls.join_all()).await;
    time.passed()
}

#[tokio::test]
async fn one_response_with_absurd_headers_does_not_affect_later_calls() {
    let time = SimulatedTime::start(Simulator::builder()).await;
    let too_many = TooManyRequests::default();
    let client = too_many.watch(time.builder()).build().unwrap();
    let absurd = Fault::response(200, "application/json", r#"{"includedCreditsCents":1,"totalCreditsCents":1}"#)
        .header("x-ratelimit-limit", "100")
        .header("x-ratelimit-remaining", "90")
        .header("x-ratelimit-reset", "1798761600");
    time.simulator().inject(absurd);
    let mut first = reads(&client, 1);
    time.settle().await;
    drop(first.join_next().await);
    time.advance(2 * MINUTE);
    time.run(reads(&client, 350).join_all()).await.into_iter().for_each(Result::unwrap);
    assert_eq!(too_many.count(), 0);
    assert_eq!(time.passed(), 5 * MINUTE);
}

// Random programs

/// Random limits, latencies, idle times and starts. A client alone never exceeds the window. Beside another program,
/// every call succeeds.
#[tokio::test]
async fn the_window_is_never_exceeded_and_no_call_is_lost() {
    for seed in 0..24 {
        for beside_another in [false, true] {
            let outcome = random_program(seed, beside_another).await;
            println!("seed {seed}, beside another: {beside_another}: {outcome:?}");
            assert_eq!(outcome.lost, 0, "seed {seed}: {outcome:?}");
            assert!(beside_another || outcome.refused == 0, "seed {seed}: {outcome:?}");
            assert!(outcome.took <= outcome.enough, "seed {seed}: {outcome:?}");
        }
    }
}

#[derive(Debug)]
#[expect(dead_code, reason = "printed")]
struct Outcome {
    limit: u32,
    tasks: u64,
    calls: u64,
    refused: u32,
    refused_others: u32,
    lost: u32,
    took: Duration,
    enough: Duration,
}

async fn random_program(seed: u64, beside_another: bool) -> Outcome {
    let mut random = fastrand::Rng::with_seed(seed);
    let limit = random.u32(10..=120);
    let time = SimulatedTime::start(Simulator::builder().rate_limit(limit)).await;
    time.advance(Duration::from_millis(random.u64(0..60_000)));
    let slowest = random.u64(1..4_000);
    let line = Mutex::new(random.fork());
    let url = time.slow_line(move || Duration::from_millis(line.lock().unwrap().u64(0..slowest))).await;
    let too_many = TooManyRequests::default();
    let client = too_many.watch(time.builder()).base_url(url).max_retries(100).build().unwrap();

    let (tasks, each) = (random.u64(1..=40), random.u64(1..=12));
    let lost = Arc::new(AtomicU32::new(0));
    let mut idle = Duration::ZERO;
    let mut set = JoinSet::new();
    for _ in 0..tasks {
        let (client, lost, time) = (client.clone(), Arc::clone(&lost), time.clone());
        let pauses: Vec<_> = (0..each)
            .map(|_| if random.u8(0..10) == 0 { Duration::from_millis(random.u64(0..150_000)) } else { Duration::ZERO })
            .collect();
        idle = idle.max(pauses.iter().sum());
        set.spawn(async move {
            for pause in pauses {
                agentgate::Clock::sleep(&time, pause).await;
                if read(&client).await.is_err() {
                    lost.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    }
    let refused_others = TooManyRequests::default();
    let mut others = JoinSet::new();
    if beside_another {
        let other = time.builder().rate_limit_mode(RateLimitMode::Off).max_retries(0).build().unwrap();
        let share = u64::from(random.u32(1..=limit / 2));
        let (time, mut random, refused) = (time.clone(), random.fork(), refused_others.clone());
        others.spawn(async move {
            loop {
                // Its share of the window on average, in bursts.
                let burst = random.u64(1..=share);
                for error in
                    reads(&other, burst.try_into().unwrap()).join_all().await.into_iter().filter_map(Result::err)
                {
                    refused.add(&error);
                }
                agentgate::Clock::sleep(&time, MINUTE * u32::try_from(burst).unwrap() / u32::try_from(share).unwrap())
                    .await;
            }
        });
    }
    let before = time.passed();
    time.run(set.join_all()).await;
    let calls = tasks * each;
    // At least half of the window, plus the latency.
    let windows = u32::try_from(calls).unwrap() / (limit / 2) + 2;
    let latency = Duration::from_millis(slowest * 8 * each);
    Outcome {
        limit,
        tasks,
        calls,
        refused: too_many.count(),
        refused_others: refused_others.count(),
        lost: lost.load(Ordering::Relaxed),
        took: time.passed_since(before),
        enough: MINUTE * windows * 2 + idle + latency,
    }
}
