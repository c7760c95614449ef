//! Successful responses, and what the headers of any response say.

pub(crate) mod header_values;
mod rate_limit;

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};

pub(crate) use self::header_values::{date, service_now};
pub use self::rate_limit::RateLimit;

/// The value that a call returns, with its response. Returned by
/// [`with_response`](crate::resources::Call::with_response).
///
/// ```no_run
/// # async fn example(client: agentgate::Client) -> agentgate::Result<()> {
/// let response = client.runs().get("run_3n9x2p").with_response().await?;
/// println!("{} after {} attempts", response.status(), response.attempts());
/// if let Some(left) = response.rate_limit().and_then(|limit| limit.remaining) {
///     println!("{left} requests left in this minute");
/// }
/// let run = response.into_inner();
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Response<T> {
    value: T,
    raw: RawResponse,
    attempts: u32,
    is_stale: bool,
    ignored: Vec<String>,
}

/// A response as it was received, whatever its status.
#[derive(Clone)]
pub(crate) struct RawResponse {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl RawResponse {
    /// Returns whether the body is a page of HTML or XML. The service sends none: it comes from a proxy, a gateway or a
    /// network that wants a sign-in.
    pub(crate) fn is_page(&self) -> bool {
        self.body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.body).trim_ascii_start().starts_with(b"<")
    }

    /// Returns the coding of a body that arrived compressed, although no request asks for that.
    pub(crate) fn coding(&self) -> Option<&str> {
        let coding = header_values::text(&self.headers, header::CONTENT_ENCODING);
        let coding = coding.filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity"));
        let coding = coding.or_else(|| self.body.starts_with(b"\x1f\x8b").then_some("gzip"));
        coding.filter(|_| !self.body.is_empty())
    }
}

/// Shows how long the body is, and none of it: the response to a new webhook holds its secret.
impl fmt::Debug for RawResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawResponse")
            .field("status", &self.status)
            .field("headers", &self.headers)
            .field("body", &format_args!("[{} bytes]", self.body.len()))
            .finish()
    }
}

impl<T> Response<T> {
    pub(crate) fn new(value: T, raw: RawResponse, attempts: u32) -> Self {
        Self { value, raw, attempts, is_stale: false, ignored: Vec::new() }
    }

    pub(crate) fn with_ignored(self, ignored: Vec<String>) -> Self {
        Self { ignored, ..self }
    }

    /// Creates a response for a value that was received as a part of another.
    pub(crate) fn of_value(value: T) -> Self {
        Self::new(value, RawResponse { status: StatusCode::OK, headers: HeaderMap::new(), body: Bytes::new() }, 0)
    }

    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Response<U> {
        let Self { value, raw, attempts, is_stale, ignored } = self;
        Response { value: change(value), raw, attempts, is_stale, ignored }
    }

    pub(crate) fn try_map<U, F>(self, change: impl FnOnce(T) -> Result<U, F>) -> Result<Response<U>, F> {
        let Self { value, raw, attempts, is_stale, ignored } = self;
        Ok(Response { value: change(value)?, raw, attempts, is_stale, ignored })
    }

    pub(crate) fn with_staleness(self, is_stale: bool) -> Self {
        Self { is_stale, ..self }
    }

    /// Returns whether the response shows that it came from a cache, so that it proves nothing about now.
    pub(crate) fn is_stale(&self) -> bool {
        self.is_stale
    }

    pub(crate) fn raw(&self) -> &RawResponse {
        &self.raw
    }

    /// Returns the value.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// Returns the value alone.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.value
    }

    /// Returns the HTTP status, which is a success.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.raw.status
    }

    /// Returns the headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.raw.headers
    }

    /// Returns the body as it arrived, for fields that this version of the crate does not know.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.raw.body
    }

    /// Returns the paths of the documented members that were left out because they do not fit, such as
    /// `data[3].timing.startedAt`. [`body`](Self::body) has them.
    ///
    /// The documentation of the service is not proven, so one odd member does not fail a response. An optional member
    /// that does not fit is `None`, a status is [`Unknown`](crate::types::RunStatus::Unknown) with an empty word, and a
    /// list that is `null` is empty. A response without what identifies it fails: the id of an object and of each item
    /// of a list, the run and the work order of a submission.
    #[must_use]
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// Returns the id of the request, if the service gave one (`x-request-id`).
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        request_id(self.headers())
    }

    /// Returns the number of attempts, the successful one included.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Returns the state of the rate limit, from the headers of the response.
    #[must_use]
    pub fn rate_limit(&self) -> Option<RateLimit> {
        RateLimit::from_headers(self.headers())
    }
}

pub(crate) fn request_id(headers: &HeaderMap) -> Option<&str> {
    headers.get("x-request-id")?.to_str().ok().filter(|id| !id.is_empty())
}
