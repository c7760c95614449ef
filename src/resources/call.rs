//! [`Call`]: the builder that every method of a resource returns.

use std::fmt;
use std::future::{Future, IntoFuture, ready};
use std::pin::Pin;
use std::time::Duration;

use reqwest::Request;
use serde_json::Value;

use crate::transport::{CallSettings, Execution};
use crate::{Client, Error, Operation, RateLimitMode, Response, Result, endpoints};

/// The future of a call, from [`Call::into_future`](IntoFuture::into_future). It owns its data, so it can be spawned.
pub type CallFuture<T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'static>>;

/// An operation of the API with its parameters. Implemented for each operation by the generated code.
///
/// The trait is sealed: its methods are private to this crate.
pub trait Endpoint: Clone + Send + Sync + 'static {
    /// The operation, as the contract describes it.
    const OPERATION: Operation;

    /// The value that a successful response holds.
    type Output: Send + 'static;

    /// Returns the operation that this call counts as, for its retries, its limit and its errors.
    #[doc(hidden)]
    fn operation(&self) -> Operation {
        Self::OPERATION
    }

    /// Describes the call in errors, if that says more than the operation's summary.
    #[doc(hidden)]
    fn description(&self) -> Option<String> {
        None
    }

    /// Checks the values that are part of the path.
    #[doc(hidden)]
    fn check(&self) -> Result<()>;

    /// Builds the request.
    #[doc(hidden)]
    fn request(&self, api: &endpoints::Client) -> Result<Request>;

    /// Reads a successful response.
    #[doc(hidden)]
    fn read(execution: &Execution, response: Response<()>) -> Result<Response<Self::Output>>;

    /// Changes a call before it is sent.
    #[doc(hidden)]
    fn prepare(_call: &mut Call<Self>) {}

    /// Resolves the result of a call, for example by a search if its outcome is unknown.
    #[doc(hidden)]
    fn resolve(
        _call: &Call<Self>,
        result: Result<Response<Self::Output>>,
        _sent: &Execution,
    ) -> impl Future<Output = Result<Response<Self::Output>>> + Send {
        ready(result)
    }
}

/// An operation that is not idempotent: each request has an effect of its own.
pub trait NotIdempotent: Endpoint {}

/// A call of the operation `E`: a builder for its optional values, which `.await` sends.
///
/// ```no_run
/// use std::time::Duration;
///
/// # async fn example(client: agentgate::Client) -> agentgate::Result<()> {
/// let page = client.runs().list().limit(100).timeout(Duration::from_secs(5)).await?;
/// # Ok(())
/// # }
/// ```
///
/// A call owns its data, so it can be stored, cloned and sent to another task. Nothing is sent until it is awaited. For
/// functions that take a future, such as `tokio::spawn` or `join!`, [`into_future`](IntoFuture::into_future) and
/// [`with_response`](Self::with_response) return one:
///
/// ```no_run
/// use std::future::IntoFuture as _; // needed before edition 2024
///
/// # async fn example(client: agentgate::Client) -> agentgate::Result<()> {
/// let run = tokio::spawn(client.runs().get("run_3n9x2p").into_future());
/// let balance = tokio::spawn(client.credits().balance().with_response());
/// println!("{}", run.await.expect("the call does not panic")?.status);
/// println!("{:?}", balance.await.expect("the call does not panic")?.rate_limit());
/// # Ok(())
/// # }
/// ```
///
/// # Dropping a call
///
/// The future of a call can be dropped at any point, for example by `select!`. This does not affect other calls. An
/// call runs in a task of its own, so it goes on while the future is not polled, and ends when it is dropped. If the
/// call is dropped while it waits for the rate limit or connects, nothing was sent. If it is dropped later, the request
/// may have taken effect. For submissions, [`tracked`](Call::tracked) distinguishes the two cases.
#[derive(Clone)]
#[must_use = "a call does nothing until it is awaited"]
pub struct Call<E> {
    pub(crate) client: Client,
    pub(crate) settings: CallSettings,
    pub(crate) endpoint: E,
}

impl<E: Endpoint> Call<E> {
    pub(crate) fn new(client: &Client, endpoint: E) -> Self {
        Self { client: client.clone(), settings: client.options().into(), endpoint }
    }

    /// Returns the parameters of this call, as they are set so far.
    ///
    /// ```no_run
    /// # fn example(client: agentgate::Client) {
    /// let call = client.runs().list().limit(10);
    /// assert_eq!(call.parameters().limit, Some(10));
    /// # }
    /// ```
    #[must_use]
    pub fn parameters(&self) -> &E {
        &self.endpoint
    }

    /// Sets the time limit for one attempt of this call. Defaults to the client's
    /// [`timeout`](crate::ClientBuilder::timeout).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.options = self.settings.options.timeout(timeout);
        self
    }

    /// Sets the number of attempts that may follow the first. Defaults to the client's
    /// [`max_retries`](crate::ClientBuilder::max_retries).
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.settings.options = self.settings.options.max_retries(retries);
        self
    }

    /// Sets the total time limit for this call, including retries and waits. Defaults to the client's
    /// [`deadline`](crate::ClientBuilder::deadline).
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.settings.options = self.settings.options.deadline(deadline);
        self
    }

    /// Sets the longest time that this call waits for the rate limit. Defaults to the client's
    /// [`max_wait`](crate::ClientBuilder::max_wait).
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use agentgate::WorkspaceSource;
    ///
    /// # async fn example(client: agentgate::Client) -> agentgate::Result<()> {
    /// let source = WorkspaceSource::template("python-flask");
    /// match client.work_orders().create("Fix it", source).max_wait(Duration::from_secs(5)).await {
    ///     Err(error) if error.is_rate_limited() => println!("busy for {:?}", error.retry_after()),
    ///     order => println!("run {}", order?.run_id),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_wait(mut self, wait: Duration) -> Self {
        self.settings.options = self.settings.options.max_wait(wait);
        self
    }

    /// Sets the behavior of this call when the rate limit is exhausted. Defaults to the client's
    /// [`rate_limit_mode`](crate::ClientBuilder::rate_limit_mode).
    pub fn rate_limit_mode(mut self, mode: RateLimitMode) -> Self {
        self.settings.options = self.settings.options.rate_limit_mode(mode);
        self
    }

    /// Adds a header to the request, such as one that a gateway in front of the service requires. `Debug` does not show
    /// its value.
    ///
    /// The call fails with [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest) and sends nothing if the
    /// client sets the header itself (such as `Authorization`, `Content-Type` and `User-Agent`), or if the name or the
    /// value is invalid. The requests by which the client searches for the outcome of this call have the header, too.
    /// The polls of [`and_wait`](Call::and_wait) do not, as waits share them.
    ///
    /// ```no_run
    /// # async fn example(client: agentgate::Client) -> agentgate::Result<()> {
    /// let page = client.runs().list().request_header("x-team", "payments").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn request_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.options = self.settings.options.request_header(name, value);
        self
    }

    /// Adds a parameter to the query of the request, for parameters that this version of the crate does not know.
    ///
    /// A name that is added several times is sent several times. The call fails with
    /// [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest) and sends nothing if it sets the parameter
    /// itself.
    ///
    /// ```no_run
    /// # async fn example(client: agentgate::Client) -> agentgate::Result<()> {
    /// let page = client.runs().list().extra_query("sort", "oldest").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn extra_query(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.options.extras.query.push((name.into(), value.into()));
        self
    }

    /// Adds a field to the JSON object in the body of the request, for fields that this version of the crate does not
    /// know. A second value for a name replaces the first.
    ///
    /// The call fails with [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest) and sends nothing if it sets
    /// the field itself, or if its body is not an object.
    ///
    /// ```no_run
    /// use agentgate::WorkspaceSource;
    ///
    /// # async fn example(client: agentgate::Client) -> agentgate::Result<()> {
    /// let order = client
    ///     .work_orders()
    ///     .create("Fix it", WorkspaceSource::template("python-flask"))
    ///     .extra_body("priority", "high")
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn extra_body(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.settings.options.extras.body.insert(name.into(), value.into());
        self
    }

    /// Sends the call, and returns the value with its status, headers, request id, attempts and rate limit.
    #[must_use = "a call does nothing until it is awaited"]
    pub fn with_response(self) -> CallFuture<Response<E::Output>> {
        Box::pin(self.respond())
    }

    async fn respond(mut self) -> Result<Response<E::Output>> {
        E::prepare(&mut self);
        self.endpoint.check().map_err(|error| error.with_operation(self.endpoint.operation()))?;
        let execution = self.begin(self.settings.clone());
        let result = self.send(&execution).await;
        E::resolve(&self, result, &execution).await
    }

    /// Sends the request as this execution.
    pub(super) async fn send(&self, execution: &Execution) -> Result<Response<E::Output>> {
        execution.send(self.endpoint.request(&execution.endpoints()), E::read).await
    }

    pub(super) fn begin(&self, settings: CallSettings) -> Execution {
        let (operation, description) = (self.endpoint.operation(), self.endpoint.description());
        Execution::new(&self.client.transport, operation, description, settings)
    }
}

impl<E: NotIdempotent> Call<E> {
    /// Retries this call even if an earlier attempt may have taken effect.
    ///
    /// **Risk:** the call may take effect twice. The results are two paid runs for one work order, a second webhook
    /// that is unknown to the program, or a conflict with the template that the first attempt created. Without this
    /// setting, the call returns the error, with [`may_have_reached_server`](crate::Error::may_have_reached_server).
    pub fn repeatable(mut self) -> Self {
        self.settings.repeatable = true;
        self
    }

    /// Sets the `Idempotency-Key` header, which all attempts of the call have. Defaults to a random key.
    ///
    /// The service does not document the header, so do not rely on it.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.settings.idempotency_key = Some(key.into());
        self
    }
}

impl<E: Endpoint> IntoFuture for Call<E> {
    type Output = Result<E::Output>;
    type IntoFuture = CallFuture<E::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.respond().await.map(Response::into_inner) })
    }
}

/// Shows the operation and the settings, and none of the content.
impl<E: Endpoint> fmt::Debug for Call<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("operation", &self.endpoint.operation())
            .field("description", &self.endpoint.description())
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Treats a deletion that finds nothing as a success if an earlier attempt may have had its effect.
pub(super) fn deleted(result: Result<Response<()>>) -> Result<Response<()>> {
    result.or_else(|error| {
        let is_done = error.is_not_found() && error.may_have_reached_server();
        if is_done { Ok(error.into_done()) } else { Err(error) }
    })
}

/// Refuses a value that would change the path.
pub(crate) fn check_segment(name: &str, value: &str) -> Result<()> {
    let problem = match value {
        value if value.trim().is_empty() => "is empty",
        "." | ".." => "is a relative path segment, not an id",
        value if value.contains(char::is_control) => "contains a control character, such as a line break",
        value if value.contains('\\') => "contains a backslash, which no id has",
        _ => return Ok(()),
    };
    Err(Error::invalid_request(format!("the {name} {problem}"), "Pass the id as the service returned it."))
}

/// Returns the request that a generated function has built.
pub(super) fn built(result: std::result::Result<Request, endpoints::Error<()>>) -> Result<Request> {
    result.map_err(|error| match error {
        endpoints::Error::CommunicationError(error) => Error::from_network(error, None, false),
        _ => Error::invalid_request("the request could not be built", "Look for unusual characters in its values."),
    })
}
