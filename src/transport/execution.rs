//! One call: all its attempts, and their result.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use progenitor_client::{ClientHooks, ClientInfo, OperationInfo, ResponseValue};
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CACHE_CONTROL, HeaderName, HeaderValue, USER_AGENT};
use reqwest::{Method, Request};
use serde::de::DeserializeOwned;

use super::attempt_task::{AttemptTask, in_task};
use super::decode::{Decoded, decode, decode_any};
use super::observe::Observed;
use super::retry::{Decision, RetryContext, decide};
use super::{CallSettings, CallTime, Transport};
use crate::rate_limit::{Permit, RateLimitMode};
use crate::response::{RawResponse, Response};
use crate::{Error, ErrorKind, Operation, Result, endpoints, platform};

/// A header that progenitor adds to every request, and that the service does not document.
const API_VERSION: HeaderName = HeaderName::from_static("api-version");

/// The header of the IETF draft by which a service recognizes a repeated request.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// One call. Clones are the same call.
#[derive(Clone)]
pub struct Execution(Arc<Inner>);

struct Inner {
    transport: Arc<Transport>,
    operation: Operation,
    /// Describes the call in errors, in place of the operation's summary.
    description: Option<String>,
    settings: CallSettings,
    begun: DateTime<Utc>,
    time: CallTime,
    /// The result of all attempts, until it is read.
    outcome: Mutex<Option<Result<Response<()>>>>,
}

impl Execution {
    pub(crate) fn new(
        transport: &Arc<Transport>,
        operation: Operation,
        description: Option<String>,
        settings: CallSettings,
    ) -> Self {
        let time = transport.time_of(&settings);
        let begun = transport.clock.now();
        let transport = Arc::clone(transport);
        Self(Arc::new(Inner { transport, operation, description, settings, begun, time, outcome: Mutex::new(None) }))
    }

    /// Returns the generated functions, which send through this call.
    pub(crate) fn endpoints(&self) -> endpoints::Client {
        let transport = &self.0.transport;
        endpoints::Client::new_with_client(&transport.base_url, transport.http.clone(), self.clone())
    }

    /// Returns the result of the call. `result` is that of the generated function.
    pub(crate) fn finish<T: DeserializeOwned + 'static>(&self, result: Generated<T>) -> Result<Response<T>> {
        let response = self.response(result).and_then(|response| self.read(response, decode));
        response.map_err(|error| self.labelled(error))
    }

    /// Returns the result of the call, where a successful response may have no body.
    #[allow(dead_code, reason = "for operations whose contract has such a response beside others")]
    pub(crate) fn finish_optional<T: DeserializeOwned + 'static>(
        &self,
        result: Generated<T>,
    ) -> Result<Response<Option<T>>> {
        let response = self.response(result).and_then(|response| {
            if response.body().is_empty() {
                return Ok(response.map(|()| None));
            }
            self.read(response, decode).map(|response| response.map(Some))
        });
        response.map_err(|error| self.labelled(error))
    }

    /// Returns the result of the call, where a successful response has no body. A body is ignored, unless it is a page
    /// of something in front of the service, or an error of the service.
    pub(crate) fn finish_empty(&self, result: Generated<()>) -> Result<Response<()>> {
        let response = self.response(result).and_then(|response| {
            let error = Error::from_response(self.0.operation, response.raw().clone());
            match error.code() {
                Some(_) => Err(error.with_attempts(response.attempts())),
                None if response.raw().is_page() || response.raw().coding().is_some() => self.read(response, decode),
                None => Ok(response),
            }
        });
        response.map_err(|error| self.labelled(error))
    }

    /// Names the operation in an error that leaves the transport, and removes secrets from it.
    fn labelled(&self, error: Error) -> Error {
        let Inner { transport, operation, description, .. } = &*self.0;
        let error = error.with_operation(*operation).with_description(description.as_deref());
        error.with_key_origin(transport.key_origin).without_secrets(transport.key())
    }

    fn response<T>(&self, result: Generated<T>) -> Result<Response<()>> {
        let outcome = self.0.outcome.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (outcome, result) {
            (Some(outcome), _) => outcome,
            // Nothing was sent: the request could not be built.
            (None, Err(progenitor_client::Error::CommunicationError(error))) => {
                Err(Error::from_network(error, None, false))
            }
            (None, _) => Err(Error::invalid_request(
                "the request could not be built",
                "Look for unusual characters in its values.",
            )),
        }
    }

    fn read<T>(
        &self,
        response: Response<()>,
        decode: fn(Operation, &RawResponse) -> Decoded<T>,
    ) -> Result<Response<T>> {
        let operation = self.0.operation;
        let (value, ignored) =
            decode(operation, response.raw()).map_err(|error| error.with_attempts(response.attempts()))?;
        #[cfg(feature = "tracing")]
        if !ignored.is_empty() {
            tracing::debug!(
                name: "agentgate.ignored",
                operation = operation.id(),
                members = ?ignored,
                "members of the response do not fit and were left out"
            );
        }
        Ok(response.map(|()| value).with_ignored(ignored))
    }

    /// Sends a request that no generated function has built, and reads the JSON of the response. An empty body counts
    /// as `null`.
    pub(crate) async fn send<T: DeserializeOwned + 'static>(&self, request: Result<Request>) -> Result<Response<T>> {
        let response = match request {
            Ok(request) => self.outcome(request).await,
            Err(error) => Err(error),
        };
        let response = response.and_then(|response| self.read(response, decode_any));
        response.map_err(|error| self.labelled(error))
    }

    async fn execute(&self, request: Request) {
        let outcome = self.outcome(request).await;
        *self.0.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
    }

    async fn outcome(&self, mut request: Request) -> Result<Response<()>> {
        self.complete(&mut request)?;
        self.attempts(&request).await
    }

    async fn attempts(&self, request: &Request) -> Result<Response<()>> {
        let Inner { transport, operation, settings, time, .. } = &*self.0;
        let mut observed = Observed::new(transport, *operation, request, time);
        let request_bytes = request.body().and_then(reqwest::Body::as_bytes).map_or(0, <[u8]>::len);
        let mut last: Option<Failure> = None;
        let outcome = loop {
            let permit = match self.permit(&observed).await {
                Ok(permit) => permit,
                Err(error) => break Err(Failure::error_or(last, error)),
            };
            let timeout = settings.options.timeout.unwrap_or(transport.timeout);
            let timeout = match self.time_left() {
                Some(Duration::ZERO) => {
                    permit.unsent();
                    break Err(Failure::error_or(last, Error::deadline_passed()));
                }
                Some(left) => timeout.min(left),
                None => timeout,
            };
            // Bodies are bytes, so every request can be sent again.
            let Some(mut attempt) = request.try_clone() else {
                permit.unsent();
                break Err(Error::invalid_request("the body cannot be sent", "Send one that is held in memory."));
            };
            *attempt.timeout_mut() = Some(timeout);
            observed.attempt(request_bytes);
            let attempts = observed.attempts();
            let task = AttemptTask {
                transport: Arc::clone(transport),
                operation: *operation,
                attempt: attempts,
                permit,
                request: attempt,
                timeout,
                sent: settings.sent.clone(),
            };
            // Boxed, as the large future is moved several times until it is in the task.
            let error = match in_task(platform::sendable(observed.within(Box::pin(task.run())))).await {
                Ok((response, _)) if response.status.is_success() => {
                    transport.budget.deposit(last.map(|failure| failure.cost));
                    observed.attempt_end(Ok(&response));
                    let is_stale = transport.freshness.is_stale(request.headers(), &response);
                    break Ok(Response::new((), response, attempts).with_staleness(is_stale));
                }
                Ok((response, wait)) => Error::from_response(*operation, response).with_retry_after(wait),
                Err(error) => error,
            };
            // An earlier attempt may have had its effect, even if this one did not.
            let ambiguous = last.as_ref().is_some_and(|failure| failure.error.may_have_reached_server());
            let error = self.labelled(error).with_attempts(attempts).or_may_have_reached_server(ambiguous);
            if let Some(sent) = &settings.sent {
                sent.failed(error.may_have_reached_server());
            }
            observed.attempt_end(Err(&error));
            let (delay, cost) = match self.decide(&error) {
                Decision::Retry(delay) => match transport.budget.withdraw(&error) {
                    Some(cost) => (delay, cost),
                    None => break Err(error.with_empty_budget()),
                },
                Decision::Stop => break Err(error),
                Decision::TooLong(delay) => break Err(error.with_retry_after(Some(delay))),
            };
            observed.retry(&error, delay);
            last = Some(Failure { error, cost });
            transport.clock.sleep(delay).await;
            observed.delay_end();
        };
        observed.end(outcome.as_ref().map(Response::raw));
        outcome
    }

    /// Waits for a permit for one attempt.
    async fn permit(&self, observed: &Observed<'_>) -> Result<Permit> {
        let Inner { transport, operation, settings, time, .. } = &*self.0;
        let mode = transport.rate_limit_mode_of(&settings.options);
        let max_wait = transport.max_wait_of(&settings.options);
        let wait_end =
            max_wait.map(|max_wait| transport.clock.monotonic().saturating_add(max_wait.saturating_sub(time.waited())));
        let until = [time.deadline, wait_end].into_iter().flatten().min();
        let wait = match transport.limiter.acquire(*operation, mode, until, |wait| observed.wait(wait)).await {
            Ok(permit) => return Ok(permit),
            Err(wait) => wait,
        };
        // The time was up while responses were pending that might have let the call through.
        if wait.is_zero() && mode == RateLimitMode::Wait && until == time.deadline {
            return Err(Error::deadline_passed());
        }
        Err(Error::no_permit(wait).with_retry_after((!wait.is_zero()).then_some(wait)))
    }

    /// Decides what follows a failed attempt.
    fn decide(&self, error: &Error) -> Decision {
        let Inner { transport, operation, settings, time, .. } = &*self.0;
        let max_delay = transport.retry.max_delay;
        let mut time_left = self.time_left();
        let longest_wait = match (error.kind(), transport.rate_limit_mode_of(&settings.options)) {
            (ErrorKind::RateLimited, mode) => {
                let wait_left =
                    transport.max_wait_of(&settings.options).map(|max_wait| max_wait.saturating_sub(time.waited()));
                time_left = [time_left, wait_left].into_iter().flatten().min();
                match mode {
                    RateLimitMode::Wait => max_delay.max(transport.limiter.longest_wait()),
                    RateLimitMode::FailFast => Duration::ZERO,
                    RateLimitMode::Off => max_delay,
                }
            }
            _ => max_delay,
        };
        decide(
            &transport.retry,
            &RetryContext {
                error,
                attempts: error.attempts(),
                max_retries: transport.max_retries_of(&settings.options),
                repeatable: operation.is_idempotent() || settings.repeatable,
                time_left,
                longest_wait,
                jitter: fastrand::f64(),
            },
        )
    }

    pub(crate) fn base_url(&self) -> &str {
        &self.0.transport.base_url
    }

    pub(crate) fn begun(&self) -> DateTime<Utc> {
        self.0.begun
    }

    pub(crate) fn time(&self) -> &CallTime {
        &self.0.time
    }

    fn time_left(&self) -> Option<Duration> {
        self.0.transport.time_left(&self.0.time)
    }

    /// Adds the headers of the client and the additions of the call.
    fn complete(&self, request: &mut Request) -> Result<()> {
        let Inner { transport, operation, settings, .. } = &*self.0;
        if request.method() == Method::GET {
            // What a cache knows is no evidence that a run goes on, or that a work order does not exist.
            request.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        }
        let headers = request.headers_mut();
        headers.remove(API_VERSION);
        // Errors are JSON even if a success has no body.
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        // Without it, a cache may choose a coding.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.insert(AUTHORIZATION, transport.authorization.clone());
        headers.insert(USER_AGENT, transport.user_agent.clone());
        if let Some(key) = &settings.idempotency_key {
            // Headers can hold other characters, but proxies may change those, and then the attempts have different
            // keys.
            let is_plain = !key.trim().is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
            let key = HeaderValue::from_str(key).ok().filter(|_| is_plain).ok_or_else(|| {
                Error::invalid_request("the idempotency key cannot stand in a header", "Use printable ASCII.")
            })?;
            headers.insert(IDEMPOTENCY_KEY, key);
        } else if !operation.is_idempotent() {
            let key = HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()).ok();
            headers.extend(key.map(|key| (IDEMPOTENCY_KEY, key)));
        }
        settings.options.extras.apply(request)
    }
}

/// A failed attempt that is followed by another.
struct Failure {
    error: Error,
    /// The tokens that the retry took from the budget.
    cost: u32,
}

impl Failure {
    /// Returns the last failure if there is one: it says more than that there is no time for another attempt.
    fn error_or(last: Option<Self>, new: Error) -> Error {
        let retry_after = new.retry_after();
        match last {
            Some(failure) if retry_after.is_some() => failure.error.with_retry_after(retry_after),
            Some(failure) => failure.error,
            None => new,
        }
    }
}

type Generated<T> = std::result::Result<ResponseValue<T>, progenitor_client::Error<()>>;

impl ClientHooks<Execution> for endpoints::Client {
    /// Keeps the result in the [`Execution`], and makes the generated code return.
    async fn exec(&self, request: Request, _: &OperationInfo) -> reqwest::Result<reqwest::Response> {
        self.inner().execute(request).await;
        platform::no_response(self.client()).await
    }
}

impl fmt::Debug for Execution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Execution").field(&self.0.operation).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::PoisonError;

    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};

    use super::Execution;
    use crate::response::{RawResponse, Response};
    use crate::transport::CallSettings;
    use crate::types::Run;
    use crate::{Client, Operation, Result};

    /// Returns the result of a call whose response may have no body.
    fn finished(body: &'static str) -> Result<Response<Option<Run>>> {
        // Without TLS among the features, only a base URL without it is accepted.
        let client = Client::builder().api_key("org_live_test").base_url("http://127.0.0.1:1").build()?;
        let execution = Execution::new(&client.transport, Operation::GET_RUN, None, CallSettings::default());
        let (status, headers) = (StatusCode::ACCEPTED, HeaderMap::new());
        let response = Response::new((), RawResponse { status, headers, body: Bytes::from_static(body.as_bytes()) }, 1);
        *execution.0.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(Ok(response));
        execution.finish_optional(Err(progenitor_client::Error::Custom("not read".to_owned())))
    }

    #[test]
    fn a_response_that_may_have_no_body_is_a_value_or_none() {
        let empty = finished("").unwrap();
        assert_eq!((empty.status(), empty.value()), (StatusCode::ACCEPTED, &None));
        let run = finished(r#"{"id": "run_1", "workOrderId": "wo_1", "status": "pending"}"#).unwrap();
        assert_eq!(run.into_inner().map(|run| run.id), Some("run_1".into()));
        assert!(finished("[]").is_err());
    }
}
