//! [`RawRequest`]: requests that the typed calls do not cover.

use std::fmt;
use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use http::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Request, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::CallFuture;
use crate::transport::{CallOptions, Execution};
use crate::{Client, Error, Operation, RateLimitMode, Response, Result};

impl Client {
    /// Returns a request to a path of the service, for what this version of the crate has no call for.
    ///
    /// It has all that calls have: the API key, the rate limiter, retries, deadlines, errors and tracing. What is sent and read is plain
    /// JSON.
    ///
    /// The path begins with a slash and is put behind the [base URL](Self::base_url). Its segments stand as in a URL, so an id with
    /// unusual characters has to be encoded. The query is set by [`RawRequest::query`].
    ///
    /// ```no_run
    /// use agentgate::http::Method;
    /// use serde_json::json;
    ///
    /// # async fn example(client: agentgate::Client) -> agentgate::Result<()> {
    /// let labels = client.request(Method::GET, "/v1/labels").query("limit", "10").await?;
    /// let label = client
    ///     .request(Method::POST, "/v1/labels")
    ///     .json(&json!({ "name": "urgent" }))
    ///     .await?;
    /// println!("{labels} {}", label["id"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn request(&self, method: Method, path: impl Into<String>) -> RawRequest {
        RawRequest { client: self.clone(), method, path: path.into(), body: None, options: self.options() }
    }
}

/// A request to a path of the service, from [`Client::request`]. It is sent by `.await`, which returns JSON: `null` where the
/// response has no body.
///
/// Nothing is sent until it is awaited.
///
/// # Retries
///
/// A request is retried as typed calls are. GET, HEAD, OPTIONS, PUT, DELETE and PATCH count as idempotent. A POST does not, unless it is
/// [stated](Self::idempotent): if its outcome is unknown, the error is returned, and says
/// [`may_have_reached_server`](Error::may_have_reached_server).
///
/// # Known operations
///
/// A request whose method and path are those of an [`Operation`] counts as that operation, in its retries, in the limit of submissions,
/// in [`Error::operation`] and in traces. For any other, [`Operation::id`] is `request`. A work order that is submitted in this way has
/// no token, and is not looked for if its outcome is unknown: use [`WorkOrders::create`](super::WorkOrders::create) with
/// [`extra_body`](super::Call::extra_body) where that does it.
///
/// # Errors
///
/// Those of all calls. [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest), without having sent anything, if
/// - the path does not begin with `/`, or holds `?`, `#`, a backslash, a control character, or a `.` or `..` between slashes;
/// - the body cannot be written as JSON;
/// - a header is set by the client itself, or no header can have its name or its value;
/// - the method is none of those above.
#[derive(Clone)]
#[must_use = "a request does nothing until it is awaited"]
pub struct RawRequest {
    client: Client,
    method: Method,
    path: String,
    /// JSON, or why there is none.
    body: Option<std::result::Result<Vec<u8>, String>>,
    options: CallOptions,
}

impl RawRequest {
    /// Adds a parameter to the query. A name may be added several times.
    pub fn query(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.extras.query.push((name.into(), value.into()));
        self
    }

    /// Sets the body, which is sent as JSON.
    pub fn json(mut self, body: &(impl Serialize + ?Sized)) -> Self {
        self.body = Some(serde_json::to_vec(body).map_err(|error| error.to_string()));
        self
    }

    /// Adds a header, as [`Call::request_header`](super::Call::request_header) does.
    pub fn request_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options = self.options.request_header(name, value);
        self
    }

    /// States that to do it twice has the same effect as to do it once, so that it is retried when it is not known whether the service
    /// has acted. A POST is retried only then.
    pub fn idempotent(mut self) -> Self {
        self.options.repeatable = true;
        self
    }

    /// Sets the time limit for one attempt. Defaults to the client's [`timeout`](crate::ClientBuilder::timeout).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options = self.options.timeout(timeout);
        self
    }

    /// Sets the number of attempts that may follow the first. Defaults to the client's
    /// [`max_retries`](crate::ClientBuilder::max_retries).
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.options = self.options.max_retries(retries);
        self
    }

    /// Sets the total time limit, including retries and waits. Defaults to the client's
    /// [`deadline`](crate::ClientBuilder::deadline).
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.options = self.options.deadline(deadline);
        self
    }

    /// Sets the longest time that the request waits for the rate limit. Defaults to the client's
    /// [`max_wait`](crate::ClientBuilder::max_wait).
    pub fn max_wait(mut self, wait: Duration) -> Self {
        self.options = self.options.max_wait(wait);
        self
    }

    /// Sets what the request does when the rate limit is spent. Defaults to the client's
    /// [`rate_limit_mode`](crate::ClientBuilder::rate_limit_mode).
    pub fn rate_limit_mode(mut self, mode: RateLimitMode) -> Self {
        self.options = self.options.rate_limit_mode(mode);
        self
    }

    /// Sends the request, and reads the response as a type. A response without a body is read as `null`, so that `()` and `Option` fit.
    ///
    /// ```no_run
    /// use agentgate::http::Method;
    /// use agentgate::types::Run;
    ///
    /// # async fn example(client: agentgate::Client) -> agentgate::Result<()> {
    /// let run = client.request(Method::GET, "/v2/runs/run_3n9x2p").send_as::<Run>().await?;
    /// println!("{}", run.status);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "a request does nothing until it is awaited"]
    pub fn send_as<T: DeserializeOwned + Send + 'static>(self) -> CallFuture<T> {
        Box::pin(async move { self.respond().await.map(Response::into_inner) })
    }

    /// Sends the request, and returns the JSON together with status, headers, request id, attempts and rate limit.
    #[must_use = "a request does nothing until it is awaited"]
    pub fn with_response(self) -> CallFuture<Response<Value>> {
        Box::pin(self.respond())
    }

    async fn respond<T: DeserializeOwned>(mut self) -> Result<Response<T>> {
        self.options.description = Some(Arc::from(format!("send `{} {}`", self.method, self.path)));
        let operation = Operation::of_request(self.method.as_str(), &self.path);
        let execution = Execution::new(&self.client.transport, operation, self.options.clone());
        execution.send(self.build(operation)).await
    }

    /// Makes the request, without what all requests have.
    fn build(self, operation: Operation) -> Result<Request> {
        if operation.method() != self.method.as_str() {
            let advice = "Use GET, HEAD, OPTIONS, PUT, DELETE, PATCH or POST, in upper case.";
            return Err(Error::invalid_request("the client does not send requests of this method", advice));
        }
        let mut request = Request::new(self.method, url(&self.client.transport.base_url, &self.path)?);
        match self.body {
            Some(Ok(body)) => {
                request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                *request.body_mut() = Some(body.into());
            }
            Some(Err(error)) => {
                let problem = format!("the body cannot be written as JSON: {error}");
                return Err(Error::invalid_request(problem, "Give a value that JSON can hold."));
            }
            None => {}
        }
        Ok(request)
    }
}

impl IntoFuture for RawRequest {
    type Output = Result<Value>;
    type IntoFuture = CallFuture<Value>;

    fn into_future(self) -> Self::IntoFuture {
        self.send_as()
    }
}

/// Shows method, path and options, and none of the content.
impl fmt::Debug for RawRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawRequest")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Puts a path behind the base URL. It cannot leave it: the API key goes with the request.
fn url(base_url: &str, path: &str) -> Result<Url> {
    let is_dots = |segment: &str| matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
    let problem = match path {
        path if !path.starts_with('/') => "does not begin with a slash",
        path if path.contains(['?', '#']) => "holds a query or a fragment",
        path if path.contains('\\') || path.contains(char::is_control) => {
            "holds a backslash or a control character, such as a line end"
        }
        path if path.split('/').any(is_dots) => "has a step (`.` or `..`) among its segments",
        path => match Url::parse(&format!("{base_url}{path}")) {
            Ok(url) => return Ok(url),
            Err(_) => "makes no URL",
        },
    };
    let advice = "Give a path under the base URL, such as `/v1/runs`, and the query by `query`.";
    Err(Error::invalid_request(format!("the path {problem}"), advice))
}

#[cfg(test)]
mod tests {
    use super::url;

    #[test]
    fn a_path_is_put_behind_the_base_url_and_encoded() {
        for (path, expected) in [
            ("/v1/runs", "https://h/base/v1/runs"),
            ("/", "https://h/base/"),
            ("//other.example/v1", "https://h/base//other.example/v1"),
            ("/@other.example", "https://h/base/@other.example"),
            ("/v1/a b/ü/...", "https://h/base/v1/a%20b/%C3%BC/..."),
            ("/v1/a%2Fb", "https://h/base/v1/a%2Fb"),
        ] {
            assert_eq!(url("https://h/base", path).unwrap().as_str(), expected);
        }
        assert_eq!(url("https://h", "//other.example").unwrap().host_str(), Some("h"));
    }

    #[test]
    fn a_path_that_would_leave_the_base_url_is_refused() {
        for path in [
            "",
            "v1/runs",
            ".other.example/v1",
            ":80/v1",
            "@other.example/",
            "https://other.example/",
            "/v1/../x",
            "/..",
            "/v1/./x",
            "/v1/%2e%2E/x",
            "/v1/.%2e",
            "/v1\\..\\x",
            "/v1/.\t./x",
            "/v1/runs?limit=1",
            "/v1/runs#x",
        ] {
            assert!(url("https://h", path).unwrap_err().is_invalid_request(), "{path}");
        }
    }
}
