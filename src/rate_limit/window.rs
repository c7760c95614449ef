//! The organization's window: so many requests until it resets, as the service's responses report it.

use std::time::{Duration, SystemTime};

/// Requests that may be in flight before the first response has reported a limit. Without a bound, a program that starts with a
/// thousand calls would spend the window many times over before it learns of it.
pub(super) const COLD_START: u32 = 10;

/// The documented length of a window.
pub(super) const MINUTE: Duration = Duration::from_secs(60);

/// The longest wait that a 429 asks for in the normal course: its window is a minute.
pub(crate) const LONGEST_WINDOW: Duration = Duration::from_secs(61);

/// Two responses of one window may put its end up to this far apart, as the headers count in seconds.
const SAME_WINDOW: Duration = Duration::from_secs(2);

/// The window as far as it is known. Times are monotonic, but for the service's own.
#[derive(Debug)]
pub(super) struct Window {
    known: Known,
    /// Permits in use. Whether the service has counted their requests is not known, so they count as not yet subtracted from
    /// what it reported as left.
    in_flight: u32,
    /// Permits that were taken in this window.
    taken: u32,
    /// No permits before this: the service has responded with 429.
    held_until: Duration,
}

#[derive(Debug)]
enum Known {
    /// No response of the service yet.
    Nothing,
    /// Responses of the service report no limit.
    NoLimit,
    Limit {
        /// The last report on the window; of what is left, the least.
        last: Report,
        /// The window is over by our clock, and no response has reported the next: `last` is what it should be like.
        is_over: bool,
    },
}

/// The rate-limit headers of a response.
#[derive(Clone, Copy, Debug)]
pub(super) struct Report {
    pub(super) limit: u32,
    pub(super) left: u32,
    pub(super) resets_at: Duration,
    /// The end of the window by the service's clock. It tells one window from another, however long the response took.
    pub(super) ends: SystemTime,
}

impl Report {
    /// The requests that fit into a window. A limit of 0 is tried once in each.
    fn room(&self) -> u32 {
        self.limit.max(1)
    }
}

impl Window {
    pub(super) fn new() -> Self {
        Self { known: Known::Nothing, in_flight: 0, taken: 0, held_until: Duration::ZERO }
    }

    /// Returns whether no response of the service has come yet.
    pub(super) fn is_unknown(&self) -> bool {
        matches!(self.known, Known::Nothing)
    }

    /// Returns whether the service has no limit, as far as its responses tell.
    pub(super) fn is_unlimited(&self) -> bool {
        matches!(self.known, Known::NoLimit)
    }

    /// Takes room for a request whose permit comes from elsewhere, or returns when to try again at the latest.
    pub(super) fn acquire_leased(&mut self, now: Duration) -> Result<(), Duration> {
        if now < self.held_until {
            return Err(self.held_until);
        }
        self.take();
        Ok(())
    }

    fn take(&mut self) {
        self.in_flight += 1;
        self.taken = self.taken.saturating_add(1);
    }

    /// Takes room for a request, or returns when to try again at the latest. With nothing known, only a response makes room, unless the
    /// request is one that cannot wait for it.
    ///
    /// Where several clients take from the window and do not know of each other, each has an equal share. What is left beyond that, it takes
    /// one by one: the response tells whether others have left something.
    pub(super) fn try_acquire(&mut self, now: Duration, may_wait: bool, shares: u32) -> Result<(), Duration> {
        if now < self.held_until {
            return Err(self.held_until);
        }
        let again = match &mut self.known {
            Known::NoLimit => None,
            Known::Nothing => (may_wait && self.in_flight >= COLD_START).then_some(Duration::MAX),
            Known::Limit { last, is_over } => {
                if now >= last.resets_at {
                    (last.left, last.resets_at, *is_over) = (last.room(), now + MINUTE, true);
                    self.taken = 0;
                }
                let has_share = self.taken < (last.room() / shares.max(1)).max(1);
                let may_take = shares <= 1
                    || has_share
                    || (self.in_flight == 0 && last.left >= shares.min(last.room().div_ceil(2)));
                (self.in_flight >= last.left || !may_take).then_some(last.resets_at)
            }
        };
        if let Some(at) = again {
            return Err(at);
        }
        self.take();
        Ok(())
    }

    /// Gives back the room that a request took. If it was sent, [`responded`](Self::responded) or [`lost`](Self::lost) follows.
    pub(super) fn release(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// A request was responded to, with or without a report. Returns whether it is the first report of a window.
    pub(super) fn responded(&mut self, report: Option<Report>, is_success: bool) -> bool {
        let before = self.end();
        self.learn(report, is_success);
        self.end() > before
    }

    /// The end of the window that was reported last.
    fn end(&self) -> Option<SystemTime> {
        match self.known {
            Known::Limit { last, .. } => Some(last.ends),
            _ => None,
        }
    }

    fn learn(&mut self, report: Option<Report>, is_success: bool) {
        match (report, &mut self.known) {
            (Some(new), Known::Limit { last, is_over }) => {
                if new.ends > last.ends + SAME_WINDOW {
                    if !*is_over {
                        // Those on their way, and the one that was responded to.
                        self.taken = self.in_flight + 1;
                    }
                    (*last, *is_over) = (new, false);
                } else if *is_over {
                    // A late report on the window that is over. If it is not over for the service, the request counts.
                    last.left = last.left.saturating_sub(1);
                } else if new.ends + SAME_WINDOW >= last.ends {
                    // Responses overtake each other; the least that was left is the latest.
                    last.limit = new.limit;
                    last.left = last.left.min(new.left);
                    last.resets_at = last.resets_at.min(new.resets_at);
                } // else: a report on a window before.
            }
            (Some(new), known) => *known = Known::Limit { last: new, is_over: false },
            // It may have been counted all the same.
            (None, Known::Limit { last, .. }) => last.left = last.left.saturating_sub(1),
            // Failures without headers may come from a gateway that knows nothing of limits.
            (None, known @ Known::Nothing) if is_success => *known = Known::NoLimit,
            (None, _) => {}
        }
    }

    /// The response to a request was lost.
    pub(super) fn lost(&mut self) {
        self.responded(None, false);
    }

    /// The last report on the present window, if one has come.
    pub(super) fn report(&self, now: Duration) -> Option<Report> {
        match self.known {
            Known::Limit { last, is_over: false } if now < last.resets_at => Some(last),
            _ => None,
        }
    }

    /// The limit that the service last reported.
    pub(super) fn limit(&self) -> Option<u32> {
        match self.known {
            Known::Limit { last, .. } => Some(last.limit),
            _ => None,
        }
    }

    /// Grants nothing before this.
    pub(super) fn hold(&mut self, until: Duration) {
        self.held_until = self.held_until.max(until);
    }

    /// When a request behind so many others can be sent at the earliest, as far as can be told.
    pub(super) fn estimate(&self, ahead: u32, now: Duration) -> Duration {
        let opens = match self.known {
            Known::Limit { last, .. } => {
                let left = if now >= last.resets_at { last.room() } else { last.left }.saturating_sub(self.in_flight);
                match ahead.checked_sub(left) {
                    None => now,
                    Some(beyond) => last.resets_at.max(now) + MINUTE * (beyond / last.room()),
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
    use std::time::{Duration, SystemTime};

    const START: Duration = Duration::from_secs(1_000);

    fn report(left: u32, resets_in: u64) -> Report {
        let resets_at = START + Duration::from_secs(resets_in);
        Report { limit: 100, left, resets_at, ends: SystemTime::UNIX_EPOCH + resets_at }
    }

    /// A request in flight ends with this.
    fn end(window: &mut Window, report: Option<Report>, is_success: bool) {
        window.release();
        window.responded(report, is_success);
    }

    /// How many pass right now.
    fn passing(window: &mut Window, now: Duration) -> u32 {
        (0..1_000).take_while(|_| window.try_acquire(now, true, 1).is_ok()).count().try_into().unwrap()
    }

    #[test]
    fn a_cold_start_lets_a_few_through_until_the_first_answer() {
        let mut window = Window::new();
        assert_eq!(passing(&mut window, START), COLD_START);
        end(&mut window, Some(report(99, 60)), true);
        assert_eq!(passing(&mut window, START), 99 - (COLD_START - 1));
    }

    #[test]
    fn a_service_that_tells_nothing_limits_nothing() {
        let mut window = Window::new();
        window.try_acquire(START, true, 1).unwrap();
        end(&mut window, None, true);
        assert_eq!(passing(&mut window, START), 1_000);
    }

    #[test]
    fn a_failure_without_a_report_does_not_mean_that_there_is_no_limit() {
        let mut window = Window::new();
        window.try_acquire(START, true, 1).unwrap();
        end(&mut window, None, false);
        assert_eq!(passing(&mut window, START), COLD_START);
    }

    #[test]
    fn a_spent_window_opens_at_its_reset() {
        let mut window = Window::new();
        window.try_acquire(START, true, 1).unwrap();
        end(&mut window, Some(report(0, 30)), true);
        let reset = START + Duration::from_secs(30);
        assert_eq!(window.try_acquire(START, true, 1), Err(reset));
        assert_eq!(passing(&mut window, reset), 100);
        assert_eq!(window.try_acquire(reset, true, 1), Err(reset + MINUTE));
    }

    #[test]
    fn requests_on_their_way_are_not_counted_as_left() {
        let mut window = Window::new();
        for _ in 0..5 {
            window.try_acquire(START, true, 1).unwrap();
        }
        end(&mut window, Some(report(10, 60)), true);
        assert_eq!(passing(&mut window, START), 6);
    }

    #[test]
    fn answers_that_overtake_each_other_do_not_open_the_window() {
        let mut window = Window::new();
        window.try_acquire(START, true, 1).unwrap();
        window.try_acquire(START, true, 1).unwrap();
        end(&mut window, Some(report(3, 60)), true);
        end(&mut window, Some(report(4, 59)), true);
        assert_eq!(passing(&mut window, START), 3);
    }

    #[test]
    fn an_answer_from_a_window_that_is_over_is_ignored() {
        let mut window = Window::new();
        for _ in 0..3 {
            window.try_acquire(START, true, 1).unwrap();
        }
        end(&mut window, Some(report(50, 70)), true);
        end(&mut window, Some(report(0, 10)), true);
        assert_eq!(passing(&mut window, START), 49);
    }

    #[test]
    fn a_slow_answer_is_told_from_one_of_the_next_window() {
        let mut window = Window::new();
        window.try_acquire(START, true, 1).unwrap();
        window.try_acquire(START, true, 1).unwrap();
        end(&mut window, Some(report(3, 60)), true);
        // It was on its way for nine seconds, in which the time to the reset has not become less.
        end(&mut window, Some(Report { resets_at: START + Duration::from_secs(69), ..report(9, 60) }), true);
        assert_eq!(passing(&mut window, START), 3);
        assert_eq!(window.try_acquire(START, true, 1), Err(START + MINUTE));
    }

    #[test]
    fn the_first_answer_after_idle_windows_counts_although_its_window_ends_earlier_than_expected() {
        let mut window = Window::new();
        window.try_acquire(START, true, 1).unwrap();
        end(&mut window, Some(report(99, 60)), true);
        let now = START + Duration::from_secs(350);
        window.try_acquire(now, true, 1).unwrap();
        end(&mut window, Some(report(7, 360)), true);
        assert_eq!(passing(&mut window, now), 7);
        assert_eq!(window.try_acquire(now, true, 1), Err(START + Duration::from_secs(360)));
    }

    #[test]
    fn a_late_word_from_the_window_before_neither_closes_nor_opens_the_next() {
        let mut window = Window::new();
        window.try_acquire(START, true, 1).unwrap();
        window.try_acquire(START, true, 1).unwrap();
        end(&mut window, Some(report(1, 60)), true);
        let next = START + MINUTE;
        window.try_acquire(next, true, 1).unwrap();
        end(&mut window, Some(report(0, 60)), true);
        // One is on its way, and the late one may have been counted in this window.
        assert_eq!(passing(&mut window, next), 98);
    }

    #[test]
    fn a_limit_of_nothing_lets_one_ask_again_in_each_window() {
        let mut window = Window::new();
        window.try_acquire(START, true, 1).unwrap();
        end(&mut window, Some(Report { limit: 0, ..report(0, 30) }), true);
        assert_eq!(passing(&mut window, START), 0);
        assert_eq!(passing(&mut window, START + MINUTE), 1);
        assert!(window.estimate(7, START) > START);
    }

    #[test]
    fn an_attempt_that_was_lost_may_have_been_counted() {
        let mut window = Window::new();
        window.try_acquire(START, true, 1).unwrap();
        end(&mut window, Some(report(5, 60)), true);
        window.try_acquire(START, true, 1).unwrap();
        end(&mut window, None, false);
        assert_eq!(passing(&mut window, START), 4);
    }

    #[test]
    fn a_429_holds_everybody_and_a_shorter_one_does_not_release_them() {
        let mut window = Window::new();
        window.hold(START + Duration::from_secs(9));
        window.hold(START + Duration::from_secs(3));
        assert_eq!(window.try_acquire(START, true, 1), Err(START + Duration::from_secs(9)));
        assert!(window.try_acquire(START + Duration::from_secs(9), true, 1).is_ok());
    }

    #[test]
    fn the_estimate_counts_whole_windows() {
        let mut window = Window::new();
        window.try_acquire(START, true, 1).unwrap();
        end(&mut window, Some(report(10, 30)), true);
        let reset = START + Duration::from_secs(30);
        assert_eq!(window.estimate(9, START), START);
        assert_eq!(window.estimate(10, START), reset);
        assert_eq!(window.estimate(109, START), reset);
        assert_eq!(window.estimate(110, START), reset + MINUTE);
    }
}
