//! The errors of the API: one table of codes, and what each error tells besides its code.

use std::borrow::Cow;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::simulator::clock::time::{since, timestamp};
use crate::simulator::model::rate_limit::{self, Quota};
use crate::simulator::model::response::{Answer, present};
use crate::types::ErrorCode;

/// Every code that the simulator knows: its status, and what it says.
const CODES: [(&str, StatusCode, &str); 20] = [
    ("INVALID_REQUEST", StatusCode::BAD_REQUEST, "The request is not valid."),
    ("MISSING_FIELD", StatusCode::BAD_REQUEST, "A required field is missing."),
    ("INVALID_FORMAT", StatusCode::BAD_REQUEST, "The request body cannot be read."),
    ("INVALID_VALUE", StatusCode::BAD_REQUEST, "A field has a value that is not allowed."),
    (
        "MISSING_API_KEY",
        StatusCode::UNAUTHORIZED,
        "The request has no API key. Send it as `Authorization: Bearer org_live_...`.",
    ),
    ("INVALID_API_KEY", StatusCode::UNAUTHORIZED, "The API key is not known."),
    ("EXPIRED_API_KEY", StatusCode::UNAUTHORIZED, "The API key has expired or was revoked."),
    ("INVALID_API_KEY_FORMAT", StatusCode::UNAUTHORIZED, "The API key does not look like `org_live_...`."),
    ("INSUFFICIENT_CREDITS", StatusCode::PAYMENT_REQUIRED, "The organization has not enough credits for this run."),
    ("BILLING_ERROR", StatusCode::PAYMENT_REQUIRED, "The organization's billing needs attention."),
    ("INSUFFICIENT_PERMISSIONS", StatusCode::FORBIDDEN, "The API key is not allowed to do this."),
    ("SCOPE_REQUIRED", StatusCode::FORBIDDEN, "The API key lacks the scope that this operation needs."),
    ("ORGANIZATION_SUSPENDED", StatusCode::FORBIDDEN, "The organization is suspended."),
    ("RESOURCE_NOT_FOUND", StatusCode::NOT_FOUND, "There is no such resource."),
    ("METHOD_NOT_ALLOWED", StatusCode::METHOD_NOT_ALLOWED, "This path does not know this method."),
    ("CONFLICT", StatusCode::CONFLICT, "The resource is not in a state that allows this."),
    ("PAYLOAD_TOO_LARGE", StatusCode::PAYLOAD_TOO_LARGE, "The request body is too large."),
    ("RATE_LIMITED", StatusCode::TOO_MANY_REQUESTS, "Too many requests."),
    ("INTERNAL_ERROR", StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong on our side."),
    ("SERVICE_UNAVAILABLE", StatusCode::SERVICE_UNAVAILABLE, "The service is not available at the moment."),
];

/// An error of the API.
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    code: Cow<'static, str>,
    pub(crate) message: Cow<'static, str>,
    pub(crate) details: Option<Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// What is wrong with one field of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FieldError {
    /// The path of the field, such as `workspaceSource.repository`.
    pub(crate) field: String,
    pub(crate) message: String,
}

impl FieldError {
    pub(crate) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

impl ApiError {
    /// The error with this code, as the table has it, or else the contract. Any other code is a 500.
    pub(crate) fn new(code: impl Into<Cow<'static, str>>) -> Self {
        let code = code.into();
        let known = CODES.iter().find(|(known, ..)| *known == code).map(|(_, status, message)| (*status, *message));
        let (status, message) = known.unwrap_or_else(|| {
            let documented = ErrorCode::documented(&code).and_then(|(status, _)| StatusCode::from_u16(status).ok());
            (documented.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), "The simulator was told to fail.")
        });
        Self { status, code, message: message.into(), details: None, headers: Vec::new() }
    }

    pub(crate) fn with_message(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.message = message.into();
        self
    }

    fn with_details(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }

    /// A request that is wrong in these fields.
    pub(crate) fn fields(code: &'static str, errors: &[FieldError]) -> Self {
        let summary =
            errors.iter().map(|error| format!("{}: {}", error.field, error.message)).collect::<Vec<_>>().join("; ");
        let errors: Vec<_> =
            errors.iter().map(|error| json!({ "field": error.field, "message": error.message })).collect();
        Self::new(code).with_message(summary).with_details(json!({ "errors": errors }))
    }

    pub(crate) fn insufficient_credits(required: i64, available: i64) -> Self {
        Self::new("INSUFFICIENT_CREDITS").with_details(json!({ "required": required, "available": available }))
    }

    pub(crate) fn scope_required(code: &'static str, required: &str, available: &[String]) -> Self {
        Self::new(code).with_details(json!({ "requiredScope": required, "availableScopes": available }))
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self::new("RESOURCE_NOT_FOUND").with_message(format!("There is no {what}."))
    }

    pub(crate) fn method_not_allowed(allowed: &str) -> Self {
        let mut error = Self::new("METHOD_NOT_ALLOWED");
        if let Ok(allowed) = HeaderValue::from_str(allowed) {
            error.headers.push((header::ALLOW, allowed));
        }
        error
    }

    pub(crate) fn conflict(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new("CONFLICT").with_message(message)
    }

    /// A limit is used up: the answer describes that limit, in its body and its headers.
    pub(crate) fn rate_limited(quota: Quota, now: DateTime<Utc>) -> Self {
        let mut error = Self::new("RATE_LIMITED").with_details(json!({
            "limit": quota.limit,
            "remaining": quota.remaining,
            "resetAt": timestamp(quota.reset_at),
        }));
        let wait = since(now, quota.reset_at);
        let whole = wait.as_secs() + u64::from(wait > Duration::from_secs(wait.as_secs()));
        error.headers.extend(rate_limit::headers(quota));
        error.headers.push((header::RETRY_AFTER, HeaderValue::from(whole.max(1))));
        error
    }

    /// The answer that carries this error.
    pub(crate) fn into_answer(self) -> Answer {
        let error = present(json!({ "code": self.code, "message": self.message, "details": self.details }));
        let mut answer = Answer::json(self.status, &json!({ "error": error }));
        answer.headers.extend(self.headers);
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::clock::time::later;

    #[test]
    fn codes_are_listed_once() {
        let mut codes: Vec<_> = CODES.iter().map(|(code, ..)| code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), CODES.len());
    }

    #[test]
    fn codes_have_the_status_that_the_contract_documents() {
        for (code, status, _) in CODES {
            let documented = ErrorCode::documented(code);
            assert!(documented.is_none_or(|(documented, _)| documented == status.as_u16()), "{code}");
        }
    }

    #[test]
    fn an_unknown_code_is_a_500() {
        assert_eq!(ApiError::new("OUT_OF_CHEESE").status, StatusCode::INTERNAL_SERVER_ERROR);
    }

    #[test]
    fn the_wait_is_in_whole_seconds_and_never_too_short() {
        let now = DateTime::UNIX_EPOCH;
        for (millis, seconds) in [(0, "1"), (1, "1"), (1000, "1"), (1001, "2"), (59_999, "60")] {
            let quota = Quota { limit: 1, remaining: 0, reset_at: later(now, Duration::from_millis(millis)) };
            assert_eq!(ApiError::rate_limited(quota, now).into_answer().headers["retry-after"], seconds, "{millis} ms");
        }
    }

    #[test]
    fn an_error_of_fields_names_each_of_them() {
        let errors = [
            FieldError::new("taskPrompt", "is required"),
            FieldError::new("workspaceSource.repository", "is required"),
        ];
        let error = ApiError::fields("MISSING_FIELD", &errors);
        assert_eq!(error.message, "taskPrompt: is required; workspaceSource.repository: is required");
        assert_eq!(error.details.unwrap()["errors"][1]["field"], "workspaceSource.repository");
    }
}
