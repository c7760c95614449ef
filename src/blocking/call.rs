//! [`Call::send`], the blocking counterpart of `.await`.

use std::future::IntoFuture;

use super::run;
use super::runtime::Runtime;
use crate::{Error, Result, platform};

/// A call that can be sent without `async`.
///
/// Implemented for everything that can be awaited and returns this crate's [`Result`]: the calls of all resources,
/// [`with_response`](crate::resources::Call::with_response), [`wait`](crate::resources::Runs::wait), and futures of
/// your own `async fn`s.
///
/// ```no_run
/// use std::time::Duration;
///
/// use agentgate::blocking::{Call, Client};
///
/// # fn main() -> agentgate::Result<()> {
/// let client = Client::from_env()?;
/// let page = client.runs().list().limit(100).timeout(Duration::from_secs(5)).send()?;
/// let response = client.credits().balance().with_response().send()?;
/// println!("{} runs, {:?}", page.data.len(), response.rate_limit());
/// # Ok(())
/// # }
/// ```
pub trait Call {
    /// The value that the call returns.
    type Value;

    /// Sends the call and blocks until it has a result.
    ///
    /// Calls of an asynchronous [`agentgate::Client`](crate::Client) can be sent, too. Keep a blocking
    /// [`Client`](super::Client) while you send them: without one, connections are closed after each call.
    ///
    /// # Errors
    ///
    /// Returns the errors of the call. In an asynchronous context, returns
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) and sends nothing.
    fn send(self) -> Result<Self::Value>;
}

impl<C, T> Call for C
where
    C: IntoFuture<Output = Result<T, Error>>,
{
    type Value = T;

    fn send(self) -> Result<T> {
        let runtime = Runtime::shared()?;
        platform::polling_calls(|| run(&runtime, || self.into_future()))?
    }
}
