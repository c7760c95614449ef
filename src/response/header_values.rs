//! Reads numbers and times in the forms in which services and gateways write them in headers.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use http::header::AsHeaderName;
use http::{HeaderMap, header};

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

/// Returns the time that a text names: an HTTP date, a date of RFC 3339, Unix time in seconds or milliseconds, or a
/// time from `now`.
pub(crate) fn time(text: &str, now: Option<SystemTime>) -> Option<SystemTime> {
    const END_OF_9999: f64 = 253_402_300_799.0;
    let date = httpdate::parse_http_date(text).ok().or_else(|| Some(text.parse::<DateTime<Utc>>().ok()?.into()));
    if date.is_some() {
        return date;
    }
    let number = seconds(text)?;
    let (start, seconds) = match number {
        // Up to a year.
        ..=31_622_400.0 => (now?, number),
        ..1e11 => (SystemTime::UNIX_EPOCH, number),
        _ => (SystemTime::UNIX_EPOCH, number / 1e3),
    };
    start.checked_add(Duration::try_from_secs_f64(seconds).ok().filter(|_| seconds <= END_OF_9999)?)
}

/// Returns the seconds that a text begins with: `30`, `1.5`, `30s`, `30 seconds`, `500ms`, `2m59.5s`.
pub(crate) fn seconds(text: &str) -> Option<f64> {
    let first = text.split([',', ';']).next()?.trim_matches('"');
    if let Some((minutes, rest)) = first.split_once('m').filter(|(_, rest)| !rest.starts_with('s')) {
        return Some(minutes.trim_end().parse::<f64>().ok()? * 60.0 + seconds(rest).unwrap_or_default());
    }
    let end = first.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(first.len());
    let (number, unit) = first.split_at(end);
    let unit = match unit.trim().to_ascii_lowercase().as_str() {
        "ms" => 1e-3,
        "" | "s" | "sec" | "second" | "seconds" => 1.0,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * unit)
}
