//! The registry of sleeps on the simulated clock.
//!
//! Only the time decides whether a sleep is over. The wakers are ordered by the end of their sleeps, and are woken by
//! the code that advances the clock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::thread::{self, ThreadId};

use chrono::{DateTime, Utc};
use tokio::sync::Notify;

/// The end of a sleep, and a number that distinguishes sleeps with the same end.
pub(crate) type Key = (DateTime<Utc>, u64);

/// Keeps the clock from advancing by itself.
pub(crate) struct Hold(Arc<Sleepers>);

impl Hold {
    pub(crate) fn new(sleepers: &Arc<Sleepers>) -> Self {
        sleepers.change(|state| state.holds += 1);
        Self(Arc::clone(sleepers))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.change(|state| state.holds -= 1);
    }
}

#[derive(Debug, Default)]
pub(crate) struct Sleepers {
    state: Mutex<State>,
    /// Wakes the task that advances the clock.
    pub(crate) changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    sleeping: BTreeMap<Key, Sleeper>,
    next_id: u64,
    holds: usize,
    changes: u64,
    /// The thread of the task that advances the clock.
    driver: Option<ThreadId>,
    /// `true` if a change came from another thread than that.
    has_other_threads: bool,
}

#[derive(Debug)]
struct Sleeper {
    waker: Waker,
    auto_advance: bool,
}

/// The state as the task that advances the clock needs it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Overview {
    /// The end of the first sleep.
    pub(crate) first: Option<DateTime<Utc>>,
    /// `true` if a sleep lets the clock advance by itself and nothing holds it.
    pub(crate) may_advance: bool,
    pub(crate) changes: u64,
}

impl Sleepers {
    pub(crate) fn overview(&self) -> Overview {
        let mut state = self.lock();
        state.driver = Some(thread::current().id());
        Overview {
            first: state.sleeping.keys().next().map(|(time, _)| *time),
            may_advance: state.holds == 0 && state.sleeping.values().any(|sleeper| sleeper.auto_advance),
            changes: state.changes,
        }
    }

    pub(crate) fn has_other_threads(&self) -> bool {
        self.lock().has_other_threads
    }

    /// Wakes the sleepers whose sleep is over, in the order of their ends.
    pub(crate) fn wake(&self, now: DateTime<Utc>) {
        let over = {
            let mut state = self.lock();
            let later = state.sleeping.split_off(&(now, u64::MAX));
            std::mem::replace(&mut state.sleeping, later)
        };
        for sleeper in over.into_values() {
            sleeper.waker.wake();
        }
    }

    /// Notes that something happened that the clock must wait for, such as a request.
    pub(crate) fn note_change(&self) {
        self.change(|_| {});
    }

    pub(crate) fn next_id(&self) -> u64 {
        let mut state = self.lock();
        state.next_id += 1;
        state.next_id
    }

    pub(crate) fn register(&self, key: Key, waker: &Waker, auto_advance: bool) {
        let sleeper = Sleeper { waker: waker.clone(), auto_advance };
        // A dropped waker may drop a task and with it another sleep, so it is dropped after the lock.
        let old = self.lock().sleeping.insert(key, sleeper);
        // A sleep that is polled again is no change: it may be polled at any time.
        if old.is_none() {
            self.note_change();
        }
    }

    pub(crate) fn remove(&self, key: Key) {
        let removed = self.lock().sleeping.remove(&key);
        if removed.is_some() {
            self.note_change();
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        {
            let mut state = self.lock();
            change(&mut state);
            state.changes += 1;
            state.has_other_threads |= state.driver.is_some_and(|driver| driver != thread::current().id());
        }
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
