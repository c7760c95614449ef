//! Rate limits in fixed windows of a minute.

use std::time::Duration;

use chrono::{DateTime, Utc};
use http::{HeaderName, HeaderValue};

use crate::simulator::clock::time::later;

const WINDOW: i64 = 60;

/// The API's numbers have 32 bits and a sign.
const MAX: u32 = i32::MAX.unsigned_abs();

/// The state of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quota {
    pub(crate) limit: u32,
    pub(crate) remaining: u32,
    pub(crate) reset_at: DateTime<Utc>,
}

/// A limit of requests per minute. The windows are the minutes of the clock.
#[derive(Clone, Debug)]
pub(crate) struct Limit {
    allowed: u32,
    minute: i64,
    used: u32,
}

impl Limit {
    pub(crate) fn per_minute(allowed: u32) -> Self {
        Self { allowed: allowed.min(MAX), minute: i64::MIN, used: 0 }
    }

    pub(crate) fn quota(&self, now: DateTime<Utc>) -> Quota {
        let used = if self.minute == minute(now) { self.used } else { 0 };
        let into_window = now.timestamp().rem_euclid(WINDOW).unsigned_abs();
        let start =
            now - Duration::from_secs(into_window) - Duration::from_nanos(u64::from(now.timestamp_subsec_nanos()));
        Quota {
            limit: self.allowed,
            remaining: self.allowed.saturating_sub(used),
            reset_at: later(start, Duration::from_secs(WINDOW.unsigned_abs())),
        }
    }

    /// Counts a request. Fails, and counts nothing, if the limit is exhausted.
    pub(crate) fn acquire(&mut self, now: DateTime<Utc>) -> Result<(), Quota> {
        let quota = self.quota(now);
        if quota.remaining == 0 {
            return Err(quota);
        }
        self.used = quota.limit - quota.remaining + 1;
        self.minute = minute(now);
        Ok(())
    }
}

fn minute(now: DateTime<Utc>) -> i64 {
    now.timestamp().div_euclid(WINDOW)
}

/// Returns the headers of a limit. The reset is rounded up to seconds, so that a client that waits for it is not too
/// early.
pub(crate) fn headers(quota: Quota) -> [(HeaderName, HeaderValue); 3] {
    let reset = quota.reset_at.timestamp() + i64::from(quota.reset_at.timestamp_subsec_nanos() > 0);
    [
        (HeaderName::from_static("x-ratelimit-limit"), HeaderValue::from(quota.limit)),
        (HeaderName::from_static("x-ratelimit-remaining"), HeaderValue::from(quota.remaining)),
        (HeaderName::from_static("x-ratelimit-reset"), HeaderValue::from(reset)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> DateTime<Utc> {
        later(DateTime::UNIX_EPOCH, Duration::from_millis(millis))
    }

    #[test]
    fn a_window_is_a_minute_of_the_clock() {
        let mut limit = Limit::per_minute(2);
        assert_eq!(limit.acquire(at(59_000)), Ok(()));
        assert_eq!(limit.acquire(at(59_999)), Ok(()));
        assert_eq!(limit.acquire(at(59_999)), Err(Quota { limit: 2, remaining: 0, reset_at: at(60_000) }));
        assert_eq!(limit.quota(at(60_000)), Quota { limit: 2, remaining: 2, reset_at: at(120_000) });
        assert_eq!(limit.acquire(at(60_000)), Ok(()));
    }

    #[test]
    fn the_reset_is_in_whole_seconds_and_never_too_early() {
        for (millis, seconds) in [(60_000, "60"), (60_001, "61")] {
            let quota = Quota { limit: 1, remaining: 0, reset_at: at(millis) };
            assert_eq!(headers(quota)[2].1, seconds);
        }
    }
}
