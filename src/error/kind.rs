//! [`ErrorKind`], and the kind and the advice for each code and status of the service.

use std::fmt;
use std::str::FromStr;

use crate::Operation;
use crate::types::ErrorCode;

/// The kind of failure of an [`Error`](super::Error).
///
/// Later versions may add kinds, so a `match` needs a `_` arm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting of the client is missing or invalid, such as the API key or the base URL.
    Configuration,
    /// The content of the request is invalid. It was rejected by the service (400, 413, 422), or by this crate before
    /// sending.
    InvalidRequest,
    /// The API key is missing, malformed, unknown, expired or revoked (401).
    Authentication,
    /// The organization has too few credits (402).
    InsufficientCredits,
    /// The organization's billing has a problem (402).
    Billing,
    /// The API key lacks a permission (403).
    PermissionDenied,
    /// The organization is suspended (403).
    OrganizationSuspended,
    /// No object with this id exists in this organization (404, 410).
    NotFound,
    /// The state of the object does not allow the operation, for example the cancellation of a finished run (409).
    Conflict,
    /// A rate limit is exhausted (429).
    RateLimited,
    /// The service failed (5xx except 503).
    Server,
    /// The service is temporarily unavailable (503).
    Unavailable,
    /// No connection could be established. The attempt sent nothing.
    Connect,
    /// An attempt timed out, or the service reported a time-out (408).
    Timeout,
    /// The connection broke before the whole response had arrived.
    Interrupted,
    /// The response is not JSON, or lacks what identifies it, such as the id of an object.
    Decode,
    /// The body of the response is larger than the client accepts.
    BodyTooLarge,
    /// The service responded with an unexpected status, such as a redirect.
    UnexpectedStatus,
    /// The run that was waited for has failed.
    RunFailed,
    /// The run that was waited for was cancelled.
    RunCancelled,
    /// The run that was waited for did not end in time.
    WaitTimeout,
    /// A list could not be read to its end: its pages are inconsistent, or it changes faster than it is read.
    Pagination,
    /// A [middleware](crate::middleware::Middleware) rejected the request. Nothing was sent.
    Middleware,
}

impl ErrorKind {
    /// Returns `true` if the same request may succeed later: the network, 429, 5xx, a response that cannot be read.
    pub(crate) fn may_pass(self) -> bool {
        use ErrorKind::{Connect, Decode, Interrupted, RateLimited, Server, Timeout, Unavailable, UnexpectedStatus};
        matches!(self, Connect | Decode | Interrupted | RateLimited | Server | Timeout | Unavailable | UnexpectedStatus)
    }

    /// All kinds that this version has.
    pub const ALL: &'static [Self] = &[
        Self::Configuration,
        Self::InvalidRequest,
        Self::Authentication,
        Self::InsufficientCredits,
        Self::Billing,
        Self::PermissionDenied,
        Self::OrganizationSuspended,
        Self::NotFound,
        Self::Conflict,
        Self::RateLimited,
        Self::Server,
        Self::Unavailable,
        Self::Connect,
        Self::Timeout,
        Self::Interrupted,
        Self::Decode,
        Self::BodyTooLarge,
        Self::UnexpectedStatus,
        Self::RunFailed,
        Self::RunCancelled,
        Self::WaitTimeout,
        Self::Pagination,
        Self::Middleware,
    ];

    /// Returns the name in snake case, such as `not_found`, for labels of metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::InvalidRequest => "invalid_request",
            Self::Authentication => "authentication",
            Self::InsufficientCredits => "insufficient_credits",
            Self::Billing => "billing",
            Self::PermissionDenied => "permission_denied",
            Self::OrganizationSuspended => "organization_suspended",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::RateLimited => "rate_limited",
            Self::Server => "server",
            Self::Unavailable => "unavailable",
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Interrupted => "interrupted",
            Self::Decode => "decode",
            Self::BodyTooLarge => "body_too_large",
            Self::UnexpectedStatus => "unexpected_status",
            Self::RunFailed => "run_failed",
            Self::RunCancelled => "run_cancelled",
            Self::WaitTimeout => "wait_timeout",
            Self::Pagination => "pagination",
            Self::Middleware => "middleware",
        }
    }
}

/// Writes [`as_str`](Self::as_str).
impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Parses the names that [`as_str`](ErrorKind::as_str) returns. A name that only a newer version has is an error.
///
/// ```
/// use agentgate::ErrorKind;
///
/// assert_eq!("not_found".parse(), Ok(ErrorKind::NotFound));
/// assert_eq!("lost".parse::<ErrorKind>().unwrap_err().to_string(), "this version has no error kind `lost`");
/// ```
impl FromStr for ErrorKind {
    type Err = UnknownErrorKind;

    fn from_str(name: &str) -> Result<Self, UnknownErrorKind> {
        let known = Self::ALL.iter().find(|kind| kind.as_str() == name);
        known.copied().ok_or_else(|| UnknownErrorKind(name.to_owned()))
    }
}

/// The error of parsing a name that is not an [`ErrorKind`] of this version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownErrorKind(String);

impl fmt::Display for UnknownErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "this version has no error kind `{}`", self.0)
    }
}

impl std::error::Error for UnknownErrorKind {}

const CORRECT: &str = "Correct the request and send it again.";
const NOT_FOUND: &str = "Check the id, and that the API key belongs to the organization that owns it.";
const NOT_FOUND_WITHOUT_CODE: &str =
    "Check the id, the base URL and any proxy: errors of the service itself have a code.";
const NOT_FOUND_WITHOUT_ID: &str =
    "Check the base URL and any proxy, and that everything that the request refers to exists.";
const SLOW_DOWN: &str = "Wait before the next request; other programs of the organization may share the limit.";
const TRY_LATER: &str = "The fault is on the service's side; try again later.";

/// Returns the kind and the advice for a failed response. A documented code takes precedence over the status.
pub(super) fn classify(code: Option<&str>, status: u16) -> (ErrorKind, &'static str) {
    let documented = code.and_then(|code| Some((code, ErrorCode::documented(code)?)));
    match documented {
        Some(("INSUFFICIENT_CREDITS", (_, advice))) => (ErrorKind::InsufficientCredits, advice),
        Some(("ORGANIZATION_SUSPENDED", (_, advice))) => (ErrorKind::OrganizationSuspended, advice),
        Some((_, (status, advice))) => (by_status(status, true).0, advice),
        None => by_status(status, code.is_some()),
    }
}

/// Returns the kind and the advice for a status. Errors of the service have a code, and those of a proxy do not.
fn by_status(status: u16, has_code: bool) -> (ErrorKind, &'static str) {
    match status {
        304 => (ErrorKind::UnexpectedStatus, "The client sends no conditional requests; look for a proxy that caches."),
        300..=399 => (
            ErrorKind::UnexpectedStatus,
            "Redirects are not followed, as they would carry the API key elsewhere; check the base URL.",
        ),
        400 | 413 | 422 => (ErrorKind::InvalidRequest, CORRECT),
        401 => (ErrorKind::Authentication, "Check the API key."),
        402 => (ErrorKind::Billing, "Look at the organization's billing; a retry alone does not help."),
        403 => (ErrorKind::PermissionDenied, "Check the permissions of the API key."),
        404 | 410 => (ErrorKind::NotFound, if has_code { NOT_FOUND } else { NOT_FOUND_WITHOUT_CODE }),
        408 => (ErrorKind::Timeout, TRY_LATER),
        409 => (ErrorKind::Conflict, "The present state of the resource does not allow this; fetch it and look at it."),
        429 => (ErrorKind::RateLimited, SLOW_DOWN),
        503 => (ErrorKind::Unavailable, TRY_LATER),
        500..=599 => (ErrorKind::Server, TRY_LATER),
        _ => (
            ErrorKind::UnexpectedStatus,
            "This does not look like AgentGate; check the base URL, and look for a proxy.",
        ),
    }
}

/// Returns the advice for a status that has a special meaning for this operation. The advice of a code takes precedence
/// if it is more specific than that of its status.
pub(super) fn advice_for(operation: Operation, code: Option<&str>, status: u16) -> Option<&'static str> {
    let documented = code.and_then(ErrorCode::documented);
    let (kind, advice) = classify(code, status);
    let of_operation = operation.advice().find(|(of, _)| *of == status).map(|(_, advice)| advice);
    let is_specific = documented.is_some_and(|(status, _)| advice != by_status(status, true).1);
    match of_operation {
        Some(advice) if !is_specific => Some(advice),
        _ if kind == ErrorKind::NotFound && !operation.path().contains('{') => Some(NOT_FOUND_WITHOUT_ID),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{ErrorKind, classify};
    use crate::types::ErrorCode;

    #[test]
    fn every_documented_code_has_a_kind_and_an_advice_of_its_own() {
        for code in ErrorCode::KNOWN {
            let (status, advice) = ErrorCode::documented(code).unwrap();
            let (kind, given) = classify(Some(code), 418);
            assert_eq!(given, advice);
            assert_ne!(kind, ErrorKind::UnexpectedStatus, "{code}, {status}");
        }
    }

    #[test]
    fn the_list_of_kinds_is_complete_and_their_names_can_be_parsed() {
        let source = include_str!("kind.rs").split_once("pub enum ErrorKind {").unwrap().1;
        let variants = source.lines().take_while(|line| *line != "}").filter(|line| line.ends_with(','));
        assert_eq!(variants.count(), ErrorKind::ALL.len());
        for (index, kind) in ErrorKind::ALL.iter().enumerate() {
            assert_eq!(*kind as usize, index);
            assert_eq!(kind.as_str().parse(), Ok(*kind));
        }
        assert!("Timeout".parse::<ErrorKind>().is_err() && "".parse::<ErrorKind>().is_err());
    }

    #[test]
    fn a_known_code_takes_precedence_over_the_status() {
        assert_eq!(classify(Some("INSUFFICIENT_CREDITS"), 402).0, ErrorKind::InsufficientCredits);
        assert_eq!(classify(Some("ORGANIZATION_SUSPENDED"), 403).0, ErrorKind::OrganizationSuspended);
        assert_eq!(classify(Some("RATE_LIMITED"), 400).0, ErrorKind::RateLimited);
    }

    #[test]
    fn without_a_known_code_the_status_decides() {
        for (status, kind) in [
            (302, ErrorKind::UnexpectedStatus),
            (400, ErrorKind::InvalidRequest),
            (401, ErrorKind::Authentication),
            (402, ErrorKind::Billing),
            (403, ErrorKind::PermissionDenied),
            (404, ErrorKind::NotFound),
            (405, ErrorKind::UnexpectedStatus),
            (408, ErrorKind::Timeout),
            (409, ErrorKind::Conflict),
            (429, ErrorKind::RateLimited),
            (500, ErrorKind::Server),
            (502, ErrorKind::Server),
            (503, ErrorKind::Unavailable),
            (504, ErrorKind::Server),
        ] {
            assert_eq!(classify(Some("NEW_CODE"), status).0, kind, "{status}");
            assert_eq!(classify(None, status).0, kind, "{status}");
        }
    }
}
