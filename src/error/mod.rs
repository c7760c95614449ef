//! The [`Error`] of every call, its [kind](ErrorKind), and the details that the service gives.

mod body;
mod details;
mod display;
mod kind;
mod serialize;

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

pub use details::{CreditShortage, FieldError};
pub use kind::{ErrorKind, UnknownErrorKind};

use self::body::ErrorBody;
use crate::causes;
use crate::platform;
use crate::rate_limit::RateLimit;
use crate::redact::{redact, redact_text};
use crate::transport::Refusal;
use crate::types::{Run, RunId, RunStatus};
use crate::{Operation, Response};

/// A `Result` whose error is that of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// As much of a body as an error keeps.
pub(crate) const KEPT_BODY: usize = 64 * 1024;

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
/// Accessors are for programs. [`kind`](Self::kind) is what to match on:
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
///         // The client has searched for the work order already: see `may_have_reached_server`.
///         _ if error.may_have_reached_server() => println!("look before you submit it again"),
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
/// | What did the service say? | [`code`](Self::code), [`message`](Self::message), [`details`](Self::details), [`request_id`](Self::request_id) |
/// | What are the details? | [`field_errors`](Self::field_errors), [`credits`](Self::credits), [`required_scope`](Self::required_scope), [`available_scopes`](Self::available_scopes), [`rate_limit`](Self::rate_limit) |
/// | What was the response? | [`status`](Self::status), [`headers`](Self::headers), [`body`](Self::body) |
/// | Which run was it about? | [`run_id`](Self::run_id), [`run_status`](Self::run_status), [`run`](Self::run) |
///
/// It is one word wide, so that a `Result` stays small, and it can be cloned.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    kind: ErrorKind,
    operation: Option<Operation>,
    /// What was tried, if it was no operation.
    task: &'static str,
    /// What was tried, if that says more than the operation's summary.
    description: Option<String>,
    /// What happened, if the service did not say it in an error body.
    problem: Option<String>,
    advice: &'static str,
    answer: Option<Answer>,
    attempts: u32,
    retry_after: Option<Duration>,
    may_have_reached_server: bool,
    /// The result of the search for what may have been done.
    search: Option<String>,
    /// The error behind this one, which `Display` has named.
    underlying: Option<Arc<dyn StdError + Send + Sync>>,
    /// A failure beside this one, of which `Display` says no more than that it is there.
    source: Option<Box<Error>>,
    /// Where the API key comes from, if it was not accepted.
    key_origin: Option<&'static str>,
    run: Option<Box<ConcernedRun>>,
}

/// The run that was waited for.
#[derive(Clone, Debug)]
struct ConcernedRun {
    id: RunId,
    status: Option<RunStatus>,
    run: Option<Run>,
}

/// What came back.
#[derive(Clone)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    /// The start of the body, fit to be shown.
    excerpt: String,
    read: ErrorBody,
    request_id: Option<String>,
}

impl Answer {
    /// Removes secrets from all that is shown.
    fn redact(&mut self, key: &[u8]) {
        self.excerpt = display::excerpt(&redact(&self.body, key));
        let ErrorBody { code, message, request_id, details, .. } = &mut self.read;
        for text in [code, message, request_id, &mut self.request_id].into_iter().flatten() {
            *text = redact_text(text, key).into_owned();
        }
        if let Some(details) = details {
            redact_value(details, key);
        }
    }
}

fn redact_value(value: &mut Value, key: &[u8]) {
    match value {
        Value::String(text) => *text = redact_text(text, key).into_owned(),
        Value::Array(values) => values.iter_mut().for_each(|value| redact_value(value, key)),
        Value::Object(object) => {
            *object = std::mem::take(object)
                .into_iter()
                .map(|(name, mut value)| {
                    redact_value(&mut value, key);
                    (redact_text(&name, key).into_owned(), value)
                })
                .collect();
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Shows how long the body is, and none of it: the response to a new webhook holds its secret.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("headers", &self.headers)
            .field("body", &format_args!("[{} bytes]", self.body.len()))
            .field("read", &self.read)
            .finish_non_exhaustive()
    }
}

impl Error {
    fn new(kind: ErrorKind, problem: Option<String>, advice: &'static str) -> Self {
        Self(Box::new(Inner {
            kind,
            operation: None,
            task: "set up the client",
            description: None,
            problem,
            advice,
            answer: None,
            attempts: 0,
            retry_after: None,
            may_have_reached_server: false,
            search: None,
            underlying: None,
            source: None,
            key_origin: None,
            run: None,
        }))
    }

    /// The client cannot work as it was set up.
    pub(crate) fn configuration(problem: impl Into<String>, advice: &'static str) -> Self {
        Self::new(ErrorKind::Configuration, Some(problem.into()), advice)
    }

    /// A blocking call where it would hold up an async runtime.
    #[cfg(feature = "blocking")]
    pub(crate) fn would_block() -> Self {
        let problem = "this thread drives an async runtime, which would stand still meanwhile; nothing was sent";
        let advice = "Use `agentgate::Client` and `.await`, or make the call in `tokio::task::spawn_blocking`.";
        let mut error = Self::configuration(problem, advice);
        error.0.task = "make a blocking call";
        error
    }

    /// The request cannot be sent as it is.
    pub(crate) fn invalid_request(problem: impl Into<String>, advice: &'static str) -> Self {
        Self::new(ErrorKind::InvalidRequest, Some(problem.into()), advice)
    }

    /// The service responded, and the response is a failure.
    pub(crate) fn from_answer(operation: Operation, status: StatusCode, headers: HeaderMap, body: &Bytes) -> Self {
        let read = ErrorBody::read(body);
        let (kind, advice) = kind::classify(read.code.as_deref(), status.as_u16());
        let advice = kind::advice_for(operation, read.code.as_deref(), status.as_u16()).unwrap_or(advice);
        let mut error = Self::new(kind, None, advice).with_operation(operation);
        error.0.may_have_reached_server = may_have_acted(operation, status, &read);
        error.with_answer(status, headers, body, read)
    }

    /// The request or the response was lost on the way. A request that was not sent had no effect, whatever was lost.
    pub(crate) fn from_network(error: reqwest::Error, timeout: Option<Duration>, was_sent: bool) -> Self {
        let address = error.url().map_or_else(String::new, |url| format!(" to {}", url.origin().ascii_serialization()));
        let within = timeout.map_or_else(String::new, |timeout| format!(" of {timeout:?}"));
        // The whole URL may hold ids; the operation says enough.
        let error = error.without_url();
        let (cause, is_timeout) = (root_cause(&error), platform::is_timeout(&error));
        let (kind, problem) = if platform::is_connect(&error) {
            (ErrorKind::Connect, format!("no connection{address}: {cause}"))
        } else if is_timeout && !was_sent {
            (ErrorKind::Connect, format!("no connection{address} within the time-out{within}"))
        } else if is_timeout {
            (ErrorKind::Timeout, format!("the attempt took longer than its time-out{within}"))
        } else if error.is_builder() {
            (ErrorKind::InvalidRequest, cause)
        } else if !was_sent {
            (ErrorKind::Connect, format!("the connection{address} closed before the request was sent: {cause}"))
        } else {
            (ErrorKind::Interrupted, format!("the connection{address} broke off: {cause}"))
        };
        let mut new = Self::network(kind, problem);
        new.0.underlying = Some(Arc::new(error));
        new
    }

    /// An attempt without a response.
    pub(crate) fn network(kind: ErrorKind, problem: impl Into<String>) -> Self {
        let advice = match kind {
            ErrorKind::Connect => "Check the base URL, the network and any proxy.",
            ErrorKind::Timeout => "Allow it more time with `timeout`, or try again later.",
            ErrorKind::Interrupted => {
                "Try again; if it stays, check port and scheme, and look for a proxy or a firewall."
            }
            _ => "Correct the request and send it again.",
        };
        let mut new = Self::new(kind, Some(problem.into()), advice);
        new.0.may_have_reached_server = matches!(kind, ErrorKind::Timeout | ErrorKind::Interrupted);
        new
    }

    /// The HTTP client followed a redirect, so the response is not that to the request.
    pub(crate) fn followed_redirect(status: StatusCode, headers: HeaderMap) -> Self {
        let problem = "the HTTP client has followed a redirect, and this is another response";
        let advice = "Turn redirects off in the client that was given to `http_client`.";
        let mut error = Self::new(ErrorKind::UnexpectedStatus, Some(problem.to_owned()), advice);
        error.0.may_have_reached_server = true;
        error.with_answer(status, headers, &Bytes::new(), ErrorBody::default())
    }

    /// The answer had begun before it was lost.
    pub(crate) fn with_partial_answer(self, status: StatusCode, headers: HeaderMap, body: &Bytes) -> Self {
        self.with_answer(status, headers, body, ErrorBody::default())
    }

    /// There is no permit to send, and none before the caller's time is up.
    pub(crate) fn no_permit(wait: Duration) -> Self {
        let problem = match ceil_seconds(wait) {
            0.0 => "the rate limit let nothing be sent in the time that the call may wait for it".to_owned(),
            seconds => format!("the rate limit is spent, and opens again in {seconds} s; nothing was sent"),
        };
        let advice = "Wait, allow the call a longer `deadline` or `max_wait`, or spread the calls; the whole organization shares the limit.";
        Self::new(ErrorKind::RateLimited, Some(problem), advice)
    }

    /// A middleware of the program has refused the request, so nothing was sent.
    pub(crate) fn middleware(refusal: Refusal) -> Self {
        let problem = format!("a middleware refused the request, so nothing was sent: {refusal}");
        let mut error =
            Self::new(ErrorKind::Middleware, Some(problem), "Look at the middleware that was given to the client.");
        error.0.underlying = Some(Arc::from(refusal));
        error
    }

    /// A middleware of the program has taken longer than the attempt may take, so nothing was sent.
    pub(crate) fn slow_middleware(timeout: Duration) -> Self {
        let problem = format!("a middleware took longer than the time-out of {timeout:?}, so nothing was sent");
        Self::new(ErrorKind::Middleware, Some(problem), "Look at the middleware that was given to the client.")
    }

    /// The call's time was up before anything was sent.
    pub(crate) fn deadline_passed() -> Self {
        let problem = "the call's deadline had passed before it could be sent";
        Self::new(ErrorKind::Timeout, Some(problem.to_owned()), "Allow the call a longer `deadline`.")
    }

    /// The runtime that the request was sent on was shut down before the response.
    pub(crate) fn runtime_shut_down() -> Self {
        let problem = "the tokio runtime that sent the request was shut down before the response";
        let advice = "Make the call on a runtime that outlives it.";
        let mut error = Self::new(ErrorKind::Interrupted, Some(problem.to_owned()), advice);
        error.0.may_have_reached_server = true;
        error
    }

    /// The answer's body is larger than `limit` bytes.
    pub(crate) fn body_too_large(limit: usize, status: StatusCode, headers: HeaderMap) -> Self {
        let problem = format!("the response's body is larger than {limit} bytes");
        let advice = "Ask for less at a time, or raise `max_body_size` on the client.";
        let mut error = Self::new(ErrorKind::BodyTooLarge, Some(problem), advice);
        error.0.may_have_reached_server = true;
        error.with_answer(status, headers, &Bytes::new(), ErrorBody::default())
    }

    /// The answer is a success, and its body is not what the contract says.
    pub(crate) fn decode(
        operation: Operation,
        path: &str,
        source: serde_json::Error,
        status: StatusCode,
        headers: HeaderMap,
        body: &Bytes,
    ) -> Self {
        // What a decoder complains of it quotes, but for names.
        let is_secret = operation.returns_secret() && !source.to_string().starts_with("missing field");
        let cause = if is_secret { "something else was expected".to_owned() } else { source.to_string() };
        let problem = match (body.trim_ascii().is_empty(), path) {
            (true, _) => format!("the response {} has no body", status.as_u16()),
            (false, "" | ".") => format!("the response cannot be read: {cause}"),
            (false, path) => format!("the response cannot be read at `{path}`: {cause}"),
        };
        let advice = "Look for a newer version of this crate, and for a proxy that changes responses.";
        let mut error = Self::new(ErrorKind::Decode, Some(problem), advice);
        error.0.may_have_reached_server = true;
        error.0.underlying = if is_secret { None } else { Some(Arc::new(source)) };
        error.with_answer(status, headers, body, ErrorBody::read(body))
    }

    fn with_answer(mut self, status: StatusCode, headers: HeaderMap, body: &Bytes, read: ErrorBody) -> Self {
        // A copy, so that a short excerpt does not hold on to a large body.
        let body = Bytes::copy_from_slice(&body[..body.len().min(KEPT_BODY)]);
        let request_id = crate::response::request_id(&headers).or(read.request_id.as_deref()).map(str::to_owned);
        let mut answer = Answer { status, headers, body, excerpt: String::new(), read, request_id };
        answer.redact(&[]);
        self.0.answer = Some(answer);
        self
    }

    /// Removes this key, and all that looks like a secret, from what is shown of the error.
    pub(crate) fn without_secrets(mut self, key: &[u8]) -> Self {
        if let Some(problem) = &mut self.0.problem {
            *problem = redact_text(problem, key).into_owned();
        }
        if let Some(answer) = &mut self.0.answer {
            answer.redact(key);
        }
        if let Some(description) = &mut self.0.description {
            *description = redact_text(description, key).into_owned();
        }
        // It shows itself, so one with a secret goes.
        if self.0.underlying.as_deref().is_some_and(|error| shows_secret(error, key)) {
            self.0.underlying = None;
        }
        self
    }

    /// The API key comes from there, which is of interest if it was not accepted.
    pub(crate) fn with_key_origin(mut self, origin: &'static str) -> Self {
        self.0.key_origin = (self.0.kind == ErrorKind::Authentication).then_some(origin);
        self
    }

    pub(crate) fn with_operation(mut self, operation: Operation) -> Self {
        self.0.operation = Some(operation);
        self
    }

    /// What was tried, in words that say more than the operation's summary.
    pub(crate) fn with_description(mut self, description: Option<&str>) -> Self {
        self.0.description = description.map(str::to_owned);
        self
    }

    pub(crate) fn with_attempts(mut self, attempts: u32) -> Self {
        self.0.attempts = attempts;
        self
    }

    pub(crate) fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        self.0.retry_after = wait;
        self
    }

    /// An earlier attempt of the call may have reached the service.
    pub(crate) fn or_may_have_reached_server(mut self, earlier: bool) -> Self {
        self.0.may_have_reached_server |= earlier;
        self
    }

    /// The client's retries are used up, so this failure is not retried.
    pub(crate) fn with_empty_budget(mut self) -> Self {
        self.0.advice =
            "Most calls of this client fail, so it has stopped retrying until some succeed; try again later.";
        self
    }

    /// It was looked for, as it may have been done, with this result.
    pub(crate) fn with_search(mut self, result: impl Into<String>) -> Self {
        self.0.search = Some(result.into());
        self
    }

    /// The answer of a failure that comes to a success without content.
    pub(crate) fn into_done(self) -> Response<()> {
        let attempts = self.attempts();
        let headers = self.0.answer.map(|answer| answer.headers).unwrap_or_default();
        Response::new(
            (),
            crate::response::Answer { status: StatusCode::NO_CONTENT, headers, body: Bytes::new(), attempts },
        )
    }

    /// The search for a work order has ended before it could tell that there is none.
    pub(crate) fn incomplete_search(problem: &'static str) -> Self {
        let mut error = Self::new(ErrorKind::Pagination, Some(problem.to_owned()), "Look for it by hand.");
        error.0.task = "search to the end";
        error
    }

    /// The list cannot be read on by its pages.
    pub(crate) fn pagination(problem: impl Into<String>, advice: &'static str) -> Self {
        Self::new(ErrorKind::Pagination, Some(problem.into()), advice)
    }

    /// The run has ended, and did not succeed.
    pub(crate) fn unsuccessful_run(run: Run) -> Self {
        let how =
            if run.status == RunStatus::Failed { "failed".to_owned() } else { format!("has ended as {}", run.status) };
        let mut said = vec![how.as_str()];
        if let Some(error) = &run.error {
            said.extend([error.code.as_deref(), error.message.as_deref()].into_iter().flatten());
        }
        let (kind, problem, advice) = match run.status {
            RunStatus::Cancelled => (
                ErrorKind::RunCancelled,
                "was cancelled".to_owned(),
                "Submit the work order again if it is still wanted.",
            ),
            _ => (
                ErrorKind::RunFailed,
                said.join(": ").trim_end_matches('.').to_owned(),
                "Look at the run's error, then submit a work order that avoids it.",
            ),
        };
        let mut error = Self::new(kind, Some(problem), advice);
        let context = ConcernedRun { id: run.id.clone(), status: Some(run.status.clone()), run: Some(run) };
        error.0.run = Some(Box::new(context));
        error
    }

    /// The time to wait for a run is up. `failure` is that of the last poll, if it has failed.
    pub(crate) fn wait_timeout(id: RunId, status: Option<RunStatus>, timeout: Duration, failure: Option<Self>) -> Self {
        let has_ended = status.as_ref().is_some_and(RunStatus::is_terminal);
        let (problem, advice) = match &status {
            Some(status) if has_ended => (
                format!("has ended as {status}, and could not be fetched within the {timeout:?} to wait for it"),
                "Get it by its id.",
            ),
            Some(status) => (
                format!("was {status} when the {timeout:?} to wait for it were over"),
                "It goes on: wait again, or cancel it.",
            ),
            None => (
                format!("could not be asked for in the {timeout:?} to wait for it"),
                "Wait for longer; the rate limit may be spent, or the service not available.",
            ),
        };
        let problem = match &failure {
            Some(failure) => format!("{problem}; the last poll failed: {}", failure.in_brief()),
            None => problem,
        };
        let mut error = Self::new(ErrorKind::WaitTimeout, Some(problem), advice);
        error.0.source = failure.map(Box::new);
        error.0.run = Some(Box::new(ConcernedRun { id, status, run: None }));
        error
    }

    /// The same failure has come this many times in a row. The last is the source.
    pub(crate) fn repeated(self, times: u32) -> Self {
        if times < 2 {
            return self;
        }
        let mut error = self.clone().with_attempts(times);
        error.0.problem = Some(format!("{times} polls in a row failed, the last: {}", self.in_brief()));
        (error.0.underlying, error.0.source) = (None, Some(Box::new(self)));
        error
    }

    /// What happened, without what was tried and what to do.
    fn in_brief(&self) -> String {
        match (&self.0.problem, self.answer()) {
            (Some(problem), _) => problem.clone(),
            (None, Some(answer)) => match &answer.read.code {
                Some(code) => format!("{} {code}", answer.status.as_u16()),
                None => answer.status.to_string(),
            },
            (None, None) => self.kind().to_string(),
        }
    }

    /// The run was cancelled because nobody waits any more.
    pub(crate) fn with_cancellation(mut self) -> Self {
        self.0.advice = "It was cancelled, as asked.";
        self
    }

    /// The run was to be cancelled, and that failed.
    pub(crate) fn with_failed_cancellation(mut self, error: Self) -> Self {
        self.0.advice = "It goes on, as it could not be cancelled either: see the source of this error.";
        self.0.source = Some(Box::new(error));
        self
    }

    /// It was this run that the call was for.
    pub(crate) fn with_run_id(mut self, id: &RunId) -> Self {
        let context = || Box::new(ConcernedRun { id: id.clone(), status: None, run: None });
        self.0.run.get_or_insert_with(context);
        self
    }

    /// Returns the kind of the failure, to match on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the operation that failed. There is none for errors in setting up a client.
    #[must_use]
    pub fn operation(&self) -> Option<Operation> {
        self.0.operation
    }

    /// Returns the HTTP status, if there was a response.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.answer().map(|answer| answer.status)
    }

    /// Returns the headers of the response, if there was one.
    #[must_use]
    pub fn headers(&self) -> Option<&HeaderMap> {
        self.answer().map(|answer| &answer.headers)
    }

    /// Returns the first 64 KiB of the response's body, if there was a response. It may be anything, such as a proxy's HTML.
    #[must_use]
    pub fn body(&self) -> Option<&[u8]> {
        self.answer().map(|answer| answer.body.as_ref())
    }

    /// Returns the service's code, such as `INSUFFICIENT_CREDITS`.
    ///
    /// The set is open: [`kind`](Self::kind) sorts those that are known, and [`ErrorCode::from`](crate::types::ErrorCode) makes a
    /// value to match on.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.answer()?.read.code.as_deref()
    }

    /// Returns the service's message for people.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.answer()?.read.message.as_deref()
    }

    /// Returns the details that the service gave with the code, as JSON.
    ///
    /// Those that are documented have accessors: [`field_errors`](Self::field_errors), [`required_scope`](Self::required_scope), [`credits`](Self::credits),
    /// [`rate_limit`](Self::rate_limit).
    #[must_use]
    pub fn details(&self) -> Option<&Value> {
        self.answer()?.read.details.as_ref()
    }

    /// Returns the id of the request, for questions to support: from the header `x-request-id`, else from the body.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.answer()?.request_id.as_deref()
    }

    /// Returns how long to wait before the next attempt, if the service said so.
    ///
    /// It is set when the client did not wait itself: because its attempts were used up, or the wait was longer than it may be.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Returns the number of attempts that were made, 0 if nothing was sent.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// Returns whether the service may have done what was asked although the call failed: the connection broke after the
    /// request was sent, the time ran out, the service or a gateway failed half-way, or the response could not be read.
    ///
    /// A 429 is a refusal, and so is a 503 whose body is the service's own error with the code `SERVICE_UNAVAILABLE`. Any other
    /// 503 may come from a gateway that had forwarded the request.
    ///
    /// A work order was then looked for by [`create`](crate::resources::WorkOrders::create) and not found; the text of the error
    /// says so. Look at the recent runs before you submit it again: a run costs credits.
    #[must_use]
    pub fn may_have_reached_server(&self) -> bool {
        self.0.may_have_reached_server
    }

    /// Returns the state of the rate limit, from the response's headers or else from the error's details.
    #[must_use]
    pub fn rate_limit(&self) -> Option<RateLimit> {
        let answer = self.answer()?;
        RateLimit::from_headers(&answer.headers).or_else(|| details::rate_limit(self.details()?))
    }

    /// Returns the fields that the service found fault with (400), each with a message.
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

    /// Returns the id of the run that was waited for.
    ///
    /// After [`and_wait`](crate::resources::Call::and_wait), it tells that the work order was accepted.
    #[must_use]
    pub fn run_id(&self) -> Option<&RunId> {
        self.0.run.as_ref().map(|run| &run.id)
    }

    /// Returns the last known status of the run that was waited for.
    #[must_use]
    pub fn run_status(&self) -> Option<&RunStatus> {
        self.0.run.as_ref()?.status.as_ref()
    }

    /// Returns the run, if the error is that it failed or was cancelled.
    #[must_use]
    pub fn run(&self) -> Option<&Run> {
        self.0.run.as_ref()?.run.as_ref()
    }

    /// Returns the error that caused this one and is a part of its text: that of the HTTP client ([`reqwest::Error`]), of the JSON
    /// decoder ([`serde_json::Error`]), or of a [middleware](crate::middleware).
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

    fn answer(&self) -> Option<&Answer> {
        self.0.answer.as_ref()
    }
}

/// Predicates for the kinds that programs handle most.
impl Error {
    /// Returns whether the same call may succeed later without a change, and cannot do twice what was asked. It is the rule by which the
    /// client retries:
    ///
    /// | failure | idempotent operations | others |
    /// |---|---|---|
    /// | could not connect; the deadline or the rate limit let nothing be sent | true | true |
    /// | 429; 503 with the service's own `SERVICE_UNAVAILABLE` | true | true |
    /// | any other 503, 408, 500, 502, 504, 303 to a POST, cut connection, time-out | true | false: it may have been done |
    /// | everything else | false | false |
    ///
    /// The client has retried such a failure already, as often as [`max_retries`](crate::ClientBuilder::max_retries) and its retry budget
    /// allow. So this is for a queue or a timer that makes the call again in minutes, after [`retry_after`](Self::retry_after) at the
    /// earliest.
    ///
    /// [`Operation::is_idempotent`] decides, and not what a call [stated](crate::resources::Call::repeatable). It is false if
    /// [`may_have_reached_server`](Self::may_have_reached_server) is true for an operation that is not idempotent, also where an earlier
    /// attempt of the call is the reason. It is false for the errors of waits, which have a [`run_id`](Self::run_id): what submitted the
    /// run must not be repeated. Wait for that run again.
    ///
    /// ```no_run
    /// # async fn example(client: agentgate::Client) -> agentgate::Result<()> {
    /// match client.runs().cancel("run_3n9x2p").await {
    ///     Err(error) if error.is_retryable() => println!("later, in {:?}", error.retry_after()),
    ///     other => println!("{}", other?.status),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        let is_idempotent = self.operation().is_some_and(|operation| operation.is_idempotent());
        self.run_id().is_none() && self.may_be_repeated(is_idempotent)
    }

    /// Returns whether another attempt may help, and cannot do what was asked a second time. See [`is_retryable`](Self::is_retryable)
    /// for the table; `repeatable` is whether to do it twice is as good as once.
    ///
    /// The error knows by its response whether it may have been done.
    pub(crate) fn may_be_repeated(&self, repeatable: bool) -> bool {
        // A code can say what the status does not, so what the service may have done counts beside the kind.
        let is_safe = repeatable || !self.may_have_reached_server();
        let may_help = match self.kind() {
            ErrorKind::Connect
            | ErrorKind::RateLimited
            | ErrorKind::Unavailable
            | ErrorKind::Timeout
            | ErrorKind::Interrupted => true,
            ErrorKind::Server => self.status().is_some_and(|status| matches!(status.as_u16(), 500 | 502..=504)),
            ErrorKind::UnexpectedStatus => self.may_have_reached_server(),
            _ => false,
        };
        may_help && is_safe
    }

    /// Returns whether the request itself is wrong. **Troubleshooting:** [`field_errors`](Self::field_errors) names the fields.
    #[must_use]
    pub fn is_invalid_request(&self) -> bool {
        self.kind() == ErrorKind::InvalidRequest
    }

    /// Returns whether the API key was not accepted. **Troubleshooting:** [`code`](Self::code) tells a malformed key from an expired one.
    #[must_use]
    pub fn is_authentication(&self) -> bool {
        self.kind() == ErrorKind::Authentication
    }

    /// Returns whether there are too few credits. **Troubleshooting:** [`credits`](Self::credits) says how many are missing. It is
    /// never retried.
    #[must_use]
    pub fn is_insufficient_credits(&self) -> bool {
        self.kind() == ErrorKind::InsufficientCredits
    }

    /// Returns whether the API key lacks a permission. **Troubleshooting:** [`required_scope`](Self::required_scope) names what it lacks.
    #[must_use]
    pub fn is_permission_denied(&self) -> bool {
        self.kind() == ErrorKind::PermissionDenied
    }

    /// Returns whether there is nothing with this id. **Troubleshooting:** keys see their own organization alone.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.kind() == ErrorKind::NotFound
    }

    /// Returns whether the state of the object does not allow the operation. **Troubleshooting:** fetch it and look at its status.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.kind() == ErrorKind::Conflict
    }

    /// Returns whether a rate limit is spent. **Troubleshooting:** [`retry_after`](Self::retry_after) and
    /// [`rate_limit`](Self::rate_limit) say until when. The limit belongs to the organization, so other programs spend it too.
    #[must_use]
    pub fn is_rate_limited(&self) -> bool {
        self.kind() == ErrorKind::RateLimited
    }

    /// Returns whether an attempt took too long. **Troubleshooting:** raise `timeout` on the client or the call.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.kind() == ErrorKind::Timeout
    }

    /// Returns whether no connection was made. **Troubleshooting:** the text names the cause: name resolution, a refused connection,
    /// TLS.
    #[must_use]
    pub fn is_connect(&self) -> bool {
        self.kind() == ErrorKind::Connect
    }

    /// Returns whether the response is not what the contract says. **Troubleshooting:** the text names the place;
    /// [`body`](Self::body) has the response.
    #[must_use]
    pub fn is_decode(&self) -> bool {
        self.kind() == ErrorKind::Decode
    }
}

/// `source()` is what `Display` has not named already, so that a report of the whole chain says nothing twice: the error of the last poll
/// of a wait, the failed cancellation. For the cause that it has named, see [`underlying`](Error::underlying).
impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0.source {
            Some(source) => Some(&**source),
            None => causes::unnamed(&self.to_string(), self.underlying()),
        }
    }
}

/// Whether the service may have acted although it responded with a failure.
///
/// | response | may have acted |
/// |---|---|
/// | 429 | no |
/// | 503 whose body is the service's own error with the code `SERVICE_UNAVAILABLE` | no |
/// | any other 503: gateways send one after they forwarded the request, too | yes |
/// | 408, any other 5xx | yes |
/// | 303 to a POST: the result is elsewhere | yes |
/// | everything else | no |
fn may_have_acted(operation: Operation, status: StatusCode, read: &ErrorBody) -> bool {
    match status {
        StatusCode::SERVICE_UNAVAILABLE => !(read.is_documented && read.code.as_deref() == Some("SERVICE_UNAVAILABLE")),
        StatusCode::SEE_OTHER => operation.method() == "POST",
        _ => status == StatusCode::REQUEST_TIMEOUT || status.is_server_error(),
    }
}

/// Whether an error, or what caused it, shows a secret.
fn shows_secret(error: &(dyn StdError + 'static), key: &[u8]) -> bool {
    let shows = |text: String| matches!(redact_text(&text, key), std::borrow::Cow::Owned(_));
    shows(error.to_string())
        || shows(format!("{error:?}"))
        || error.source().is_some_and(|source| shows_secret(source, key))
}

fn ceil_seconds(duration: Duration) -> f64 {
    duration.as_secs_f64().ceil()
}

/// The innermost cause says what happened; the outer ones say "error sending request".
pub(crate) fn root_cause(error: &dyn StdError) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
