//! [`RawRequest`]: requests that the typed calls do not cover.

use std::fmt;

use http::Method;
use http::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Request, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Call, CallFuture, Endpoint};
use crate::transport::Execution;
use crate::{Error, Operation, Response, Result, endpoints};

/// A request to a path of the service, from [`Client::request`](crate::Client::request). It is sent by `.await`, which
/// returns JSON: `null` where the response has no body.
///
/// Nothing is sent until it is awaited.
///
/// # Retries
///
/// A request is retried as typed calls are. GET, HEAD, OPTIONS, PUT, DELETE and PATCH count as idempotent. A POST does
/// not, unless [`idempotent`](Call::idempotent) is set. If the outcome of a POST is unknown, the call returns the
/// error, and [`may_have_reached_server`](Error::may_have_reached_server) is `true`.
///
/// # Known operations
///
/// A request with the method and path of an [`Operation`] counts as that operation, in its retries, in the limit of
/// submissions, in [`Error::operation`] and in traces. For any other, [`Operation::id`] is `request`. A work order that
/// is submitted in this way has no token, and is not searched for if its outcome is unknown: use
/// [`WorkOrders::create`](super::WorkOrders::create) with [`extra_body`](super::Call::extra_body) instead if possible.
///
/// # Errors
///
/// Those of all calls. In addition, the call fails with
/// [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest) and sends nothing if
/// - the path does not begin with `/`, or holds `?`, `#`, a backslash, a control character, or a `.` or `..` between
///   slashes;
/// - the body cannot be written as JSON;
/// - the client sets the header itself, or the name or the value of the header is invalid;
/// - the method is none of those above.
#[derive(Clone)]
pub struct RawRequest {
    pub(super) method: Method,
    pub(super) path: String,
    /// JSON, or the reason why the value cannot be written as JSON.
    pub(super) body: Option<std::result::Result<Vec<u8>, String>>,
}

impl Call<RawRequest> {
    /// Adds a parameter to the query. A name may be added several times.
    pub fn query(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.extra_query(name, value)
    }

    /// Sets the body, which is sent as JSON.
    pub fn json(mut self, body: &(impl Serialize + ?Sized)) -> Self {
        self.endpoint.body = Some(serde_json::to_vec(body).map_err(|error| error.to_string()));
        self
    }

    /// States that the request is idempotent: to send it twice has the same effect as to send it once. It is then
    /// retried also when the service may have acted. A POST is not retried in that case by default.
    pub fn idempotent(mut self) -> Self {
        self.settings.repeatable = true;
        self
    }

    /// Sends the request, and reads the response as a type. A response without a body is read as `null`, so that `()`
    /// and `Option` fit.
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
        Box::pin(async move {
            let execution = self.begin(self.settings.clone());
            let request = self.endpoint.request(&execution.endpoints());
            execution.send(request, Execution::read_any).await.map(Response::into_inner)
        })
    }
}

impl Endpoint for RawRequest {
    const OPERATION: Operation = Operation::unlisted("", false);

    type Output = Value;

    fn operation(&self) -> Operation {
        Operation::of_request(self.method.as_str(), &self.path)
    }

    fn check(&self) -> Result<()> {
        Ok(())
    }

    fn description(&self) -> Option<String> {
        Some(format!("send `{} {}`", self.method, self.path))
    }

    fn request(&self, api: &endpoints::Client) -> Result<Request> {
        if self.operation().method() != self.method.as_str() {
            let advice = "Use GET, HEAD, OPTIONS, PUT, DELETE, PATCH or POST, in upper case.";
            return Err(Error::invalid_request("the client does not support this method", advice));
        }
        let mut request = Request::new(self.method.clone(), url(&api.baseurl, &self.path)?);
        match &self.body {
            Some(Ok(body)) => {
                request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                *request.body_mut() = Some(body.clone().into());
            }
            Some(Err(error)) => {
                let problem = format!("the body cannot be written as JSON: {error}");
                return Err(Error::invalid_request(problem, "Pass a value that can be serialized as JSON."));
            }
            None => {}
        }
        Ok(request)
    }

    fn read(execution: &Execution, response: Response<()>) -> Result<Response<Value>> {
        execution.read_any(response)
    }
}

/// Shows method and path, and none of the content.
impl fmt::Debug for RawRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawRequest").field("method", &self.method).field("path", &self.path).finish_non_exhaustive()
    }
}

/// Puts a path behind the base URL. It cannot leave it: the API key goes with the request.
fn url(base_url: &str, path: &str) -> Result<Url> {
    let is_dots = |segment: &str| matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
    let problem = match path {
        path if !path.starts_with('/') => "does not begin with a slash",
        path if path.contains(['?', '#']) => "contains a query or a fragment",
        path if path.contains('\\') || path.contains(char::is_control) => {
            "contains a backslash or a control character, such as a line break"
        }
        path if path.split('/').any(is_dots) => "has a `.` or `..` segment",
        path => match Url::parse(&format!("{base_url}{path}")) {
            Ok(url) => return Ok(url),
            Err(_) => "is not valid in a URL",
        },
    };
    let advice = "Pass a path such as `/v1/runs`, and set the query with `query`.";
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
            "", "v1/runs", ".other.example/v1", ":80/v1", "@other.example/", "https://other.example/", "/v1/../x",
            "/..", "/v1/./x", "/v1/%2e%2E/x", "/v1/.%2e", "/v1\\..\\x", "/v1/.\t./x", "/v1/runs?limit=1", "/v1/runs#x",
        ] {
            assert!(url("https://h", path).unwrap_err().is_invalid_request(), "{path}");
        }
    }
}
