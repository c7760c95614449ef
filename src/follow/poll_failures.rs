//! [`PollFailures`]: the delay after failed polls, and the failure that ends a wait.

use std::time::Duration;

use crate::{Error, ErrorKind};

/// The delay after a failed poll doubles from the first to the longest.
const FIRST_DELAY: Duration = Duration::from_secs(2);
const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// The longest delay that is taken from the service's `Retry-After`.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(5 * 60);

/// The number of persistent failures in a row that ends a wait. This takes about a minute.
const MAX_PERSISTENT: u32 = 6;

/// The time of nothing but transient failures that ends a wait. A run costs money, and an outage may be long.
const MAX_OUTAGE: Duration = Duration::from_secs(60 * 60);

/// The failed polls of a run or of lists since the last success.
#[derive(Debug, Default)]
pub(super) struct PollFailures {
    count: u32,
    /// The number of the latest failures that were of one kind.
    same_kind: u32,
    kind: Option<ErrorKind>,
    since: Duration,
}

/// The consequence of a failed poll.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum NextPoll {
    After(Duration),
    /// The wait ends with this failure.
    Never,
}

impl PollFailures {
    /// Counts a failure. If the run is known to exist, a 404 comes from a server replica that lags behind.
    pub(super) fn record(&mut self, error: &Error, is_known: bool, now: Duration) -> NextPoll {
        if self.count == 0 {
            self.since = now;
        }
        self.same_kind = if self.kind == Some(error.kind()) { self.same_kind + 1 } else { 1 };
        self.kind = Some(error.kind());
        self.count += 1;
        let ends = match FailureClass::of(error) {
            FailureClass::Transient => now.saturating_sub(self.since) >= MAX_OUTAGE,
            FailureClass::Persistent => self.same_kind >= MAX_PERSISTENT,
            FailureClass::NotFound => !is_known || self.same_kind >= MAX_PERSISTENT,
            FailureClass::Refused => true,
        };
        if ends { NextPoll::Never } else { NextPoll::After(self.delay(error.retry_after())) }
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    pub(super) fn delay(&self, retry_after: Option<Duration>) -> Duration {
        let doublings = self.count.saturating_sub(1).min(16);
        let delay = FIRST_DELAY.saturating_mul(1 << doublings).min(LONGEST_DELAY);
        retry_after.map_or(delay, |asked| asked.clamp(FIRST_DELAY, LONGEST_RETRY_AFTER))
    }
}

enum FailureClass {
    /// The network failed, or the service is overloaded or broken.
    Transient,
    /// The response is not one of the service, or cannot be read.
    Persistent,
    NotFound,
    /// The request is wrong or not allowed.
    Refused,
}

impl FailureClass {
    fn of(error: &Error) -> Self {
        use ErrorKind::{
            BodyTooLarge, Conflict, Connect, Decode, Interrupted, NotFound, RateLimited, Server, Timeout, Unavailable,
            UnexpectedStatus,
        };
        match error.kind() {
            Connect | Interrupted | RateLimited | Server | Timeout | Unavailable => Self::Transient,
            BodyTooLarge | Conflict | Decode | UnexpectedStatus => Self::Persistent,
            NotFound => Self::NotFound,
            _ => Self::Refused,
        }
    }
}

#[cfg(test)]
mod tests {

    use super::{NextPoll, PollFailures};
    use crate::{Error, Operation};
    use std::time::Duration;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn error(status: u16) -> Error {
        Error::of_response(Operation::GET_RUN, status, "")
    }

    /// Returns the delays between polls that all fail with this error, up to the end of the wait.
    fn delays(error: &Error, is_known: bool) -> Vec<u64> {
        let (mut failures, mut now, mut delays) = (PollFailures::default(), Duration::ZERO, Vec::new());
        while let NextPoll::After(delay) = failures.record(error, is_known, now) {
            now += delay;
            delays.push(delay.as_secs());
        }
        delays
    }

    #[test]
    fn persistent_failures_end_a_wait_after_a_minute() {
        for status in [301, 405] {
            assert_eq!(delays(&error(status), true), [2, 4, 8, 16, 32], "{status}");
        }
    }

    #[test]
    fn transient_failures_end_a_wait_after_an_hour() {
        for status in [429, 500, 502, 503] {
            let delays = delays(&error(status), true);
            assert_eq!(delays[..7], [2, 4, 8, 16, 32, 60, 60], "{status}");
            assert!((3600..3660).contains(&delays.iter().sum::<u64>()), "{status}");
        }
    }

    #[test]
    fn a_known_run_may_be_missing_for_a_minute_and_an_unknown_run_may_not() {
        assert_eq!(delays(&error(404), true), [2, 4, 8, 16, 32]);
        assert!(delays(&error(404), false).is_empty());
        assert!(delays(&error(403), true).is_empty());
    }

    #[test]
    fn persistent_failures_of_different_kinds_are_not_counted_together() {
        let mut failures = PollFailures::default();
        for status in [405, 500, 405, 500, 405, 500, 405, 405, 405, 405, 405] {
            assert!(matches!(failures.record(&error(status), true, seconds(0)), NextPoll::After(_)), "{status}");
        }
        assert_eq!(failures.record(&error(405), true, seconds(0)), NextPoll::Never);
    }

    #[test]
    fn retry_after_is_followed_up_to_five_minutes() {
        let asked = |seconds| {
            let error = error(503).with_retry_after(Some(Duration::from_secs(seconds)));
            PollFailures::default().record(&error, true, Duration::ZERO)
        };
        for (asked_for, delay) in [(0, 2), (30, 30), (900, 300)] {
            assert_eq!(asked(asked_for), NextPoll::After(seconds(delay)));
        }
    }
}
