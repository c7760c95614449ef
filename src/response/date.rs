//! The dates that a service sends.

use std::time::SystemTime;

use chrono::{DateTime, Utc};
use http::{HeaderMap, header};

/// Returns the time at the service when it responded. Its own `Date` counts before `now`, so that a wrong clock on
/// either side does no harm.
pub(crate) fn service_now(headers: &HeaderMap, now: DateTime<Utc>) -> SystemTime {
    date(headers).unwrap_or_else(|| now.into())
}

/// Returns the time at which a response was made, by the clock of the service.
pub(crate) fn date(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(header::DATE)?.to_str().ok()?).ok()
}

/// Returns the date of these Unix seconds, if it is one that every platform's clock can hold.
pub(crate) fn from_unix(seconds: i64) -> Option<DateTime<Utc>> {
    const END_OF_9999: i64 = 253_402_300_799;
    DateTime::from_timestamp(Some(seconds).filter(|seconds| (0..=END_OF_9999).contains(seconds))?, 0)
}
