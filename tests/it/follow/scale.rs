//! The cost of waiting for many runs, in requests, time and memory: with the client and the simulator. More figures, of
//! more set-ups, are those of the library's own tests in `src/follow/tests`.
//!
//! The figures are printed: `cargo test -p agentgate-tests follow::scale -- --nocapture`.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;

use agentgate::simulator::{RunPlan, SimulatedClock, Simulator};
use agentgate::types::{RunId, RunStatus};
use agentgate::{Client, Clock, RateLimitMode, WorkspaceSource};
use common::deliver::deliver;
use common::time::SimulatedTime;

const RUNS: usize = 10_000;

/// The durations of runs, in seconds.
const LENGTH: std::ops::Range<u64> = 2 * 60..15 * 60;

/// A run that was submitted, how it ends, and when.
struct Submitted {
    id: RunId,
    status: RunStatus,
    ends: Duration,
}

/// Submits so many runs, as fast as the organization may. They are pending until all are there, and then start
/// together.
async fn submit(time: &SimulatedTime, runs: usize, random: &mut fastrand::Rng) -> Vec<Submitted> {
    let client = time.builder().rate_limit_mode(RateLimitMode::Off).build().unwrap();
    let source = WorkspaceSource::template("python-flask");
    let mut submitted = Vec::new();
    let start = time.passed() + Duration::from_secs(60) * (2 + u32::try_from(runs / 100).unwrap());
    for number in 0..runs {
        if number % 100 == 99 {
            time.advance(Duration::from_secs(60));
        }
        let length = Duration::from_secs(random.u64(LENGTH));
        let (plan, status) = match random.u8(0..10) {
            0 => (RunPlan::fails("TESTS_FAILED", "no"), RunStatus::Failed),
            _ => (RunPlan::succeeds(), RunStatus::Succeeded),
        };
        time.simulator().next_run(plan.pending(start.checked_sub(time.passed()).unwrap()).running(length));
        let id = client.work_orders().create("Fix it", source.clone()).await.unwrap().run_id;
        submitted.push(Submitted { id, status, ends: start + length });
    }
    time.advance(start.checked_sub(time.passed()).unwrap());
    time.simulator().clear_requests();
    submitted
}

/// The figures of the waits.
#[derive(Debug)]
struct Figures {
    requests: usize,
    refused: usize,
    minutes: u64,
    /// The most requests in any minute.
    busiest: usize,
    median: Duration,
    last_percent: Duration,
}

/// Waits for all runs at once, and checks each result.
async fn follow(time: &SimulatedTime, client: &Client, submitted: Vec<Submitted>) -> Figures {
    let began = time.passed();
    let waits: Vec<_> = submitted
        .iter()
        .map(|run| {
            let (wait, time) = (client.runs().wait(&run.id).summary_only(), time.clone());
            tokio::spawn(async move { (wait.await, time.passed()) })
        })
        .collect();
    let mut ends: Vec<_> = submitted.iter().map(|run| run.ends).collect();
    ends.sort_unstable();
    let mut late = Vec::new();
    let busiest = Arc::new(Mutex::new(0));
    // Time stops at the end of each run and of each minute, so that what is noticed at once is seen to be.
    let stops = {
        let (time, busiest) = (time.clone(), Arc::clone(&busiest));
        tokio::spawn(async move {
            let (mut minute, mut before) = (time.passed() + Duration::from_secs(60), 0);
            for end in ends {
                while minute < end {
                    time.sleep(minute.saturating_sub(time.passed())).await;
                    let count = time.simulator().request_count();
                    let mut busiest = busiest.lock().unwrap();
                    *busiest = (count - before).max(*busiest);
                    (before, minute) = (count, minute + Duration::from_secs(60));
                }
                time.sleep(end.saturating_sub(time.passed())).await;
            }
        })
    };
    time.run(async {
        for (wait, run) in waits.into_iter().zip(submitted) {
            let (finished, noticed) = wait.await.unwrap();
            assert_eq!(finished.unwrap().status(), &run.status, "{}", run.id);
            late.push(noticed.checked_sub(run.ends).expect("no run ends before it does"));
        }
    })
    .await;
    stops.abort();
    late.sort_unstable();
    let busiest = *busiest.lock().unwrap();
    Figures {
        requests: time.simulator().request_count(),
        refused: time.simulator().response_count(429),
        minutes: time.passed_since(began).as_secs() / 60,
        busiest,
        median: late[late.len() / 2],
        last_percent: late[late.len() * 99 / 100],
    }
}

async fn start() -> SimulatedTime {
    let simulator = Simulator::builder()
        .clock(SimulatedClock::Manual)
        .submission_limit(1_000_000)
        .concurrent_runs(1_000_000)
        .price(0)
        .record_requests(false);
    SimulatedTime::start(simulator).await
}

#[tokio::test]
async fn ten_thousand_waits_end_as_their_runs_do_within_half_of_the_budget() {
    let time = start().await;
    let mut random = fastrand::Rng::with_seed(7);
    let submitted = submit(&time, RUNS, &mut random).await;
    let client = time.client();
    drop(client.runs().watcher().share(0.5));
    let figures = follow(&time, &client, submitted).await;
    println!("by polling: {figures:?}");
    assert_eq!(figures.refused, 0);
    // Requests that were not sent before may be sent at once.
    assert!(figures.busiest <= 50 + 20, "{figures:?}");
    assert!(figures.requests as u64 <= 50 * (figures.minutes + 1), "{figures:?}");
    assert!(figures.median <= Duration::from_secs(75), "{figures:?}");
    assert!(figures.last_percent <= Duration::from_secs(200), "{figures:?}");
}

/// Ten workers, as many as the organization may have runs, each of which submits a work order when its last run has
/// ended.
#[tokio::test]
async fn waits_end_within_seconds_as_the_organization_runs_ten_at_a_time() {
    let simulator = Simulator::builder().clock(SimulatedClock::Manual).price(0).record_requests(false);
    let time = SimulatedTime::start(simulator).await;
    let client = time.client();
    let workers: Vec<_> = (0..10)
        .map(|number| {
            let (client, time) = (client.clone(), time.clone());
            let mut random = fastrand::Rng::with_seed(number);
            tokio::spawn(async move {
                let mut late = Vec::new();
                for _ in 0..5 {
                    let length = Duration::from_secs(random.u64(LENGTH));
                    time.simulator().next_run(RunPlan::succeeds().pending(Duration::from_secs(5)).running(length));
                    let order = client.work_orders().create("Fix it", WorkspaceSource::template("python-flask"));
                    let run = order.and_wait().summary_only().await.unwrap().into_run();
                    late.push((time.now() - run.timing.unwrap().completed_at.unwrap()).to_std().unwrap());
                }
                late
            })
        })
        .collect();
    let mut late = Vec::new();
    time.run(async {
        for worker in workers {
            late.extend(worker.await.unwrap());
        }
    })
    .await;
    late.sort_unstable();
    let minutes = time.passed().as_secs_f64() / 60.0;
    let each_minute = f64::from(u32::try_from(time.simulator().request_count() - late.len()).unwrap()) / minutes;
    let (median, most) = (late[late.len() / 2], late[late.len() - 1]);
    println!("ten at a time: {each_minute:.1} requests a minute, {median:?} late, {most:?} at most");
    assert!(each_minute <= 25.0);
    assert!(median <= Duration::from_secs(3) && most <= Duration::from_secs(10));
}

/// A program without this crate fetches each run every five seconds, within the rate limit.
#[tokio::test]
async fn a_loop_of_fetches_uses_the_whole_limit_for_a_hundred_runs() {
    let time = start().await;
    let mut random = fastrand::Rng::with_seed(7);
    let submitted = submit(&time, 100, &mut random).await;
    let client = time.client();
    let waits: Vec<_> = submitted
        .iter()
        .map(|run| {
            let (client, time, id) = (client.clone(), time.clone(), run.id.clone());
            tokio::spawn(async move {
                while !client.runs().get(&id).max_retries(99).await.unwrap().is_terminal() {
                    time.sleep(Duration::from_secs(5)).await;
                }
                time.passed()
            })
        })
        .collect();
    let mut late = Vec::new();
    let began = time.passed();
    time.run(async {
        for (wait, run) in waits.into_iter().zip(&submitted) {
            late.push(wait.await.unwrap().saturating_sub(run.ends));
        }
    })
    .await;
    late.sort_unstable();
    let (requests, minutes) = (time.simulator().request_count(), time.passed_since(began).as_secs() / 60);
    println!("a hundred runs by the naive loop: {requests} requests in {minutes} minutes, {:?} late", late[50]);
    let helped = {
        let time = start().await;
        let submitted = submit(&time, 100, &mut fastrand::Rng::with_seed(7)).await;
        follow(&time, &time.client(), submitted).await
    };
    println!("a hundred runs by waits: {helped:?}");
    assert!(requests > 3 * helped.requests, "{requests} and {}", helped.requests);
    assert!(late[50] > 5 * helped.median, "{:?} and {:?}", late[50], helped.median);
}

#[tokio::test]
async fn ten_thousand_waits_hardly_poll_while_deliveries_arrive() {
    let time = start().await;
    let client = time.client();
    deliver(&time, &client).await;
    let mut random = fastrand::Rng::with_seed(7);
    let submitted = submit(&time, RUNS, &mut random).await;
    time.simulator().settle().await;
    let figures = follow(&time, &client, submitted).await;
    println!("with deliveries: {figures:?}");
    assert!(figures.median < Duration::from_secs(1), "{figures:?}");
    // A quarter of the limit until the first end is delivered, and a twentieth from then on.
    assert!(figures.requests as u64 <= 25 * 3 + 5 * (figures.minutes - 2), "{figures:?}");
}

#[tokio::test]
async fn a_waiter_takes_little_memory() {
    let time = start().await;
    let client = time.client();
    let ids: Vec<_> = (0..RUNS).map(|number| RunId::from(format!("run_{number:06}"))).collect();
    let mut waits: Vec<Pin<Box<dyn Future<Output = _> + Send>>> = Vec::with_capacity(RUNS);
    let measured = allocation_counter::measure(|| {
        for id in &ids {
            let mut wait = client.runs().wait(id).summary_only().into_future();
            assert!(wait.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            waits.push(wait);
        }
    });
    let each = measured.bytes_current / i64::try_from(RUNS).unwrap();
    println!("{each} bytes for each waiter");
    assert!(each < 4096, "{each} bytes");
    assert_eq!(client.runs().watcher().len(), RUNS);
    drop(waits);
    assert!(client.runs().watcher().is_empty());
}
