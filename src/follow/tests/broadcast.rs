//! Deliveries that replicas share by a channel that loses, repeats, delays, reorders and forges messages, or is down.
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
use crate::types::RunId;

/// The faults of a channel. Each number means one message in this many; 0 is none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Faults {
    pub(super) lost: u64,
    pub(super) repeated: u64,
    pub(super) late: u64,
    /// An additional message that was changed, or made with another key.
    pub(super) forged: u64,
    /// An additional message that is a repeated earlier one.
    pub(super) replayed: u64,
    /// The start and end of a time in which publications fail and subscriptions end.
    pub(super) away: (Duration, Duration),
    /// Publications never complete.
    pub(super) stalls: bool,
}

#[derive(Default)]
struct State {
    subscribers: Vec<mpsc::UnboundedSender<Vec<u8>>>,
    messages: Vec<Vec<u8>>,
    random: fastrand::Rng,
}

#[derive(Clone)]
pub(super) struct Channel {
    clock: TokioClock,
    faults: Faults,
    state: Arc<Mutex<State>>,
}

impl Channel {
    pub(super) fn new(model: &Model, faults: Faults, seed: u64) -> Self {
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

    pub(super) fn subscribers(&self) -> usize {
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

/// Forges a message that reports the end of a run from a message of the channel.
fn forge(message: &[u8], random: &mut fastrand::Rng) -> Vec<u8> {
    let text = String::from_utf8(message.to_vec()).unwrap();
    let ended = text.replace("running", "failed").replace("succeeded", "failed").replace("pending", "failed");
    if random.bool() {
        return ended.into_bytes();
    }
    // Authenticated with another key.
    let json = ended.splitn(3, ' ').nth(2).unwrap();
    let other = BroadcastKey::new(b"org_live_another", "https://agentgate.example");
    other.sign(json).into_bytes()
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

pub(super) fn replicas(model: &Model, channel: &Channel, count: usize) -> Vec<Watcher> {
    (0..count).map(|_| model.watcher().broadcast(channel.clone()).unwrap()).collect()
}

/// Delivers the end of each run to a random replica.
fn deliver_to_any(model: &Model, watchers: &[Watcher], random: &mut fastrand::Rng) {
    for run in model.runs() {
        notify_at(model, &watchers[random.usize(0..watchers.len())], run.ends, event(end_of(&run), &run));
    }
}

fn service(runs: usize) -> Model {
    Model::with_lanes(10, runs, &mut fastrand::Rng::with_seed(7))
}

/// Waits for 1,000 runs in three replicas, with deliveries to a random one. Returns the delays and the requests a
/// minute.
fn thousand(faults: Option<Faults>) -> (Lateness, f64) {
    in_simulated_time(async move {
        let model = Model::with_lanes(100, 1_000, &mut fastrand::Rng::with_seed(7));
        let watchers: Vec<_> = match faults {
            Some(faults) => replicas(&model, &Channel::new(&model, faults, 7), 3),
            None => (0..3).map(|_| model.watcher()).collect(),
        };
        deliver_to_any(&model, &watchers, &mut fastrand::Rng::with_seed(7));
        let late = wait_for_all(&model, &watchers).await;
        (late, model.requests_a_minute())
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
        let requests = model.requests_a_minute();
        println!("three replicas that poll: {requests:.1} requests a minute, median {:?}", late.part(50));
        assert!(requests < 28.0, "{requests}");
    });
}

#[test]
fn the_share_of_a_killed_replica_passes_to_the_others_within_two_minutes() {
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
fn a_stalled_channel_delays_neither_notify_nor_polling() {
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
fn a_runtime_that_is_blocked_or_shut_down_delays_no_wait() {
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
fn broadcast_outside_of_a_runtime_is_an_error() {
    let (model, _runtime) = in_simulated_time(async { (Model::new(), ()) });
    let error = model.watcher().broadcast(Channel::new(&model, Faults::default(), 7)).unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Configuration);
}

#[test]
fn dropping_the_client_ends_its_tasks() {
    in_simulated_time(async {
        let model = Model::new();
        let channel = Channel::new(&model, Faults::default(), 7);
        let watcher = model.watcher().broadcast(channel.clone()).unwrap();
        tokio::task::yield_now().await;
        assert_eq!(channel.subscribers(), 1);
        // A second channel replaces the first.
        let second = Channel::new(&model, Faults::default(), 7);
        let watcher = watcher.broadcast(second.clone()).unwrap();
        tokio::time::sleep(seconds(1)).await;
        assert_eq!((channel.subscribers(), second.subscribers()), (0, 1));
        drop(watcher);
        tokio::time::sleep(seconds(1)).await;
        assert_eq!(second.subscribers(), 0);
    });
}

#[test]
fn a_message_ends_a_wait_that_begins_later() {
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
