//! Reads numbers and times in the forms in which services and gateways write them in headers.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use http::header::AsHeaderName;
use http::{HeaderMap, header};

/// A number of seconds up to this is a time from now, and a greater one is Unix time.
const YEAR: f64 = 366.0 * 24.0 * 60.0 * 60.0;

/// Returns the first line of a header, which is empty if it is not text.
pub(crate) fn text(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    headers.get(name).map(|value| value.to_str().unwrap_or_default().trim())
}

/// Returns the time at which the service responded, if the response has it.
pub(crate) fn date(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(text(headers, header::DATE)?).ok()
}

/// Returns the time at the service when it responded. Its own `Date` counts before `now`, so that a wrong clock on
/// either side does no harm.
pub(crate) fn service_now(headers: &HeaderMap, now: DateTime<Utc>) -> SystemTime {
    date(headers).unwrap_or_else(|| now.into())
}

/// Returns the whole number that a text begins with: 10 for `10, 10;w=60` and for `10.0`.
pub(crate) fn number(text: &str) -> Option<i64> {
    let first = text.split([',', ';', '/', ' ']).next()?.trim_matches('"');
    let (whole, fraction) = first.split_once('.').unwrap_or((first, ""));
    whole.parse().ok().filter(|_| fraction.bytes().all(|digit| digit.is_ascii_digit()))
}

/// Returns the time that a text names: an HTTP date, a date of RFC 3339, Unix time in seconds, milliseconds or
/// microseconds, or a time from `now`.
pub(crate) fn time(text: &str, now: Option<SystemTime>) -> Option<SystemTime> {
    const END_OF_9999: f64 = 253_402_300_799.0;
    if let Ok(date) = httpdate::parse_http_date(text) {
        return Some(date);
    }
    if let Ok(date) = text.parse::<DateTime<Utc>>() {
        return Some(date.into());
    }
    let (start, seconds) = match seconds(text)? {
        seconds @ ..=YEAR => (now?, seconds),
        seconds @ ..1e11 => (SystemTime::UNIX_EPOCH, seconds),
        milliseconds @ ..1e14 => (SystemTime::UNIX_EPOCH, milliseconds / 1e3),
        microseconds => (SystemTime::UNIX_EPOCH, microseconds / 1e6),
    };
    start.checked_add(Duration::try_from_secs_f64(seconds).ok().filter(|_| seconds <= END_OF_9999)?)
}

/// Returns the seconds that a text begins with: `30`, `1.5`, `30s`, `30 seconds`, `500ms`, `2m`.
pub(crate) fn seconds(text: &str) -> Option<f64> {
    let first = text.split([',', ';']).next()?.trim_matches('"');
    let end = first.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(first.len());
    let (number, unit) = first.split_at(end);
    let unit = match unit.trim().to_ascii_lowercase().as_str() {
        "ms" => 1e-3,
        "" | "s" | "sec" | "second" | "seconds" => 1.0,
        "m" | "min" | "minute" | "minutes" => 60.0,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * unit)
}
