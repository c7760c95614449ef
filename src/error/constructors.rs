//! Constructors of [`Error`].

use std::borrow::Cow;
use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;

use super::body::ErrorBody;
use super::response::FailedResponse;
use super::retryable::may_have_acted;
use super::{Error, ErrorKind, Inner, ceil_seconds, kind, root_cause};
use crate::redact::redact_text;
use crate::response::{RawResponse, Response};
use crate::{Operation, platform};

impl Error {
    pub(super) fn new(kind: ErrorKind, problem: Option<String>, advice: &'static str) -> Self {
        Self(Box::new(Inner {
            kind,
            operation: None,
            task: "set up the client",
            description: None,
            problem,
            advice,
            response: None,
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

    pub(crate) fn configuration(problem: impl Into<String>, advice: &'static str) -> Self {
        Self::new(ErrorKind::Configuration, Some(problem.into()), advice)
    }

    #[cfg(feature = "blocking")]
    pub(crate) fn would_block() -> Self {
        let problem = "it would block the async runtime that this thread drives; nothing was sent";
        let advice = "Use `agentgate::Client` and `.await`, or make the call in `tokio::task::spawn_blocking`.";
        Self::configuration(problem, advice).with_task("make a blocking call")
    }

    pub(crate) fn invalid_request(problem: impl Into<String>, advice: &'static str) -> Self {
        Self::new(ErrorKind::InvalidRequest, Some(problem.into()), advice)
    }

    pub(crate) fn from_response(operation: Operation, response: RawResponse) -> Self {
        let (status, read) = (response.status, ErrorBody::read(&response.body));
        let (kind, advice) = kind::of_response(operation, status.as_u16(), &read);
        let mut error = Self::new(kind, None, advice).with_operation(operation);
        error.0.may_have_reached_server = may_have_acted(operation, status, &read);
        error.with_response(response, read)
    }

    #[cfg(test)]
    pub(crate) fn of_response(operation: Operation, status: u16, body: &str) -> Self {
        let status = StatusCode::from_u16(status).expect("a status");
        let (headers, body) = (http::HeaderMap::new(), Bytes::copy_from_slice(body.as_bytes()));
        Self::from_response(operation, RawResponse { status, headers, body })
    }

    /// Creates the error of a lost request or response. A request that was not sent had no effect.
    pub(crate) fn from_network(error: reqwest::Error, timeout: Option<Duration>, was_sent: bool) -> Self {
        let address = error.url().map_or_else(String::new, |url| format!(" to {}", url.origin().ascii_serialization()));
        let within = timeout.map_or_else(String::new, |timeout| format!(" of {timeout:?}"));
        // The full URL may contain ids, and the operation is named anyway.
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

    pub(crate) fn network(kind: ErrorKind, problem: impl Into<String>) -> Self {
        let advice = match kind {
            ErrorKind::Connect => "Check the base URL, the network and any proxy.",
            ErrorKind::Timeout => "Allow it more time with `timeout`, or try again later.",
            ErrorKind::Interrupted => {
                "Try again. If the error persists, check the port, the scheme, and any proxy or firewall."
            }
            _ => "Correct the request and send it again.",
        };
        let mut new = Self::new(kind, Some(problem.into()), advice);
        new.0.may_have_reached_server = matches!(kind, ErrorKind::Timeout | ErrorKind::Interrupted);
        new
    }

    pub(crate) fn followed_redirect(response: RawResponse) -> Self {
        let problem = "the HTTP client followed a redirect, so this is not the response to the request";
        let advice = "Turn redirects off in the client that was given to `http_client`.";
        let mut error = Self::new(ErrorKind::UnexpectedStatus, Some(problem.to_owned()), advice);
        error.0.may_have_reached_server = true;
        error.with_partial_response(response)
    }

    /// Adds a response whose body was received in part or not at all.
    pub(crate) fn with_partial_response(self, response: RawResponse) -> Self {
        self.with_response(response, ErrorBody::default())
    }

    /// Creates the error of a call that cannot get a permit within its time limit.
    ///
    /// `is_foreign` says that the limit was not reported by the service itself.
    pub(crate) fn no_permit(wait: Duration, is_foreign: bool) -> Self {
        let limit = if is_foreign { "the rate limit of something in front of the service" } else { "the rate limit" };
        let problem = match ceil_seconds(wait) {
            0.0 => format!("{limit} allowed no request within the time that the call may wait; nothing was sent"),
            seconds => format!("{limit} is exhausted and resets in {seconds} s; nothing was sent"),
        };
        let advice = "Wait, allow the call a longer `deadline` or `max_wait`, or spread the calls; the whole organization shares the limit.";
        Self::new(ErrorKind::RateLimited, Some(problem), advice)
    }

    pub(crate) fn middleware(refusal: Box<dyn StdError + Send + Sync>) -> Self {
        let problem = format!("a middleware refused the request, so nothing was sent: {refusal}");
        let mut error =
            Self::new(ErrorKind::Middleware, Some(problem), "Look at the middleware that was given to the client.");
        error.0.underlying = Some(Arc::from(refusal));
        error
    }

    pub(crate) fn slow_middleware(timeout: Duration) -> Self {
        let problem = format!("a middleware took longer than the time-out of {timeout:?}, so nothing was sent");
        Self::new(ErrorKind::Middleware, Some(problem), "Look at the middleware that was given to the client.")
    }

    pub(crate) fn deadline_passed() -> Self {
        let problem = "the call's deadline had passed before it could be sent";
        Self::new(ErrorKind::Timeout, Some(problem.to_owned()), "Allow the call a longer `deadline`.")
    }

    pub(crate) fn runtime_shut_down() -> Self {
        let problem = "the tokio runtime that sent the request was shut down before the response";
        let advice = "Make the call on a runtime that outlives it.";
        let mut error = Self::new(ErrorKind::Interrupted, Some(problem.to_owned()), advice);
        error.0.may_have_reached_server = true;
        error
    }

    pub(crate) fn body_too_large(limit: usize, response: RawResponse) -> Self {
        let problem = format!("the response's body is larger than {limit} bytes");
        let advice = "Request less data at a time, or raise `max_body_size` on the client.";
        let mut error = Self::new(ErrorKind::BodyTooLarge, Some(problem), advice);
        error.0.may_have_reached_server = true;
        error.with_partial_response(response)
    }

    /// Creates the error of a successful response whose body does not match the contract.
    pub(crate) fn decode(operation: Operation, path: &str, source: serde_json::Error, response: &RawResponse) -> Self {
        // The decoder's message quotes the value, unless a field is missing.
        let is_secret = operation.returns_secret() && !source.to_string().starts_with("missing field");
        let cause = if is_secret { "a different value was expected".to_owned() } else { source.to_string() };
        let status = response.status.as_u16();
        let newer = "Look for a newer version of this crate, and for a proxy that changes responses.";
        let (problem, advice) = match (response.coding(), path) {
            _ if response.body.trim_ascii().is_empty() => (format!("the response {status} has no body"), newer),
            _ if response.is_page() => (
                "the response is a page, not the JSON of AgentGate".to_owned(),
                "Check the proxy, gateway or sign-in of the network that sent it, and the base URL.",
            ),
            (Some(coding), _) => {
                (format!("the response is compressed with {coding}, although `identity` was requested"), newer)
            }
            (None, "" | ".") => (format!("the response cannot be read: {cause}"), newer),
            (None, path) => (format!("the response cannot be read at `{path}`: {cause}"), newer),
        };
        let mut error = Self::new(ErrorKind::Decode, Some(problem), advice);
        error.0.may_have_reached_server = true;
        error.0.underlying = if is_secret { None } else { Some(Arc::new(source)) };
        error.with_response(response.clone(), ErrorBody::read(&response.body))
    }

    fn with_response(mut self, response: RawResponse, read: ErrorBody) -> Self {
        self.0.response = Some(FailedResponse::new(response, read));
        self
    }

    /// Sets the attempted task of an error without an operation.
    pub(crate) fn with_task(mut self, task: &'static str) -> Self {
        self.0.task = task;
        self
    }

    /// Removes this key, and everything that looks like a secret, from the texts of the error.
    pub(crate) fn without_secrets(mut self, key: &[u8]) -> Self {
        if let Some(problem) = &mut self.0.problem {
            *problem = redact_text(problem, key).into_owned();
        }
        if let Some(response) = &mut self.0.response {
            response.redact(key);
        }
        if let Some(description) = &mut self.0.description {
            *description = redact_text(description, key).into_owned();
        }
        // The text of a foreign error cannot be changed.
        if self.0.underlying.as_deref().is_some_and(|error| shows_secret(error, key)) {
            self.0.underlying = None;
        }
        self
    }

    /// Sets the origin of the API key, which `Display` names if the key was rejected.
    pub(crate) fn with_key_origin(mut self, origin: &'static str) -> Self {
        self.0.key_origin = (self.0.kind == ErrorKind::Authentication).then_some(origin);
        self
    }

    pub(crate) fn with_operation(mut self, operation: Operation) -> Self {
        self.0.operation = Some(operation);
        self
    }

    /// Sets a description of the call that is more specific than the operation's summary.
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

    pub(crate) fn or_may_have_reached_server(mut self, earlier: bool) -> Self {
        self.0.may_have_reached_server |= earlier;
        self
    }

    /// Marks a failure that is not retried because the client's retry budget is empty.
    pub(crate) fn with_empty_budget(mut self) -> Self {
        self.0.advice =
            "Most calls of this client fail, so it has stopped retrying until some succeed; try again later.";
        self
    }

    /// Adds the result of the search for the effect of the request.
    pub(crate) fn with_search(mut self, result: impl Into<String>) -> Self {
        self.0.search = Some(result.into());
        self
    }

    /// Converts a failure that is equivalent to a success into a response without content.
    pub(crate) fn into_done(self) -> Response<()> {
        let attempts = self.attempts();
        let headers = self.0.response.map(|response| response.raw.headers).unwrap_or_default();
        Response::new((), RawResponse { status: StatusCode::NO_CONTENT, headers, body: Bytes::new() }, attempts)
    }

    /// Creates the error of a search for a work order that could not be completed.
    pub(crate) fn incomplete_search(problem: &'static str) -> Self {
        Self::new(ErrorKind::Pagination, Some(problem.to_owned()), "Check for the work order manually.")
            .with_task("complete the search for the work order")
    }

    pub(crate) fn pagination(problem: impl Into<String>, advice: &'static str) -> Self {
        Self::new(ErrorKind::Pagination, Some(problem.into()), advice)
    }
}

fn shows_secret(error: &(dyn StdError + 'static), key: &[u8]) -> bool {
    let shows = |text: String| matches!(redact_text(&text, key), Cow::Owned(_));
    shows(error.to_string())
        || shows(format!("{error:?}"))
        || error.source().is_some_and(|source| shows_secret(source, key))
}
