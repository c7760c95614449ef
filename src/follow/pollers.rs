//! [`Pollers`]: which of the pollers polls.

use std::time::Duration;

use super::poll_scheduler::Step;
use crate::platform::RuntimeId;

/// The longest time between two steps of a poller, so that one that takes none is noticed.
const LONGEST_DELAY: Duration = Duration::from_secs(5);

/// The time by which a step may be late before another poller takes over.
const MAX_LATENESS: Duration = Duration::from_secs(2);

/// A poller for each runtime that has polled a wait. One is active. The others take over from one that is late, because
/// its runtime is busy, or is not driven, or has shut down. So a wait that is polled depends on its own runtime alone.
#[derive(Debug, Default)]
pub(super) struct Pollers {
    all: Vec<(u64, RuntimeId)>,
    last: u64,
    active: Option<u64>,
    /// The time at which the active poller takes its next step.
    due: Duration,
}

impl Pollers {
    /// Returns the number of a new poller, unless the runtime has one.
    pub(super) fn add(&mut self, runtime: RuntimeId) -> Option<u64> {
        if self.all.iter().any(|(_, other)| *other == runtime) {
            return None;
        }
        self.last += 1;
        self.all.push((self.last, runtime));
        Some(self.last)
    }

    /// Returns whether the poller was there.
    pub(super) fn remove(&mut self, poller: u64) -> bool {
        self.active = self.active.filter(|active| *active != poller);
        let before = self.all.len();
        self.all.retain(|(other, _)| *other != poller);
        self.all.len() < before
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Returns the delay before a poller that is not active looks again. `None` if it is active or takes over.
    pub(super) fn standby(&self, poller: u64, now: Duration) -> Option<Duration> {
        let is_other = self.active.is_some_and(|active| active != poller);
        let delay = self.due.saturating_add(MAX_LATENESS).saturating_sub(now);
        (is_other && !delay.is_zero()).then_some(delay)
    }

    /// Returns whether another poller was active before, or none.
    pub(super) fn activate(&mut self, poller: u64) -> bool {
        self.active.replace(poller) != Some(poller)
    }

    /// Records the next step of the active poller, and limits its delay.
    pub(super) fn limit(&mut self, step: Step, now: Duration) -> Step {
        let delay = if let Step::Wait(delay) = step { delay.min(LONGEST_DELAY) } else { Duration::ZERO };
        self.due = now.saturating_add(delay);
        if let Step::Send(_) = step { step } else { Step::Wait(delay) }
    }
}
