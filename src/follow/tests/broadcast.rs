//! Deliveries that replicas share, by a channel that loses, repeats, delays, reorders and forges messages, or is away.
//!
//! The figures are printed: `cargo test -p agentgate --lib follow::tests::broadcast -- --nocapture`.

use std::future::{IntoFuture, pending};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::mpsc;

use super::deliveries::{ENDS, at, end_of, event, notify_at};
use super::model::{Lateness, Model, Planned, wait_for_all};
use super::{in_simulated_time, seconds};
use crate::clock::Clock;
use crate::follow::{Broadcast, BroadcastError, BroadcastFuture, BroadcastKey, BroadcastSubscription, Watcher};
use crate::test_util::TokioClock;
use crate::types::{RunId, RunStatus};

/// The faults of a channel. One message in so many is affected; none if 0.
#[derive(Clone, Copy, Debug, Default)]
struct Faults {
    lost: u64,
    repeated: u64,
    late: u64,
    /// Changed on the way, or made with another key.
    forged: u64,
    /// One of the earlier messages comes again with it.
    replayed: u64,
    /// It is away from then to then: nothing is published, and subscriptions end.
    away: (Duration, Duration),
    /// It takes no message, and does not say so.
    stalls: bool,
}

#[derive(Default)]
struct State {
    subscribers: Vec<mpsc::UnboundedSender<Vec<u8>>>,
    messages: Vec<Vec<u8>>,
    random: fastrand::Rng,
}

/// A channel in memory.
#[derive(Clone)]
struct Channel {
    clock: TokioClock,
    faults: Faults,
    state: Arc<Mutex<State>>,
}

impl Channel {
    fn new(model: &Model, faults: Faults, seed: u64) -> Self {
        let state = State { random: fastrand::Rng::with_seed(seed), ..State::default() };
        Self { clock: model.clock, faults, state: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn is_away(&self) -> bool {
        let (from, to) = self.faults.away;
        (from..to).contains(&self.clock.monotonic())
    }

    /// The subscribers that are there.
    fn subscribers(&self) -> usize {
        let mut state = self.state();
        state.subscribers.retain(|subscriber| !subscriber.is_closed());
        state.subscribers.len()
    }

    fn deliver(&self, message: &[u8]) {
        let mut state = self.state();
        let Faults { lost, repeated, late, forged, replayed, .. } = self.faults;
        let mut happens = |one_in: u64| one_in > 0 && state.random.u64(0..one_in) == 0;
        let faults = [lost, repeated, late, forged, replayed].map(&mut happens);
        let [is_lost, is_repeated, is_late, is_forged, is_replayed] = faults;
        state.messages.push(message.to_vec());
        let mut messages = vec![message.to_vec(); if is_lost { 0 } else { 1 + usize::from(is_repeated) }];
        if is_forged {
            messages.push(forge(message, &mut state.random));
        }
        if is_replayed {
            let State { messages: earlier, random, .. } = &mut *state;
            messages.push(earlier[random.usize(0..earlier.len())].clone());
        }
        for message in messages {
            let delay = if is_late { seconds(state.random.u64(0..60)) } else { Duration::from_millis(1) };
            for subscriber in state.subscribers.clone() {
                let message = message.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    drop(subscriber.send(message));
                });
            }
        }
    }
}

/// A message that says that a run has ended, as a stranger would make one of a message that he has read.
fn forge(message: &[u8], random: &mut fastrand::Rng) -> Vec<u8> {
    let text = String::from_utf8(message.to_vec()).unwrap();
    let ended = text.replace("running", "failed").replace("succeeded", "failed").replace("pending", "failed");
    if random.bool() {
        return ended.into_bytes();
    }
    // With a right tag, by a wrong key.
    let json = ended.splitn(3, ' ').nth(2).unwrap();
    let stranger = BroadcastKey::new(b"org_live_another", "https://agentgate.example");
    stranger.sign(json).into_bytes()
}

impl Broadcast for Channel {
    fn publish<'a>(&'a self, _: &'a str, message: &'a [u8]) -> BroadcastFuture<'a, Result<(), BroadcastError>> {
        Box::pin(async move {
            match (self.faults.stalls, self.is_away()) {
                (true, _) => pending().await,
                (false, true) => Err("the channel is away".into()),
                (false, false) => {
                    self.deliver(message);
                    Ok(())
                }
            }
        })
    }

    fn subscribe<'a>(
        &'a self,
        _: &'a str,
    ) -> BroadcastFuture<'a, Result<Box<dyn BroadcastSubscription>, BroadcastError>> {
        Box::pin(async move {
            if self.is_away() {
                return Err("the channel is away".into());
            }
            let (sender, receiver) = mpsc::unbounded_channel();
            self.state().subscribers.push(sender);
            let subscription = Subscription { channel: self.clone(), receiver };
            Ok(Box::new(subscription) as Box<dyn BroadcastSubscription>)
        })
    }
}

struct Subscription {
    channel: Channel,
    receiver: mpsc::UnboundedReceiver<Vec<u8>>,
}

impl BroadcastSubscription for Subscription {
    fn next(&mut self) -> BroadcastFuture<'_, Option<Vec<u8>>> {
        Box::pin(async move {
            loop {
                // It ends when the channel goes away.
                let (from, _) = self.channel.faults.away;
                let now = self.channel.clock.monotonic();
                let left = from.checked_sub(now).filter(|left| !left.is_zero()).unwrap_or(seconds(86_400));
                match tokio::time::timeout(left, self.receiver.recv()).await {
                    Ok(message) => return message,
                    Err(_) if self.channel.is_away() => return None,
                    Err(_) => {}
                }
            }
        })
    }
}

/// So many replicas that share their deliveries.
fn replicas(model: &Model, channel: &Channel, count: usize) -> Vec<Watcher> {
    (0..count).map(|_| model.watcher().broadcast(channel.clone()).unwrap()).collect()
}

/// Delivers the ends of all runs, each to one of the replicas by chance.
fn deliver_to_any(model: &Model, watchers: &[Watcher], random: &mut fastrand::Rng) {
    for run in model.runs() {
        notify_at(model, &watchers[random.usize(0..watchers.len())], run.ends, event(end_of(&run), &run));
    }
}

fn service(runs: usize) -> Model {
    Model::with_lanes(10, runs, &mut fastrand::Rng::with_seed(7))
}

fn each_minute(model: &Model) -> f64 {
    let requests = model.requests();
    f64::from(u32::try_from(requests.len()).unwrap()) * 60.0 / requests.last().unwrap().as_secs_f64()
}

/// Waits for a thousand runs by three replicas, with deliveries to a random one. Returns the requests a minute, too.
fn thousand(faults: Option<Faults>) -> (Lateness, f64) {
    in_simulated_time(async move {
        let model = Model::with_lanes(100, 1_000, &mut fastrand::Rng::with_seed(7));
        let watchers: Vec<_> = match faults {
            Some(faults) => replicas(&model, &Channel::new(&model, faults, 7), 3),
            None => (0..3).map(|_| model.watcher()).collect(),
        };
        deliver_to_any(&model, &watchers, &mut fastrand::Rng::with_seed(7));
        let late = wait_for_all(&model, &watchers).await;
        (late, each_minute(&model))
    })
}

#[test]
fn a_thousand_waits_of_three_replicas_end_at_once_by_deliveries_to_any() {
    let always = (Duration::ZERO, Duration::MAX);
    let lossy = Faults { lost: 10, repeated: 10, late: 10, forged: 10, replayed: 10, ..Faults::default() };
    println!("{:<45} {:>8} {:>8} {:>8} requests a minute", "", "median", "99 %", "most");
    let measure = |name: &str, faults| {
        let (late, requests) = thousand(faults);
        let [median, last_percent, most] = [50, 99, 100].map(|part| late.part(part));
        println!("{name:<45} {median:>8.1?} {last_percent:>8.1?} {most:>8.1?} {requests:.1}");
        ([median, last_percent, most], requests)
    };
    let (alone, _) = measure("not shared", None);
    let (shared, requests) = measure("shared", Some(Faults::default()));
    let (faulty, _) = measure("shared, one in ten lost, late, forged", Some(lossy));
    let (away, _) = measure("shared, the channel is away", Some(Faults { away: always, ..Faults::default() }));
    assert!(shared[2] < seconds(1), "{shared:?}");
    assert!(requests <= 5.5, "{requests}");
    assert!(faulty[0] < seconds(1), "{faulty:?}");
    assert!((0..2).all(|part| away[part] <= alone[part].mul_f64(1.2)), "{away:?}, {alone:?}");
}

#[test]
fn three_replicas_without_deliveries_poll_as_often_as_one() {
    in_simulated_time(async {
        let model = service(300);
        let watchers = replicas(&model, &Channel::new(&model, Faults::default(), 7), 3);
        let late = wait_for_all(&model, &watchers).await;
        let requests = each_minute(&model);
        println!("three replicas that poll: {requests:.1} requests a minute, median {:?}", late.part(50));
        assert!(requests < 28.0, "{requests}");
    });
}

#[test]
fn the_part_of_a_replica_that_is_gone_falls_to_the_others_within_two_minutes() {
    in_simulated_time(async {
        let model = service(100);
        let channel = Channel::new(&model, Faults::default(), 7);
        let mut watchers = replicas(&model, &channel, 2);
        let gone = watchers.pop().unwrap();
        let wait = tokio::spawn(gone.wait("run_000099").into_future());
        let waits = tokio::spawn({
            let (model, watchers) = (model.clone(), watchers.clone());
            async move { wait_for_all(&model, &watchers).await }
        });
        let rate = async |model: &Model| {
            let before = model.requests().len();
            tokio::time::sleep(seconds(300)).await;
            model.requests().len() - before
        };
        tokio::time::sleep(seconds(60)).await;
        let both = rate(&model).await;
        wait.abort();
        drop(gone);
        tokio::time::sleep(seconds(1)).await;
        assert_eq!(channel.subscribers(), 1, "the tasks of the replica have ended");
        tokio::time::sleep(seconds(120)).await;
        let one = rate(&model).await;
        waits.abort();
        println!("two replicas: {both} requests in five minutes, one: {one}");
        assert!((105..=140).contains(&both) && (105..=140).contains(&one), "{both}, {one}");
    });
}

#[test]
fn a_channel_that_takes_nothing_holds_up_neither_notify_nor_polling() {
    in_simulated_time(async {
        let model = service(50);
        let channel = Channel::new(&model, Faults { stalls: true, ..Faults::default() }, 7);
        let watchers = replicas(&model, &channel, 1);
        let other = Planned { id: RunId::from("run_other"), ..model.runs().remove(0) };
        for _ in 0..5_000 {
            watchers[0].notify(&event(ENDS[0], &other));
        }
        let late = wait_for_all(&model, &watchers).await;
        assert!(late.part(99) < seconds(10), "{:?}", late.part(99));
    });
}

#[test]
fn tasks_on_a_runtime_that_stands_still_or_is_gone_hold_up_nothing() {
    in_simulated_time(async {
        let model = service(50);
        let channel = Channel::new(&model, Faults::default(), 7);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let guard = runtime.enter();
        let watcher = model.watcher().broadcast(channel.clone()).unwrap();
        drop(guard);
        let other = Planned { id: RunId::from("run_other"), ..model.runs().remove(0) };
        at(&model, seconds(100), move || runtime.shutdown_background());
        for second in 0..5_000 {
            notify_at(&model, &watcher, Duration::from_millis(40 * second), event(ENDS[0], &other));
        }
        let late = wait_for_all(&model, &[watcher]).await;
        assert!(late.part(99) < seconds(10), "{:?}", late.part(99));
        assert_eq!(channel.subscribers(), 0);
    });
}

#[test]
fn sharing_outside_of_a_runtime_is_an_error() {
    let (model, _runtime) = in_simulated_time(async { (Model::new(), ()) });
    let error = model.watcher().broadcast(Channel::new(&model, Faults::default(), 7)).unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Configuration);
}

#[test]
fn a_client_that_is_gone_leaves_no_task() {
    in_simulated_time(async {
        let model = Model::new();
        let channel = Channel::new(&model, Faults::default(), 7);
        let watcher = model.watcher().broadcast(channel.clone()).unwrap();
        tokio::task::yield_now().await;
        assert_eq!(channel.subscribers(), 1);
        // A second channel is in place of the first.
        let second = Channel::new(&model, Faults::default(), 7);
        let watcher = watcher.broadcast(second.clone()).unwrap();
        tokio::time::sleep(seconds(1)).await;
        assert_eq!((channel.subscribers(), second.subscribers()), (0, 1));
        drop(watcher);
        tokio::time::sleep(seconds(1)).await;
        assert_eq!(second.subscribers(), 0);
    });
}

// Histories

/// Number of histories that are tried by default.
const HISTORIES: u64 = 200;

/// By when polling finds an end at the fallback share, by replicas that have parts of it.
fn latest(replicas: usize) -> Duration {
    seconds(5 * 60) * u32::try_from(replicas).unwrap()
}

fn faults(random: &mut fastrand::Rng) -> Faults {
    let mut chance = |one_in: u64| [0, one_in, 1][random.usize(0..3)];
    let (lost, repeated, late, forged, replayed) = (chance(3), chance(3), chance(3), chance(2), chance(2));
    let from = seconds(random.u64(0..300));
    let length = if random.bool() { seconds(random.u64(0..300)) } else { Duration::ZERO };
    let away = if random.u8(0..8) == 0 { (Duration::ZERO, Duration::MAX) } else { (from, from + length) };
    Faults { lost, repeated, late, forged, replayed, away, stalls: random.u8(0..8) == 0 }
}

fn plan(number: usize, random: &mut fastrand::Rng) -> Planned {
    let starts = seconds(random.u64(0..120));
    let ends = starts + Duration::from_millis(random.u64(0..300_000));
    let status = [RunStatus::Succeeded, RunStatus::Failed, RunStatus::Cancelled][random.usize(0..3)].clone();
    Planned { id: RunId::from(format!("run_{number:03}")), starts, ends, status }
}

async fn try_history(number: u64) {
    let mut random = fastrand::Rng::with_seed(number);
    let model = Model::new();
    let faults = faults(&mut random);
    let channel = Channel::new(&model, faults, number);
    let count = random.usize(1..5);
    let mut watchers = replicas(&model, &channel, count);
    for number in 0..random.usize(1..30) {
        let run = plan(number, &mut random);
        model.submit(run.clone());
        for (kind, when) in [("run.created", Duration::ZERO), ("run.started", run.starts), (end_of(&run), run.ends)] {
            for _ in 0..random.u8(0..3) {
                let late = if random.bool() { Duration::ZERO } else { seconds(random.u64(0..60)) };
                notify_at(&model, &watchers[random.usize(0..count)], when + late, event(kind, &run));
            }
        }
    }
    let mut waits = Vec::new();
    for run in model.runs() {
        for _ in 0..random.u8(1..3) {
            let (watcher, model) = (watchers[random.usize(0..count)].clone(), model.clone());
            let (begins, run) = (seconds(random.u64(0..300)), run.clone());
            waits.push(tokio::spawn(async move {
                tokio::time::sleep(begins).await;
                let wait = watcher.wait(&run.id);
                let wait = if begins.as_secs() % 2 == 0 { wait.summary_only() } else { wait };
                let finished = wait.await.unwrap();
                let now = model.clock.monotonic();
                let context = format!("history {number}: {run:?}, at {now:?}, {faults:?}");
                assert_eq!(finished.status(), &run.status, "{context}");
                assert!(now >= run.ends, "before its end, {context}");
                assert!(now <= run.ends.max(begins) + latest(count), "too late, {context}");
            }));
        }
    }
    // One of the replicas ends in the middle, with its waits.
    let gone = watchers.pop().unwrap();
    let killed = random.bool().then(|| seconds(random.u64(0..300)));
    if let Some(after) = killed {
        let waits: Vec<_> = (0..5).map(|number| gone.wait(format!("run_{number:03}")).into_future()).collect();
        let tasks: Vec<_> = waits.into_iter().map(tokio::spawn).collect();
        at(&model, after, move || tasks.iter().for_each(tokio::task::JoinHandle::abort));
    }
    drop(gone);
    for wait in waits {
        let outcome = tokio::time::timeout(seconds(3 * 60 * 60), wait).await;
        if let Err(error) = outcome.unwrap_or_else(|_| panic!("history {number}: a wait was lost")) {
            std::panic::resume_unwind(error.into_panic());
        }
    }
    assert!(watchers.iter().all(Watcher::is_empty), "history {number}");
    drop(watchers);
    tokio::time::sleep(seconds(7_200)).await;
    assert!(faults.stalls || channel.subscribers() == 0, "history {number}: a task is left");
}

#[test]
fn no_wait_ends_before_its_run_and_every_end_is_noticed_whatever_becomes_of_messages() {
    let histories = std::env::var("AGENTGATE_HISTORIES").ok().and_then(|count| count.parse().ok());
    for number in 0..histories.unwrap_or(HISTORIES) {
        in_simulated_time(try_history(number));
    }
}

#[test]
fn a_message_for_a_run_that_nobody_awaits_ends_a_wait_that_begins_later() {
    in_simulated_time(async {
        let model = service(1);
        let run = model.runs().remove(0);
        let watchers = replicas(&model, &Channel::new(&model, Faults::default(), 7), 2);
        notify_at(&model, &watchers[0], run.ends, event(end_of(&run), &run));
        tokio::time::sleep(run.ends + seconds(1)).await;
        let _ = watchers[1].wait(&run.id).summary_only().await.unwrap();
        assert!(model.requests().is_empty());
    });
}
