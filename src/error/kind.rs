//! The kinds of failure, and the kind and the advice for each code and status of the service.

use std::fmt;
use std::str::FromStr;

use crate::Operation;
use crate::types::ErrorCode;

/// The kind of failure of an [`Error`](super::Error).
///
/// The set grows with the service, so a `match` on it needs a `_` arm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The client was set up with something that cannot work: no key, a base URL that is none.
    Configuration,
    /// The service, or the SDK on its behalf, refused the request's content (400, 413, 422).
    InvalidRequest,
    /// The API key is missing, malformed, unknown, expired or revoked (401).
    Authentication,
    /// The organization has too few credits (402).
    InsufficientCredits,
    /// The organization's billing has a problem (402).
    Billing,
    /// The API key may not do this (403).
    PermissionDenied,
    /// The organization is suspended (403).
    OrganizationSuspended,
    /// There is nothing with this id, or not for this organization (404, 410).
    NotFound,
    /// The state of the thing does not allow it: a finished run cannot be cancelled (409).
    Conflict,
    /// A rate limit is spent (429).
    RateLimited,
    /// The service failed (5xx but 503).
    Server,
    /// The service is not available for the moment (503).
    Unavailable,
    /// No connection came about; this attempt sent nothing.
    Connect,
    /// An attempt took longer than its time-out (or the service said so: 408).
    Timeout,
    /// The connection broke before the whole answer had arrived.
    Interrupted,
    /// The answer arrived, and is not what the contract says.
    Decode,
    /// The answer's body is larger than the client accepts.
    BodyTooLarge,
    /// The service answered with a status that means nothing here, such as a redirect.
    UnexpectedStatus,
    /// The run that was waited for has failed.
    RunFailed,
    /// The run that was waited for was cancelled.
    RunCancelled,
    /// The run that was waited for has not ended in time.
    WaitTimeout,
    /// A list could not be read to its end: its pages contradict each other, or it changes faster than it is read.
    Pagination,
    /// A [middleware](crate::middleware::Middleware) of the program refused the request; nothing was sent.
    Middleware,
}

impl ErrorKind {
    /// Returns `true` if the same request may succeed later: the network, 429, 5xx, a response that cannot be read.
    pub(crate) fn may_pass(self) -> bool {
        use ErrorKind::{Connect, Decode, Interrupted, RateLimited, Server, Timeout, Unavailable, UnexpectedStatus};
        matches!(self, Connect | Decode | Interrupted | RateLimited | Server | Timeout | Unavailable | UnexpectedStatus)
    }

    /// All kinds of this version.
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

    /// Its name as an identifier, such as `not_found`: fit for a metric's label.
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

/// The same as [`as_str`](Self::as_str).
impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Reads what [`as_str`](ErrorKind::as_str) returns. A word of a newer version is an error.
///
/// ```
/// use agentgate::ErrorKind;
///
/// assert_eq!("not_found".parse(), Ok(ErrorKind::NotFound));
/// assert_eq!("lost".parse::<ErrorKind>().unwrap_err().to_string(), "this version has no error kind `lost`");
/// ```
impl FromStr for ErrorKind {
    type Err = UnknownErrorKind;

    fn from_str(word: &str) -> Result<Self, UnknownErrorKind> {
        let known = Self::ALL.iter().find(|kind| kind.as_str() == word);
        known.copied().ok_or_else(|| UnknownErrorKind(word.to_owned()))
    }
}

/// The error of a word that is no [`ErrorKind`] of this version.
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
const NOT_FOUND_BY_WHOM: &str = "Check the id, the base URL and any proxy: errors of the service itself have a code.";
const NOT_FOUND_WITHOUT_ID: &str =
    "Check the base URL and any proxy, and that everything that the request refers to exists.";
const SLOW_DOWN: &str = "Wait before the next request; other programs of the organization may share the limit.";
const TRY_LATER: &str = "The fault is on the service's side; try again later.";

/// The kind of a failed response, and what its receiver can do. A documented code decides; otherwise, the status does.
pub(super) fn classify(code: Option<&str>, status: u16) -> (ErrorKind, &'static str) {
    let documented = code.and_then(|code| Some((code, ErrorCode::documented(code)?)));
    match documented {
        Some(("INSUFFICIENT_CREDITS", (_, advice))) => (ErrorKind::InsufficientCredits, advice),
        Some(("ORGANIZATION_SUSPENDED", (_, advice))) => (ErrorKind::OrganizationSuspended, advice),
        Some((_, (status, advice))) => (by_status(status, true).0, advice),
        None => by_status(status, code.is_some()),
    }
}

/// The kind that a status stands for. The service gives a code with each of its errors; a proxy does not.
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
        404 | 410 => (ErrorKind::NotFound, if has_code { NOT_FOUND } else { NOT_FOUND_BY_WHOM }),
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

/// Returns the advice for a failed response that means something of its own for this operation. The advice of a code that is more than
/// another word for its status counts more.
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
    fn the_list_of_kinds_is_complete_and_their_words_can_be_read() {
        let source = include_str!("kind.rs").split_once("pub enum ErrorKind {").unwrap().1;
        let variants = source.lines().take_while(|line| *line != "}").filter(|line| line.ends_with(','));
        assert_eq!(variants.count(), ErrorKind::ALL.len());
        for kind in ErrorKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
        }
        assert!("Timeout".parse::<ErrorKind>().is_err() && "".parse::<ErrorKind>().is_err());
    }

    #[test]
    fn two_codes_have_kinds_of_their_own() {
        assert_eq!(classify(Some("INSUFFICIENT_CREDITS"), 402).0, ErrorKind::InsufficientCredits);
        assert_eq!(classify(Some("ORGANIZATION_SUSPENDED"), 403).0, ErrorKind::OrganizationSuspended);
    }

    #[test]
    fn a_known_code_counts_more_than_the_status() {
        assert_eq!(classify(Some("RATE_LIMITED"), 400).0, ErrorKind::RateLimited);
    }

    #[test]
    fn an_unknown_code_leaves_it_to_the_status() {
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
