//! The blocking [`Client`].

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::runtime::Runtime;
use crate::{ClientBuilder, Result};

/// A client for AgentGate, for programs without `async`. See the [module documentation](super).
///
/// It dereferences to [`agentgate::Client`](crate::Client) and has all its methods. Calls are sent by
/// [`send`](super::Call::send). Create one client and clone it: clones are cheap and share connections.
///
/// ```no_run
/// use agentgate::blocking::{Call, Client};
///
/// # fn main() -> agentgate::Result<()> {
/// let client = Client::from_env()?;
/// let balance = client.credits().balance().send()?;
/// println!("{:?} cents left", balance.total_credits_cents);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    client: crate::Client,
    /// Keeps connections open between calls.
    _runtime: Arc<Runtime>,
}

impl Client {
    /// Creates a client for this API key. See [`agentgate::Client::new`](crate::Client::new).
    pub fn new(api_key: impl Into<String>) -> Result<Self> {
        Self::builder().api_key(api_key).build_blocking()
    }

    /// Creates a client for the key and the address in the environment. See
    /// [`agentgate::Client::from_env`](crate::Client::from_env).
    pub fn from_env() -> Result<Self> {
        Self::builder().from_env()?.build_blocking()
    }

    /// Returns a builder, to change settings before the client is created by
    /// [`build_blocking`](ClientBuilder::build_blocking).
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// Creates a client that shares settings, rate limit and connections with an asynchronous client.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if the background thread cannot be
    /// started.
    pub fn from_async(client: crate::Client) -> Result<Self> {
        Ok(Self { client, _runtime: Runtime::shared()? })
    }
}

impl ClientBuilder {
    /// Creates a blocking client.
    ///
    /// ```no_run
    /// use agentgate::blocking::Client;
    ///
    /// # fn main() -> agentgate::Result<()> {
    /// let client = Client::builder().api_key("org_live_xxxxxxxx").max_retries(5).build_blocking()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the errors of [`build`](Self::build), and [`ErrorKind::Configuration`](crate::ErrorKind::Configuration)
    /// if the background thread cannot be started.
    pub fn build_blocking(self) -> Result<Client> {
        Client::from_async(self.build()?)
    }
}

impl Deref for Client {
    type Target = crate::Client;

    fn deref(&self) -> &crate::Client {
        &self.client
    }
}

/// Shows the address, and never the key.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("blocking::Client").field("base_url", &self.base_url()).finish_non_exhaustive()
    }
}
