//! [`Reply`]: the response to a request in tests.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::types::ErrorCode;
use crate::{Error, ErrorKind, Operation, Response, Result, examples, transport};

/// A response of the service, or a failure of the network.
///
/// A [`Replay`](super::Replay) gives it to a client. Without a client, [`into_result`](Self::into_result) and
/// [`into_error`](Self::into_error) make of it what a call returns:
///
/// ```
/// use agentgate::serde_json::json;
/// use agentgate::test_util::Reply;
/// use agentgate::{Error, Operation};
///
/// /// A function of the program under test.
/// fn missing_credits(error: &Error) -> f64 {
///     error.credits().map_or(0.0, |credits| credits.required - credits.available)
/// }
///
/// let reply = Reply::error("INSUFFICIENT_CREDITS").details(json!({ "required": 50, "available": 10 }));
/// let error = reply.into_error(Operation::CREATE_WORK_ORDER);
/// assert!(error.is_insufficient_credits());
/// assert_eq!(missing_credits(&error), 40.0);
/// ```
#[derive(Clone, Debug)]
#[must_use = "a reply does nothing until it is given to a replay, or read"]
pub struct Reply {
    response: http::Response<Bytes>,
    /// The kind of failure, and what happened, in place of a response.
    failure: Option<(ErrorKind, &'static str)>,
    /// The reason why the reply is invalid.
    mistake: Option<String>,
}

impl Reply {
    fn new(body: impl Into<Bytes>) -> Self {
        Self { response: http::Response::new(body.into()), failure: None, mistake: None }
    }

    /// Creates a response with status 200 and this JSON.
    #[allow(clippy::needless_pass_by_value, reason = "it is written with `json!` where it is handed over")]
    pub fn json(body: Value) -> Self {
        let mut reply = Self::new(body.to_string());
        reply.response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        reply
    }

    /// Creates a response with status 200 and this body, such as the HTML of a proxy.
    pub fn text(body: impl Into<String>) -> Self {
        Self::new(body.into())
    }

    /// Creates the response that the contract has as the example of a success of this operation.
    ///
    /// ```
    /// use agentgate::Operation;
    /// use agentgate::test_util::Reply;
    /// use agentgate::types::Run;
    ///
    /// let response = Reply::example(Operation::GET_RUN).into_result::<Run>(Operation::GET_RUN)?;
    /// assert_eq!(response.status(), 200);
    /// # Ok::<(), agentgate::Error>(())
    /// ```
    pub fn example(operation: Operation) -> Self {
        match examples::of(operation.id()) {
            Some((status, body)) => {
                let mut reply = Self::new(body.unwrap_or_default()).status(status);
                if body.is_some() {
                    reply = reply.header("content-type", "application/json");
                }
                reply
            }
            None => Self::new("").with_mistake(format!("the contract has no example for {operation}")),
        }
    }

    /// Creates the service's error with this code, such as `INSUFFICIENT_CREDITS`, and the status that is documented
    /// for it. A code that is not documented has status 500 unless [`status`](Self::status) sets another.
    ///
    /// [`ErrorCode::KNOWN`] has all documented codes.
    pub fn error(code: &str) -> Self {
        let status = ErrorCode::documented(code).map_or(500, |(status, _)| status);
        Self::json(json!({ "error": { "code": code } })).status(status)
    }

    /// Creates a failure to connect.
    pub fn connect_failure() -> Self {
        Self::failure(ErrorKind::Connect, "no connection: refused by a test reply")
    }

    /// Creates a time-out of the attempt: the request was sent, and no response came in time. It ends at once.
    pub fn timeout() -> Self {
        Self::failure(ErrorKind::Timeout, "the attempt took longer than its time-out, as a test reply requires")
    }

    /// Creates a connection that breaks after the request was sent, before the response has arrived.
    pub fn interruption() -> Self {
        Self::failure(ErrorKind::Interrupted, "the connection broke off, as a test reply requires")
    }

    fn failure(kind: ErrorKind, problem: &'static str) -> Self {
        Self { failure: Some((kind, problem)), ..Self::new("") }
    }

    /// Sets the status.
    pub fn status(mut self, status: u16) -> Self {
        match StatusCode::from_u16(status) {
            Ok(status) => {
                *self.response.status_mut() = status;
                self
            }
            Err(_) => self.with_mistake(format!("{status} is not a valid HTTP status")),
        }
    }

    /// Sets a header, such as `retry-after`.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(name), Ok(value)) => {
                self.response.headers_mut().insert(name, value);
                self
            }
            _ => self.with_mistake(format!("`{name}: {value}` is not a valid header")),
        }
    }

    /// Sets the message of an error of the service.
    pub fn message(self, message: &str) -> Self {
        self.set("message", message.into())
    }

    /// Sets the details of an error of the service, such as `{"required": 50, "available": 10}`.
    pub fn details(self, details: Value) -> Self {
        self.set("details", details)
    }

    fn set(mut self, name: &str, value: Value) -> Self {
        let mut body = serde_json::from_slice(self.response.body()).unwrap_or(Value::Null);
        match body.get_mut("error").and_then(Value::as_object_mut) {
            Some(error) => {
                error.insert(name.to_owned(), value);
                *self.response.body_mut() = body.to_string().into();
                self
            }
            None => self.with_mistake(format!("only an error response has the field `{name}`")),
        }
    }

    fn with_mistake(mut self, mistake: String) -> Self {
        self.mistake.get_or_insert(mistake);
        self
    }

    /// Returns the result of a call of this operation to which this is the only response.
    ///
    /// # Errors
    ///
    /// The error of the call; or [`ErrorKind::Configuration`] if the reply was built with a status or a header that
    /// there cannot be.
    pub fn into_result<T: DeserializeOwned + 'static>(self, operation: Operation) -> Result<Response<T>> {
        transport::result_of(operation, self.of_call(operation)?)
    }

    /// Returns the error of a call of this operation to which this is the only response. A response with a status of
    /// success makes an error of kind [`ErrorKind::UnexpectedStatus`].
    #[must_use]
    pub fn into_error(self, operation: Operation) -> Error {
        self.of_call(operation).map_or_else(|error| error, |response| transport::error_of(operation, response))
    }

    fn of_call(self, operation: Operation) -> Result<http::Response<Bytes>> {
        self.into_response().map_err(|error| error.with_operation(operation).with_attempts(1))
    }

    pub(super) fn into_response(self) -> Result<http::Response<Bytes>> {
        match (self.mistake, self.failure) {
            (Some(mistake), _) => Err(Error::configuration(mistake, "Correct the reply.")),
            (None, Some((kind, problem))) => Err(Error::network(kind, problem)),
            (None, None) => Ok(self.response),
        }
    }
}
