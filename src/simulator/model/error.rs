//! The errors of the API.

use std::borrow::Cow;
use std::time::Duration;

use chrono::{DateTime, Utc};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::simulator::clock::time::{since, timestamp};
use crate::simulator::model::rate_limit::{self, Quota};
use crate::simulator::model::response::{self, Response, without_nulls};
use crate::types::ErrorCode;

const MESSAGES: [(&str, &str); 20] = [
    ("INVALID_REQUEST", "The request is not valid."),
    ("MISSING_FIELD", "A required field is missing."),
    ("INVALID_FORMAT", "The request body cannot be read."),
    ("INVALID_VALUE", "A field has a value that is not allowed."),
    ("MISSING_API_KEY", "The request has no API key. Send it as `Authorization: Bearer org_live_...`."),
    ("INVALID_API_KEY", "The API key is not known."),
    ("EXPIRED_API_KEY", "The API key has expired or was revoked."),
    ("INVALID_API_KEY_FORMAT", "The Authorization header must be `Bearer` and an API key."),
    ("INSUFFICIENT_CREDITS", "The organization has not enough credits for this run."),
    ("BILLING_ERROR", "The organization's billing needs attention."),
    ("INSUFFICIENT_PERMISSIONS", "The API key is not allowed to do this."),
    ("SCOPE_REQUIRED", "The API key lacks the scope that this operation needs."),
    ("ORGANIZATION_SUSPENDED", "The organization is suspended."),
    ("RESOURCE_NOT_FOUND", "There is no such resource."),
    ("METHOD_NOT_ALLOWED", "This path does not support this method."),
    ("CONFLICT", "The state of the resource does not allow this."),
    ("PAYLOAD_TOO_LARGE", "The request body is too large."),
    ("RATE_LIMITED", "Too many requests."),
    ("INTERNAL_ERROR", "Something went wrong on our side."),
    ("SERVICE_UNAVAILABLE", "The service is not available at the moment."),
];

/// Returns the status of a code: that of the contract, or 500 if there is none.
fn status(code: &str) -> StatusCode {
    match code {
        "METHOD_NOT_ALLOWED" => StatusCode::METHOD_NOT_ALLOWED,
        "CONFLICT" => StatusCode::CONFLICT,
        "PAYLOAD_TOO_LARGE" => StatusCode::PAYLOAD_TOO_LARGE,
        "NOT_IMPLEMENTED" => StatusCode::NOT_IMPLEMENTED,
        _ => ErrorCode::documented(code)
            .and_then(|(status, _)| StatusCode::from_u16(status).ok())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    code: Cow<'static, str>,
    message: Cow<'static, str>,
    details: Option<Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// An invalid field of a request.
#[derive(Clone, Debug)]
pub(crate) struct FieldError {
    /// The path of the field, such as `workspaceSource.repository`.
    field: String,
    message: String,
}

impl FieldError {
    pub(crate) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

impl ApiError {
    pub(crate) fn new(code: impl Into<Cow<'static, str>>) -> Self {
        let code = code.into();
        let message = MESSAGES.iter().find(|(known, _)| *known == code);
        let message = message.map_or("This error was injected into the simulator.", |(_, message)| message);
        Self { code, message: message.into(), details: None, headers: Vec::new() }
    }

    pub(crate) fn with_message(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.message = message.into();
        self
    }

    fn with_details(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }

    pub(crate) fn fields(code: &'static str, errors: &[FieldError]) -> Self {
        let texts: Vec<_> = errors.iter().map(|error| format!("{}: {}", error.field, error.message)).collect();
        let errors: Vec<_> =
            errors.iter().map(|error| json!({ "field": error.field, "message": error.message })).collect();
        Self::new(code).with_message(texts.join("; ")).with_details(json!({ "errors": errors }))
    }

    pub(crate) fn insufficient_credits(required: i64, available: i64) -> Self {
        Self::new("INSUFFICIENT_CREDITS").with_details(json!({ "required": required, "available": available }))
    }

    pub(crate) fn scope_required(code: &'static str, required: &str, available: &[String]) -> Self {
        Self::new(code).with_details(json!({ "requiredScope": required, "availableScopes": available }))
    }

    pub(crate) fn not_found(resource: &str) -> Self {
        Self::new("RESOURCE_NOT_FOUND").with_message(format!("There is no {resource}."))
    }

    pub(crate) fn method_not_allowed(allowed: &str) -> Self {
        let mut error = Self::new("METHOD_NOT_ALLOWED");
        error.headers.extend(HeaderValue::from_str(allowed).ok().map(|allowed| (header::ALLOW, allowed)));
        error
    }

    pub(crate) fn conflict(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new("CONFLICT").with_message(message)
    }

    /// An exhausted limit. Body and headers describe that limit.
    pub(crate) fn rate_limited(quota: Quota, now: DateTime<Utc>) -> Self {
        let mut error = Self::new("RATE_LIMITED").with_details(json!({
            "limit": quota.limit,
            "remaining": quota.remaining,
            "resetAt": timestamp(quota.reset_at),
        }));
        let delay = since(now, quota.reset_at);
        let seconds = delay.as_secs() + u64::from(delay > Duration::from_secs(delay.as_secs()));
        error.headers.extend(rate_limit::headers(quota));
        error.headers.push((header::RETRY_AFTER, HeaderValue::from(seconds.max(1))));
        error
    }

    pub(crate) fn into_response(self) -> Response {
        let error = without_nulls(json!({ "code": self.code, "message": self.message, "details": self.details }));
        let mut response = response::json(status(&self.code), &json!({ "error": error }));
        response.headers_mut().extend(self.headers);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::clock::time::later;

    #[test]
    fn retry_after_is_in_whole_seconds_and_never_too_short() {
        let now = DateTime::UNIX_EPOCH;
        for (millis, seconds) in [(0, "1"), (1, "1"), (1000, "1"), (1001, "2"), (59_999, "60")] {
            let quota = Quota { limit: 1, remaining: 0, reset_at: later(now, Duration::from_millis(millis)) };
            let response = ApiError::rate_limited(quota, now).into_response();
            assert_eq!(response.headers()["retry-after"], seconds, "{millis} ms");
        }
    }
}
