//! Permits leased from a shared rate limit, working or failing.

use std::future::IntoFuture as _;
use std::time::Duration;

use agentgate::resources::CallFuture;
use agentgate::shared_rate_limit::{LeaseFuture, LeaseRequest, SharedRateLimit};
use agentgate::simulator::Simulator;
use agentgate::{Client, Clock as _, ErrorKind, RateLimitMode, WorkspaceSource};
use common::clock::InstantClock;
use common::logs::Logs;
use common::time::SimulatedTime;
use tokio::task::JoinSet;

use super::fake::{Behaviour, FakeLimit};
use super::{poll_once, within_an_hour};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

async fn time(limit: u32) -> SimulatedTime {
    SimulatedTime::start(Simulator::builder().rate_limit(limit)).await
}

fn client(time: &SimulatedTime, limit: &FakeLimit) -> Client {
    time.builder().shared_rate_limit(limit.clone()).build().unwrap()
}

/// Makes `count` calls at once. Returns the number that succeed within an hour, and the elapsed time.
async fn calls(time: &SimulatedTime, client: &Client, count: usize) -> (usize, Duration) {
    let start = time.passed();
    let all = async {
        let mut tasks = JoinSet::new();
        (0..count).for_each(|_| drop(tasks.spawn(client.credits().balance().into_future())));
        tasks.join_all().await.iter().filter(|result| result.is_ok()).count()
    };
    (within_an_hour(time, all).await.expect("calls hang"), time.passed_since(start))
}

// A working limit

#[tokio::test]
async fn calls_that_wait_together_share_a_round_trip() {
    let time = time(100).await;
    let limit = FakeLimit::new(&time, 100, Behaviour::Works);
    assert_eq!(calls(&time, &client(&time, &limit), 90).await, (90, Duration::ZERO));
    assert!(limit.requests().len() <= 5, "{}", limit.requests().len());
    assert_eq!(limit.leased(), 90);
}

#[tokio::test]
async fn clients_share_the_limit_without_a_429() {
    let time = time(100).await;
    let limit = FakeLimit::new(&time, 100, Behaviour::Works);
    let clients = [client(&time, &limit), client(&time, &limit), client(&time, &limit)];
    let all = async {
        let mut tasks = JoinSet::new();
        for client in clients.iter().cycle().take(450) {
            tasks.spawn(client.credits().balance().into_future());
        }
        tasks.join_all().await.iter().all(Result::is_ok)
    };
    assert_eq!(within_an_hour(&time, all).await, Some(true));
    assert_eq!((time.simulator().request_count(), time.simulator().response_count(429)), (450, 0));
    assert!(time.passed() <= 5 * MINUTE, "{:?}", time.passed());
    assert!(limit.leased() >= 450);
}

#[tokio::test]
async fn clones_and_derived_clients_lease_as_one_client_without_revealing_the_key() {
    let time = time(100).await;
    let limit = FakeLimit::new(&time, 100, Behaviour::Works);
    let one = client(&time, &limit);
    let derived = one.clone().with_options(agentgate::CallOptions::new().max_retries(0));
    calls(&time, &one, 1).await;
    calls(&time, &derived, 1).await;
    calls(&time, &client(&time, &limit), 1).await;
    let requests: Vec<_> = limit.requests().into_iter().filter(|(_, request)| request.requests > 0).collect();
    assert_eq!(requests[0].1.client, requests[1].1.client);
    assert_ne!(requests[0].1.client, requests[2].1.client);
    assert_eq!(requests[0].1.organization, requests[2].1.organization);
    let text = format!("{requests:?}");
    assert!(!text.contains(time.simulator().api_key()) && !text.contains(time.simulator().url()));
    assert_eq!(requests[0].1.organization.len(), 64);
}

#[tokio::test]
async fn submissions_are_leased_separately_and_their_completion_is_reported() {
    let time = time(100).await;
    let limit = FakeLimit::new(&time, 100, Behaviour::Works);
    let client = client(&time, &limit);
    let submit = async {
        for _ in 0..3 {
            submit(&client).await.unwrap();
        }
        time.sleep(SECOND).await;
    };
    within_an_hour(&time, submit).await.unwrap();
    let requests = limit.requests();
    assert_eq!(requests.iter().map(|(_, request)| request.submissions).sum::<u32>(), 3);
    assert_eq!(requests.iter().map(|(_, request)| request.submissions_ended).sum::<u32>(), 3);
    assert_eq!(requests.iter().map(|(_, request)| request.requests).sum::<u32>(), 0);
}

#[tokio::test]
async fn the_permit_of_a_dropped_call_is_reused_by_the_next_call() {
    let time = time(100).await;
    let limit = FakeLimit::new(&time, 100, Behaviour::Slow(SECOND / 20));
    let client = client(&time, &limit);
    time.run(async {
        let mut dropped = Box::pin(client.credits().balance().into_future());
        while limit.requests().is_empty() {
            assert!(poll_once(dropped.as_mut()).await.is_pending());
            tokio::task::yield_now().await;
        }
        drop(dropped);
        time.sleep(2 * SECOND).await;
    })
    .await;
    assert_eq!((limit.leased(), time.simulator().request_count(), limit.requests().len()), (1, 0, 1));
    assert_eq!(calls(&time, &client, 1).await.0, 1);
    assert_eq!(limit.leased(), 1);
}

#[tokio::test]
async fn a_fail_fast_call_waits_for_a_lease_but_not_for_a_window() {
    let time = time(100).await;
    let limit = FakeLimit::new(&time, 2, Behaviour::Slow(Duration::from_millis(100)));
    let client = time.builder().rate_limit_mode(RateLimitMode::FailFast).shared_rate_limit(limit.clone());
    let client = client.build().unwrap();
    assert_eq!(calls(&time, &client, 3).await.0, 2);
    let before = time.passed();
    let error = within_an_hour(&time, client.credits().balance().into_future()).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    // A pending lease may report the new window.
    assert!(time.passed_since(before) <= Duration::from_millis(250));
    assert!(error.retry_after().is_some_and(|wait| wait > 50 * SECOND), "{error:?}");
}

#[tokio::test]
async fn a_call_fails_at_once_if_its_permit_would_come_after_max_wait() {
    let time = time(100).await;
    let limit = FakeLimit::new(&time, 2, Behaviour::Works);
    let client = time.builder().max_wait(5 * SECOND).shared_rate_limit(limit).build().unwrap();
    assert_eq!(calls(&time, &client, 3).await, (2, Duration::ZERO));
}

#[tokio::test]
async fn a_429_is_reported_to_the_shared_limit_and_pauses_all_calls() {
    let time = time(10).await;
    // The limit does not know the requests of the other program.
    let limit = FakeLimit::new(&time, 100, Behaviour::TooMuch);
    let client = client(&time, &limit);
    assert_eq!(calls(&time, &client, 30).await.0, 30);
    assert!(limit.requests().iter().any(|(_, request)| request.hold_for.is_some()));
}

#[tokio::test]
async fn random_drops_never_exceed_the_leased_permits_or_lose_a_permit_beyond_its_window() {
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let time = time(10).await;
        let limit = FakeLimit::new(&time, 10, Behaviour::Slow(Duration::from_millis(random.u64(0..200))));
        let client = client(&time, &limit);
        let mut held: Vec<CallFuture<()>> = Vec::new();
        let program = async {
            for _ in 0..random.u8(5..25) {
                match random.u8(0..5) {
                    0 | 1 => {
                        let mut call: CallFuture<()> = match random.u8(0..4) {
                            0 => Box::pin({
                                let client = client.clone();
                                async move { submit(&client).await.map(drop) }
                            }),
                            _ => Box::pin({
                                let call = client.credits().balance();
                                async move { call.await.map(drop) }
                            }),
                        };
                        let _ = poll_once(call.as_mut()).await;
                        held.push(call);
                    }
                    2 => drop(held.pop()),
                    3 if !held.is_empty() => drop(held.swap_remove(random.usize(..held.len())).await),
                    _ => time.sleep(Duration::from_millis(random.u64(0..20_000))).await,
                }
            }
        };
        within_an_hour(&time, program).await.unwrap_or_else(|| panic!("program {seed} hangs"));
        let sent = time.simulator().request_count();
        assert!(sent <= limit.leased() as usize, "program {seed}: {sent} sent, {} leased", limit.leased());
        // Unpolled calls use no permits of later windows except those already granted.
        time.run(time.sleep(3 * MINUTE)).await;
        let (succeeded, took) = calls(&time, &client, 10).await;
        assert_eq!(succeeded, 10);
        assert!(took < MINUTE, "program {seed}: {took:?}");
        assert_eq!(time.simulator().response_count(429), 0, "program {seed}");
    }
}

async fn submit(client: &Client) -> agentgate::Result<agentgate::types::WorkOrderCreated> {
    client.work_orders().create("Fix it", WorkspaceSource::template("python-flask")).await
}

// Failing limits

#[tokio::test]
async fn a_shared_limit_that_fails_delays_no_call() {
    let time = time(100).await;
    for behaviour in [Behaviour::Fails, Behaviour::Panics] {
        let client = client(&time, &FakeLimit::new(&time, 100, behaviour));
        assert_eq!(calls(&time, &client, 10).await, (10, Duration::ZERO), "{behaviour:?}");
    }
}

#[tokio::test]
async fn a_shared_limit_that_hangs_delays_only_the_first_calls_by_its_timeout() {
    let time = time(100).await;
    let limit = FakeLimit::new(&time, 100, Behaviour::Hangs);
    let client = client(&time, &limit);
    assert_eq!(calls(&time, &client, 10).await, (10, Duration::from_millis(250)));
    assert_eq!(calls(&time, &client, 10).await, (10, Duration::ZERO));
}

#[tokio::test]
async fn a_failed_shared_limit_is_retried_with_backoff_until_it_recovers() {
    let time = time(1_000).await;
    let limit = FakeLimit::new(&time, 1_000, Behaviour::Hangs);
    let client = client(&time, &limit);
    let call_each_second = |count| {
        let (client, time) = (client.clone(), time.clone());
        async move {
            for _ in 0..count {
                client.credits().balance().await.unwrap();
                time.sleep(SECOND).await;
            }
        }
    };
    within_an_hour(&time, call_each_second(300)).await.unwrap();
    let tries = limit.requests().len();
    assert!((10..=20).contains(&tries), "{tries}");
    limit.set(Behaviour::Works);
    within_an_hour(&time, call_each_second(40)).await.unwrap();
    assert!(limit.leased() > 5, "{}", limit.leased());
}

#[tokio::test]
async fn a_failing_shared_limit_is_logged_once_until_it_recovers() {
    for behaviour in [Behaviour::Hangs, Behaviour::Fails] {
        let time = time(1_000).await;
        let limit = FakeLimit::new(&time, 1_000, behaviour);
        let client = client(&time, &limit);
        let (logs, _guard) = Logs::capture();
        let calls = async || {
            for _ in 0..40 {
                within_an_hour(&time, client.credits().balance().into_future()).await.unwrap().unwrap();
                time.run(time.sleep(SECOND)).await;
            }
            let all = logs.take().into_iter().filter(|line| line.contains("shared rate limit"));
            all.map(|line| line.split(' ').next().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(calls().await, ["WARN"], "{behaviour:?}");
        limit.set(Behaviour::Works);
        assert_eq!(calls().await, ["INFO"], "{behaviour:?}");
        limit.set(behaviour);
        assert_eq!(calls().await, ["WARN"], "{behaviour:?}");
    }
}

#[tokio::test]
async fn clients_divide_the_window_while_the_shared_limit_fails() {
    let time = time(100).await;
    let limit = FakeLimit::new(&time, 100, Behaviour::Works);
    let clients = [client(&time, &limit), client(&time, &limit)];
    for client in &clients {
        assert_eq!(calls(&time, client, 1).await.0, 1);
    }
    limit.set(Behaviour::Fails);
    time.run(time.sleep(MINUTE)).await;
    // There are two clients, and 100 requests a minute.
    let start = time.passed();
    let all = async {
        let mut tasks = JoinSet::new();
        for client in clients.iter().cycle().take(400) {
            tasks.spawn(client.credits().balance().into_future());
        }
        tasks.join_all().await.iter().all(Result::is_ok)
    };
    assert_eq!(within_an_hour(&time, all).await, Some(true));
    assert!(time.simulator().response_count(429) <= 8, "{}", time.simulator().response_count(429));
    assert!(time.passed_since(start) <= 4 * MINUTE, "{:?}", time.passed_since(start));
    // A single client can use the permits of the other.
    time.run(time.sleep(MINUTE)).await;
    assert_eq!(calls(&time, &clients[0], 98).await, (98, Duration::ZERO));
}

#[tokio::test]
async fn absurd_leases_do_not_hang_calls() {
    for behaviour in [Behaviour::Nothing, Behaviour::NothingForEver, Behaviour::TooMuch, Behaviour::Expired] {
        let time = time(20).await;
        let limit = FakeLimit::new(&time, 20, behaviour);
        let (succeeded, took) = calls(&time, &client(&time, &limit), 30).await;
        println!("{behaviour:?}: {took:?}, {} leases", limit.requests().len());
        assert_eq!(succeeded, 30, "{behaviour:?}");
        assert!(limit.requests().len() < 1_000, "{behaviour:?}: {}", limit.requests().len());
    }
}

#[test]
fn a_runtime_dropped_during_a_lease_does_not_block_calls_of_another() {
    let first = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let second = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let simulator = second.block_on(Simulator::start()).unwrap();
    let builder =
        Client::builder().api_key(simulator.api_key()).base_url(simulator.url()).clock(InstantClock::default());
    let client = builder.shared_rate_limit(Hangs).build().unwrap();
    let mut call = Box::pin(client.credits().balance().into_future());
    first.block_on(async {
        assert!(poll_once(call.as_mut()).await.is_pending());
        tokio::task::yield_now().await;
    });
    // The lease of the first runtime is pending, and nothing polls it.
    second.block_on(client.credits().balance().into_future()).unwrap();
    drop(first);
    second.block_on(client.credits().balance().into_future()).unwrap();
}

#[derive(Debug)]
struct Hangs;

impl SharedRateLimit for Hangs {
    fn lease(&self, _: LeaseRequest) -> LeaseFuture<'_> {
        Box::pin(std::future::pending())
    }
}
