//! The wait that a failed response asks for, such as a 429.

use std::time::Duration;

use chrono::{DateTime, Utc};
use http::{HeaderMap, StatusCode, header};

use crate::response::header_values::{seconds, text, time};
use crate::response::service_now;

/// Longer waits are a mistake, and are ignored.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// Returns the wait that a response asks for: `retry-after-ms`, else `Retry-After`, else, on a 429, the time until
/// `X-RateLimit-Reset`. The last two are seconds, whole or not, or [a time in another form](time). Values that make no
/// sense are ignored. A success asks for no wait.
pub(super) fn requested_wait(status: StatusCode, headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    if status.is_success() {
        return None;
    }
    let now = service_now(headers, now);
    let sane = |wait: Duration| Some(wait).filter(|wait| *wait <= LONGEST);
    let until = |text: &str| time(text, Some(now))?.duration_since(now).ok().and_then(sane);
    text(headers, "retry-after-ms")
        .and_then(|text| Duration::try_from_secs_f64(seconds(text)? / 1_000.0).ok().and_then(sane))
        .or_else(|| text(headers, header::RETRY_AFTER).and_then(until))
        .or_else(|| {
            text(headers, "x-ratelimit-reset").filter(|_| status == StatusCode::TOO_MANY_REQUESTS).and_then(until)
        })
}

#[cfg(test)]
mod tests {
    use super::requested_wait;
    use chrono::{DateTime, Utc};
    use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
    use std::time::Duration;

    fn now() -> DateTime<Utc> {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    fn wait(status: u16, pairs: &[(&'static str, &str)]) -> Option<Duration> {
        let headers: HeaderMap = pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect();
        requested_wait(StatusCode::from_u16(status).unwrap(), &headers, now())
    }

    #[test]
    fn seconds_in_any_form_are_read() {
        for (value, milliseconds) in [
            ("2", 2_000),
            ("0.25", 250),
            (" 7 ", 7_000),
            ("0", 0),
            ("30, 30", 30_000),
            ("30s", 30_000),
            ("30 seconds", 30_000),
            ("500ms", 500),
            ("2m59.5s", 179_500),
            ("5 minutes", 300_000),
            ("\"30\"", 30_000),
            ("30;comment", 30_000),
            ("2026-01-01T00:00:30Z", 30_000),
            ("1767225630", 30_000),
            ("1767225630000", 30_000),
        ] {
            assert_eq!(wait(503, &[("retry-after", value)]), Some(Duration::from_millis(milliseconds)), "{value}");
        }
    }

    #[test]
    fn all_three_forms_of_an_http_date_are_read() {
        for date in ["Thu, 01 Jan 2026 00:00:05 GMT", "Thursday, 01-Jan-26 00:00:05 GMT", "Thu Jan  1 00:00:05 2026"] {
            assert_eq!(wait(503, &[("retry-after", date)]), Some(Duration::from_secs(5)), "{date}");
        }
    }

    #[test]
    fn a_date_is_compared_with_the_date_of_the_response() {
        let pairs = [("retry-after", "Thu, 01 Jan 2026 12:00:05 GMT"), ("date", "Thu, 01 Jan 2026 12:00:00 GMT")];
        assert_eq!(wait(503, &pairs), Some(Duration::from_secs(5)));
    }

    #[test]
    fn milliseconds_come_before_seconds_and_seconds_before_the_reset() {
        let all = [("retry-after-ms", "1500"), ("retry-after", "9"), ("x-ratelimit-reset", "1767225660")];
        assert_eq!(wait(429, &all), Some(Duration::from_millis(1_500)));
        assert_eq!(wait(429, &all[1..]), Some(Duration::from_secs(9)));
        assert_eq!(wait(429, &all[2..]), Some(Duration::from_secs(60)));
    }

    #[test]
    fn a_reset_is_a_wait_on_a_429_alone() {
        assert_eq!(wait(503, &[("x-ratelimit-reset", "1767225660")]), None);
    }

    #[test]
    fn values_that_make_no_sense_are_ignored() {
        for value in [
            "",
            "-1",
            "-0.1",
            "NaN",
            "inf",
            "-inf",
            "1e300",
            "99999999999999999999",
            "soon",
            "0x10",
            "Thu, 01 Jan 1970 00:00:00 GMT",
            "Fri, 31 Dec 9999 23:59:59 GMT",
            "Thu, 32 Jan 2026 00:00:00 GMT",
        ] {
            assert_eq!(wait(429, &[("retry-after", value)]), None, "{value}");
            assert_eq!(wait(429, &[("retry-after-ms", value)]), None, "{value}");
        }
        for value in ["", "-5", "9223372036854775807", "x"] {
            assert_eq!(wait(429, &[("x-ratelimit-reset", value)]), None, "{value}");
        }
    }

    #[test]
    fn an_invalid_header_is_skipped_for_the_next() {
        let pairs = [("retry-after-ms", "NaN"), ("retry-after", "never"), ("x-ratelimit-reset", "1767225660")];
        assert_eq!(wait(429, &pairs), Some(Duration::from_secs(60)));
        assert_eq!(wait(503, &[("retry-after-ms", "1e14"), ("retry-after", "5")]), Some(Duration::from_secs(5)));
    }
}
