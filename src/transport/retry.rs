//! The retry decision: [`decide`], a pure function.

use std::time::Duration;

use crate::Error;

/// The delays before retries.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    pub(crate) first_delay: Duration,
    /// The longest delay, whether computed or requested by the service.
    pub(crate) max_delay: Duration,
}

/// The service recommends exponential back-off without figures. Half a second is the first delay in most SDKs, and a
/// caller should not wait for longer than 30 s without an error.
impl Default for Backoff {
    fn default() -> Self {
        Self { first_delay: Duration::from_millis(500), max_delay: Duration::from_secs(30) }
    }
}

/// The input of a decision.
#[derive(Debug)]
pub(super) struct RetryContext<'a> {
    pub(super) error: &'a Error,
    /// The number of attempts so far.
    pub(super) attempts: u32,
    pub(super) max_retries: u32,
    /// Set if sending the request twice is safe.
    pub(super) repeatable: bool,
    /// The time to the call's deadline, if it has one.
    pub(super) time_left: Option<Duration>,
    /// The longest delay that the service may request.
    pub(super) longest_wait: Duration,
    /// A random number from 0 to 1, so that clients that failed at the same time do not retry at the same time.
    pub(super) jitter: f64,
}

/// The decision after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Decision {
    /// Try again after this delay.
    Retry(Duration),
    /// Return the error: another attempt would not help, could have the effect twice, or there were enough attempts.
    Stop,
    /// Return the error, as this delay is longer than the call may wait.
    TooLong(Duration),
}

/// Decides whether a failed attempt is followed by another.
pub(super) fn decide(backoff: &Backoff, context: &RetryContext<'_>) -> Decision {
    let RetryContext { error, attempts, max_retries, time_left, longest_wait, .. } = *context;
    if attempts > max_retries || !error.may_be_repeated(context.repeatable) {
        return Decision::Stop;
    }
    let delay = match error.retry_after() {
        Some(requested) if requested > longest_wait => return Decision::TooLong(requested),
        // Without a delay, a service that requests no wait would be called in a tight loop.
        Some(requested) if !requested.is_zero() => requested,
        _ => backoff.delay(attempts, context.jitter),
    };
    match time_left {
        Some(left) if delay >= left => Decision::TooLong(delay),
        _ => Decision::Retry(delay),
    }
}

impl Backoff {
    /// Returns the delay of exponential back-off with full jitter: a random delay below a ceiling that doubles.
    fn delay(&self, attempts: u32, jitter: f64) -> Duration {
        let doublings = attempts.saturating_sub(1).min(31);
        let ceiling = self.first_delay.saturating_mul(1 << doublings).min(self.max_delay);
        ceiling.mul_f64(jitter.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::{Backoff, Decision, RetryContext, decide};
    use crate::{Error, Operation};
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);

    fn failure(status: u16) -> Error {
        Error::of_response(Operation::CREATE_WORK_ORDER, status, "")
    }

    fn with_code(status: u16, code: &str) -> Error {
        let body = format!(r#"{{"error": {{"code": "{code}", "message": "m"}}}}"#);
        Error::of_response(Operation::CREATE_WORK_ORDER, status, &body)
    }

    fn context(error: &Error) -> RetryContext<'_> {
        RetryContext {
            error,
            attempts: 1,
            max_retries: 3,
            repeatable: true,
            time_left: None,
            longest_wait: 30 * SECOND,
            jitter: 1.0,
        }
    }

    /// Bodies of a 503 that are not the service's own error.
    const FOREIGN: [&str; 10] = [
        "",
        "<html><h1>503 Service Temporarily Unavailable</h1></html>",
        "upstream connect error or disconnect/reset before headers",
        r#"{"message": "no healthy upstream"}"#,
        r#"{"code": "SERVICE_UNAVAILABLE"}"#,
        r#"{"error": "SERVICE_UNAVAILABLE"}"#,
        r#"{"error": {"code": 503, "status": "UNAVAILABLE"}}"#,
        r#"{"error": {"code": "UNAVAILABLE", "message": "SERVICE_UNAVAILABLE"}}"#,
        r#"{"error": {"code": "SERVICE_UNAVAILABLE", "mess"#,
        r#"[{"error": {"code": "SERVICE_UNAVAILABLE"}}]"#,
    ];

    #[test]
    fn each_status_is_retried_as_the_table_says() {
        let own = |code: &str| format!(r#"{{"error": {{"code": "{code}", "message": "m"}}}}"#);
        let mut table = Vec::new();
        // Status, body, retried if repeatable, retried if not, may have had its effect.
        for status in [300, 301, 302, 304, 307, 308, 400, 401, 402, 403, 404, 405, 407, 409, 410, 413, 418, 422] {
            table.extend([String::new(), own("NEW_CODE")].map(|body| (status, body, false, false, false)));
        }
        for status in [408, 500, 502, 504, 520, 524, 525, 530] {
            table.push((status, String::new(), true, false, true));
            table.push((status, own("SERVICE_UNAVAILABLE"), true, false, true));
        }
        for status in [501, 505, 507, 519, 531, 599] {
            table.push((status, String::new(), false, false, true));
        }
        table.push((303, String::new(), true, false, true));
        table.extend(FOREIGN.map(|body| (503, body.to_owned(), true, false, true)));
        table.extend(FOREIGN.map(|body| (429, body.to_owned(), true, true, false)));
        table.push((429, own("RATE_LIMITED"), true, true, false));
        table.push((503, own("SERVICE_UNAVAILABLE"), true, true, false));
        table.push((503, own("INTERNAL_ERROR"), true, false, true));
        for (status, body, repeatable, not, may_have_acted) in table {
            let error = Error::of_response(Operation::CREATE_WORK_ORDER, status, &body);
            assert_eq!(error.may_be_repeated(true), repeatable, "{status} {body}");
            assert_eq!(error.may_be_repeated(false), not, "{status} {body}");
            assert_eq!(error.may_have_reached_server(), may_have_acted, "{status} {body}");
        }
    }

    #[test]
    fn a_303_may_have_had_an_effect_only_after_a_post() {
        for operation in Operation::ALL {
            let error = Error::of_response(*operation, 303, "");
            assert_eq!(error.may_have_reached_server(), operation.method() == "POST", "{operation}");
            assert_eq!(
                error.may_be_repeated(operation.is_idempotent()),
                *operation == Operation::CANCEL_RUN,
                "{operation}"
            );
        }
    }

    #[test]
    fn a_code_of_a_refusal_does_not_make_an_ambiguous_status_safe() {
        assert!(!with_code(500, "RATE_LIMITED").may_be_repeated(false));
        assert!(with_code(500, "RATE_LIMITED").may_be_repeated(true));
    }

    #[test]
    fn a_lack_of_credits_is_never_retried_whatever_the_status() {
        for status in [402, 429, 500, 503] {
            assert!(!with_code(status, "INSUFFICIENT_CREDITS").may_be_repeated(true), "{status}");
        }
    }

    #[test]
    fn delays_double_up_to_the_limit_and_jitter_shortens_them() {
        let error = failure(503);
        let delay = |attempts, jitter| {
            let context = RetryContext { attempts, max_retries: u32::MAX, jitter, ..context(&error) };
            match decide(&Backoff::default(), &context) {
                Decision::Retry(delay) => delay.as_millis(),
                other => panic!("{other:?}"),
            }
        };
        let ceilings: Vec<_> = (1..=8).map(|attempts| delay(attempts, 1.0)).collect();
        assert_eq!(ceilings, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
        assert_eq!(delay(3, 0.5), 1_000);
        assert_eq!(delay(3, 0.0), 0);
        assert_eq!(delay(u32::MAX - 1, 1.0), 30_000);
        assert_eq!(delay(3, f64::INFINITY), 2_000);
    }

    #[test]
    fn attempts_end_with_the_last_retry() {
        let error = failure(503);
        for (attempts, max_retries, goes_on) in
            [(1, 0, false), (1, 1, true), (2, 1, false), (3, 3, true), (4, 3, false)]
        {
            let context = RetryContext { attempts, max_retries, ..context(&error) };
            let decision = decide(&Backoff::default(), &context);
            assert_eq!(matches!(decision, Decision::Retry(_)), goes_on, "{attempts} of {max_retries}: {decision:?}");
        }
    }

    #[test]
    fn the_wait_that_the_service_requests_is_used_unless_it_is_too_long() {
        let requested = |seconds| {
            let error = failure(429).with_retry_after(Some(seconds * SECOND));
            decide(&Backoff::default(), &RetryContext { jitter: 0.0, ..context(&error) })
        };
        assert_eq!(requested(7), Decision::Retry(7 * SECOND));
        assert_eq!(requested(30), Decision::Retry(30 * SECOND));
        assert_eq!(requested(31), Decision::TooLong(31 * SECOND));
    }

    #[test]
    fn a_requested_wait_of_zero_still_has_a_delay() {
        let error = failure(429).with_retry_after(Some(Duration::ZERO));
        assert_eq!(decide(&Backoff::default(), &context(&error)), Decision::Retry(SECOND / 2));
    }

    #[test]
    fn a_delay_that_ends_after_the_deadline_is_not_begun() {
        let error = failure(503).with_retry_after(Some(5 * SECOND));
        for (time_left, expected) in [
            (Some(6 * SECOND), Decision::Retry(5 * SECOND)),
            (Some(5 * SECOND), Decision::TooLong(5 * SECOND)),
            (Some(Duration::ZERO), Decision::TooLong(5 * SECOND)),
            (None, Decision::Retry(5 * SECOND)),
        ] {
            assert_eq!(decide(&Backoff::default(), &RetryContext { time_left, ..context(&error) }), expected);
        }
    }
}
