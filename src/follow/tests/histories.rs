//! Properties of every wait, over random histories.
//!
//! Each history is made by chance from a number, which a failure names. Runs are submitted, some by others, while waits begin, end and
//! are dropped; requests fail, single ones or all for a while; lists lag, leave runs out, repeat and swap them; deliveries are
//! lost, repeated and late. `AGENTGATE_HISTORIES=10000` tries as many.

use std::collections::HashSet;
use std::future::IntoFuture;
use std::time::Duration;

use super::model::{Lists, Model, Planned, busiest_minute, failure, undecodable};
use super::{deliveries, in_simulated_time, seconds};
use crate::clock::Clock;
use crate::follow::Watcher;
use crate::types::{RunId, RunStatus};
use crate::{Error, Operation};

/// Number of histories that are tried by default.
const HISTORIES: u64 = 200;

/// A run in whose way nothing stands is noticed to have ended within this, whatever becomes of others. With deliveries, of which any
/// may be lost, polling has a fifth of its share.
const LATEST: Duration = Duration::from_secs(60);
const LATEST_WITH_DELIVERIES: Duration = Duration::from_secs(5 * 60);

/// Such a run may be over between two pages.
const SHORT: Duration = Duration::from_secs(10);

/// A share of the limit, and what may come at once: a first look, or what was on the pages before.
const BUSIEST: usize = 25 + 10;

/// The faults of a history.
#[derive(Clone, Debug)]
struct Trouble {
    lists: Lists,
    latency: Duration,
    /// Runs whose fetches fail, and in which way.
    broken: HashSet<RunId>,
    way: Way,
    /// No request succeeds from then to then.
    outage: (Duration, Duration),
    has_lists: bool,
    has_deliveries: bool,
}

#[derive(Clone, Copy, Debug)]
enum Way {
    Status(u16),
    Undecodable,
}

impl Way {
    fn error(self) -> Error {
        match self {
            Self::Status(status) => failure(status).with_retry_after((status == 429).then_some(seconds(900))),
            Self::Undecodable => undecodable("<html>"),
        }
    }
}

impl Trouble {
    fn by_chance(random: &mut fastrand::Rng, runs: &[Planned]) -> Self {
        let lists = match random.u8(0..4) {
            0 => Lists { lag: seconds(random.u64(0..20)), ..Lists::default() },
            1 => Lists { skips: 10, duplicates: 10, swaps: 10, ..Lists::default() },
            _ => Lists::default(),
        };
        let way = match random.usize(0..8) {
            7 => Way::Undecodable,
            number => Way::Status([301, 404, 405, 429, 500, 502, 503][number]),
        };
        let broken = if random.bool() { 0 } else { random.usize(0..4) };
        let outage = seconds(random.u64(0..300));
        let length = if random.u8(0..4) == 0 { seconds(random.u64(0..120)) } else { Duration::ZERO };
        Self {
            lists,
            latency: Duration::from_millis(if random.bool() { 0 } else { random.u64(0..3_000) }),
            broken: runs.iter().take(broken).map(|run| run.id.clone()).collect(),
            way,
            outage: (outage, outage + length),
            has_lists: random.u8(0..5) > 0,
            has_deliveries: random.bool(),
        }
    }

    fn apply(&self, model: &Model) {
        model.set_lists(self.lists);
        model.set_latency(self.latency);
        let Self { broken, way, outage, has_lists, .. } = self.clone();
        model.set_fault(move |operation, id, now| {
            let is_broken = id.is_some_and(|id| broken.contains(id));
            let is_list = operation == Operation::LIST_RUNS;
            match (outage.0..outage.1).contains(&now) {
                true => Some(failure(503)),
                false if is_broken || (is_list && !has_lists) => Some(way.error()),
                false => None,
            }
        });
    }

    /// By when the end of a run has to be noticed that can be fetched.
    fn latest(&self, run: &Planned, began: Duration) -> Duration {
        let ends = run.ends.max(began);
        let latest = if self.has_deliveries { LATEST_WITH_DELIVERIES } else { LATEST };
        // One that is over before a page shows it running is found by those of the pending runs, which take turns with others.
        let latest = if run.ends < run.starts + SHORT { 2 * latest } else { latest };
        let (from, to) = self.outage;
        let is_affected = from < to && ends < to + latest;
        // After an outage, the delay after the last failure may have just begun.
        let ends = if is_affected { ends.max(to) + LATEST } else { ends };
        // Runs that lists leave out are fetched in rotation.
        let rotation = if self.lists.skips > 0 { 3 * LATEST } else { Duration::ZERO };
        ends + latest + rotation + self.lists.lag + 4 * self.latency
    }
}

fn plan(number: usize, submitted: Duration, random: &mut fastrand::Rng) -> Planned {
    let starts = submitted + seconds(random.u64(0..60));
    let ends = starts + Duration::from_millis(random.u64(0..240_000));
    let status = ["succeeded", "failed", "cancelled", "expired"][random.usize(0..4)];
    Planned { id: RunId::from(format!("run_{number:03}")), starts, ends, status: RunStatus::from(status) }
}

/// Waits for a run from some time on, perhaps not to the end.
async fn wait(number: u64, model: Model, watcher: Watcher, run: Planned, trouble: Trouble, mut random: fastrand::Rng) {
    model.clock.sleep(seconds(random.u64(0..120)).max(run.starts.saturating_sub(seconds(60)))).await;
    let began = model.clock.monotonic();
    let wait = watcher.wait(&run.id).summary_only().into_future();
    if random.u8(0..8) == 0 {
        drop(tokio::time::timeout(seconds(random.u64(0..100)), wait).await);
        return;
    }
    let outcome = wait.await;
    let now = model.clock.monotonic();
    let context = || format!("history {number}, {} of {trouble:?}, from {began:?} to {now:?}", run.id);
    match outcome {
        Ok(finished) => {
            assert_eq!(finished.status(), &run.status, "{}", context());
            assert_eq!(finished.run().id, run.id, "{}", context());
            assert!(now >= run.ends, "ended before the run did: {run:?}, {}", context());
        }
        Err(error) => assert!(trouble.broken.contains(&run.id), "{error}, {}", context()),
    }
    if !trouble.broken.contains(&run.id) {
        let latest = trouble.latest(&run, began);
        assert!(now <= latest, "later than {latest:?}: {run:?}, {}", context());
    }
}

async fn try_history(number: u64) {
    let mut random = fastrand::Rng::with_seed(number);
    let model = Model::new();
    let watcher = model.watcher();
    let count = random.usize(1..20);
    let runs: Vec<_> = (0..count).map(|number| plan(number, seconds(random.u64(0..60)), &mut random)).collect();
    let trouble = Trouble::by_chance(&mut random, &runs);
    trouble.apply(&model);
    let others = random.usize(0..300);
    for run in &runs {
        model.submit(run.clone());
        for other in 0..others / count {
            model.submit(Planned { id: RunId::from(format!("{}_{other}", run.id)), ..run.clone() });
        }
    }
    if trouble.has_deliveries {
        deliveries::deliver_by_chance(&model, &watcher, &mut random);
    }
    let mut waits = Vec::new();
    for run in &runs {
        for _ in 0..random.u8(1..3) {
            let task = wait(number, model.clone(), watcher.clone(), run.clone(), trouble.clone(), random.fork());
            waits.push(tokio::spawn(task));
        }
    }
    for wait in waits {
        let outcome = tokio::time::timeout(seconds(3 * 60 * 60), wait).await;
        match outcome.unwrap_or_else(|_| panic!("history {number}: a wait was lost")) {
            Ok(()) => {}
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
    assert!(watcher.is_empty(), "history {number}");
    let busiest = busiest_minute(&model.requests());
    assert!(busiest <= BUSIEST, "history {number}: {busiest} requests in a minute");
}

#[test]
fn every_wait_ends_once_as_its_run_did_and_soon_after_whatever_becomes_of_others() {
    let histories = std::env::var("AGENTGATE_HISTORIES").ok().and_then(|count| count.parse().ok());
    for number in 0..histories.unwrap_or(HISTORIES) {
        in_simulated_time(try_history(number));
    }
}
