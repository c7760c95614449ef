//! The client: what a program holds, once, and clones freely.

mod base_url;
mod builder;
#[cfg_attr(target_family = "wasm", path = "fetch.rs")]
mod http;
#[cfg(all(feature = "rustls-ring", not(feature = "rustls")))]
mod tls;

use std::fmt;
use std::sync::Arc;

pub use builder::ClientBuilder;

use crate::follow::FollowState;
use crate::resources::{CallFuture, Submitted};
use crate::transport::{CallOptions, Transport};
use crate::{RateLimit, Result};

/// A client for AgentGate.
///
/// Make one and clone it: clones are cheap and share connections. It is `Send` and `Sync`.
///
/// ```no_run
/// # async fn example() -> agentgate::Result<()> {
/// let client = agentgate::Client::from_env()?;
/// let balance = client.credits().balance().await?;
/// println!("{} cents left", balance.total_credits_cents);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    pub(crate) transport: Arc<Transport>,
    pub(crate) submitted: Arc<Submitted>,
    pub(crate) follow: Arc<FollowState>,
    /// Options of all calls, where a call does not set its own.
    pub(crate) defaults: Option<Arc<CallOptions>>,
}

impl Client {
    /// A client for this API key, with the defaults of [`ClientBuilder`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if the key is empty or cannot stand in a header.
    ///
    /// ```no_run
    /// # fn main() -> agentgate::Result<()> {
    /// let client = agentgate::Client::new("org_live_xxxxxxxx")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(api_key: impl Into<String>) -> Result<Self> {
        Self::builder().api_key(api_key).build()
    }

    /// A client for the key in the environment variable `AGENTGATE_API_KEY`, at the address in `AGENTGATE_BASE_URL` if
    /// that is set.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if the key is not set, or either value cannot be used.
    ///
    /// ```no_run
    /// # fn main() -> agentgate::Result<()> {
    /// let client = agentgate::Client::from_env()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_env() -> Result<Self> {
        Self::builder().from_env()?.build()
    }

    /// A client to be set up step by step.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// Returns a client whose calls have these options. It shares everything else with this one: connections, rate limit, retry budget and
    /// the polls of waits.
    ///
    /// Options that are left open stay as they are in this client, and headers add up. The polls of waits do not have them, as waits share
    /// them.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use agentgate::{CallOptions, RateLimitMode};
    ///
    /// # async fn example(client: agentgate::Client) -> agentgate::Result<()> {
    /// let options = CallOptions::new().deadline(Duration::from_secs(2)).max_retries(0);
    /// let for_pages = client.with_options(options);
    /// let balance = for_pages.credits().balance().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_options(&self, options: CallOptions) -> Self {
        Self { defaults: Some(Arc::new(options.or(self.defaults.as_deref()))), ..self.clone() }
    }

    /// Returns the options of a new call.
    pub(crate) fn options(&self) -> CallOptions {
        self.defaults.as_deref().cloned().unwrap_or_default()
    }

    /// The address that calls go to, without a trailing slash.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.transport.base_url
    }

    /// Checks that the service can be reached at the base URL, and accepts the API key.
    ///
    /// It fetches the credit balance, which takes one request from the organization's rate limit and costs nothing else. The scope for
    /// it is `credits:read`; a key that lacks the scope is one that the service knows, so that is no failure.
    ///
    /// # Errors
    ///
    /// Those of all calls, after the client's retries: [`is_authentication`](crate::Error::is_authentication) if the key is not accepted,
    /// [`ErrorKind::OrganizationSuspended`](crate::ErrorKind::OrganizationSuspended) if nothing can be done with it,
    /// [`is_connect`](crate::Error::is_connect) if there is no connection, [`is_decode`](crate::Error::is_decode) or
    /// [`ErrorKind::UnexpectedStatus`](crate::ErrorKind::UnexpectedStatus) if something else responds at the address.
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
                // A proxy that forbids the request gives none of the service's codes.
                Err(error) if error.is_permission_denied() && error.code().is_some() => Ok(()),
                Err(error) => Err(error),
            }
        })
    }

    /// What the service last said of the organization's rate limit; nothing before the first answer. Clones know the same.
    #[must_use]
    pub fn rate_limit(&self) -> Option<RateLimit> {
        self.transport.limiter.known()
    }
}

/// Shows the address, and never the key.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base_url", &self.base_url()).finish_non_exhaustive()
    }
}
