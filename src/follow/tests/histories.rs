//! Properties of every wait, in random histories.
//!
//! Each history is derived from a number, which a failure names. Runs are submitted, some by others, while waits begin,
//! end and are dropped; requests fail, single ones or all for a while; lists lag, omit, repeat and swap runs;
//! deliveries are lost, repeated and late; replicas share them by a faulty channel, and one of them is killed.
//! `AGENTGATE_HISTORIES=10000` tries as many.

use std::collections::HashSet;
use std::future::IntoFuture;
use std::time::Duration;

use super::broadcast::{Channel, Faults, replicas};
use super::deliveries::{at, deliver_by_chance};
use super::model::{Lists, Model, Planned, busiest_minute, failure as failed, undecodable};
use super::{in_simulated_time, seconds};
use crate::clock::Clock;
use crate::follow::Watcher;
use crate::types::{RunId, RunStatus};
use crate::{Error, Operation};

/// The number of histories that are tried by default.
const HISTORIES: u64 = 300;

/// The longest time until the end of a run is found that can be fetched, whatever happens to others. With deliveries,
/// of which any may be lost, polling uses a fifth of its share.
const LATEST: Duration = Duration::from_secs(60);
const LATEST_WITH_DELIVERIES: Duration = Duration::from_secs(5 * 60);

/// A shorter run may start and end between two pages.
const SHORT: Duration = Duration::from_secs(10);

/// The most requests in a minute of one process: its share of the limit, and a burst.
const BUSIEST: usize = 25 + 10;

/// The faults of a history.
#[derive(Clone, Debug)]
struct Conditions {
    lists: Lists,
    latency: Duration,
    /// The runs whose fetches fail.
    broken: HashSet<RunId>,
    failure: FetchFailure,
    /// The start and end of a time in which all requests fail.
    outage: (Duration, Duration),
    has_lists: bool,
    has_deliveries: bool,
    /// The number of replicas, and the faults of their channel. `None` for a single process without a channel.
    channel: Option<(usize, Faults)>,
}

#[derive(Clone, Copy, Debug)]
enum FetchFailure {
    Status(u16),
    Undecodable,
}

impl FetchFailure {
    fn error(self) -> Error {
        match self {
            Self::Status(status) => failed(status).with_retry_after((status == 429).then_some(seconds(900))),
            Self::Undecodable => undecodable("<html>"),
        }
    }
}

impl Conditions {
    fn random(random: &mut fastrand::Rng, runs: &[Planned]) -> Self {
        let lists = match random.u8(0..4) {
            0 => Lists { lag: seconds(random.u64(0..20)), ..Lists::default() },
            1 => Lists { skips: 10, duplicates: 10, swaps: 10, ..Lists::default() },
            _ => Lists::default(),
        };
        let failure = match random.usize(0..8) {
            7 => FetchFailure::Undecodable,
            number => FetchFailure::Status([301, 404, 405, 429, 500, 502, 503][number]),
        };
        let broken = if random.bool() { 0 } else { random.usize(0..4) };
        let outage = seconds(random.u64(0..300));
        let length = if random.u8(0..4) == 0 { seconds(random.u64(0..120)) } else { Duration::ZERO };
        Self {
            lists,
            latency: Duration::from_millis(if random.bool() { 0 } else { random.u64(0..3_000) }),
            broken: runs.iter().take(broken).map(|run| run.id.clone()).collect(),
            failure,
            outage: (outage, outage + length),
            has_lists: random.u8(0..5) > 0,
            has_deliveries: random.bool(),
            channel: random.bool().then(|| (random.usize(1..5), channel_faults(random))),
        }
    }

    fn apply(&self, model: &Model) {
        model.set_lists(self.lists);
        model.set_latency(self.latency);
        let Self { broken, failure, outage, has_lists, .. } = self.clone();
        model.set_fault(move |operation, id, now| {
            let is_broken = id.is_some_and(|id| broken.contains(id));
            let is_list = operation == Operation::LIST_RUNS;
            match (outage.0..outage.1).contains(&now) {
                true => Some(failed(503)),
                false if is_broken || (is_list && !has_lists) => Some(failure.error()),
                false => None,
            }
        });
    }

    fn replicas(&self) -> usize {
        self.channel.map_or(1, |(replicas, _)| replicas)
    }

    /// Returns the time by which the end of a run has to be found that can be fetched.
    fn latest(&self, run: &Planned, began: Duration) -> Duration {
        let ends = run.ends.max(began);
        let latest = if self.has_deliveries { LATEST_WITH_DELIVERIES } else { LATEST };
        let latest = latest * u32::try_from(self.replicas()).unwrap();
        // A run that ends before a page shows it running is found by the rotation.
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

fn channel_faults(random: &mut fastrand::Rng) -> Faults {
    let mut chance = |one_in: u64| [0, one_in, 1][random.usize(0..3)];
    let (lost, repeated, late, forged, replayed) = (chance(3), chance(3), chance(3), chance(2), chance(2));
    let from = seconds(random.u64(0..300));
    let length = if random.bool() { seconds(random.u64(0..300)) } else { Duration::ZERO };
    let away = if random.u8(0..8) == 0 { (Duration::ZERO, Duration::MAX) } else { (from, from + length) };
    Faults { lost, repeated, late, forged, replayed, away, stalls: random.u8(0..8) == 0 }
}

fn plan(number: usize, submitted: Duration, random: &mut fastrand::Rng) -> Planned {
    let starts = submitted + seconds(random.u64(0..60));
    let ends = starts + Duration::from_millis(random.u64(0..240_000));
    let status = ["succeeded", "failed", "cancelled", "expired"][random.usize(0..4)];
    Planned { id: RunId::from(format!("run_{number:03}")), starts, ends, status: RunStatus::from(status) }
}

/// Waits for a run from a random time on, possibly not to its end.
async fn wait(
    number: u64,
    model: Model,
    watcher: Watcher,
    run: Planned,
    conditions: Conditions,
    mut random: fastrand::Rng,
) {
    model.clock.sleep(seconds(random.u64(0..120)).max(run.starts.saturating_sub(seconds(60)))).await;
    let began = model.clock.monotonic();
    let wait = watcher.wait(&run.id).summary_only().into_future();
    if random.u8(0..8) == 0 {
        drop(tokio::time::timeout(seconds(random.u64(0..100)), wait).await);
        return;
    }
    let outcome = wait.await;
    let now = model.clock.monotonic();
    let context = || format!("history {number}, {} of {conditions:?}, from {began:?} to {now:?}", run.id);
    match outcome {
        Ok(finished) => {
            assert_eq!(finished.status(), &run.status, "{}", context());
            assert_eq!(finished.run().id, run.id, "{}", context());
            assert!(now >= run.ends, "ended before the run did: {run:?}, {}", context());
        }
        Err(error) => assert!(conditions.broken.contains(&run.id), "{error}, {}", context()),
    }
    if !conditions.broken.contains(&run.id) {
        let latest = conditions.latest(&run, began);
        assert!(now <= latest, "later than {latest:?}: {run:?}, {}", context());
    }
}

async fn try_history(number: u64) {
    let mut random = fastrand::Rng::with_seed(number);
    let model = Model::new();
    let count = random.usize(1..20);
    let runs: Vec<_> = (0..count).map(|number| plan(number, seconds(random.u64(0..60)), &mut random)).collect();
    let conditions = Conditions::random(&mut random, &runs);
    conditions.apply(&model);
    let channel = conditions.channel.map(|(_, faults)| Channel::new(&model, faults, number));
    let mut watchers = match &channel {
        Some(channel) => replicas(&model, channel, conditions.replicas()),
        None => vec![model.watcher()],
    };
    let others = random.usize(0..300);
    for run in &runs {
        model.submit(run.clone());
        for other in 0..others / count {
            model.submit(Planned { id: RunId::from(format!("{}_{other}", run.id)), ..run.clone() });
        }
    }
    if conditions.has_deliveries {
        deliver_by_chance(&model, &watchers, &mut random);
    }
    let mut waits = Vec::new();
    for run in &runs {
        for _ in 0..random.u8(1..3) {
            let watcher = watchers[random.usize(0..watchers.len())].clone();
            let task = wait(number, model.clone(), watcher, run.clone(), conditions.clone(), random.fork());
            waits.push(tokio::spawn(task));
        }
    }
    if watchers.len() > 1 && random.bool() {
        // One replica has waits that are all dropped at the same time.
        let waits = runs.iter().take(5).map(|run| tokio::spawn(watchers[0].wait(&run.id).into_future()));
        let killed: Vec<_> = waits.collect();
        at(&model, seconds(random.u64(0..300)), move || killed.iter().for_each(tokio::task::JoinHandle::abort));
        drop(watchers.remove(0));
    }
    for wait in waits {
        let outcome = tokio::time::timeout(seconds(3 * 60 * 60), wait).await;
        if let Err(error) = outcome.unwrap_or_else(|_| panic!("history {number}: a wait was lost")) {
            std::panic::resume_unwind(error.into_panic());
        }
    }
    let Some(channel) = channel else {
        assert!(watchers[0].is_empty(), "history {number}");
        let busiest = busiest_minute(&model.requests());
        assert!(busiest <= BUSIEST, "history {number}: {busiest} requests in a minute");
        return;
    };
    // The last deliveries, the killed waits, and the longest delays of the channel.
    tokio::time::sleep(seconds(600)).await;
    assert!(watchers.iter().all(Watcher::is_empty), "history {number}");
    drop(watchers);
    tokio::time::sleep(seconds(600)).await;
    let stalls = conditions.channel.is_some_and(|(_, faults)| faults.stalls);
    assert!(stalls || channel.subscribers() == 0, "history {number}: a task is left");
}

#[test]
fn every_wait_ends_with_its_run_and_soon_after_it() {
    let histories = std::env::var("AGENTGATE_HISTORIES").ok().and_then(|count| count.parse().ok());
    for number in 0..histories.unwrap_or(HISTORIES) {
        in_simulated_time(try_history(number));
    }
}
