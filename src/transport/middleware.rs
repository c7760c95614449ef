//! [`Middleware`]: code of the program that runs around each attempt.

use std::error::Error as StdError;
use std::fmt;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use reqwest::{Request, Url};

use super::request_extras;
use crate::response::RawResponse;
use crate::{Error, Operation, Result};

/// The future of a [`Middleware`].
pub type MiddlewareFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The error with which a [`Middleware`] refuses a request.
pub type Refusal = Box<dyn StdError + Send + Sync>;

/// Code that runs around each attempt of each call. It can read the request, add headers to it or refuse it, and read
/// the response. Set by [`ClientBuilder::middleware`](crate::ClientBuilder::middleware).
///
/// Both methods run in the task of the call, inside its `tracing` span. `before` runs before the attempt waits for the
/// rate limit, so it may make calls with the same client, which do not take its place. It has as much time as an
/// attempt ([`timeout`](crate::ClientBuilder::timeout)), and `after` has what the attempt has left. The deadline of the
/// call holds for both. If there are several middlewares, `before` runs in the order in which they were added to the
/// client, and `after` in the reverse order.
///
/// A middleware cannot send or repeat a request, so it cannot cause an effect twice. To count and to measure,
/// [`on_event`](crate::ClientBuilder::on_event) is simpler.
///
/// ```
/// use agentgate::middleware::{AttemptRequest, Middleware, MiddlewareFuture, Refusal};
///
/// /// Adds the trace of the program, by W3C Trace Context.
/// #[derive(Debug)]
/// struct TraceParent;
///
/// impl Middleware for TraceParent {
///     fn before<'a>(
///         &'a self,
///         request: &'a mut AttemptRequest<'_>,
///     ) -> MiddlewareFuture<'a, Result<(), Refusal>> {
///         Box::pin(async move {
///             let trace_parent = current_trace_parent().await;
///             request.insert_header("traceparent", &trace_parent)?;
///             Ok(())
///         })
///     }
/// }
/// # async fn current_trace_parent() -> String { "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned() }
///
/// # fn main() -> agentgate::Result<()> {
/// let builder = agentgate::Client::builder().api_key("org_live_xxxxxxxx");
/// let client = builder.middleware(TraceParent).build()?;
/// # Ok(())
/// # }
/// ```
pub trait Middleware: Send + Sync + 'static {
    /// Runs before the request of an attempt is sent.
    ///
    /// # Errors
    ///
    /// An error ends the call. Nothing is sent, and the call fails with
    /// [`ErrorKind::Middleware`](crate::ErrorKind::Middleware). It is not retried. A
    /// [wait](crate::follow::WaitForRun) polls again.
    fn before<'a>(&'a self, request: &'a mut AttemptRequest<'_>) -> MiddlewareFuture<'a, Result<(), Refusal>> {
        let _ = request;
        Box::pin(ready(Ok(())))
    }

    /// Runs when the attempt has ended: with the response, whatever its status, or with the failure.
    ///
    /// It does not run if the `before` of a middleware has refused the request, or if the attempt is dropped.
    fn after<'a>(&'a self, response: &'a AttemptResponse<'_>) -> MiddlewareFuture<'a, ()> {
        let _ = response;
        Box::pin(ready(()))
    }
}

/// The request of an attempt, before it is sent.
pub struct AttemptRequest<'a> {
    operation: Operation,
    attempt: u32,
    request: &'a mut Request,
}

impl AttemptRequest<'_> {
    /// Returns the operation that is called.
    #[must_use]
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// Returns the number of the attempt in its call, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Returns the method.
    #[must_use]
    pub fn method(&self) -> &Method {
        self.request.method()
    }

    /// Returns the URL, with its query.
    #[must_use]
    pub fn url(&self) -> &Url {
        self.request.url()
    }

    /// Returns the headers, including the API key.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.request.headers()
    }

    /// Returns the body. Empty if there is none.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default()
    }

    /// Sets a header. It replaces a header of this name that the call or another middleware has added.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest) if the client sets the header itself
    /// (`Authorization`, `Content-Type`, `User-Agent` and the like), or no header can have this name or this value.
    pub fn insert_header(&mut self, name: &str, value: &str) -> Result<()> {
        let header = request_extras::header(name, value);
        let (name, value) = header.map_err(|error| error.with_operation(self.operation))?;
        self.request.headers_mut().insert(name, value);
        Ok(())
    }
}

/// Shows operation, attempt and method, and none of the content.
impl fmt::Debug for AttemptRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttemptRequest")
            .field("operation", &self.operation)
            .field("attempt", &self.attempt)
            .field("method", self.method())
            .finish_non_exhaustive()
    }
}

/// The result of an attempt.
pub struct AttemptResponse<'a> {
    operation: Operation,
    attempt: u32,
    result: Result<&'a RawResponse, &'a Error>,
}

impl AttemptResponse<'_> {
    /// Returns the operation that was called.
    #[must_use]
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// Returns the number of the attempt in its call, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Returns the status of the response, if there was one.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.result.map_or_else(Error::status, |response| Some(response.status))
    }

    /// Returns the headers of the response, if there was one.
    #[must_use]
    pub fn headers(&self) -> Option<&HeaderMap> {
        self.result.map_or_else(Error::headers, |response| Some(&response.headers))
    }

    /// Returns the body of the response, if it was received to its end.
    #[must_use]
    pub fn body(&self) -> Option<&Bytes> {
        self.result.ok().map(|response| &response.body)
    }

    /// Returns the error, if no response was received to its end. `None` for a response with the status of a failure.
    #[must_use]
    pub fn error(&self) -> Option<&Error> {
        self.result.err()
    }
}

/// Shows operation, attempt and status, and none of the content.
impl fmt::Debug for AttemptResponse<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttemptResponse")
            .field("operation", &self.operation)
            .field("attempt", &self.attempt)
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

/// The middleware of a client, in order.
pub(crate) type Stack = Vec<Arc<dyn Middleware>>;

/// Runs `before` of each, in order.
pub(super) async fn before(stack: &Stack, operation: Operation, attempt: u32, request: &mut Request) -> Result<()> {
    for middleware in stack {
        middleware.before(&mut AttemptRequest { operation, attempt, request }).await.map_err(Error::middleware)?;
    }
    Ok(())
}

/// Runs `after` of each, in the reverse order.
pub(super) async fn after(stack: &Stack, operation: Operation, attempt: u32, result: Result<&RawResponse, &Error>) {
    for middleware in stack.iter().rev() {
        middleware.after(&AttemptResponse { operation, attempt, result }).await;
    }
}
