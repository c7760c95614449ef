//! Properties of every wait, whatever happens to runs, pages, polls and deliveries.
//!
//! Each case is made by chance from a number, which a failure names. Runs are submitted, some by others, while waits
//! begin and end; polls fail, deliveries are lost, doubled and turned round; and time passes by itself.

use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use agentgate::simulator::{DeliveryOrder, Fault, RunPlan, Simulator};
use agentgate::types::{RunId, RunStatus};
use agentgate::{Client, Clock, RateLimitMode, WorkspaceSource};
use common::deliver::deliver;
use common::time::SimulatedTime;

/// The number of cases.
const CASES: u64 = 20;

/// Longer than the longest run, with all that goes wrong.
const LATEST: Duration = Duration::from_secs(3 * 60 * 60);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A run, how it ends, and when.
struct Planned {
    id: RunId,
    status: RunStatus,
    ends: Duration,
}

/// Submits a run that ends by chance in one way or another.
async fn submit(time: &SimulatedTime, client: &Client, random: &mut fastrand::Rng) -> Planned {
    let (pending, running) = (seconds(random.u64(0..60)), seconds(random.u64(0..1200)));
    let (plan, status) = match random.u8(0..4) {
        0 => (RunPlan::fails("TESTS_FAILED", "no"), RunStatus::Failed),
        _ => (RunPlan::succeeds(), RunStatus::Succeeded),
    };
    time.simulator().next_run(plan.pending(pending).running(running));
    let source = WorkspaceSource::template("python-flask");
    let id = client.work_orders().create("Fix it", source).repeatable().max_retries(99).await.unwrap().run_id;
    Planned { id, status, ends: time.passed() + pending + running }
}

/// Something goes wrong.
fn trouble(simulator: &Simulator, random: &mut fastrand::Rng) {
    let polls = ["getRun", "listRuns"];
    let poll = polls[random.usize(0..2)];
    match random.u8(0..9) {
        0 => simulator.inject(Fault::error("RATE_LIMITED").on(poll).times(random.u32(1..3))),
        1 => simulator.inject(Fault::error("INTERNAL_ERROR").on(poll).times(random.u32(1..6))),
        2 => simulator.inject(Fault::response(502, "text/html", "<html>").on(poll).times(random.u32(1..6))),
        3 => simulator.inject(Fault::response(200, "application/json", "{\"data\": 7").on(poll)),
        4 => simulator.lose_deliveries(random.u32(1..20)),
        5 => simulator.duplicate_deliveries(random.u32(0..3)),
        6 => simulator.hold_deliveries(),
        7 => simulator.release_deliveries(DeliveryOrder::Reversed),
        _ => simulator.release_deliveries(DeliveryOrder::Shuffled(random.u64(..))),
    }
}

async fn try_case(number: u64) {
    let mut random = fastrand::Rng::with_seed(number);
    let builder = Simulator::builder().submission_limit(1_000_000).concurrent_runs(1_000_000).price(0);
    let time = SimulatedTime::start(builder.record_requests(false)).await;
    let others = time.builder().rate_limit_mode(RateLimitMode::Off).build().unwrap();
    let client = time.client();
    if random.bool() {
        deliver(&time, &client).await;
    }
    let completed = Arc::new(AtomicUsize::new(0));
    let mut waits = Vec::new();
    let in_all = random.usize(1..40);
    time.run(async {
        for _ in 0..in_all {
            let planned = submit(&time, &others, &mut random).await;
            for _ in 0..random.u8(0..4) {
                // Somebody else's, which moves the pages.
                submit(&time, &others, &mut random).await;
            }
            for _ in 0..random.u8(0..3) {
                let mut wait = client.runs().wait(&planned.id).timeout(LATEST);
                if random.bool() {
                    wait = wait.summary_only();
                }
                let (time, completed) = (time.clone(), Arc::clone(&completed));
                let (status, ends, id) = (planned.status.clone(), planned.ends, planned.id.clone());
                waits.push(tokio::spawn(async move {
                    let finished = wait.await.unwrap_or_else(|error| panic!("case {number}: {error}"));
                    assert_eq!(finished.status(), &status, "case {number}: {id}");
                    assert_eq!(finished.run().id, id, "case {number}");
                    assert!(time.passed() >= ends, "case {number}: {id} was told to have ended before it had");
                    completed.fetch_add(1, Ordering::Relaxed);
                }));
            }
            if random.u8(0..3) == 0 {
                // A wait that is given up.
                drop(tokio::time::timeout(Duration::ZERO, client.runs().wait(&planned.id).into_future()).await);
            }
            trouble(time.simulator(), &mut random);
            time.sleep(seconds(random.u64(0..40))).await;
        }
        time.simulator().lose_deliveries(0);
        time.simulator().release_deliveries(DeliveryOrder::AsHappened);
        let waiting = waits.len();
        for wait in waits {
            if let Err(error) = wait.await {
                std::panic::resume_unwind(error.into_panic());
            }
        }
        assert_eq!(completed.load(Ordering::Relaxed), waiting, "case {number}");
        assert!(client.runs().watcher().is_empty(), "case {number}");
    })
    .await;
}

#[tokio::test]
async fn every_wait_ends_once_and_as_its_run_did() {
    for number in 0..CASES {
        try_case(number).await;
    }
}
