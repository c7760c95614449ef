//! The client: what a program holds, once, and clones freely.

mod base_url;
mod builder;
#[cfg(all(feature = "rustls-ring", not(feature = "rustls")))]
mod tls;

use std::fmt;
use std::sync::Arc;

pub use builder::ClientBuilder;

use crate::follow::Follow;
use crate::resources::{Credits, Runs, Submitted, Templates, Webhooks, WorkOrders};
use crate::transport::Transport;
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
    pub(crate) follow: Arc<Follow>,
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

    /// The address that calls go to, without a trailing slash.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.transport.base_url
    }

    /// What the service last said of the organization's rate limit; nothing before the first answer. Clones know the same.
    #[must_use]
    pub fn rate_limit(&self) -> Option<RateLimit> {
        self.transport.limiter.known()
    }

    /// Work orders: what an agent is asked to do.
    #[must_use]
    pub fn work_orders(&self) -> WorkOrders {
        WorkOrders::new(self.clone())
    }

    /// Runs: an agent at work on a work order.
    #[must_use]
    pub fn runs(&self) -> Runs {
        Runs::new(self.clone())
    }

    /// Credits: what runs cost.
    #[must_use]
    pub fn credits(&self) -> Credits {
        Credits::new(self.clone())
    }

    /// Webhooks: where the service reports to.
    #[must_use]
    pub fn webhooks(&self) -> Webhooks {
        Webhooks::new(self.clone())
    }

    /// Templates: workspaces to start from.
    #[must_use]
    pub fn templates(&self) -> Templates {
        Templates::new(self.clone())
    }
}

/// Shows the address, and never the key.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base_url", &self.base_url()).finish_non_exhaustive()
    }
}
