//! A turnstile: callers pass one after the other, in the order they came, each when a gate lets it.
//!
//! The first in line holds the turn and waits at the gate; everyone else waits for the turn. So there is one timer however
//! many wait, and nobody overtakes. Dropping a caller's future at any point gives its place up and leaves nothing behind.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::clock::Clock;
use crate::race::race;

/// What decides whether the next caller may pass. Times are the clock's [`monotonic`](Clock::monotonic).
pub(super) trait Gate {
    /// Lets one caller pass, or says when to ask again at the latest.
    fn try_pass(&mut self, now: Duration) -> Result<(), Duration>;

    /// When a caller behind so many others can pass at the earliest, as far as can be told.
    fn estimate(&self, ahead: u32, now: Duration) -> Duration;
}

/// A gate that callers pass in turn.
#[derive(Debug)]
pub(super) struct Turnstile<G> {
    gate: Mutex<G>,
    turn: tokio::sync::Mutex<()>,
    /// Tells the first in line that the gate may have opened.
    changed: Notify,
    waiting: AtomicU32,
}

/// A wait that does not fit into the time a caller has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong(pub(super) Duration);

impl<G: Gate> Turnstile<G> {
    pub(super) fn new(gate: G) -> Self {
        Self {
            gate: Mutex::new(gate),
            turn: tokio::sync::Mutex::default(),
            changed: Notify::new(),
            waiting: AtomicU32::new(0),
        }
    }

    /// Looks at the gate.
    pub(super) fn look<T>(&self, look: impl FnOnce(&G) -> T) -> T {
        look(&self.lock())
    }

    /// Changes the gate, and has the first in line ask again.
    pub(super) fn with_gate(&self, change: impl FnOnce(&mut G)) {
        change(&mut self.lock());
        self.changed.notify_one();
    }

    /// Passes now, or not at all.
    pub(super) fn try_pass(&self, now: Duration) -> Result<(), TooLong> {
        if self.waiting.load(Ordering::Relaxed) == 0
            && let Ok(()) = self.lock().try_pass(now)
        {
            return Ok(());
        }
        Err(TooLong(self.estimate(now).saturating_sub(now)))
    }

    /// Passes, after waiting for it; not if that would take until after `deadline`.
    pub(super) async fn pass(&self, clock: &dyn Clock, deadline: Option<Duration>) -> Result<(), TooLong> {
        let now = clock.monotonic();
        let Err(TooLong(wait)) = self.try_pass(now) else {
            return Ok(());
        };
        if deadline.is_some_and(|deadline| now.saturating_add(wait) > deadline) {
            return Err(TooLong(wait));
        }
        let _place = Place::take(&self.waiting);
        match deadline {
            None => self.wait(clock, None).await,
            Some(deadline) => {
                // Made when it is first needed: a test's clock may end a sleep at once.
                let expired = async { clock.sleep(deadline.saturating_sub(now)).await };
                match race(self.wait(clock, Some(deadline)), expired).await {
                    Some(outcome) => outcome,
                    None => Err(TooLong(self.estimate(deadline).saturating_sub(deadline))),
                }
            }
        }
    }

    async fn wait(&self, clock: &dyn Clock, deadline: Option<Duration>) -> Result<(), TooLong> {
        let _turn = self.turn.lock().await;
        let mut slept_until = Duration::ZERO;
        loop {
            // A sleep counts as done although the clock may say it was a little short, so that this cannot spin.
            let now = clock.monotonic().max(slept_until);
            let Err(at) = self.lock().try_pass(now) else {
                return Ok(());
            };
            // That is when to ask again at the latest. With answers on their way, it may open long before.
            let opens = self.lock().estimate(0, now);
            if deadline.is_some_and(|deadline| opens > deadline) {
                return Err(TooLong(opens.saturating_sub(now)));
            }
            let wait = at.saturating_sub(now);
            if race(self.changed.notified(), async { clock.sleep(wait).await }).await.is_none() {
                slept_until = at;
            }
        }
    }

    fn estimate(&self, now: Duration) -> Duration {
        let ahead = self.waiting.load(Ordering::Relaxed);
        self.lock().estimate(ahead, now)
    }

    fn lock(&self) -> MutexGuard<'_, G> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the line, given up on drop.
struct Place<'a>(&'a AtomicU32);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicU32) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
