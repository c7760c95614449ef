//! One call: all its attempts, and what they left.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use progenitor_client::{ClientHooks, ClientInfo, OperationInfo, ResponseValue};
use reqwest::Request;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderName, HeaderValue, USER_AGENT};
use serde::de::DeserializeOwned;

use super::attempt::Received;
use super::{CallOptions, Transport, answer, retry};
use crate::response::{Answer, Response};
use crate::{Error, Operation, Result, endpoints};

/// Progenitor adds this to every request; the service knows nothing of it.
const API_VERSION: HeaderName = HeaderName::from_static("api-version");

/// One call. Clones are the same call.
#[derive(Clone)]
pub(crate) struct Call(Arc<Inner>);

struct Inner {
    transport: Arc<Transport>,
    operation: Operation,
    options: CallOptions,
    outcome: Mutex<Option<Outcome>>,
}

/// What the attempts of a call left.
enum Outcome {
    Answered(Answer),
    Failed(Error),
}

impl Call {
    pub(crate) fn new(transport: &Arc<Transport>, operation: Operation, options: CallOptions) -> Self {
        Self(Arc::new(Inner { transport: Arc::clone(transport), operation, options, outcome: Mutex::new(None) }))
    }

    /// The generated functions, sending through this call.
    pub(crate) fn endpoints(&self) -> endpoints::Client {
        let transport = &self.0.transport;
        endpoints::Client::new_with_client(&transport.base_url, transport.http.clone(), self.clone())
    }

    /// What the call came to, given what the generated function made of it.
    pub(crate) fn finish<T: DeserializeOwned>(&self, result: Generated<T>) -> Result<Response<T>> {
        self.read(result).map_err(|error| error.with_operation(self.0.operation))
    }

    fn read<T: DeserializeOwned>(&self, result: Generated<T>) -> Result<Response<T>> {
        let outcome = self.0.outcome.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (outcome, result) {
            (Some(Outcome::Failed(error)), _) => Err(error),
            (Some(Outcome::Answered(answer)), Ok(value)) => Ok(Response::new(value.into_inner(), answer)),
            (Some(Outcome::Answered(answer)), Err(_)) => {
                let value =
                    answer::reread(&answer.body, &answer).map_err(|error| error.with_attempts(answer.attempts))?;
                Ok(Response::new(value, answer))
            }
            // Nothing was sent: the request could not be built.
            (None, Err(progenitor_client::Error::CommunicationError(error))) => Err(Error::from_network(error)),
            (None, _) => Err(Error::invalid_request(
                "the request could not be built",
                "Look for unusual characters in its values.",
            )),
        }
    }

    /// All the attempts of the call.
    async fn execute(&self, mut request: Request) -> reqwest::Response {
        self.add_headers(&mut request);
        let outcome = self.attempts(request).await;
        let response = match &outcome {
            Outcome::Answered(answer) => rebuilt(answer),
            Outcome::Failed(_) => placeholder(),
        };
        *self.0.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
        response
    }

    async fn attempts(&self, request: Request) -> Outcome {
        let Inner { transport, operation, options, .. } = &*self.0;
        let max_retries = options.max_retries.unwrap_or(transport.retry.max_retries);
        let mut attempts = 0;
        loop {
            attempts += 1;
            // Bodies are bytes, so every request can be sent again; one that could not would be sent once.
            let Some(copy) = request.try_clone() else {
                return Outcome::Failed(Error::invalid_request(
                    "the body cannot be sent",
                    "Send one that is held in memory.",
                ));
            };
            let error = match transport.attempt(copy).await {
                Ok(received) => match judge(received, attempts) {
                    Ok(answer) => return Outcome::Answered(answer),
                    Err(error) => error,
                },
                Err(error) => error,
            };
            let error = error.with_attempts(attempts);
            let retries_left = attempts <= max_retries;
            match transport.retry.pause(&error, operation.is_idempotent(), retries_left, fastrand::f64()) {
                Some(pause) => transport.clock.sleep(pause).await,
                None => return Outcome::Failed(error),
            }
        }
    }

    fn add_headers(&self, request: &mut Request) {
        let Inner { transport, options, .. } = &*self.0;
        *request.timeout_mut() = Some(options.timeout.unwrap_or(transport.timeout));
        let headers = request.headers_mut();
        headers.remove(API_VERSION);
        // Errors are JSON, also where a success has no body.
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(AUTHORIZATION, transport.authorization.clone());
        headers.insert(USER_AGENT, transport.user_agent.clone());
    }
}

/// What a generated function returns.
type Generated<T> = std::result::Result<ResponseValue<T>, progenitor_client::Error<()>>;

/// A success, or what kind of failure it is.
fn judge(received: Received, attempts: u32) -> Result<Answer> {
    let Received { status, headers, body } = received;
    if status.is_success() {
        return Ok(Answer { status, headers, body, attempts });
    }
    let wait = retry::retry_after(&headers);
    Err(Error::from_answer(status, headers, &body).with_retry_after(wait))
}

/// The answer, for the generated code to read.
fn rebuilt(answer: &Answer) -> reqwest::Response {
    let mut response = http::Response::new(answer.body.clone());
    *response.status_mut() = answer.status;
    response.into()
}

/// Makes the generated code return.
fn placeholder() -> reqwest::Response {
    let mut response = http::Response::new("");
    *response.status_mut() = http::StatusCode::IM_A_TEAPOT;
    response.into()
}

impl ClientHooks<Call> for endpoints::Client {
    async fn exec(&self, request: Request, _: &OperationInfo) -> reqwest::Result<reqwest::Response> {
        Ok(self.inner().execute(request).await)
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Call").field(&self.0.operation).finish()
    }
}
