//! [`Replay`]: a client that gets its responses from a test.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::{Reply, TokioClock};
use crate::{Client, ClientBuilder, Error, Result};

/// A key that looks like one of the service.
const KEY: &str = "org_live_replay";

/// Responses for a client, in place of a server. It records the requests. Clones are the same replay.
///
/// Everything but the network is real: the request is built and sent through the rate limiter, failures are classified
/// and retried, and responses are decoded. So a program needs no trait in its signatures to be tested; it takes a
/// [`Client`].
///
/// ```
/// use agentgate::test_util::{Replay, Reply};
/// use agentgate::{Operation, WorkspaceSource};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> agentgate::Result<()> {
/// let replay = Replay::new([Reply::error("RATE_LIMITED"), Reply::example(Operation::CREATE_WORK_ORDER)]);
/// let client = replay.client()?;
/// # tokio::time::pause();
///
/// // With `#[tokio::test(start_paused = true)]`, the delay before the second attempt takes no time.
/// let order = client.work_orders().create("Fix it", WorkspaceSource::template("python-flask")).await?;
/// assert!(!order.run_id.as_str().is_empty());
///
/// let requests = replay.requests();
/// assert_eq!(requests.len(), 2);
/// assert_eq!(requests[1].uri().path(), "/v1/work-orders");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Replay(Arc<Inner>);

struct Inner {
    respond: Mutex<Box<Respond>>,
    requests: Mutex<Vec<http::Request<Bytes>>>,
}

type Respond = dyn FnMut(&http::Request<Bytes>) -> Option<Reply> + Send;

impl Replay {
    /// Creates a replay that gives these replies in their order, one for each attempt, retries and polls included. A
    /// request after the last fails with [`ErrorKind::Configuration`](crate::ErrorKind::Configuration).
    pub fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        let mut replies: VecDeque<_> = replies.into_iter().collect();
        Self::of(move |_| replies.pop_front())
    }

    /// Creates a replay that makes a reply of each request. This suits waits and parallel calls, whose requests come in
    /// no fixed order.
    ///
    /// ```
    /// use agentgate::Operation;
    /// use agentgate::test_util::{Replay, Reply};
    ///
    /// let replay = Replay::with(|request| match request.uri().path() {
    ///     "/v1/credits" => Reply::example(Operation::GET_CREDITS),
    ///     _ => Reply::error("RESOURCE_NOT_FOUND"),
    /// });
    /// # drop(replay);
    /// ```
    pub fn with(mut respond: impl FnMut(&http::Request<Bytes>) -> Reply + Send + 'static) -> Self {
        Self::of(move |request| Some(respond(request)))
    }

    fn of(respond: impl FnMut(&http::Request<Bytes>) -> Option<Reply> + Send + 'static) -> Self {
        Self(Arc::new(Inner { respond: Mutex::new(Box::new(respond)), requests: Mutex::default() }))
    }

    /// Returns a client that gets its responses from this replay: [`ClientBuilder::replay`], with the defaults for
    /// everything else.
    pub fn client(&self) -> Result<Client> {
        Client::builder().replay(self).build()
    }

    /// Returns the requests so far, in the order of their attempts.
    #[must_use]
    pub fn requests(&self) -> Vec<http::Request<Bytes>> {
        lock(&self.0.requests).clone()
    }

    fn respond(&self, request: &reqwest::Request) -> Result<reqwest::Response> {
        let request = recorded(request);
        lock(&self.0.requests).push(request.clone());
        let reply = lock(&self.0.respond)(&request);
        let reply = reply.ok_or_else(|| {
            let problem = format!("the replay has no reply left for {} {}", request.method(), request.uri());
            Error::configuration(problem, "Give it a reply for each attempt, retries and polls included.")
        })?;
        reply.into_response().map(Into::into)
    }
}

/// The request as it would be sent.
fn recorded(request: &reqwest::Request) -> http::Request<Bytes> {
    let body = request.body().and_then(reqwest::Body::as_bytes).map(Bytes::copy_from_slice);
    let mut recorded = http::Request::new(body.unwrap_or_default());
    *recorded.method_mut() = request.method().clone();
    // A URL is a URI, unless it is longer than one may be.
    *recorded.uri_mut() = request.url().as_str().parse().unwrap_or_default();
    *recorded.headers_mut() = request.headers().clone();
    recorded
}

impl ClientBuilder {
    /// Takes the responses from a replay, and sends nothing. Sets the [clock](Self::clock) to a [`TokioClock`], and
    /// sets a placeholder API key and base URL. Later calls of other setters override these.
    pub fn replay(mut self, replay: &Replay) -> Self {
        let replay = replay.clone();
        self.replay = Some(Arc::new(move |request| replay.respond(request)));
        self.api_key(KEY).base_url("http://127.0.0.1").clock(TokioClock::new())
    }
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay").field("requests", &lock(&self.0.requests).len()).finish_non_exhaustive()
    }
}

/// Locks the mutex. A panic of another test leaves the value valid.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
