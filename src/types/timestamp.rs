//! Times in the formats of the service.

use chrono::{DateTime, NaiveDateTime, Utc};
use serde::de::{Deserialize, Deserializer, Error};

/// Reads an ISO 8601 time. Without a time zone, it is in UTC, like all times of the service.
pub(super) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
    read(&String::deserialize(deserializer)?)
}

/// Reads an ISO 8601 time that may be missing or `null`.
pub(super) fn optional_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    Option::<String>::deserialize(deserializer)?.as_deref().map(read).transpose()
}

pub(crate) fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    let zoned = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
    let unusual = || DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z").map(|time| time.to_utc());
    zoned.or_else(|_| unusual()).or_else(|_| text.parse::<NaiveDateTime>().map(|time| time.and_utc())).ok()
}

fn read<E: Error>(text: &str) -> Result<DateTime<Utc>, E> {
    parse_time(text)
        .ok_or_else(|| E::custom(format_args!("{text:?} is not a time; expected one such as \"2026-01-01T00:00:00Z\"")))
}

#[cfg(test)]
mod tests {
    use super::read;
    use serde_json::Error;

    #[test]
    fn every_format_of_a_time_is_read() {
        for (text, expected) in [
            ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00+00:00"),
            ("2026-01-01T00:00:00.250Z", "2026-01-01T00:00:00.250+00:00"),
            ("2026-01-01T01:00:00+01:00", "2026-01-01T00:00:00+00:00"),
            ("2026-01-01T01:00:00+0100", "2026-01-01T00:00:00+00:00"),
            ("2026-01-01T00:00:00.123456", "2026-01-01T00:00:00.123456+00:00"),
        ] {
            assert_eq!(read::<Error>(text).unwrap().to_rfc3339(), expected);
        }
    }

    #[test]
    fn an_invalid_time_is_quoted_in_the_error() {
        let error = read::<Error>("soon").unwrap_err().to_string();
        assert!(error.starts_with("\"soon\" is not a time"), "{error}");
    }
}
