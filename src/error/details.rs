//! The documented `details` of errors, read leniently.

use serde::Serialize;
use serde_json::Value;

use crate::response::RateLimit;

/// A field that the service rejected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FieldError {
    /// The path of the field, such as `workspaceSource.repository`.
    pub field: String,
    /// The reason why it was rejected.
    pub message: String,
}

/// The credits that a request requires and those that are available. The service does not document the unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CreditShortage {
    /// The credits that the request requires.
    pub required: f64,
    /// The credits that the organization has.
    pub available: f64,
}

pub(super) fn field_errors(details: &Value) -> Vec<FieldError> {
    let text = |error: &Value, key| error.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    items(details, "errors")
        .filter(|error| error.is_object())
        .map(|error| FieldError { field: text(error, "field"), message: text(error, "message") })
        .collect()
}

pub(super) fn available_scopes(details: &Value) -> Vec<&str> {
    items(details, "availableScopes").filter_map(Value::as_str).collect()
}

pub(super) fn credit_shortage(details: &Value) -> Option<CreditShortage> {
    let number = |key| match details.get(key)? {
        Value::String(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
        number => number.as_f64(),
    };
    Some(CreditShortage { required: number("required")?, available: number("available")? })
}

pub(super) fn rate_limit(details: &Value) -> Option<RateLimit> {
    let texts = ["limit", "remaining", "resetAt"].map(|key| match details.get(key)? {
        Value::String(text) => Some(text.clone()),
        number => Some(number.to_string()),
    });
    Some(RateLimit::from_texts(texts.each_ref().map(Option::as_deref), None)).filter(RateLimit::is_known)
}

fn items<'a>(details: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    details.get(key).and_then(Value::as_array).into_iter().flatten()
}
