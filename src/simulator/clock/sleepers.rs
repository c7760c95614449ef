//! Sleeping on the simulator's clock.
//!
//! Only the time decides whether a sleep is over. A [`ClockHandle`] registers the wakers of its sleeps here, ordered by when they end.
//! Whoever moves the clock wakes those whose time has come.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::{self, ThreadId};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::runtime::{Handle, Id};
use tokio::sync::Notify;

use crate::Clock;
use crate::simulator::clock::time::within_time;
use crate::simulator::server::service::Shared;

/// The simulator's time as a clock for clients, from [`Simulator::clock`](crate::simulator::Simulator::clock). Clones tell the same time.
#[derive(Clone)]
pub struct ClockHandle {
    shared: Arc<Shared>,
    auto_advance: bool,
}

impl ClockHandle {
    pub(crate) fn new(shared: &Arc<Shared>, auto_advance: bool) -> Self {
        Self { shared: Arc::clone(shared), auto_advance }
    }

    /// Sets whether sleeps on this handle let the clock advance by itself. Without, they end only when the clock is moved by something
    /// else: [`Simulator::advance`](crate::simulator::Simulator::advance), or a sleep on another handle. Defaults to `true`.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use agentgate::Clock;
    /// use agentgate::simulator::Simulator;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let simulator = Simulator::start().await?;
    /// let nap = tokio::spawn(simulator.clock().auto_advance(false).sleep(Duration::from_secs(90)));
    ///
    /// // The test decides that a minute passes, and then another.
    /// simulator.clock().sleep(Duration::from_secs(60)).await;
    /// assert!(!nap.is_finished());
    /// simulator.clock().sleep(Duration::from_secs(60)).await;
    /// assert!(nap.is_finished());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn auto_advance(mut self, auto_advance: bool) -> Self {
        self.auto_advance = auto_advance;
        self
    }

    /// Sleeps until this moment.
    pub(crate) async fn sleep_until(&self, moment: DateTime<Utc>) {
        let id = self.shared.sleepers.next_id();
        Sleep { clock: self.clone(), key: (moment, id) }.await;
    }
}

impl Clock for ClockHandle {
    fn now(&self) -> DateTime<Utc> {
        self.shared.lock().time.now()
    }

    /// Sleeps for this long in simulated time. A sleep that would end after the year 9999 never ends.
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let clock = self.clone();
        let until = within_time(self.now(), duration);
        Box::pin(async move {
            match until {
                Some(moment) => clock.sleep_until(moment).await,
                None => std::future::pending().await,
            }
        })
    }

    fn hold(&self) -> Option<Box<dyn Send + Sync>> {
        Some(Box::new(Held::new(&self.shared)))
    }
}

impl fmt::Debug for ClockHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let now = self.shared.lock().time.now();
        f.debug_struct("ClockHandle").field("now", &now).field("auto_advance", &self.auto_advance).finish()
    }
}

/// The end of a sleep, and a number that tells apart those that end at the same time.
type Key = (DateTime<Utc>, u64);

struct Sleep {
    clock: ClockHandle,
    key: Key,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let shared = &self.clock.shared;
        let is_over = || shared.lock().time.now() >= self.key.0;
        if !is_over() {
            shared.sleepers.register(self.key, context.waker(), self.clock.auto_advance);
            // The clock may have been moved before the sleep was registered.
            if !is_over() {
                return Poll::Pending;
            }
        }
        shared.sleepers.remove(self.key);
        Poll::Ready(())
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.clock.shared.sleepers.remove(self.key);
    }
}

/// Something is under way that no time passes for.
pub(crate) struct Held(Arc<Shared>);

impl Held {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        shared.sleepers.hold(|held| *held += 1);
        Self(Arc::clone(shared))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.sleepers.hold(|held| *held -= 1);
    }
}

/// The sleeps that are not over.
#[derive(Debug, Default)]
pub(crate) struct Sleepers {
    state: Mutex<State>,
    /// Wakes the task that moves the clock.
    pub(crate) changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    sleeping: BTreeMap<Key, Sleeper>,
    next_id: u64,
    /// How many of the sleepers let the clock advance by itself.
    advancing: usize,
    /// How many values of [`Held`] there are.
    held: usize,
    /// How often anything has changed.
    changes: u64,
    /// The thread of the task that moves the clock.
    driver: Option<ThreadId>,
    /// Whether a change came from another thread.
    has_other_threads: bool,
    /// The runtimes that changes came from on other threads.
    runtimes: Vec<Handle>,
}

impl State {
    fn note_change(&mut self) {
        self.changes += 1;
        if self.driver.is_none_or(|driver| driver == thread::current().id()) {
            return;
        }
        self.has_other_threads = true;
        let is_new = |runtime: &Handle| self.runtimes.iter().all(|known| known.id() != runtime.id());
        self.runtimes.extend(Handle::try_current().ok().filter(is_new));
    }
}

#[derive(Debug)]
struct Sleeper {
    waker: Waker,
    auto_advance: bool,
}

/// What the task that moves the clock has to know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Overview {
    /// The end of the first sleep.
    pub(crate) first: Option<DateTime<Utc>>,
    /// Whether somebody sleeps who lets the clock advance by itself, and nothing is under way.
    pub(crate) may_advance: bool,
    pub(crate) changes: u64,
}

impl Sleepers {
    pub(crate) fn overview(&self) -> Overview {
        let mut state = self.lock();
        state.driver = Some(thread::current().id());
        Overview {
            first: state.sleeping.keys().next().map(|(moment, _)| *moment),
            may_advance: state.advancing > 0 && state.held == 0,
            changes: state.changes,
        }
    }

    pub(crate) fn has_other_threads(&self) -> bool {
        self.lock().has_other_threads
    }

    /// The runtimes on which somebody uses the clock, but for this one.
    pub(crate) fn other_runtimes(&self, this: Id) -> Vec<Handle> {
        self.lock().runtimes.iter().filter(|runtime| runtime.id() != this).cloned().collect()
    }

    /// Forgets the runtimes, until somebody uses the clock there again.
    pub(crate) fn forget_runtimes(&self) {
        self.lock().runtimes.clear();
    }

    /// Wakes those whose sleep is over, in the order in which they end.
    pub(crate) fn wake(&self, now: DateTime<Utc>) {
        let awake = {
            let mut state = self.lock();
            let later = state.sleeping.split_off(&(now, u64::MAX));
            let awake = std::mem::replace(&mut state.sleeping, later);
            state.advancing -= awake.values().filter(|sleeper| sleeper.auto_advance).count();
            awake
        };
        for sleeper in awake.into_values() {
            sleeper.waker.wake();
        }
    }

    fn next_id(&self) -> u64 {
        let mut state = self.lock();
        state.next_id += 1;
        state.next_id
    }

    fn register(&self, key: Key, waker: &Waker, auto_advance: bool) {
        let old = {
            let mut state = self.lock();
            let old = state.sleeping.insert(key, Sleeper { waker: waker.clone(), auto_advance });
            // A sleep that is polled again is no change: it may be polled all the time.
            if old.is_none() {
                state.advancing += usize::from(auto_advance);
                state.note_change();
            }
            old
        };
        // To drop a waker may drop a task, and with it another sleep: never under the lock.
        if old.is_none() {
            self.changed.notify_one();
        }
    }

    fn remove(&self, key: Key) {
        let removed = {
            let mut state = self.lock();
            let removed = state.sleeping.remove(&key);
            if let Some(sleeper) = &removed {
                state.advancing -= usize::from(sleeper.auto_advance);
                state.note_change();
            }
            removed
        };
        if removed.is_some() {
            self.changed.notify_one();
        }
    }

    fn hold(&self, change: impl FnOnce(&mut usize)) {
        {
            let mut state = self.lock();
            change(&mut state.held);
            state.note_change();
        }
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
