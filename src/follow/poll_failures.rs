//! [`PollFailures`]: the delay after failed polls, and the failure that ends a wait.

use std::time::Duration;

use crate::{Error, ErrorKind};

/// The delay after a failed poll doubles from the first to the longest.
const FIRST_DELAY: Duration = Duration::from_secs(2);
const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// The longest delay that is taken from the service's `Retry-After`.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(5 * 60);

/// The time of nothing but 404s that ends a wait for a run that is known to exist.
const MAX_LAG: Duration = Duration::from_secs(60);

/// The time of nothing but responses that are none of the service's, or cannot be read, that ends a wait. A gateway
/// that is being deployed may show its sign-in page for ten minutes.
const MAX_FOREIGN: Duration = Duration::from_secs(15 * 60);

/// The time of nothing but failures that ends a wait. A run costs money, and an outage may be long.
const MAX_OUTAGE: Duration = Duration::from_secs(60 * 60);

/// The failed polls of a run or of lists since the last success.
#[derive(Debug, Default)]
pub(super) struct PollFailures {
    count: u32,
    /// The time of the first.
    since: Duration,
    /// The limit of the latest failures, and the time of the first of them.
    latest: (Duration, Duration),
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
        let limit = limit(error, is_known);
        if self.count == 0 || self.latest.0 != limit {
            self.latest = (limit, now);
        }
        self.count += 1;
        let has_passed = |since, limit| now.saturating_sub(since) >= limit;
        let ends = has_passed(self.latest.1, limit) || has_passed(self.since, MAX_OUTAGE);
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

/// Returns the time of failures such as this one that ends a wait. Only the service's own word ends it at once.
fn limit(error: &Error, is_known: bool) -> Duration {
    use ErrorKind::{
        BodyTooLarge, Conflict, Connect, Decode, Interrupted, InvalidRequest, Middleware, NotFound, RateLimited,
        Server, Timeout, Unavailable, UnexpectedStatus,
    };
    match error.kind() {
        Connect | Interrupted | Middleware | RateLimited | Server | Timeout | Unavailable => MAX_OUTAGE,
        BodyTooLarge | Conflict | Decode | UnexpectedStatus => MAX_FOREIGN,
        InvalidRequest if error.status().is_some() && error.code().is_none() => MAX_FOREIGN,
        NotFound if is_known => MAX_LAG,
        _ => Duration::ZERO,
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

    fn of(status: u16, body: &str) -> Error {
        Error::of_response(Operation::GET_RUN, status, body)
    }

    fn own(status: u16) -> Error {
        of(status, r#"{"error": {"code": "NEW_CODE"}}"#)
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
    fn a_response_that_is_none_of_the_services_ends_a_wait_after_a_quarter_of_an_hour() {
        for (status, body) in
            [(301, ""), (400, r#"{"message": "m"}"#), (401, ""), (403, "<html>"), (404, ""), (405, "")]
        {
            let delays = delays(&of(status, body), false);
            assert!((900..960).contains(&delays.iter().sum::<u64>()), "{status}: {delays:?}");
        }
    }

    #[test]
    fn transient_failures_end_a_wait_after_an_hour() {
        let refusal = Error::middleware("no token".into());
        for error in [own(429), own(500), own(503), of(502, ""), of(520, ""), of(429, ""), refusal] {
            let delays = delays(&error, true);
            assert_eq!(delays[..7], [2, 4, 8, 16, 32, 60, 60], "{error}");
            assert!((3600..3660).contains(&delays.iter().sum::<u64>()), "{error}");
        }
    }

    #[test]
    fn an_own_refusal_ends_a_wait_at_once_but_for_the_404_of_a_known_run() {
        for status in [400, 401, 402, 403, 404, 410] {
            assert!(delays(&own(status), false).is_empty(), "{status}");
            let is_missing = matches!(status, 404 | 410);
            assert_eq!(delays(&own(status), true), if is_missing { &[2, 4, 8, 16, 32][..] } else { &[] }, "{status}");
        }
    }

    #[test]
    fn failures_of_different_kinds_end_a_wait_after_an_hour() {
        let (mut failures, mut now) = (PollFailures::default(), Duration::ZERO);
        for error in [of(403, ""), of(502, "")].iter().cycle() {
            match failures.record(error, true, now) {
                NextPoll::After(delay) => now += delay,
                NextPoll::Never => break,
            }
        }
        assert!((seconds(3600)..seconds(3660)).contains(&now), "{now:?}");
    }

    #[test]
    fn retry_after_is_followed_up_to_five_minutes() {
        let asked = |seconds| {
            let error = own(503).with_retry_after(Some(Duration::from_secs(seconds)));
            PollFailures::default().record(&error, true, Duration::ZERO)
        };
        for (asked_for, delay) in [(0, 2), (30, 30), (900, 300)] {
            assert_eq!(asked(asked_for), NextPoll::After(seconds(delay)));
        }
    }
}
