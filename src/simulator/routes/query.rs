//! Query strings: filters, and the pages of a list.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::simulator::model::error::{ApiError, FieldError};

/// The parameters of a query, read one by one; what is wrong with them is told together.
#[derive(Debug)]
pub(crate) struct Query {
    parameters: Vec<(String, String)>,
    errors: Vec<FieldError>,
}

/// The part of a list that was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page {
    limit: usize,
    offset: usize,
}

/// The API's whole numbers are 32 bits wide and signed.
const MOST: usize = 2_147_483_647;

impl Query {
    pub(crate) fn parse(raw: &str) -> Self {
        let parameters = raw.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        });
        Self { parameters: parameters.collect(), errors: Vec::new() }
    }

    /// A parameter of any text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A parameter that is a time.
    pub(crate) fn time(&mut self, name: &str) -> Option<DateTime<Utc>> {
        let time = DateTime::parse_from_rfc3339(self.text(name)?).ok();
        if time.is_none() {
            self.refuse(name, "must be an ISO 8601 time, such as 2026-01-31T00:00:00Z".to_owned());
        }
        time.map(|time| time.to_utc())
    }

    /// `limit`, at most 100, and `offset`.
    pub(crate) fn page(&mut self, default_limit: usize) -> Page {
        Page {
            limit: self.number("limit", 1, 100).unwrap_or(default_limit),
            offset: self.number("offset", 0, MOST).unwrap_or(0),
        }
    }

    fn number(&mut self, name: &str, least: usize, most: usize) -> Option<usize> {
        let value = self.text(name)?;
        let number = value.parse().ok().filter(|number| (least..=most).contains(number));
        if number.is_none() {
            self.refuse(name, format!("must be a whole number from {least} to {most}"));
        }
        number
    }

    fn refuse(&mut self, name: &str, message: String) {
        self.errors.push(FieldError::new(name, message));
    }

    /// Fails if one of the parameters that were read is wrong.
    pub(crate) fn check(&self) -> Result<(), ApiError> {
        if self.errors.is_empty() {
            return Ok(());
        }
        Err(ApiError::fields("INVALID_VALUE", &self.errors))
    }
}

impl Page {
    /// This page of `items`, under `name`.
    pub(crate) fn of<T>(self, name: &str, items: impl Iterator<Item = T>, to_json: impl FnMut(T) -> Value) -> Value {
        let items: Vec<T> = items.collect();
        let total = items.len();
        let shown: Vec<Value> = items.into_iter().skip(self.offset).take(self.limit).map(to_json).collect();
        json!({ name: shown, "total": total, "limit": self.limit, "offset": self.offset })
    }
}

/// Undoes the encoding of `application/x-www-form-urlencoded`.
fn decode(text: &str) -> String {
    percent_decode(&text.replace('+', " "))
}

/// Undoes percent-encoding. A `%` without two digits behind it stands for itself.
pub(crate) fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let decoded = match rest {
            [b'%', high, low, ..] => hex(*high).zip(hex(*low)).map(|(high, low)| high * 16 + low),
            _ => None,
        };
        bytes.push(decoded.unwrap_or(*first));
        rest = if decoded.is_some() { &rest[3..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let query = Query::parse("tenantId=acme+%26+co%C3%A9&tenantUserId=100%&x&&y=%zz");
        assert_eq!(query.text("tenantId"), Some("acme & coé"));
        assert_eq!(query.text("tenantUserId"), Some("100%"));
        assert_eq!(query.text("x"), Some(""));
        assert_eq!(query.text("y"), Some("%zz"));
        assert_eq!(query.text("z"), None);
    }

    #[test]
    fn a_page_is_20_or_whatever_the_list_says_unless_asked() {
        let page = Query::parse("").page(20);
        assert_eq!((page.limit, page.offset), (20, 0));
        let page = Query::parse("limit=100&offset=3").page(20);
        assert_eq!((page.limit, page.offset), (100, 3));
    }

    #[test]
    fn every_bad_parameter_is_named() {
        let mut query = Query::parse("limit=101&offset=-1&startDate=yesterday&endDate=2026-01-31");
        query.page(20);
        query.time("startDate");
        query.time("endDate");
        let fields: Vec<_> = query.errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, ["limit", "offset", "startDate", "endDate"]);
        assert!(query.check().is_err());
    }

    #[test]
    fn a_time_may_have_an_offset() {
        let mut query = Query::parse("endDate=2026-01-31T12:00:00%2B02:00");
        assert_eq!(query.time("endDate").unwrap().to_rfc3339(), "2026-01-31T10:00:00+00:00");
    }
}
