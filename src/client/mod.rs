//! [`Client`], the entry point, and its builder.

mod base_url;
mod builder;
#[cfg_attr(target_family = "wasm", path = "http_wasm.rs")]
mod http;
#[cfg(not(target_family = "wasm"))]
mod proxy;
mod submission_token;
#[cfg(all(feature = "rustls-ring", not(feature = "rustls")))]
mod tls;

use std::fmt;
use std::sync::Arc;

pub use self::builder::ClientBuilder;
pub(crate) use self::submission_token::KnownTokens;
pub use self::submission_token::SubmissionToken;
use crate::follow::FollowState;
use crate::transport::{CallOptions, Transport};
use crate::{RateLimit, Result};

/// A client for AgentGate.
///
/// Create one and clone it: clones are cheap, and share connections, rate limit and retry budget. It is `Send` and
/// `Sync`.
///
/// ```no_run
/// # async fn example() -> agentgate::Result<()> {
/// let client = agentgate::Client::from_env()?;
/// let balance = client.credits().balance().await?;
/// println!("{:?} cents left", balance.total_credits_cents);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    pub(crate) transport: Arc<Transport>,
    pub(crate) known_tokens: Arc<KnownTokens>,
    pub(crate) follow: Arc<FollowState>,
    /// The options of calls that do not set their own.
    pub(crate) defaults: Option<Arc<CallOptions>>,
}

impl Client {
    /// Creates a client for this API key, with the defaults of [`ClientBuilder`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if the key is empty or is not a valid header
    /// value.
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

    /// Creates a client for the key in the environment variable `AGENTGATE_API_KEY`, at the address in
    /// `AGENTGATE_BASE_URL` if that is set.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if the key is not set, or either value cannot be
    /// used.
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

    /// Returns a builder, to change settings before the client is created.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// Returns a client whose calls have these options. It shares everything else with this one: connections, rate
    /// limit, retry budget and the polls of waits.
    ///
    /// Options that are not set keep their value from this client. Headers are added to those of this client. The
    /// options do not apply to the polls of waits, because all waits share the polls.
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

    pub(crate) fn options(&self) -> CallOptions {
        self.defaults.as_deref().cloned().unwrap_or_default()
    }

    /// Returns the address that calls go to, without a trailing slash.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.transport.base_url
    }

    /// Returns the organization's rate limit as the last response reported it, to this client or a clone of it. `None`
    /// before the first response.
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
