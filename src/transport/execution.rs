//! One call: all its attempts, and their result.

use std::fmt;
#[cfg(feature = "tracing")]
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CACHE_CONTROL, HeaderName, HeaderValue, USER_AGENT};
use reqwest::{Method, Request};
use serde::de::DeserializeOwned;

use super::call_task::in_task;
use super::decode::{Decoded, decode, decode_any};
use super::middleware::{after, before};
use super::observe::Observed;
use super::retry::{Decision, RetryContext, decide};
use super::retry_after::requested_wait;
use super::{CallOptions, CallSettings, CallTime, Transport};
use crate::error::is_own;
use crate::rate_limit::{Permit, RateLimitMode};
use crate::response::{RawResponse, Response};
use crate::run_until::run_until;
use crate::{Error, Operation, Result, endpoints, platform};

/// A header that progenitor adds to every request, and that the service does not document.
const API_VERSION: HeaderName = HeaderName::from_static("api-version");

/// The header of the IETF draft by which a service recognizes a repeated request.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The number of 429s after which a call in mode `Wait` waits again. If five clients share the limit without knowing of
/// each other, a call gets at most six.
const MAX_REFUSALS: u32 = 30;

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
}

impl Execution {
    pub(crate) fn new(
        transport: &Arc<Transport>,
        operation: Operation,
        description: Option<String>,
        mut settings: CallSettings,
    ) -> Self {
        let time = transport.time_of(&settings);
        settings.options = settings.options.or(Some(&transport.options));
        let begun = transport.clock.now();
        Self(Arc::new(Inner { transport: Arc::clone(transport), operation, description, settings, begun, time }))
    }

    /// Returns the generated functions, which build requests.
    pub(crate) fn endpoints(&self) -> endpoints::Client {
        let transport = &self.0.transport;
        endpoints::Client::new_with_client(&transport.base_url, transport.http.clone())
    }

    /// Sends a request in a task of its own, and reads the response.
    pub(crate) async fn send<T>(
        &self,
        request: Result<Request>,
        read: impl FnOnce(&Self, Response<()>) -> Result<Response<T>>,
    ) -> Result<Response<T>> {
        let response = match request {
            Ok(request) => in_task(Box::pin(platform::sendable(in_span(self.clone().run(request))))).await,
            Err(error) => Err(error),
        };
        response.and_then(|response| read(self, response)).map_err(|error| self.labelled(error))
    }

    /// Reads a value of the contract.
    pub(crate) fn read<T: DeserializeOwned + 'static>(&self, response: Response<()>) -> Result<Response<T>> {
        self.read_by(response, decode)
    }

    /// Reads a value of the contract. There is none if the body is empty.
    #[allow(dead_code, reason = "for operations whose contract has such a response beside others")]
    pub(crate) fn read_optional<T: DeserializeOwned + 'static>(
        &self,
        response: Response<()>,
    ) -> Result<Response<Option<T>>> {
        if response.body().is_empty() {
            return Ok(response.map(|()| None));
        }
        Ok(self.read(response)?.map(Some))
    }

    /// Reads a response without a body. A body is ignored, unless it is a page of something in front of the service, or
    /// an error of the service.
    pub(crate) fn read_empty(&self, response: Response<()>) -> Result<Response<()>> {
        let error = Error::from_response(self.0.operation, response.raw().clone());
        if error.code().is_some() {
            return Err(error.with_attempts(response.attempts()));
        }
        let is_unknown = response.raw().is_page() || response.raw().coding().is_some();
        if is_unknown { self.read(response) } else { Ok(response) }
    }

    /// Reads JSON as a type that may be of another crate. An empty body counts as `null`.
    pub(crate) fn read_any<T: DeserializeOwned + 'static>(&self, response: Response<()>) -> Result<Response<T>> {
        self.read_by(response, decode_any)
    }

    fn read_by<T>(
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

    /// Names the operation in an error that leaves the transport, and removes secrets from it.
    fn labelled(&self, error: Error) -> Error {
        let Inner { transport, operation, description, .. } = &*self.0;
        let error = error.with_operation(*operation).with_description(description.as_deref());
        error.with_key_origin(transport.key_origin).without_secrets(transport.key())
    }

    /// Makes attempts until one succeeds, or no other may follow.
    async fn run(self, mut request: Request) -> Result<Response<()>> {
        let Inner { transport, operation, time, .. } = &*self.0;
        self.complete(&mut request)?;
        let mut observed = Observed::new(transport, *operation, &request, time);
        // The service has refused this many attempts for the rate limit.
        let mut refusals = 0;
        let mut last: Option<Failure> = None;
        let outcome = loop {
            let is_ambiguous = last.as_ref().is_some_and(|failure| failure.error.may_have_reached_server());
            let error = match self.attempt(&request, &mut observed).await {
                Ok(response) => {
                    transport.budget.deposit(last.map(|failure| failure.cost));
                    let is_stale = transport.freshness.is_stale(request.headers(), &response);
                    break Ok(Response::new((), response, observed.attempts()).with_staleness(is_stale));
                }
                Err(Failed::Time(error)) => break Err(Failure::error_or(last, error)),
                Err(Failed::Refused(error)) => {
                    break Err(error.with_attempts(observed.attempts()).or_may_have_reached_server(is_ambiguous));
                }
                // An earlier attempt may have had its effect, even if this one did not.
                Err(Failed::Attempt(error)) => error.or_may_have_reached_server(is_ambiguous),
            };
            let error = self.labelled(error.with_attempts(observed.attempts()));
            if let Some(sent) = &self.0.settings.sent {
                sent.failed(error.may_have_reached_server());
            }
            observed.attempt_end(Err(&error));
            let (delay, cost) = match self.decide(&error, refusals) {
                Decision::Retry(delay) => match transport.budget.withdraw(&error) {
                    Some(cost) => (delay, cost),
                    None => break Err(error.with_empty_budget()),
                },
                Decision::Stop => break Err(error),
                Decision::TooLong(delay) => break Err(error.with_retry_after(Some(delay))),
            };
            refusals += u32::from(error.is_rate_limited());
            observed.retry(&error, delay);
            last = Some(Failure { error, cost });
            transport.clock.sleep(delay).await;
        };
        observed.end(outcome.as_ref().map(Response::raw));
        outcome
    }

    /// Runs the middleware, waits for a permit, and sends the request once.
    ///
    /// The middleware runs without a permit, as the calls that it makes need permits of their own.
    async fn attempt(
        &self,
        request: &Request,
        observed: &mut Observed<'_>,
    ) -> std::result::Result<RawResponse, Failed> {
        let Inner { transport, operation, .. } = &*self.0;
        let stack = &transport.middleware;
        let number = observed.attempts() + 1;
        observed.prepare();
        let Some(mut request) = request.try_clone() else {
            let error = Error::invalid_request("the body cannot be sent", "Send one that is held in memory.");
            return Err(Failed::Refused(error));
        };
        if !stack.is_empty() {
            let timeout = self.timeout().map_err(Failed::Time)?;
            let before = before(stack, *operation, number, &mut request);
            let outcome = run_until(observed.within(before), transport.clock.sleep(timeout)).await;
            outcome.unwrap_or_else(|| Err(Error::slow_middleware(timeout))).map_err(Failed::Refused)?;
        }
        let permit = self.permit(observed).await.map_err(Failed::Time)?;
        let timeout = match self.timeout() {
            Ok(timeout) => timeout,
            Err(error) => {
                permit.unsent();
                return Err(Failed::Time(error));
            }
        };
        *request.timeout_mut() = Some(timeout);
        observed.attempt(request.body().and_then(reqwest::Body::as_bytes).map_or(0, <[u8]>::len));
        let begun = transport.clock.monotonic();
        let (result, wait) = self.send_once(request, permit, observed).await;
        if !stack.is_empty() {
            let after = after(stack, *operation, number, result.as_ref());
            // A middleware that takes too long does not change the result.
            let left = timeout.saturating_sub(transport.clock.monotonic().saturating_sub(begun));
            run_until(observed.within(after), transport.clock.sleep(left)).await;
        }
        let response = result.map_err(Failed::Attempt)?;
        if !response.status.is_success() {
            return Err(Failed::Attempt(Error::from_response(*operation, response).with_retry_after(wait)));
        }
        observed.attempt_end(Ok(&response));
        Ok(response)
    }

    /// Sends the request, and reports the result to the permit. Returns the wait that the response asks for, too.
    async fn send_once(
        &self,
        request: Request,
        permit: Permit,
        observed: &Observed<'_>,
    ) -> (Result<RawResponse>, Option<Duration>) {
        let Inner { transport, settings, .. } = &*self.0;
        let _held = transport.clock.hold();
        let result = observed.within(transport.attempt(request, settings.sent.as_ref())).await;
        let wait = match &result {
            Ok(response @ RawResponse { status, headers, .. }) => {
                let (wait, is_own) = (requested_wait(*status, headers, transport.clock.now()), is_own(response));
                permit.responded(*status, headers, wait, is_own);
                if let Some(sent) = settings.sent.as_ref().filter(|_| status.is_success() && is_own) {
                    sent.accepted();
                }
                wait
            }
            Err(error) => {
                if error.is_connect() {
                    permit.unsent();
                }
                // Else it counts as lost.
                None
            }
        };
        (result, wait)
    }

    /// Returns the time limit of an attempt that begins now.
    fn timeout(&self) -> Result<Duration> {
        let timeout = self.0.settings.options.attempt_timeout();
        match self.time_left() {
            Some(Duration::ZERO) => Err(Error::deadline_passed()),
            left => Ok(left.map_or(timeout, |left| left.min(timeout))),
        }
    }

    /// Waits for a permit for one attempt.
    async fn permit(&self, observed: &mut Observed<'_>) -> Result<Permit> {
        let Inner { transport, operation, settings, time, .. } = &*self.0;
        observed.queue();
        let mode = settings.options.mode();
        let wait_end = self.wait_left().map(|left| transport.clock.monotonic().saturating_add(left));
        let until = [time.deadline, wait_end].into_iter().flatten().min();
        let wait = match transport.limiter.acquire(*operation, mode, until, |wait| observed.wait(wait)).await {
            Ok(permit) => return Ok(permit),
            Err(wait) => wait,
        };
        // The time was up while responses were pending that might have let the call through.
        if wait.is_zero() && mode == RateLimitMode::Wait && until == time.deadline {
            return Err(Error::deadline_passed());
        }
        let error = Error::no_permit(wait, transport.limiter.is_foreign());
        Err(error.with_retry_after((!wait.is_zero()).then_some(wait)))
    }

    /// Decides what follows a failed attempt. In mode `Wait`, a refusal for the rate limit takes none of the retries,
    /// up to [`MAX_REFUSALS`].
    fn decide(&self, error: &Error, refusals: u32) -> Decision {
        let Inner { transport, operation, settings, .. } = &*self.0;
        let max_delay = transport.backoff.max_delay;
        let mode = settings.options.mode();
        let mut time_left = self.time_left();
        let mut longest_wait = max_delay;
        let (mut attempts, mut max_retries) = (error.attempts(), settings.options.retries());
        if mode == RateLimitMode::Wait {
            attempts -= refusals;
        }
        if error.is_rate_limited() {
            time_left = [time_left, self.wait_left()].into_iter().flatten().min();
            longest_wait = match mode {
                RateLimitMode::Wait => max_delay.max(transport.limiter.longest_wait()),
                RateLimitMode::FailFast => Duration::ZERO,
                RateLimitMode::Off => max_delay,
            };
            if mode == RateLimitMode::Wait && max_retries > 0 {
                (attempts, max_retries) = (refusals + 1, MAX_REFUSALS);
            }
        }
        decide(
            &transport.backoff,
            &RetryContext {
                error,
                attempts,
                max_retries,
                repeatable: operation.is_idempotent() || settings.repeatable,
                time_left,
                longest_wait,
                jitter: fastrand::f64(),
            },
        )
    }

    pub(crate) fn begun(&self) -> DateTime<Utc> {
        self.0.begun
    }

    pub(crate) fn time(&self) -> &CallTime {
        &self.0.time
    }

    pub(crate) fn options(&self) -> &CallOptions {
        &self.0.settings.options
    }

    /// Returns the time for which the call may still wait for the rate limit, if that is limited.
    fn wait_left(&self) -> Option<Duration> {
        let max_wait = self.0.settings.options.max_wait?;
        Some(max_wait.saturating_sub(self.0.time.waited()))
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

/// The reason why an attempt has no response to return.
enum Failed {
    /// Nothing was sent: there is no time, or no permit.
    Time(Error),
    /// Nothing was sent: the middleware has refused the request, or it cannot be sent.
    Refused(Error),
    Attempt(Error),
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

/// Runs a call in the caller's span and with its subscriber, though in a task.
#[cfg(feature = "tracing")]
fn in_span<T>(call: impl Future<Output = T>) -> impl Future<Output = T> {
    use tracing::instrument::{Instrument as _, WithSubscriber as _};

    call.in_current_span().with_current_subscriber()
}

#[cfg(not(feature = "tracing"))]
fn in_span<F>(call: F) -> F {
    call
}

impl fmt::Debug for Execution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Execution").field(&self.0.operation).finish()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};

    use super::Execution;
    use crate::response::{RawResponse, Response};
    use crate::transport::CallSettings;
    use crate::types::Run;
    use crate::{Client, Operation, Result};

    /// Returns the result of a call whose response may have no body.
    fn read(body: &'static str) -> Result<Response<Option<Run>>> {
        // Without TLS among the features, only a base URL without it is accepted.
        let client = Client::builder().api_key("org_live_test").base_url("http://127.0.0.1:1").build()?;
        let execution = Execution::new(&client.transport, Operation::GET_RUN, None, CallSettings::default());
        let (status, headers) = (StatusCode::ACCEPTED, HeaderMap::new());
        let raw = RawResponse { status, headers, body: Bytes::from_static(body.as_bytes()) };
        execution.read_optional(Response::new((), raw, 1))
    }

    #[test]
    fn a_response_that_may_have_no_body_is_a_value_or_none() {
        let empty = read("").unwrap();
        assert_eq!((empty.status(), empty.value()), (StatusCode::ACCEPTED, &None));
        let run = read(r#"{"id": "run_1", "workOrderId": "wo_1", "status": "pending"}"#).unwrap();
        assert_eq!(run.into_inner().map(|run| run.id), Some("run_1".into()));
        assert!(read("[]").is_err());
    }
}
