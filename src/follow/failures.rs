//! Failed polls in a row: when to poll again, and when to give up.

use std::time::Duration;

use crate::{Error, ErrorKind};

/// The first delay after a failed poll, and the longest. It doubles in between.
const FIRST_DELAY: Duration = Duration::from_secs(2);
const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// The longest delay that the service can ask for. It may be wrong, and the wait goes on.
const LONGEST_ASKED: Duration = Duration::from_secs(5 * 60);

/// Failures that will hardly pass end a wait after so many in a row, which takes about a minute.
const LASTING: u32 = 6;

/// Failures that may pass end a wait when nothing else has come for this long. A run costs money, and an outage may be long.
const OUTAGE: Duration = Duration::from_secs(60 * 60);

/// The failures of one thing since it last could be fetched.
#[derive(Debug, Default)]
pub(super) struct Failures {
    count: u32,
    /// Number of the last failures that were of one kind.
    same_kind: u32,
    kind: Option<ErrorKind>,
    since: Duration,
}

/// The consequence of a failed poll.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum NextPoll {
    /// Another, after a delay.
    After(Duration),
    /// None: the wait ends with this failure.
    Never,
}

impl Failures {
    /// Counts a failure. `is_known` says that the run exists: then a 404 is that of a replica that lags behind.
    pub(super) fn record(&mut self, error: &Error, is_known: bool, now: Duration) -> NextPoll {
        if self.count == 0 {
            self.since = now;
        }
        self.same_kind = if self.kind == Some(error.kind()) { self.same_kind + 1 } else { 1 };
        self.kind = Some(error.kind());
        self.count += 1;
        let ends = match Outlook::of(error) {
            Outlook::Transient => now.saturating_sub(self.since) >= OUTAGE,
            Outlook::Lasting => self.same_kind >= LASTING,
            Outlook::Missing => !is_known || self.same_kind >= LASTING,
            Outlook::Refused => true,
        };
        if ends { NextPoll::Never } else { NextPoll::After(self.delay(error.retry_after())) }
    }

    /// Returns how many there were.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Returns the delay to the next poll.
    pub(super) fn delay(&self, asked: Option<Duration>) -> Duration {
        let doublings = self.count.saturating_sub(1).min(16);
        let delay = FIRST_DELAY.saturating_mul(1 << doublings).min(LONGEST_DELAY);
        asked.map_or(delay, |asked| asked.clamp(FIRST_DELAY, LONGEST_ASKED))
    }
}

/// The prospects of another poll after a failed one.
enum Outlook {
    /// The network, an overload or a fault of the service.
    Transient,
    /// Whatever responds does not look like the service, or cannot be read.
    Lasting,
    /// The run was not found.
    Missing,
    /// The request is wrong, or not allowed.
    Refused,
}

impl Outlook {
    fn of(error: &Error) -> Self {
        use ErrorKind::{
            BodyTooLarge, Conflict, Connect, Decode, Interrupted, NotFound, RateLimited, Server, Timeout, Unavailable,
            UnexpectedStatus,
        };
        match error.kind() {
            Connect | Interrupted | RateLimited | Server | Timeout | Unavailable => Self::Transient,
            BodyTooLarge | Conflict | Decode | UnexpectedStatus => Self::Lasting,
            NotFound => Self::Missing,
            _ => Self::Refused,
        }
    }
}

#[cfg(test)]
mod tests {

    use super::{Failures, NextPoll};
    use crate::{Error, Operation};
    use std::time::Duration;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn error(status: u16) -> Error {
        Error::of_response(Operation::GET_RUN, status, "")
    }

    /// The delays between polls that all fail with this, up to the end of the wait.
    fn delays(error: &Error, is_known: bool) -> Vec<u64> {
        let (mut failures, mut now, mut delays) = (Failures::default(), Duration::ZERO, Vec::new());
        while let NextPoll::After(delay) = failures.record(error, is_known, now) {
            now += delay;
            delays.push(delay.as_secs());
        }
        delays
    }

    #[test]
    fn failures_that_will_hardly_pass_end_a_wait_after_a_minute() {
        for status in [301, 405] {
            assert_eq!(delays(&error(status), true), [2, 4, 8, 16, 32], "{status}");
        }
    }

    #[test]
    fn failures_that_may_pass_end_a_wait_after_an_hour() {
        for status in [429, 500, 502, 503] {
            let delays = delays(&error(status), true);
            assert_eq!(delays[..7], [2, 4, 8, 16, 32, 60, 60], "{status}");
            assert!((3600..3660).contains(&delays.iter().sum::<u64>()), "{status}");
        }
    }

    #[test]
    fn a_run_that_exists_may_be_missing_for_a_minute_and_any_other_may_not() {
        assert_eq!(delays(&error(404), true), [2, 4, 8, 16, 32]);
        assert!(delays(&error(404), false).is_empty());
        assert!(delays(&error(403), true).is_empty());
    }

    #[test]
    fn failures_of_several_kinds_are_not_counted_together() {
        let mut failures = Failures::default();
        for status in [405, 500, 405, 500, 405, 500, 405, 405, 405, 405, 405] {
            assert!(matches!(failures.record(&error(status), true, seconds(0)), NextPoll::After(_)), "{status}");
        }
        assert_eq!(failures.record(&error(405), true, seconds(0)), NextPoll::Never);
    }

    #[test]
    fn the_service_may_ask_for_five_minutes_and_no_more() {
        let asked = |seconds| {
            let error = error(503).with_retry_after(Some(Duration::from_secs(seconds)));
            Failures::default().record(&error, true, Duration::ZERO)
        };
        for (asked_for, delay) in [(0, 2), (30, 30), (900, 300)] {
            assert_eq!(asked(asked_for), NextPoll::After(seconds(delay)));
        }
    }
}
