//! The methods of [`Client`] that make calls, and its polls for waits.

use http::Method;

use super::{Call, CallFuture, ListEndpoint, ListRuns, RawRequest};
use crate::follow::{PAGE_SIZE, RunFollower, RunSource, SourceFuture};
use crate::types::{Run, RunId, RunPage, RunStatus};
use crate::{Client, RateLimit, Response};

impl Client {
    /// Checks that the service can be reached at the base URL, and accepts the API key.
    ///
    /// It fetches the credit balance, which takes one request from the organization's rate limit and costs nothing
    /// else. The scope for it is `credits:read`; a key that lacks the scope is one that the service knows, so that is
    /// no failure.
    ///
    /// # Errors
    ///
    /// Those of all calls, after the client's retries: [`is_authentication`](crate::Error::is_authentication) if the
    /// key is not accepted, [`ErrorKind::OrganizationSuspended`](crate::ErrorKind::OrganizationSuspended) if nothing
    /// can be done with it, [`is_connect`](crate::Error::is_connect) if there is no connection,
    /// [`is_decode`](crate::Error::is_decode) or [`ErrorKind::UnexpectedStatus`](crate::ErrorKind::UnexpectedStatus) if
    /// something else responds at the address.
    ///
    /// ```no_run
    /// # async fn example() -> agentgate::Result<()> {
    /// let client = agentgate::Client::from_env()?;
    /// client.ping().await?; // fail at the start rather than at the first work order
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "a call does nothing until it is awaited"]
    pub fn ping(&self) -> CallFuture<()> {
        let balance = self.credits().balance();
        Box::pin(async move {
            match balance.await {
                Ok(_) => Ok(()),
                Err(error) if error.is_permission_denied() => Ok(()),
                Err(error) => Err(error),
            }
        })
    }

    /// Returns a request to a path of the service, for what this version of the crate has no call for.
    ///
    /// Like every call, it has the API key, the rate limiter, retries, deadlines, errors and tracing. It sends and
    /// reads plain JSON.
    ///
    /// The path begins with a slash and is put behind the [base URL](Self::base_url). Its segments stand as in a URL,
    /// so an id with unusual characters has to be encoded. The query is set by [`query`](Call::query).
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
    pub fn request(&self, method: Method, path: impl Into<String>) -> Call<RawRequest> {
        Call::new(self, RawRequest { method, path: path.into(), body: None })
    }

    pub(super) fn follower(&self) -> RunFollower {
        // Waits share their polls, so the options of one are not those of the others.
        RunFollower::new(&self.follow, Self { defaults: None, ..self.clone() })
    }
}

/// Polls are single attempts, which take nothing from the retry budget of other calls.
impl RunSource for Client {
    fn page(&self, status: Option<RunStatus>, offset: u32) -> SourceFuture<Response<RunPage>> {
        const { assert!(PAGE_SIZE == ListRuns::PAGE, "the largest page of runs") };
        let call = self.runs().list().limit(PAGE_SIZE).offset(offset).max_retries(0);
        match status {
            Some(status) => call.status(status).with_response(),
            None => call.with_response(),
        }
    }

    fn run(&self, id: &RunId) -> SourceFuture<Response<Run>> {
        self.runs().get(id).max_retries(0).with_response()
    }

    fn cancel(&self, id: &RunId) -> SourceFuture<()> {
        let cancel = self.runs().cancel(id);
        Box::pin(async move { cancel.await.map(|_| ()) })
    }

    fn rate_limit(&self) -> Option<RateLimit> {
        self.rate_limit()
    }
    #[cfg(feature = "webhooks")]
    fn broadcast_key(&self) -> crate::follow::BroadcastKey {
        crate::follow::BroadcastKey::new(self.transport.key(), &self.transport.base_url)
    }
}
