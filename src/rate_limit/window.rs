//! The organization's window: a number of requests until it resets, as the service's responses report it.

use std::time::{Duration, SystemTime};

use crate::response::RateLimit;

/// The number of requests that may be in flight before a response has reported a limit. Without it, a program that
/// starts with a thousand calls would exceed the limit many times before the first response.
pub(super) const COLD_START: u32 = 10;

/// The documented length of a window.
pub(super) const MINUTE: Duration = Duration::from_secs(60);

/// The longest time to the end of a window that has the documented length.
pub(super) const LONGEST_WINDOW: Duration = Duration::from_secs(61);

/// The longest window that is learnt. A reset beyond it is a mistake, and no call must wait for it.
const LONGEST_LEARNT: Duration = Duration::from_secs(60 * 60);

/// The documented number of requests in a window.
const DOCUMENTED_LIMIT: u32 = 100;

/// The difference between the ends of one window that two responses may report, as the headers count in seconds.
const SAME_WINDOW: Duration = Duration::from_secs(2);

/// The window as far as it is known. Times are monotonic, except for those of the service.
#[derive(Debug)]
pub(super) struct Window {
    known: Known,
    /// Permits in use. It is not known whether the service has counted their requests, so they are subtracted from the
    /// number that it reported as left.
    in_flight: u32,
    /// Permits that were taken in this window.
    taken: u32,
    /// No permits are granted before this time, after a 429.
    held_until: Duration,
}

#[derive(Debug)]
enum Known {
    /// No response of the service yet.
    Nothing,
    /// Responses of the service report no limit.
    NoLimit,
    Limit {
        /// The last report on the window, with the least number that was left.
        last: Report,
        /// The window is over by the clock, and no response has reported the next. `last` is then the expected window.
        is_over: bool,
    },
}

/// The rate-limit headers of a response.
#[derive(Clone, Copy, Debug)]
pub(super) struct Report {
    pub(super) limit: u32,
    pub(super) left: u32,
    pub(super) resets_at: Duration,
    /// The end of the window by the service's clock, which identifies the window however long the response took.
    pub(super) ends: SystemTime,
}

impl Report {
    /// Returns the number of requests in a window. With a limit of 0, one is tried in each window.
    fn room(&self) -> u32 {
        self.limit.max(1)
    }
}

impl Window {
    pub(super) fn new() -> Self {
        Self { known: Known::Nothing, in_flight: 0, taken: 0, held_until: Duration::ZERO }
    }

    /// Returns whether the service has not responded yet.
    pub(super) fn is_unknown(&self) -> bool {
        matches!(self.known, Known::Nothing)
    }

    /// Returns whether the responses of the service report no limit.
    pub(super) fn is_unlimited(&self) -> bool {
        matches!(self.known, Known::NoLimit)
    }

    /// Takes room for a request with a leased permit, or returns the time at which to try again at the latest.
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

    /// Takes room for a request, or returns the time at which to try again at the latest. While nothing is known, calls
    /// that may wait do so for the first response.
    ///
    /// If several clients take from the window without coordination, each has an equal share. It takes the rest one by
    /// one, and only if the response to the last request reported that some is left.
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

    /// Gives back the room that a request took. If it was sent, [`responded`](Self::responded) or [`lost`](Self::lost)
    /// follows.
    pub(super) fn release(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Returns the report of a response that may be incomplete, or in a form that means nothing. What is missing is as
    /// in the last response or as documented, so that a limit in an unknown form is not taken for none.
    pub(super) fn complete(&self, reported: RateLimit, now: Duration, service_now: SystemTime) -> Report {
        let limit = reported.limit.or(self.limit()).unwrap_or(DOCUMENTED_LIMIT);
        let next = Report { limit, left: limit, resets_at: now + MINUTE, ends: service_now + MINUTE };
        let mut report = Report { limit, ..self.report(now).unwrap_or(next) };
        report.left = reported.remaining.unwrap_or(report.left.saturating_sub(1));
        let reset_at = reported.reset_at.map(SystemTime::from);
        if let Some(ends) = reset_at.filter(|ends| *ends <= service_now + LONGEST_LEARNT) {
            report.ends = ends;
            report.resets_at = now + ends.duration_since(service_now).unwrap_or_default();
        }
        report
    }

    /// Applies a response, with or without a report. Returns whether it is the first report of a window.
    pub(super) fn responded(&mut self, report: Option<Report>, is_success: bool) -> bool {
        let before = self.end();
        self.learn(report, is_success);
        self.end() > before
    }

    /// Returns the end of the window that was reported last.
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
                        // The requests in flight, and the one of this response.
                        self.taken = self.in_flight + 1;
                    }
                    (*last, *is_over) = (new, false);
                } else if *is_over {
                    // A late report on the window that is over. The service may have counted the request in the next.
                    last.left = last.left.saturating_sub(1);
                } else if new.ends + SAME_WINDOW >= last.ends {
                    // Responses may arrive out of order. The least number that was left is the latest.
                    last.limit = new.limit;
                    last.left = last.left.min(new.left);
                    last.resets_at = last.resets_at.min(new.resets_at);
                } // else: a report on a window before.
            }
            (Some(new), known) => *known = Known::Limit { last: new, is_over: false },
            // The service may have counted it.
            (None, Known::Limit { last, .. }) => last.left = last.left.saturating_sub(1),
            // Failures without headers may come from a gateway.
            (None, known @ Known::Nothing) if is_success => *known = Known::NoLimit,
            (None, _) => {}
        }
    }

    /// The response to a request was lost.
    pub(super) fn lost(&mut self) {
        self.responded(None, false);
    }

    /// Returns the last report on the present window, if there is one.
    pub(super) fn report(&self, now: Duration) -> Option<Report> {
        match self.known {
            Known::Limit { last, is_over: false } if now < last.resets_at => Some(last),
            _ => None,
        }
    }

    /// Returns the limit that the service reported last.
    pub(super) fn limit(&self) -> Option<u32> {
        match self.known {
            Known::Limit { last, .. } => Some(last.limit),
            _ => None,
        }
    }

    /// Grants nothing before this time.
    pub(super) fn hold(&mut self, until: Duration) {
        self.held_until = self.held_until.max(until);
    }

    /// Returns the earliest time at which a request behind so many others can be sent, as far as that is known.
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

    /// Returns a window on which one response has reported.
    fn reported(report: Report) -> Window {
        let mut window = Window::new();
        end(&mut window, 1, [Some(report)]);
        window
    }

    /// Takes room for requests, and ends some of them with these reports.
    fn end<const N: usize>(window: &mut Window, requests: usize, reports: [Option<Report>; N]) {
        for _ in 0..requests {
            window.try_acquire(START, true, 1).unwrap();
        }
        for report in reports {
            window.release();
            window.responded(report, report.is_some());
        }
    }

    /// Returns the number of requests that are granted now.
    fn granted(window: &mut Window, now: Duration) -> u32 {
        (0..1_000).take_while(|_| window.try_acquire(now, true, 1).is_ok()).count().try_into().unwrap()
    }

    #[test]
    fn a_few_requests_are_granted_before_the_first_response() {
        let mut window = Window::new();
        assert_eq!(granted(&mut window, START), COLD_START);
        end(&mut window, 0, [Some(report(99, 60))]);
        assert_eq!(granted(&mut window, START), 99 - (COLD_START - 1));
    }

    #[test]
    fn a_spent_window_opens_at_its_reset() {
        let mut window = reported(report(0, 30));
        let reset = START + Duration::from_secs(30);
        assert_eq!(window.try_acquire(START, true, 1), Err(reset));
        assert_eq!(granted(&mut window, reset), 100);
        assert_eq!(window.try_acquire(reset, true, 1), Err(reset + MINUTE));
    }

    #[test]
    fn requests_in_flight_are_subtracted_from_the_reported_rest() {
        let mut window = Window::new();
        end(&mut window, 5, [Some(report(10, 60))]);
        assert_eq!(granted(&mut window, START), 6);
    }

    #[test]
    fn a_response_out_of_order_does_not_raise_the_rest() {
        let mut window = Window::new();
        end(&mut window, 2, [Some(report(3, 60)), Some(report(4, 59))]);
        assert_eq!(granted(&mut window, START), 3);
    }

    #[test]
    fn a_report_on_an_earlier_window_is_ignored() {
        let mut window = Window::new();
        end(&mut window, 3, [Some(report(50, 70)), Some(report(0, 10))]);
        assert_eq!(granted(&mut window, START), 49);
    }

    #[test]
    fn a_slow_response_does_not_count_as_one_of_the_next_window() {
        let mut window = Window::new();
        // The second took nine seconds, by which the time to the reset has not become shorter.
        let slow = Report { resets_at: START + Duration::from_secs(69), ..report(9, 60) };
        end(&mut window, 2, [Some(report(3, 60)), Some(slow)]);
        assert_eq!(granted(&mut window, START), 3);
        assert_eq!(window.try_acquire(START, true, 1), Err(START + MINUTE));
    }

    #[test]
    fn the_first_report_after_idle_windows_counts_although_its_window_ends_earlier_than_expected() {
        let mut window = reported(report(99, 60));
        let now = START + Duration::from_secs(350);
        window.try_acquire(now, true, 1).unwrap();
        end(&mut window, 0, [Some(report(7, 360))]);
        assert_eq!(granted(&mut window, now), 7);
        assert_eq!(window.try_acquire(now, true, 1), Err(START + Duration::from_secs(360)));
    }

    #[test]
    fn a_late_report_on_the_last_window_counts_as_one_request_of_the_next() {
        let mut window = Window::new();
        end(&mut window, 2, [Some(report(1, 60))]);
        let next = START + MINUTE;
        window.try_acquire(next, true, 1).unwrap();
        end(&mut window, 0, [Some(report(0, 60))]);
        // One is in flight, and the late one may have been counted in this window.
        assert_eq!(granted(&mut window, next), 98);
    }

    #[test]
    fn with_a_limit_of_zero_one_request_is_tried_in_each_window() {
        let mut window = reported(Report { limit: 0, ..report(0, 30) });
        assert_eq!(granted(&mut window, START), 0);
        assert_eq!(granted(&mut window, START + MINUTE), 1);
        assert!(window.estimate(7, START) > START);
    }

    #[test]
    fn a_lost_attempt_counts_as_a_request() {
        let mut window = reported(report(5, 60));
        end(&mut window, 1, [None]);
        assert_eq!(granted(&mut window, START), 4);
    }

    #[test]
    fn a_shorter_hold_does_not_end_a_longer_one() {
        let mut window = Window::new();
        window.hold(START + Duration::from_secs(9));
        window.hold(START + Duration::from_secs(3));
        assert_eq!(window.try_acquire(START, true, 1), Err(START + Duration::from_secs(9)));
        assert!(window.try_acquire(START + Duration::from_secs(9), true, 1).is_ok());
    }

    #[test]
    fn the_estimate_counts_whole_windows() {
        let window = reported(report(10, 30));
        let reset = START + Duration::from_secs(30);
        assert_eq!(window.estimate(9, START), START);
        assert_eq!(window.estimate(10, START), reset);
        assert_eq!(window.estimate(109, START), reset);
        assert_eq!(window.estimate(110, START), reset + MINUTE);
    }
}
