//! The rate-limit headers of a response.

use std::time::SystemTime;

use chrono::{DateTime, Utc};
use http::{HeaderMap, HeaderName};
use serde::Serialize;

use super::header_values::{date, number, text, time};

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// The organization's rate limit, as a response reported it (`X-RateLimit-Limit`, `-Remaining`, `-Reset`).
///
/// The headers are documented as whole numbers and Unix seconds. Other forms are read for what they can only mean: the
/// first number of a list, a number with a fraction, Unix milliseconds, seconds from the `Date` of the response, a
/// duration such as `30s`, and dates. What cannot be read is `None`; the client then counts its own requests against
/// the last limit that it knows, or the documented one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RateLimit {
    /// Requests in a window, which is a minute as documented.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Requests left in this window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining: Option<u32>,
    /// When the next window starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reset_at: Option<DateTime<Utc>>,
}

impl RateLimit {
    /// Returns `None` if nothing can be read.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        Self::reported(headers, date(headers)).filter(Self::is_known)
    }

    /// Reads the headers of a response. `None` if it has none, and nothing is known of those that cannot be read.
    pub(crate) fn reported(headers: &HeaderMap, now: Option<SystemTime>) -> Option<Self> {
        let texts = [&LIMIT, &REMAINING, &RESET].map(|name| text(headers, name));
        texts.iter().any(Option::is_some).then(|| Self::from_texts(texts, now))
    }

    pub(crate) fn from_texts([limit, remaining, reset_at]: [Option<&str>; 3], now: Option<SystemTime>) -> Self {
        // Some services count on below zero.
        let left = remaining.and_then(number).map(|left| left.max(0));
        // A reset in no time at all says nothing, unlike one that has passed by another clock.
        let reset_at = reset_at.and_then(|text| time(text, now)).filter(|time| Some(*time) != now);
        Self {
            limit: limit.and_then(number).and_then(|limit| limit.try_into().ok()),
            remaining: left.and_then(|left| left.try_into().ok()),
            reset_at: reset_at.map(Into::into),
        }
    }

    pub(crate) fn is_known(&self) -> bool {
        self.limit.is_some() || self.remaining.is_some() || self.reset_at.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::RateLimit;
    use http::{HeaderMap, HeaderValue};

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn the_three_headers_are_read() {
        let headers = headers(&[
            ("x-ratelimit-limit", "100"),
            ("x-ratelimit-remaining", "7"),
            ("x-ratelimit-reset", "1767225660"),
        ]);
        let limit = RateLimit::from_headers(&headers).unwrap();
        assert_eq!((limit.limit, limit.remaining), (Some(100), Some(7)));
        assert_eq!(limit.reset_at.unwrap().to_rfc3339(), "2026-01-01T00:01:00+00:00");
    }

    #[test]
    fn each_header_is_read_for_what_it_can_only_mean() {
        let date = ("date", "Thu, 01 Jan 2026 00:00:00 GMT");
        for value in ["10", "10, 10;w=60", "10,10", "10;w=60", "10.0", "\"10\"", "10/minute", "10 per minute", " 10 "] {
            let limit = RateLimit::from_headers(&headers(&[("x-ratelimit-limit", value)]));
            assert_eq!(limit.and_then(|limit| limit.limit), Some(10), "{value}");
            let limit = RateLimit::from_headers(&headers(&[("x-ratelimit-remaining", value)]));
            assert_eq!(limit.and_then(|limit| limit.remaining), Some(10), "{value}");
        }
        let below = RateLimit::from_headers(&headers(&[("x-ratelimit-remaining", "-3")])).unwrap();
        assert_eq!(below.remaining, Some(0));
        for value in [
            "1767225660",
            "1767225660.0",
            "1767225660000",
            "60",
            "60.0",
            "60, 60",
            "60s",
            "60000ms",
            "1m0s",
            "1m",
            "2026-01-01T00:01:00Z",
            "2026-01-01T01:01:00.000+01:00",
            "Thu, 01 Jan 2026 00:01:00 GMT",
        ] {
            let limit = RateLimit::from_headers(&headers(&[("x-ratelimit-reset", value), date])).unwrap();
            assert_eq!(limit.reset_at.unwrap().to_rfc3339(), "2026-01-01T00:01:00+00:00", "{value}");
        }
        // Without a `Date`, a time from now says nothing later.
        assert_eq!(RateLimit::from_headers(&headers(&[("x-ratelimit-reset", "60")])), None);
    }

    #[test]
    fn values_that_mean_nothing_are_ignored() {
        for value in ["", "-1", "NaN", "99999999999999999999", "1e3", "unlimited", "0x10", "10k"] {
            assert_eq!(RateLimit::from_headers(&headers(&[("x-ratelimit-limit", value)])), None, "{value}");
        }
        for reset in ["9223372036854775807", "-62135596801", "0", "soon", "10 fortnights", "1.2.3"] {
            assert_eq!(RateLimit::from_headers(&headers(&[("x-ratelimit-reset", reset)])), None, "{reset}");
        }
    }
}
