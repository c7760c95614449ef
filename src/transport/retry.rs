//! Whether a failed attempt is followed by another, and when.

use std::time::Duration;

use http::{HeaderMap, header};

use crate::{Error, ErrorKind};

/// How often, and with what pauses, a call is attempted again.
#[derive(Clone, Debug)]
pub(crate) struct RetryPolicy {
    pub(crate) max_retries: u32,
    pub(crate) first_delay: Duration,
    pub(crate) max_delay: Duration,
}

/// The figures of the vendor's own SDK (3 retries), and of its advice to back off exponentially.
impl Default for RetryPolicy {
    fn default() -> Self {
        Self { max_retries: 3, first_delay: Duration::from_millis(500), max_delay: Duration::from_secs(30) }
    }
}

impl RetryPolicy {
    /// The pause before the next attempt; none if there is to be none.
    ///
    /// `jitter` is a random number from 0 to 1: with it, clients that failed together do not come back together.
    pub(super) fn pause(&self, error: &Error, idempotent: bool, retries_left: bool, jitter: f64) -> Option<Duration> {
        if !retries_left || !is_retryable(error, idempotent) {
            return None;
        }
        if let Some(asked) = error.retry_after() {
            return (asked <= self.max_delay).then_some(asked);
        }
        let doublings = error.attempts().saturating_sub(1).min(16);
        let ceiling = self.first_delay.saturating_mul(1 << doublings).min(self.max_delay);
        Some(ceiling.mul_f64(jitter.clamp(0.0, 1.0)))
    }
}

/// Whether another attempt may help, and cannot do what was asked a second time.
///
/// | | idempotent | not |
/// |---|---|---|
/// | could not connect | yes | yes |
/// | 429, 503 | yes | yes |
/// | 408, 500, 502, 504, cut connection, time-out | yes | no: it may have been done |
/// | everything else | no | no |
fn is_retryable(error: &Error, idempotent: bool) -> bool {
    match error.kind() {
        ErrorKind::Connect => true,
        // A code can say what the status does not; only the service's refusal itself is sure to have done nothing.
        ErrorKind::RateLimited | ErrorKind::Unavailable => idempotent || !error.may_have_reached_server(),
        ErrorKind::Timeout | ErrorKind::Interrupted => idempotent,
        ErrorKind::Server => {
            idempotent && error.status().is_some_and(|status| matches!(status.as_u16(), 500 | 502 | 504))
        }
        _ => false,
    }
}

/// The wait that the service asks for, in whole or fractional seconds.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: f64 = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::{RetryPolicy, is_retryable, retry_after};
    use crate::Error;
    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue, StatusCode};
    use std::time::Duration;

    fn answered(status: u16) -> Error {
        Error::from_answer(StatusCode::from_u16(status).unwrap(), HeaderMap::new(), &Bytes::new()).with_attempts(1)
    }

    #[test]
    fn the_table_of_what_is_retried_holds() {
        for (status, idempotent, not) in [
            (400, false, false),
            (401, false, false),
            (402, false, false),
            (403, false, false),
            (404, false, false),
            (408, true, false),
            (409, false, false),
            (429, true, true),
            (500, true, false),
            (501, false, false),
            (502, true, false),
            (503, true, true),
            (504, true, false),
            (302, false, false),
        ] {
            assert_eq!(is_retryable(&answered(status), true), idempotent, "{status}");
            assert_eq!(is_retryable(&answered(status), false), not, "{status}");
        }
    }

    #[test]
    fn pauses_double_up_to_the_cap_and_jitter_shortens_them() {
        let policy = RetryPolicy::default();
        let pause = |attempts, jitter| policy.pause(&answered(503).with_attempts(attempts), true, true, jitter);
        assert_eq!(pause(1, 1.0), Some(Duration::from_millis(500)));
        assert_eq!(pause(3, 1.0), Some(Duration::from_secs(2)));
        assert_eq!(pause(3, 0.5), Some(Duration::from_secs(1)));
        assert_eq!(pause(u32::MAX, 1.0), Some(Duration::from_secs(30)));
    }

    #[test]
    fn the_services_word_comes_first_unless_it_is_too_long() {
        let policy = RetryPolicy::default();
        let asked = |seconds| {
            let error = answered(429).with_retry_after(Some(Duration::from_secs(seconds)));
            policy.pause(&error, true, true, 0.0)
        };
        assert_eq!(asked(7), Some(Duration::from_secs(7)));
        assert_eq!(asked(31), None);
    }

    #[test]
    fn absurd_waits_are_no_waits() {
        for (value, expected) in [
            ("2", Some(Duration::from_secs(2))),
            ("0.25", Some(Duration::from_millis(250))),
            ("-1", None),
            ("NaN", None),
            ("inf", None),
            ("1e300", None),
            ("soon", None),
            ("", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("retry-after", HeaderValue::from_static(value));
            assert_eq!(retry_after(&headers), expected, "{value}");
        }
    }
}
