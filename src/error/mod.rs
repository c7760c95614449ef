//! The [`Error`] of every call, its [kind](ErrorKind), and the details from the service.

mod body;
mod constructors;
mod details;
mod display;
mod kind;
mod response;
mod retryable;
mod run;
mod serialize;
mod text;

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use serde_json::Value;

pub use details::{CreditShortage, FieldError};
pub use kind::{ErrorKind, UnknownErrorKind};

pub(crate) use self::body::is_own;
use self::response::FailedResponse;
pub(crate) use self::response::KEPT_BODY;
use crate::response::RateLimit;
use crate::types::{Run, RunId, RunStatus};
use crate::{Operation, error_causes};

/// A `Result` with the [`Error`] of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The error of every call: the operation, the failure, and what to do about it.
///
/// `Display` is one line for people and logs:
///
/// ```text
/// could not submit a work order: 402 INSUFFICIENT_CREDITS: The organization has not enough
/// credits for this run [required 50, available 49]. Buy credits, then send it again; a retry
/// alone does not help. (request id req_000009)
/// ```
///
/// Programs use the accessors. Match on [`kind`](Self::kind):
///
/// ```no_run
/// use agentgate::{Client, ErrorKind, WorkspaceSource};
///
/// # #[tokio::main]
/// # async fn main() -> agentgate::Result<()> {
/// let client = Client::from_env()?;
/// let source = WorkspaceSource::template("python-flask");
/// if let Err(error) = client.work_orders().create("Fix it", source).await {
///     match error.kind() {
///         ErrorKind::InvalidRequest => println!("correct {:?}", error.field_errors()),
///         ErrorKind::InsufficientCredits => println!("buy credits: {:?}", error.credits()),
///         // The client has already searched for the work order: see `may_have_reached_server`.
///         _ if error.may_have_reached_server() => println!("check before you submit it again"),
///         _ if error.is_retryable() => println!("later, in {:?}", error.retry_after()),
///         _ => return Err(error),
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// | question | accessors |
/// |---|---|
/// | What failed? | [`kind`](Self::kind), [`operation`](Self::operation), [`attempts`](Self::attempts) |
/// | May it be repeated? | [`is_retryable`](Self::is_retryable), [`may_have_reached_server`](Self::may_have_reached_server), [`retry_after`](Self::retry_after) |
/// | What did the service respond? | [`code`](Self::code), [`message`](Self::message), [`details`](Self::details), [`request_id`](Self::request_id) |
/// | What are the details? | [`field_errors`](Self::field_errors), [`credits`](Self::credits), [`required_scope`](Self::required_scope), [`available_scopes`](Self::available_scopes), [`rate_limit`](Self::rate_limit) |
/// | Which response was it? | [`status`](Self::status), [`headers`](Self::headers), [`body`](Self::body) |
/// | Which run was it about? | [`run_id`](Self::run_id), [`run_status`](Self::run_status), [`run`](Self::run) |
///
/// An error has the size of a pointer, so that a `Result` stays small. It can be cloned.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    kind: ErrorKind,
    operation: Option<Operation>,
    /// The attempted task of an error without an operation.
    task: &'static str,
    /// A description of the call that is more specific than the operation's summary.
    description: Option<String>,
    /// The failure, unless it is described by an error body of the service.
    problem: Option<String>,
    advice: &'static str,
    response: Option<FailedResponse>,
    attempts: u32,
    retry_after: Option<Duration>,
    may_have_reached_server: bool,
    /// The result of the search for the effect of the request.
    search: Option<String>,
    /// The cause, which is part of the text of `Display`.
    underlying: Option<Arc<dyn StdError + Send + Sync>>,
    /// A related failure, which is not part of the text of `Display`.
    source: Option<Box<Error>>,
    /// The origin of the API key, if the key was rejected.
    key_origin: Option<&'static str>,
    run: Option<Box<ConcernedRun>>,
}

/// The run that an error is about.
#[derive(Clone, Debug)]
pub(super) struct ConcernedRun {
    id: RunId,
    status: Option<RunStatus>,
    run: Option<Run>,
}

impl Error {
    /// Returns the kind of the failure, to match on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the operation that failed. `None` for errors that occur while a client is created.
    #[must_use]
    pub fn operation(&self) -> Option<Operation> {
        self.0.operation
    }

    /// Returns the HTTP status, if there was a response.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.response().map(|response| response.raw.status)
    }

    /// Returns the headers of the response, if there was one.
    #[must_use]
    pub fn headers(&self) -> Option<&HeaderMap> {
        self.response().map(|response| &response.raw.headers)
    }

    /// Returns the first 64 KiB of the response's body, if there was a response. It may be of any kind, such as HTML
    /// from a proxy. These are the bytes as they arrived, with the secrets that they may repeat.
    #[must_use]
    pub fn body(&self) -> Option<&[u8]> {
        self.response().map(|response| response.raw.body.as_ref())
    }

    /// Returns the service's code, such as `INSUFFICIENT_CREDITS`. Errors of the service itself have one. `None` if
    /// there was no response, or if it came from something else: a proxy, a gateway, a sign-in page, or the framework
    /// of the service.
    ///
    /// The service may add codes. [`kind`](Self::kind) classifies the known ones, and
    /// [`ErrorCode::from`](crate::types::ErrorCode) returns a value to match on.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.response()?.read.code.as_deref()
    }

    /// Returns the human-readable message of the service, or else the reason that the JSON of a framework or gateway
    /// gives, such as `{"statusCode": 400, "message": ["branch is not valid"]}`.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.response()?.read.message.as_deref()
    }

    /// Returns the details of the error as JSON.
    ///
    /// Documented details have accessors: [`field_errors`](Self::field_errors),
    /// [`required_scope`](Self::required_scope), [`credits`](Self::credits), [`rate_limit`](Self::rate_limit).
    #[must_use]
    pub fn details(&self) -> Option<&Value> {
        self.response()?.read.details.as_ref()
    }

    /// Returns the id of the request, from the header `x-request-id` or else from the body. Include it in requests to
    /// support.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.response()?.request_id.as_deref()
    }

    /// Returns the time to wait before the next attempt, if it is known.
    ///
    /// The client did not wait for this time itself, because all retries were used, or because the time exceeds
    /// a limit, such as [`max_retry_delay`](crate::ClientBuilder::max_retry_delay) or the deadline.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Returns the number of attempts, or 0 if nothing was sent.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// Returns whether the request may have taken effect although the call failed: the connection broke after the
    /// request was sent, the attempt timed out, the service or a gateway failed while it processed the request, or the
    /// response could not be read.
    ///
    /// A 429 is a refusal, and so is a 503 whose body is the service's own error with the code `SERVICE_UNAVAILABLE`.
    /// Any other 503 may come from a gateway that had forwarded the request. A 4xx other than 408 is a refusal, whoever
    /// responded.
    ///
    /// If this is `true` for [`create`](crate::resources::WorkOrders::create), the client has searched for the work
    /// order without success; the text of the error has the result of the search. Check the recent runs before you
    /// submit it again: a run costs credits.
    #[must_use]
    pub fn may_have_reached_server(&self) -> bool {
        self.0.may_have_reached_server
    }

    /// Returns the state of the rate limit, from the response's headers or else from the error's details.
    #[must_use]
    pub fn rate_limit(&self) -> Option<RateLimit> {
        RateLimit::from_headers(self.headers()?).or_else(|| details::rate_limit(self.details()?))
    }

    /// Returns the fields that the service rejected (400), each with a message.
    #[must_use]
    pub fn field_errors(&self) -> Vec<FieldError> {
        self.details().map(details::field_errors).unwrap_or_default()
    }

    /// Returns the scope that the API key lacks (403).
    #[must_use]
    pub fn required_scope(&self) -> Option<&str> {
        self.details()?.get("requiredScope")?.as_str()
    }

    /// Returns the scopes that the API key has (403).
    #[must_use]
    pub fn available_scopes(&self) -> Vec<&str> {
        self.details().map(details::available_scopes).unwrap_or_default()
    }

    /// Returns the credits that are required and those that are available (402).
    #[must_use]
    pub fn credits(&self) -> Option<CreditShortage> {
        details::credit_shortage(self.details()?)
    }

    /// Returns the error that caused this one and is part of its text: the error of the HTTP client
    /// ([`reqwest::Error`]), of the JSON decoder ([`serde_json::Error`]), or of a [middleware](crate::middleware).
    ///
    /// ```
    /// use std::error::Error as _;
    /// use std::io;
    ///
    /// fn is_refused(error: &agentgate::Error) -> bool {
    ///     std::iter::successors(error.underlying(), |&error| error.source())
    ///         .filter_map(|error| error.downcast_ref::<io::Error>())
    ///         .any(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    /// }
    /// ```
    #[must_use]
    pub fn underlying(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.underlying.as_deref().map(|error| error as &(dyn StdError + 'static))
    }

    fn response(&self) -> Option<&FailedResponse> {
        self.0.response.as_ref()
    }
}

/// Predicates for the most common kinds.
impl Error {
    /// Returns whether the request itself is wrong. **Troubleshooting:** [`field_errors`](Self::field_errors) names the
    /// fields.
    #[must_use]
    pub fn is_invalid_request(&self) -> bool {
        self.kind() == ErrorKind::InvalidRequest
    }

    /// Returns whether the service did not accept the API key. **Troubleshooting:** [`code`](Self::code) distinguishes
    /// a malformed key from an expired one.
    #[must_use]
    pub fn is_authentication(&self) -> bool {
        self.kind() == ErrorKind::Authentication
    }

    /// Returns whether there are too few credits. **Troubleshooting:** [`credits`](Self::credits) returns the required
    /// and the available credits. Such a failure is never retried.
    #[must_use]
    pub fn is_insufficient_credits(&self) -> bool {
        self.kind() == ErrorKind::InsufficientCredits
    }

    /// Returns whether the service says that the API key lacks a permission. **Troubleshooting:**
    /// [`required_scope`](Self::required_scope) returns the missing scope.
    #[must_use]
    pub fn is_permission_denied(&self) -> bool {
        self.kind() == ErrorKind::PermissionDenied
    }

    /// Returns whether the service itself says that the id was not found. A 404 page of a proxy or gateway is an
    /// [`UnexpectedStatus`](ErrorKind::UnexpectedStatus). **Troubleshooting:** check that the key belongs to the same
    /// organization as the object.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.kind() == ErrorKind::NotFound
    }

    /// Returns whether the state of the object does not allow the operation. **Troubleshooting:** fetch the object and
    /// check its status.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.kind() == ErrorKind::Conflict
    }

    /// Returns whether a rate limit is exhausted. **Troubleshooting:** [`retry_after`](Self::retry_after) and
    /// [`rate_limit`](Self::rate_limit) return the time until it resets. The limit is shared by all programs of the
    /// organization.
    #[must_use]
    pub fn is_rate_limited(&self) -> bool {
        self.kind() == ErrorKind::RateLimited
    }

    /// Returns whether an attempt timed out. **Troubleshooting:** increase `timeout` on the client or the call.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.kind() == ErrorKind::Timeout
    }

    /// Returns whether no connection could be established. **Troubleshooting:** the text names the cause: name
    /// resolution, a refused connection, TLS.
    #[must_use]
    pub fn is_connect(&self) -> bool {
        self.kind() == ErrorKind::Connect
    }

    /// Returns whether the response is not JSON or lacks what identifies it. **Troubleshooting:** the text names the
    /// path of the field; [`body`](Self::body) returns the response.
    #[must_use]
    pub fn is_decode(&self) -> bool {
        self.kind() == ErrorKind::Decode
    }
}

/// `source()` returns errors that are not part of the text of `Display`, so that a report of the whole chain repeats
/// nothing: the error of the last poll of a wait, or of a failed cancellation. For the cause that is part of the text,
/// see [`underlying`](Error::underlying).
impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0.source {
            Some(source) => Some(&**source),
            None => error_causes::unnamed(&self.to_string(), self.underlying()),
        }
    }
}

/// Returns the text of the innermost cause. The outer errors of reqwest are generic, such as "error sending request".
pub(crate) fn root_cause(error: &dyn StdError) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

fn ceil_seconds(duration: Duration) -> f64 {
    duration.as_secs_f64().ceil()
}
