//! The organization's window: so many requests until it resets, as the service's answers report it.

use std::time::Duration;

use super::turnstile::Gate;

/// Requests that may be on their way before the first answer has told anything. Without a bound, a program that starts with
/// a thousand calls would spend the window many times over before it learns of it.
const COLD_START: u32 = 10;

/// The documented length of a window.
pub(super) const MINUTE: Duration = Duration::from_secs(60);

/// Two answers of one window may put its end up to this far apart, as the headers count in seconds.
const SAME_WINDOW: Duration = Duration::from_secs(2);

/// What is known of the window. Times are monotonic.
#[derive(Debug, Default)]
pub(super) struct Window {
    known: Known,
    /// Requests that were let through and have not been answered. Whether the service has counted them is not known, so they
    /// count as not yet subtracted from what it said was left.
    in_flight: u32,
    /// Nobody passes before this: the service has answered 429.
    held_until: Duration,
}

#[derive(Debug, Default)]
enum Known {
    /// No answer yet.
    #[default]
    Nothing,
    /// Answers do not tell: there is nothing to go by.
    NoLimit,
    Limit {
        limit: u32,
        left: u32,
        resets_at: Duration,
    },
}

/// What an answer reports.
#[derive(Clone, Copy, Debug)]
pub(super) struct Report {
    pub(super) limit: u32,
    pub(super) left: u32,
    pub(super) resets_at: Duration,
}

impl Window {
    /// An attempt has ended, with or without a report.
    pub(super) fn answered(&mut self, report: Option<Report>, got_answer: bool) {
        self.in_flight = self.in_flight.saturating_sub(1);
        match (report, &mut self.known) {
            (Some(new), Known::Limit { limit, left, resets_at }) => {
                if new.resets_at > *resets_at + SAME_WINDOW {
                    (*limit, *left, *resets_at) = (new.limit, new.left, new.resets_at);
                } else if new.resets_at + SAME_WINDOW >= *resets_at {
                    // Answers overtake each other; the least that was left is the latest word.
                    *limit = new.limit;
                    *left = (*left).min(new.left);
                } // else: a word from a window that is over.
            }
            (Some(new), known) => {
                *known = Known::Limit { limit: new.limit, left: new.left, resets_at: new.resets_at };
            }
            // It may have been counted all the same.
            (None, Known::Limit { left, .. }) => *left = left.saturating_sub(1),
            (None, known @ Known::Nothing) if got_answer => *known = Known::NoLimit,
            (None, _) => {}
        }
    }

    /// A caller has given up before it had an answer, or lost it.
    pub(super) fn lost(&mut self) {
        self.answered(None, false);
    }

    /// A caller passed and sent nothing.
    pub(super) fn unsent(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// The limit that the service last reported.
    pub(super) fn limit(&self) -> Option<u32> {
        match self.known {
            Known::Limit { limit, .. } => Some(limit),
            _ => None,
        }
    }

    /// Lets nobody pass before this.
    pub(super) fn hold(&mut self, until: Duration) {
        self.held_until = self.held_until.max(until);
    }
}

impl Gate for Window {
    fn try_pass(&mut self, now: Duration) -> Result<(), Duration> {
        if now < self.held_until {
            return Err(self.held_until);
        }
        let again = match &mut self.known {
            Known::NoLimit => None,
            Known::Nothing => (self.in_flight >= COLD_START).then_some(now + MINUTE),
            Known::Limit { limit, left, resets_at } => {
                if now >= *resets_at {
                    (*left, *resets_at) = (*limit, now + MINUTE);
                }
                (self.in_flight >= *left).then_some(*resets_at)
            }
        };
        if let Some(at) = again {
            return Err(at);
        }
        self.in_flight += 1;
        Ok(())
    }

    fn estimate(&self, ahead: u32, now: Duration) -> Duration {
        let opens = match self.known {
            Known::Limit { limit, left, resets_at } if limit > 0 => {
                let left = if now >= resets_at { limit } else { left }.saturating_sub(self.in_flight);
                match ahead.checked_sub(left) {
                    None => now,
                    Some(beyond) => resets_at.max(now) + MINUTE * (beyond / limit),
                }
            }
            _ => now,
        };
        opens.max(self.held_until)
    }
}

#[cfg(test)]
mod tests {
    use super::{COLD_START, MINUTE, Report, Window};
    use crate::limit::turnstile::Gate;
    use std::time::Duration;

    const START: Duration = Duration::from_secs(1_000);

    fn report(left: u32, resets_in: u64) -> Report {
        Report { limit: 100, left, resets_at: START + Duration::from_secs(resets_in) }
    }

    /// How many pass right now.
    fn passing(window: &mut Window, now: Duration) -> u32 {
        (0..1_000).take_while(|_| window.try_pass(now).is_ok()).count().try_into().unwrap()
    }

    #[test]
    fn a_cold_start_lets_a_few_through_until_the_first_answer() {
        let mut window = Window::default();
        assert_eq!(passing(&mut window, START), COLD_START);
        window.answered(Some(report(99, 60)), true);
        assert_eq!(passing(&mut window, START), 99 - (COLD_START - 1));
    }

    #[test]
    fn a_service_that_tells_nothing_limits_nothing() {
        let mut window = Window::default();
        window.try_pass(START).unwrap();
        window.answered(None, true);
        assert_eq!(passing(&mut window, START), 1_000);
    }

    #[test]
    fn a_lost_attempt_tells_nothing() {
        let mut window = Window::default();
        window.try_pass(START).unwrap();
        window.lost();
        assert_eq!(passing(&mut window, START), COLD_START);
    }

    #[test]
    fn a_spent_window_opens_at_its_reset() {
        let mut window = Window::default();
        window.try_pass(START).unwrap();
        window.answered(Some(report(0, 30)), true);
        let reset = START + Duration::from_secs(30);
        assert_eq!(window.try_pass(START), Err(reset));
        assert_eq!(passing(&mut window, reset), 100);
        assert_eq!(window.try_pass(reset), Err(reset + MINUTE));
    }

    #[test]
    fn requests_on_their_way_are_not_counted_as_left() {
        let mut window = Window::default();
        for _ in 0..5 {
            window.try_pass(START).unwrap();
        }
        window.answered(Some(report(10, 60)), true);
        assert_eq!(passing(&mut window, START), 6);
    }

    #[test]
    fn answers_that_overtake_each_other_do_not_open_the_window() {
        let mut window = Window::default();
        window.try_pass(START).unwrap();
        window.try_pass(START).unwrap();
        window.answered(Some(report(3, 60)), true);
        window.answered(Some(report(4, 59)), true);
        assert_eq!(passing(&mut window, START), 3);
    }

    #[test]
    fn an_answer_from_a_window_that_is_over_is_ignored() {
        let mut window = Window::default();
        for _ in 0..3 {
            window.try_pass(START).unwrap();
        }
        window.answered(Some(report(50, 70)), true);
        window.answered(Some(report(0, 10)), true);
        assert_eq!(passing(&mut window, START), 49);
    }

    #[test]
    fn an_attempt_that_was_lost_may_have_been_counted() {
        let mut window = Window::default();
        window.try_pass(START).unwrap();
        window.answered(Some(report(5, 60)), true);
        window.try_pass(START).unwrap();
        window.lost();
        assert_eq!(passing(&mut window, START), 4);
    }

    #[test]
    fn a_429_holds_everybody_and_a_shorter_one_does_not_release_them() {
        let mut window = Window::default();
        window.hold(START + Duration::from_secs(9));
        window.hold(START + Duration::from_secs(3));
        assert_eq!(window.try_pass(START), Err(START + Duration::from_secs(9)));
        assert!(window.try_pass(START + Duration::from_secs(9)).is_ok());
    }

    #[test]
    fn the_estimate_counts_whole_windows() {
        let mut window = Window::default();
        window.try_pass(START).unwrap();
        window.answered(Some(report(10, 30)), true);
        let reset = START + Duration::from_secs(30);
        assert_eq!(window.estimate(9, START), START);
        assert_eq!(window.estimate(10, START), reset);
        assert_eq!(window.estimate(109, START), reset);
        assert_eq!(window.estimate(110, START), reset + MINUTE);
    }
}
