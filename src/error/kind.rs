//! [`ErrorKind`], and the kind and the advice for each code and status of the service.

use std::fmt;
use std::str::FromStr;

use super::body::ErrorBody;
use crate::Operation;
use crate::types::ErrorCode;

/// The kind of failure of an [`Error`](super::Error).
///
/// Statuses of 4xx stand for errors of the service itself, which have a [`code`](super::Error::code). Without a code,
/// only 408, 429, and a 400 or 422 with a reason in JSON have the same kind. All others are
/// [`UnexpectedStatus`](Self::UnexpectedStatus): a 404 of a gateway does not mean that an id does not exist.
///
/// Later versions may add kinds, so a `match` needs a `_` arm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting of the client is missing or invalid, such as the API key or the base URL.
    Configuration,
    /// The content of the request is invalid. It was rejected by the service (400, 413, 422), by its framework or a
    /// gateway with a reason in JSON (400, 422), or by this crate before sending.
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
    /// A rate limit of the service or of a gateway is exhausted (429).
    RateLimited,
    /// The service or a gateway in front of it failed (5xx except 503).
    Server,
    /// The service or a gateway in front of it is temporarily unavailable (503).
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
    /// The response is none of the service's: a redirect, or a 4xx without the service's own error body, as from a
    /// proxy, a gateway or a sign-in page.
    UnexpectedStatus,
    /// The run that was waited for has failed.
    RunFailed,
    /// The run that was waited for was cancelled.
    RunCancelled,
    /// The run that was waited for has ended with a status that this version does not know: it may have succeeded.
    RunOutcomeUnknown,
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
        Self::RunOutcomeUnknown,
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
            Self::RunOutcomeUnknown => "run_outcome_unknown",
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
const NOT_FOUND_WITHOUT_ID: &str =
    "Check the base URL and any proxy, and that everything that the request refers to exists.";
const SLOW_DOWN: &str = "Wait before the next request; other programs of the organization may share the limit.";
const TRY_LATER: &str = "The fault is on the service's side; try again later.";

/// Returns the kind and the advice for an error of the service. A documented code takes precedence over the status.
fn classify(code: &str, status: u16) -> (ErrorKind, &'static str) {
    match (code, ErrorCode::documented(code)) {
        ("INSUFFICIENT_CREDITS", Some((_, advice))) => (ErrorKind::InsufficientCredits, advice),
        ("ORGANIZATION_SUSPENDED", Some((_, advice))) => (ErrorKind::OrganizationSuspended, advice),
        (_, Some((status, advice))) => (by_status(status).0, advice),
        (_, None) => by_status(status),
    }
}

/// Returns the kind and the advice for the status of an error of the service.
fn by_status(status: u16) -> (ErrorKind, &'static str) {
    match status {
        400 | 413 | 422 => (ErrorKind::InvalidRequest, CORRECT),
        401 => (ErrorKind::Authentication, "Check the API key."),
        402 => (ErrorKind::Billing, "Look at the organization's billing; a retry alone does not help."),
        403 => (ErrorKind::PermissionDenied, "Check the permissions of the API key."),
        404 | 410 => (ErrorKind::NotFound, NOT_FOUND),
        408 => (ErrorKind::Timeout, TRY_LATER),
        409 => (ErrorKind::Conflict, "The present state of the resource does not allow this; fetch it and look at it."),
        429 => (ErrorKind::RateLimited, SLOW_DOWN),
        503 => (ErrorKind::Unavailable, TRY_LATER),
        500..=599 => (ErrorKind::Server, TRY_LATER),
        300..=399 | 407 => by_status_alone(status, false),
        _ => (ErrorKind::UnexpectedStatus, "AgentGate documents no such status; look for a newer version."),
    }
}

/// Returns the kind and the advice for a failed response that is not an error of the service. What stands in front of
/// the service cannot know whether a key is accepted or an id exists. `has_reason` is set for JSON that gives a reason:
/// the framework of the service may refuse a request before the service's own code sees it.
fn by_status_alone(status: u16, has_reason: bool) -> (ErrorKind, &'static str) {
    let kind = match status {
        408 | 429 | 500..=599 => by_status(status).0,
        400 | 422 if has_reason => ErrorKind::InvalidRequest,
        _ => ErrorKind::UnexpectedStatus,
    };
    let advice = match status {
        304 => "The client sends no conditional requests; look for a proxy that caches.",
        300..=399 => "Redirects are not followed, as they would carry the API key elsewhere; check the base URL.",
        400 | 422 if has_reason => CORRECT,
        401 | 403 => "This response is not AgentGate's: check the access rules of the proxy or gateway that sent it.",
        407 => "The proxy requires credentials: set them in the URL of the proxy.",
        413 | 414 | 431 => "This response is not AgentGate's: raise the limit of the proxy or gateway that sent it.",
        429 => "Wait before the next request; the limit may be that of a gateway, and not that of AgentGate.",
        502 | 504 | 520..=530 => "The gateway that responded did not reach AgentGate: try again later, or look at it.",
        408 | 500..=599 => "AgentGate or a gateway in front of it failed: try again later, or look at that gateway.",
        _ => "This response is not AgentGate's: check the base URL, and the proxy or gateway that sent it.",
    };
    (kind, advice)
}

/// Returns the kind and the advice for a failed response of this operation. The advice of a code takes precedence over
/// that of the operation if it is more specific than that of the status.
pub(super) fn of_response(operation: Operation, status: u16, body: &ErrorBody) -> (ErrorKind, &'static str) {
    let Some(code) = body.code.as_deref() else { return by_status_alone(status, body.message.is_some()) };
    let (kind, advice) = classify(code, status);
    let is_specific = ErrorCode::documented(code).is_some_and(|(status, _)| advice != by_status(status).1);
    let advice = match operation.advice().find(|(of, _)| *of == status) {
        Some((_, of_operation)) if !is_specific => of_operation,
        _ if kind == ErrorKind::NotFound && !operation.path().contains('{') => NOT_FOUND_WITHOUT_ID,
        _ => advice,
    };
    (kind, advice)
}

#[cfg(test)]
mod tests {
    use super::{ErrorKind, by_status_alone, classify};
    use crate::types::ErrorCode;

    #[test]
    fn every_documented_code_has_a_kind_and_an_advice_of_its_own() {
        for code in ErrorCode::KNOWN {
            let (status, advice) = ErrorCode::documented(code).unwrap();
            let (kind, given) = classify(code, 418);
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
        assert_eq!(classify("INSUFFICIENT_CREDITS", 402).0, ErrorKind::InsufficientCredits);
        assert_eq!(classify("ORGANIZATION_SUSPENDED", 403).0, ErrorKind::OrganizationSuspended);
        assert_eq!(classify("RATE_LIMITED", 400).0, ErrorKind::RateLimited);
    }

    #[test]
    fn without_a_known_code_the_status_decides_and_without_the_services_error_no_4xx_is_its_word() {
        use ErrorKind::{
            Authentication, Billing, Conflict, InvalidRequest, NotFound, PermissionDenied, RateLimited, Server,
            Timeout, Unavailable, UnexpectedStatus,
        };
        for (status, own, foreign) in [
            (302, UnexpectedStatus, UnexpectedStatus),
            (400, InvalidRequest, UnexpectedStatus),
            (401, Authentication, UnexpectedStatus),
            (402, Billing, UnexpectedStatus),
            (403, PermissionDenied, UnexpectedStatus),
            (404, NotFound, UnexpectedStatus),
            (405, UnexpectedStatus, UnexpectedStatus),
            (407, UnexpectedStatus, UnexpectedStatus),
            (408, Timeout, Timeout),
            (409, Conflict, UnexpectedStatus),
            (410, NotFound, UnexpectedStatus),
            (413, InvalidRequest, UnexpectedStatus),
            (422, InvalidRequest, UnexpectedStatus),
            (429, RateLimited, RateLimited),
            (500, Server, Server),
            (503, Unavailable, Unavailable),
            (520, Server, Server),
        ] {
            assert_eq!(classify("NEW_CODE", status).0, own, "{status}");
            assert_eq!(by_status_alone(status, false).0, foreign, "{status}");
            let with_reason = if matches!(status, 400 | 422) { InvalidRequest } else { foreign };
            assert_eq!(by_status_alone(status, true).0, with_reason, "{status}");
        }
    }
}
