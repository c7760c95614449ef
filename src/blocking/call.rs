//! `send`, in place of `.await`.

use std::future::IntoFuture;

use super::runtime::Runtime;
use super::{check_place, run};
use crate::{Error, Result};

/// Sends a call, and waits for what comes of it.
///
/// Everything has it that can be awaited and gives this crate's [`Result`]: each call of each resource, its
/// [`with_response`](crate::resources::Call::with_response), [`wait`](crate::resources::Runs::wait), and an `async fn` of your own.
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
    /// What the call gives.
    type Value;

    /// Sends the call, and waits for what comes of it.
    ///
    /// It works for calls of an [`agentgate::Client`](crate::Client), too. Hold a blocking [`Client`](super::Client) meanwhile: without
    /// one, connections last only as long as the call.
    ///
    /// # Errors
    ///
    /// Those of the call; and [`ErrorKind::Configuration`](crate::ErrorKind::Configuration), without having sent anything, on a thread
    /// that drives an async runtime.
    fn send(self) -> Result<Self::Value>;
}

impl<C, T> Call for C
where
    C: IntoFuture<Output = Result<T, Error>>,
{
    type Value = T;

    fn send(self) -> Result<T> {
        check_place()?;
        run(&Runtime::shared()?, || self.into_future())
    }
}
