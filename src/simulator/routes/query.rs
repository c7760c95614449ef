//! Query parameters and pages.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use serde_json::{Value, json};

use crate::simulator::model::error::{ApiError, FieldError};

/// The query parameters of a request, and the errors of those that were read.
#[derive(Debug)]
pub(crate) struct Query {
    parameters: Vec<(String, String)>,
    errors: Vec<FieldError>,
}

/// The requested page of a list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page {
    limit: usize,
    offset: usize,
}

/// The API's integers have 32 bits and a sign.
const MAX: usize = 2_147_483_647;

impl Query {
    pub(crate) fn parse(query: &str) -> Self {
        Self { parameters: form_urlencoded::parse(query.as_bytes()).into_owned().collect(), errors: Vec::new() }
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Reads a time, or a day, which stands for this time of it.
    pub(crate) fn time(&mut self, name: &str, of_day: NaiveTime) -> Option<DateTime<Utc>> {
        let text = self.text(name)?;
        let day = || Some(text.parse::<NaiveDate>().ok()?.and_time(of_day).and_utc());
        let time = DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc()).or_else(day);
        if time.is_none() {
            self.errors.push(FieldError::new(name, "must be an ISO 8601 time, such as 2026-01-31T00:00:00Z"));
        }
        time
    }

    /// Reads `limit` and `offset`.
    pub(crate) fn page(&mut self, default_limit: usize, max_limit: usize) -> Page {
        Page {
            limit: self.number("limit", 1, max_limit).unwrap_or(default_limit),
            offset: self.number("offset", 0, MAX).unwrap_or(0),
        }
    }

    fn number(&mut self, name: &str, min: usize, max: usize) -> Option<usize> {
        let number = self.text(name)?.parse().ok().filter(|number| (min..=max).contains(number));
        if number.is_none() {
            self.errors.push(FieldError::new(name, format!("must be a whole number from {min} to {max}")));
        }
        number
    }

    /// Fails if a parameter that was read is invalid.
    pub(crate) fn check(&self) -> Result<(), ApiError> {
        if self.errors.is_empty() { Ok(()) } else { Err(ApiError::fields("INVALID_VALUE", &self.errors)) }
    }
}

impl Page {
    pub(crate) fn of<T>(self, name: &str, items: impl Iterator<Item = T>, to_json: impl FnMut(T) -> Value) -> Value {
        let items: Vec<T> = items.collect();
        let total = items.len();
        let page: Vec<Value> = items.into_iter().skip(self.offset).take(self.limit).map(to_json).collect();
        json!({ name: page, "total": total, "limit": self.limit, "offset": self.offset })
    }
}
