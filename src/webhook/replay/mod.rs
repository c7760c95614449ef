//! [`ReplayGuard`] and [`once`]: handle each event once.
//!
//! The service delivers an event again when the response to the first delivery was late, and sometimes without a
//! reason. Because the signature covers no time, an intercepted delivery can be sent again. Both are events with a
//! known id.
//!
//! A list of ids is not enough. A receiver that stores the id first and then fails has lost the event, because the
//! retry counts as a duplicate. One that stores it last handles two concurrent deliveries twice. So an event is first
//! **claimed** for the time of a lease, and then **completed** or **released**. [`once`] does all three. The token of a
//! claim keeps a handler that took longer than its lease from releasing the claim of another.

mod claim_token;
mod memory;
mod once;
#[cfg(feature = "redis")]
mod redis;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

pub use self::claim_token::ClaimToken;
pub use self::memory::MemoryReplayGuard;
pub use self::once::{Once, OnceError, once};
#[cfg(feature = "redis")]
pub use self::redis::RedisReplayGuard;

use crate::error_causes;
use crate::types::EventId;

/// The default lease: four times the service's time limit for a response.
const LEASE: Duration = Duration::from_secs(2 * 60);

/// The default retention. The service does not document for how long it retries.
const RETENTION: Duration = Duration::from_secs(3 * 24 * 60 * 60);

/// The future of an operation of a [`ReplayGuard`].
pub type GuardFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, GuardError>> + Send + 'a>>;

/// A store of the events that were handled.
///
/// [`MemoryReplayGuard`] is for one process, `RedisReplayGuard` (feature `redis`) for several. Implement the trait for
/// another store by three atomic operations.
///
/// [`once`] claims, completes and releases. [`first_time`](Self::first_time) is for receivers that may lose an event
/// when they fail.
pub trait ReplayGuard: Send + Sync {
    /// Claims an event for this token until the lease expires.
    ///
    /// If the same token has claimed the event already, because an earlier response of the store was lost, returns
    /// [`Claim::First`] and does not extend the lease. If this fails, the claim may have been made nevertheless;
    /// [`release`](Self::release) removes it.
    fn claim<'a>(&'a self, event_id: &'a EventId, token: &'a ClaimToken) -> GuardFuture<'a, Claim>;

    /// Records that the event was handled, even if it is not claimed. Until the retention ends,
    /// [`claim`](Self::claim) returns [`Claim::Handled`] for it.
    fn complete<'a>(&'a self, event_id: &'a EventId) -> GuardFuture<'a, ()>;

    /// Removes a claim, so that a retry of the event is handled. Does nothing if another token has the claim, or if the
    /// event was handled; this is not an error. The comparison and the removal have to be one atomic step.
    fn release<'a>(&'a self, event_id: &'a EventId, token: &'a ClaimToken) -> GuardFuture<'a, ()>;

    /// Returns whether the event is new, and records it as handled.
    ///
    /// If the receiver fails after this, the service's retry counts as a duplicate. [`once`] avoids this.
    ///
    /// ```
    /// use agentgate::webhook::{MemoryReplayGuard, ReplayGuard};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let guard = MemoryReplayGuard::new();
    /// assert!(guard.first_time(&"evt_1".into()).await?);
    /// assert!(!guard.first_time(&"evt_1".into()).await?);
    /// # Ok(())
    /// # }
    /// ```
    fn first_time<'a>(&'a self, event_id: &'a EventId) -> GuardFuture<'a, bool> {
        Box::pin(async move {
            let first = self.claim(event_id, &ClaimToken::new()).await? == Claim::First;
            if first {
                self.complete(event_id).await?;
            }
            Ok(first)
        })
    }
}

impl<G: ReplayGuard + ?Sized> ReplayGuard for Arc<G> {
    fn claim<'a>(&'a self, event_id: &'a EventId, token: &'a ClaimToken) -> GuardFuture<'a, Claim> {
        (**self).claim(event_id, token)
    }

    fn complete<'a>(&'a self, event_id: &'a EventId) -> GuardFuture<'a, ()> {
        (**self).complete(event_id)
    }

    fn release<'a>(&'a self, event_id: &'a EventId, token: &'a ClaimToken) -> GuardFuture<'a, ()> {
        (**self).release(event_id, token)
    }

    fn first_time<'a>(&'a self, event_id: &'a EventId) -> GuardFuture<'a, bool> {
        (**self).first_time(event_id)
    }
}

/// The result of claiming an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Claim {
    /// The claim was made: the caller handles the event.
    First,
    /// Another token has claimed the event. Its handler is running, or has stopped without a release; then the lease
    /// expires.
    InProgress,
    /// The event was handled.
    Handled,
}

/// The error of an operation of a [`ReplayGuard`]: its store does not respond, or is full.
///
/// Respond to a delivery whose event could not be claimed with 503, so that the service delivers it again.
pub struct GuardError(Box<dyn std::error::Error + Send + Sync>);

impl GuardError {
    /// Creates an error from its reason.
    pub fn new(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for GuardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the replay guard failed: {}", self.0)
    }
}

/// The text of `Display`, because a `main` that returns the error prints this.
impl fmt::Debug for GuardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for GuardError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // The text of this error contains the reason.
        error_causes::unnamed(&self.0.to_string(), self.0.source())
    }
}
