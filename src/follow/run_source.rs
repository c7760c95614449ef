//! [`RunSource`]: the service, as far as following runs needs it.

use std::future::Future;
use std::pin::Pin;

use crate::types::{Run, RunId, RunPage, RunStatus};
use crate::{RateLimit, Response, Result};

pub(crate) type SourceFuture<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// The number of runs on a page, the most that the service allows.
pub(crate) const PAGE_SIZE: u32 = 100;

/// A source of runs. Each request is a single attempt: the poller has its own delays.
pub(crate) trait RunSource: Send + Sync + 'static {
    /// Fetches a page of [`PAGE_SIZE`], newest first, of the runs with this status or of all runs.
    fn page(&self, status: Option<RunStatus>, offset: u32) -> SourceFuture<Response<RunPage>>;

    fn run(&self, id: &RunId) -> SourceFuture<Response<Run>>;

    fn cancel(&self, id: &RunId) -> SourceFuture<()>;

    /// Returns the rate limit that the service last reported.
    fn rate_limit(&self) -> Option<RateLimit>;

    /// Returns the key for messages to other clients of this source.
    #[cfg(feature = "webhooks")]
    fn broadcast_key(&self) -> super::BroadcastKey;
}
