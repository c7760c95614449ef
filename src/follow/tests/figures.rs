//! The cost of waiting, in requests and in time: the first table of the module's documentation.
//!
//! The figures are printed: `cargo test -p agentgate --lib follow::tests::figures -- --nocapture`.

use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde::Deserialize as _;
use serde_json::json;

use super::model::{Lateness, Model, busiest_minute, failure, wait_for_all};
use super::{in_simulated_time, seconds};
use crate::clock::Clock;
use crate::follow::{BroadcastKey, FollowState, PAGE_SIZE, RunFollower, RunSource, SourceFuture, Watcher};
use crate::test_util::TokioClock;
use crate::types::{Run, RunId, RunPage, RunStatus};
use crate::webhook::Event;
use crate::{RateLimit, Response, Result};

/// A row of the table: running runs, awaited runs and the share; the limits of the delays in seconds, and of the
/// requests a minute.
struct Row {
    lanes: usize,
    runs: usize,
    share: f64,
    median: u64,
    last_percent: u64,
    requests: f64,
}

const fn row(lanes: usize, runs: usize, share: f64, median: u64, last_percent: u64, requests: f64) -> Row {
    Row { lanes, runs, share, median, last_percent, requests }
}

const ROWS: [Row; 6] = [
    row(1, 1, 0.25, 3, 6, 25.0),
    row(3, 9, 0.25, 3, 6, 25.0),
    row(10, 100, 0.25, 3, 8, 25.0),
    row(10, 1_000, 0.25, 3, 10, 25.0),
    row(100, 1_000, 0.25, 5, 15, 30.0),
    row(10_000, 10_000, 0.5, 75, 200, 50.0),
];

#[test]
fn waits_end_soon_after_their_runs_and_stay_within_the_share() {
    println!("{:>15} {:>10} {:>8} {:>8} {:>8} {:>8}", "at a time", "a minute", "busiest", "median", "90 %", "99 %");
    for row in ROWS {
        in_simulated_time(async {
            let mut random = fastrand::Rng::with_seed(7);
            let model = Model::with_lanes(row.lanes, row.runs, &mut random);
            let watcher = model.watcher().share(row.share);
            let late = wait_for_all(&model, &[watcher]).await;
            let each_minute = model.requests_a_minute();
            let busiest = busiest_minute(&model.requests());
            println!(
                "{:>15} {:>10.1} {:>8} {:>7.1}s {:>7.1}s {:>7.1}s",
                format!("{} / {}", row.lanes, row.runs),
                each_minute,
                busiest,
                late.part(50).as_secs_f64(),
                late.part(90).as_secs_f64(),
                late.part(99).as_secs_f64(),
            );
            assert!(late.part(50) <= seconds(row.median), "{} / {}", row.lanes, row.runs);
            assert!(late.part(99) <= seconds(row.last_percent), "{} / {}", row.lanes, row.runs);
            assert!(each_minute <= row.requests, "{} / {}", row.lanes, row.runs);
            let most = 100.0 * row.share * 1.4;
            assert!(f64::from(u32::try_from(busiest).unwrap()) <= most, "{busiest} requests in a minute");
        });
    }
}

/// A program without this crate fetches each run every five seconds, within the rate limit.
#[test]
fn a_loop_of_fetches_is_late_with_ten_runs() {
    for (lanes, runs, most_late) in [(1, 1, 5), (3, 9, 8), (10, 100, 60), (10, 1_000, 600), (100, 1_000, 600)] {
        in_simulated_time(async {
            let model = Model::with_lanes(lanes, runs, &mut fastrand::Rng::with_seed(7));
            let late = poll_naively(&model).await;
            let each_minute = model.requests_a_minute();
            let [median, last_percent] = [50, 99].map(|part| late.part(part).as_secs_f64());
            println!(
                "a loop, {lanes} / {runs}: {each_minute:.1} requests a minute, {median:.1} s late, {last_percent:.1} s"
            );
            assert!(late.part(50) <= seconds(most_late));
        });
    }
}

/// Fetches each run every five seconds. When the limit is used up, waits for the next minute.
async fn poll_naively(model: &Model) -> Lateness {
    let loops: Vec<_> = model
        .runs()
        .into_iter()
        .map(|run| {
            let model = model.clone();
            tokio::spawn(async move {
                loop {
                    let left = model.rate_limit().and_then(|limit| limit.remaining);
                    if left == Some(0) {
                        let into_minute = model.clock.monotonic().as_millis() % 60_000;
                        tokio::time::sleep(Duration::from_millis(60_000 - u64::try_from(into_minute).unwrap())).await;
                        continue;
                    }
                    if model.run(&run.id).await.unwrap().value().is_terminal() {
                        return model.clock.monotonic().checked_sub(run.ends).unwrap();
                    }
                    tokio::time::sleep(seconds(5)).await;
                }
            })
        })
        .collect();
    let mut late = Vec::new();
    for polled in loops {
        late.push(polled.await.unwrap());
    }
    Lateness::new(late)
}

// CPU

/// The number of runs that an organization may run at a time.
const RUNNING: usize = 10;

/// A source of which the first runs are running for ever, and the others are pending. It counts its requests.
#[derive(Clone)]
struct Steady {
    running: RunPage,
    pending: RunPage,
    requests: Arc<AtomicU32>,
}

impl Steady {
    fn new(runs: usize) -> Self {
        let page = |numbers: std::ops::Range<usize>, status: RunStatus| {
            let run = |number| json!({ "id": numbered(number), "workOrderId": "wo_1", "status": status });
            let data: Vec<_> = numbers.clone().take(PAGE_SIZE as usize).map(run).collect();
            RunPage::deserialize(json!({ "data": data, "total": numbers.len() })).unwrap()
        };
        let (running, pending) = (page(0..RUNNING, RunStatus::Running), page(RUNNING..runs, RunStatus::Pending));
        Self { running, pending, requests: Arc::default() }
    }
}

fn numbered(number: usize) -> RunId {
    format!("run_{number:06}").into()
}

impl RunSource for Steady {
    fn page(&self, status: Option<RunStatus>, _: u32) -> SourceFuture<Response<RunPage>> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let page = if status == Some(RunStatus::Running) { &self.running } else { &self.pending };
        let response = Response::of_value(page.clone());
        Box::pin(async move { Ok(response) })
    }

    fn run(&self, id: &RunId) -> SourceFuture<Response<Run>> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let run = json!({ "id": id, "workOrderId": "wo_1", "status": "pending" });
        Box::pin(async move { Ok(Response::of_value(Run::deserialize(run).unwrap())) })
    }

    fn cancel(&self, _: &RunId) -> SourceFuture<()> {
        Box::pin(async { Err(failure(405)) })
    }

    fn rate_limit(&self) -> Option<RateLimit> {
        None
    }

    fn broadcast_key(&self) -> BroadcastKey {
        BroadcastKey::new(b"org_live_test", "https://agentgate.example")
    }
}

/// Returns the CPU time of a wait that a delivery ends, and of a request and its response, with this number of waits.
fn cost(waits: usize) -> [Duration; 2] {
    const REQUESTS: u32 = 500;
    in_simulated_time(async {
        let (source, clock) = (Steady::new(waits), TokioClock::new());
        let follow = Arc::new(FollowState::new(Arc::new(clock)));
        let watcher = Watcher::new(RunFollower::new(&follow, source.clone())).share(1.0);
        let mut tasks = Vec::new();
        let mut each = Duration::ZERO;
        for number in 0..waits {
            let status = if number < RUNNING { RunStatus::Running } else { RunStatus::Pending };
            follow.apply_status(&numbered(number), &status);
            let began = Instant::now();
            tasks.push(tokio::spawn(watcher.wait(numbered(number)).summary_only().into_future()));
            while watcher.len() <= number && number % 1_000 == 999 {
                tokio::task::yield_now().await;
            }
            each += began.elapsed();
        }
        tokio::time::sleep(seconds(1)).await;
        let requests = || source.requests.load(Ordering::Relaxed);
        let (began, before) = (Instant::now(), requests());
        while requests() < before + REQUESTS {
            tokio::time::sleep(seconds(1)).await;
        }
        let request = began.elapsed() / REQUESTS;
        let data = |number| json!({ "runId": numbered(number), "workOrderId": "wo_1", "status": "succeeded" });
        let events: Vec<_> = (0..waits)
            .map(|number| json!({ "id": "evt_1", "type": "run.completed", "data": data(number) }))
            .map(|event| Event::from_json(event).unwrap())
            .collect();
        let began = Instant::now();
        for event in &events {
            watcher.notify(event);
        }
        for task in tasks {
            let _: Result<_> = task.await.unwrap();
        }
        each += began.elapsed();
        [each / u32::try_from(waits).unwrap(), request]
    })
}

#[test]
#[ignore = "it measures"]
fn the_cost_of_a_wait_and_of_a_request_does_not_grow_with_the_number_of_waits() {
    println!("{:>8} {:>10} {:>10}", "waits", "a wait", "a request");
    let costs = [100, 1_000, 10_000, 100_000].map(|waits| {
        let costs = [(); 3].map(|()| cost(waits));
        let best = [0, 1].map(|which| costs.iter().map(|cost| cost[which]).min().unwrap_or_default());
        println!("{waits:>8} {:>10.1?} {:>10.1?}", best[0], best[1]);
        best
    });
    for which in [0, 1] {
        assert!(costs[2][which] <= 2 * costs[0][which], "{:?} and {:?}", costs[0], costs[2]);
    }
}
