//! [`WebhookHealth`]: whether deliveries report the ends of the awaited runs, so that polling can be rare.

use std::collections::VecDeque;
use std::time::Duration;

use crate::types::RunId;

/// The time for which a delivery may come later than the poll that found the end of its run.
const GRACE_PERIOD: Duration = Duration::from_secs(5);

/// The number of ends in a row that have to be delivered after a missed one before deliveries count as healthy again.
/// It is large enough to be rare in one of two processes behind a load balancer, which gets half of the deliveries.
const ENDS_TO_RECOVER: u32 = 10;

/// The record of delivered and missed ends. Only the ends of runs that are awaited in this process count: other
/// deliveries do not show that the next awaited end will be delivered.
#[derive(Debug, Default)]
pub(super) struct WebhookHealth {
    has_begun: bool,
    has_stopped: bool,
    /// The number of ends that still have to be delivered before deliveries count as healthy.
    needed: u32,
    /// The runs that a poll has found ended, with the time of the poll.
    undelivered: VecDeque<(Duration, RunId)>,
}

impl WebhookHealth {
    /// Records the delivery of the end of a run.
    #[cfg(any(feature = "webhooks", test))]
    pub(super) fn delivered(&mut self, id: &RunId, is_awaited: bool) {
        let found = self.undelivered.iter().position(|(_, other)| other == id);
        let was_found = found.and_then(|index| self.undelivered.remove(index)).is_some();
        if is_awaited || was_found {
            self.has_begun = true;
            self.needed = self.needed.saturating_sub(1);
        }
    }

    /// Records that a poll has found the end of a run.
    pub(super) fn polled(&mut self, id: &RunId, now: Duration) {
        if self.has_begun {
            self.undelivered.push_back((now, id.clone()));
        }
    }

    /// Counts ends as missed that were not delivered within the grace period.
    pub(super) fn expire(&mut self, now: Duration) {
        while self.expires_at().is_some_and(|at| at <= now) {
            self.undelivered.pop_front();
            self.needed = ENDS_TO_RECOVER;
        }
    }

    pub(super) fn expires_at(&self) -> Option<Duration> {
        self.undelivered.front().map(|(found, _)| found.saturating_add(GRACE_PERIOD))
    }

    /// Records that no more deliveries come.
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
    use super::{ENDS_TO_RECOVER, WebhookHealth};
    use crate::types::RunId;
    use std::time::Duration;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn run(number: u32) -> RunId {
        RunId::from(format!("run_{number}"))
    }

    #[test]
    fn the_first_delivered_end_of_an_awaited_run_makes_deliveries_healthy() {
        let mut health = WebhookHealth::default();
        health.delivered(&run(1), false);
        assert!(!health.is_healthy());
        health.delivered(&run(2), true);
        assert!(health.is_healthy());
    }

    #[test]
    fn one_missed_end_makes_deliveries_unhealthy_and_ten_delivered_ends_make_them_healthy() {
        let mut health = WebhookHealth::default();
        health.delivered(&run(1), true);
        health.polled(&run(2), seconds(10));
        health.expire(seconds(14));
        assert!(health.is_healthy());
        health.expire(seconds(15));
        assert!(!health.is_healthy());
        for number in 0..ENDS_TO_RECOVER {
            assert!(!health.is_healthy());
            health.delivered(&run(100 + number), true);
        }
        assert!(health.is_healthy());
    }

    #[test]
    fn a_delivery_shortly_after_the_poll_is_not_missed() {
        let mut health = WebhookHealth::default();
        health.delivered(&run(1), true);
        health.polled(&run(2), seconds(10));
        health.delivered(&run(2), false);
        health.expire(seconds(60));
        assert!(health.is_healthy());
    }

    #[test]
    fn stopped_deliveries_stay_unhealthy() {
        let mut health = WebhookHealth::default();
        health.delivered(&run(1), true);
        health.stop();
        health.delivered(&run(2), true);
        assert!(!health.is_healthy());
    }
}
