//! Times in the formats of the service.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use serde_json::Value;

/// Returns the time that a value stands for: one of [`parse_time`], or a number of seconds, milliseconds, microseconds
/// or nanoseconds since 1970, also in a string. A number that would be a time before 1973 is none.
#[expect(clippy::cast_possible_truncation, reason = "the bounds are checked")]
pub(crate) fn read_time(value: &Value) -> Option<DateTime<Utc>> {
    let number = match value {
        Value::String(text) => match parse_time(text) {
            Some(time) => return Some(time),
            None => text.trim().parse().ok()?,
        },
        _ => value.as_f64()?,
    };
    let per_second = match number {
        1e8..1e11 => 1.0,
        1e11..1e14 => 1e3,
        1e14..1e17 => 1e6,
        1e17..5e18 => 1e9,
        _ => return None,
    };
    DateTime::from_timestamp_micros((number / per_second * 1e6).round() as i64)
}

/// Reads an ISO 8601 time in one of its usual forms: also with a space in place of the `T`, without seconds, with a
/// zone such as `+00`, without a zone (in UTC, like all times of the service), or without a time of day. The dates of
/// HTTP headers are read, too.
fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    let iso = match text.strip_suffix("UTC").unwrap_or(text).trim_end().split_once(' ') {
        Some((date, time)) => format!("{date}T{}", time.replace(' ', "")),
        None => text.to_owned(),
    };
    let zoned = |format| DateTime::parse_from_str(&iso, format);
    let naive = |format| NaiveDateTime::parse_from_str(&iso, format).map(|time| time.and_utc());
    let date = || iso.parse::<NaiveDate>().ok()?.and_hms_opt(0, 0, 0).map(|time| time.and_utc());
    DateTime::parse_from_rfc3339(&iso)
        .or_else(|_| zoned("%Y-%m-%dT%H:%M:%S%.f%#z"))
        .or_else(|_| zoned("%Y-%m-%dT%H:%M%#z"))
        .or_else(|_| DateTime::parse_from_rfc2822(text))
        .map(|time| time.to_utc())
        .or_else(|_| naive("%Y-%m-%dT%H:%M:%S%.f"))
        .or_else(|_| naive("%Y-%m-%dT%H:%M"))
        .ok()
        .or_else(date)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::read_time;

    #[test]
    fn every_usual_form_of_a_time_is_read() {
        for form in [
            "2026-01-15T10:30:00Z",
            "2026-01-15T10:30:00.000Z",
            "2026-01-15t10:30:00z",
            "2026-01-15T12:30:00+02:00",
            "2026-01-15T12:30:00+0200",
            "2026-01-15T12:30:00+02",
            "2026-01-15T10:30:00",
            "2026-01-15T10:30",
            "2026-01-15T10:30Z",
            "2026-01-15 10:30:00",
            "2026-01-15 10:30:00.000000",
            "2026-01-15 10:30:00Z",
            "2026-01-15 10:30:00+00",
            "2026-01-15 10:30:00 UTC",
            "2026-01-15 10:30:00 +0000 UTC",
            "2026-01-15 05:30:00.000 -0500",
            " 2026-01-15T10:30:00Z ",
            "Thu, 15 Jan 2026 10:30:00 GMT",
            "Thu, 15 Jan 2026 12:30:00 +0200",
            "1768473000",
            "1768473000.0",
            "1768473000000",
        ] {
            assert_eq!(read_time(&json!(form)).map(|time| json!(time)), Some(json!("2026-01-15T10:30:00Z")), "{form}");
        }
        for number in ["1768473000.5", "1768473000500", "1768473000500000", "1768473000500000000"] {
            let read: Value = number.parse::<serde_json::Number>().unwrap().into();
            assert_eq!(read_time(&read).map(|time| json!(time)), Some(json!("2026-01-15T10:30:00.500Z")), "{number}");
        }
        assert_eq!(read_time(&json!("2026-01-15")).map(|time| json!(time)), Some(json!("2026-01-15T00:00:00Z")));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for value in json!(["", " ", "soon", "0", "2026", "2026-13-01T00:00:00Z", "10:30:00", "NaN", "-inf", "1e300"])
            .as_array()
            .unwrap()
            .iter()
            .chain(json!([0, 7, -1_768_473_000, i64::MAX, u64::MAX, true, null, [], {}]).as_array().unwrap())
        {
            assert_eq!(read_time(value), None, "{value}");
        }
    }
}
