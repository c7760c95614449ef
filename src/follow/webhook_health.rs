//! [`WebhookHealth`]: whether deliveries tell of the ends of runs.

use std::collections::VecDeque;
use std::time::Duration;

use crate::types::RunId;

/// The time within which a delivery may come after a poll that has found the end of its run.
const GRACE: Duration = Duration::from_secs(5);

/// So many ends have to be delivered in a row before deliveries count as healthy again after one was missed. With two processes
/// behind a load balancer, each of which gets half of the deliveries, that is rare.
const REGAIN: u32 = 10;

/// A record of which ends deliveries told of. Only ends of runs that are awaited in this process count: what else is delivered
/// does not show that the next end will be.
#[derive(Debug, Default)]
pub(super) struct WebhookHealth {
    has_begun: bool,
    has_stopped: bool,
    /// Number of ends that have to be delivered before deliveries count as healthy.
    needed: u32,
    /// Runs whose end was found by polling, and when.
    undelivered: VecDeque<(Duration, RunId)>,
}

impl WebhookHealth {
    /// The end of a run was delivered.
    #[cfg(any(feature = "webhooks", test))]
    pub(super) fn delivered(&mut self, id: &RunId, is_awaited: bool) {
        let found = self.undelivered.iter().position(|(_, other)| other == id);
        let was_found = found.and_then(|index| self.undelivered.remove(index)).is_some();
        if is_awaited || was_found {
            self.has_begun = true;
            self.needed = self.needed.saturating_sub(1);
        }
    }

    /// A poll has found the end of a run.
    pub(super) fn polled(&mut self, id: &RunId, now: Duration) {
        if self.has_begun {
            self.undelivered.push_back((now, id.clone()));
        }
    }

    /// Takes ends for missed that no delivery has told of in time.
    pub(super) fn expire(&mut self, now: Duration) {
        while self.expires_at().is_some_and(|at| at <= now) {
            self.undelivered.pop_front();
            self.needed = REGAIN;
        }
    }

    /// Returns when [`expire`](Self::expire) is due.
    pub(super) fn expires_at(&self) -> Option<Duration> {
        self.undelivered.front().map(|(found, _)| found.saturating_add(GRACE))
    }

    /// No more deliveries come.
    #[cfg(any(feature = "webhooks", test))]
    pub(super) fn stop(&mut self) {
        self.has_stopped = true;
    }

    pub(super) fn is_healthy(&self) -> bool {
        self.has_begun && self.needed == 0 && !self.has_stopped
    }
}

#[cfg(test)]
mod tests {
    use super::{REGAIN, WebhookHealth};
    use crate::types::RunId;
    use std::time::Duration;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn run(number: u32) -> RunId {
        RunId::from(format!("run_{number}"))
    }

    #[test]
    fn the_first_delivered_end_of_an_awaited_run_counts_and_that_of_another_does_not() {
        let mut health = WebhookHealth::default();
        health.delivered(&run(1), false);
        assert!(!health.is_healthy());
        health.delivered(&run(2), true);
        assert!(health.is_healthy());
    }

    #[test]
    fn the_first_missed_end_takes_the_confidence_and_ten_in_a_row_give_it_back() {
        let mut health = WebhookHealth::default();
        health.delivered(&run(1), true);
        health.polled(&run(2), seconds(10));
        health.expire(seconds(14));
        assert!(health.is_healthy());
        health.expire(seconds(15));
        assert!(!health.is_healthy());
        for number in 0..REGAIN {
            assert!(!health.is_healthy());
            health.delivered(&run(100 + number), true);
        }
        assert!(health.is_healthy());
    }

    #[test]
    fn a_delivery_may_come_a_little_later_than_the_poll() {
        let mut health = WebhookHealth::default();
        health.delivered(&run(1), true);
        health.polled(&run(2), seconds(10));
        health.delivered(&run(2), false);
        health.expire(seconds(60));
        assert!(health.is_healthy());
    }

    #[test]
    fn deliveries_that_were_stopped_never_count_again() {
        let mut health = WebhookHealth::default();
        health.delivered(&run(1), true);
        health.stop();
        health.delivered(&run(2), true);
        assert!(!health.is_healthy());
    }
}
