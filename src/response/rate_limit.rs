//! The rate-limit headers of a response.

use chrono::{DateTime, Utc};
use http::{HeaderMap, HeaderName};
use serde::Serialize;

use super::from_unix;

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// The organization's rate limit, as a response reported it (`X-RateLimit-Limit`, `-Remaining`, `-Reset`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RateLimit {
    /// Requests in a window of a minute.
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
    pub(crate) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let number = |name| number(headers, name);
        Self::from_parts(
            number(&LIMIT).and_then(|limit| limit.try_into().ok()),
            number(&REMAINING).and_then(|remaining| remaining.try_into().ok()),
            number(&RESET).and_then(from_unix),
        )
    }

    /// Returns `None` if nothing is known.
    pub(crate) fn from_parts(
        limit: Option<u32>,
        remaining: Option<u32>,
        reset_at: Option<DateTime<Utc>>,
    ) -> Option<Self> {
        let rate_limit = Self { limit, remaining, reset_at };
        (limit.is_some() || remaining.is_some() || reset_at.is_some()).then_some(rate_limit)
    }
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Option<i64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
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
    fn values_out_of_range_are_ignored() {
        for value in ["", "-1", "NaN", "99999999999999999999", "1e3"] {
            assert_eq!(RateLimit::from_headers(&headers(&[("x-ratelimit-limit", value)])), None, "{value}");
        }
        for reset in ["9223372036854775807", "1767225660000", "-62135596801"] {
            assert_eq!(RateLimit::from_headers(&headers(&[("x-ratelimit-reset", reset)])), None, "{reset}");
        }
    }
}
