//! Handling each event once.
//!
//! The service delivers an event again when the first delivery was not answered in time, and at times for no reason at all. And
//! because the signature covers no time, whoever gets hold of a delivery can send it again for ever. Both look the same to a
//! receiver: an event whose id it has seen.
//!
//! Remembering ids is not enough, though. A receiver that notes the id first and then fails has lost the event, as the retry is
//! taken for a duplicate; one that notes it last handles two deliveries that come at the same time twice. So an event is first
//! **claimed**, for the length of a lease, and then **completed** or **released**. [`once`] does all three. A claim has an owner, by
//! its token: who is late must not release what is another's by now.

mod memory;
mod once;
#[cfg(feature = "redis")]
mod redis;
mod token;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

pub use self::memory::MemoryReplayGuard;
pub use self::once::{Once, OnceError, once};
#[cfg(feature = "redis")]
pub use self::redis::RedisReplayGuard;
pub use self::token::ClaimToken;

use crate::causes;
use crate::types::EventId;

/// How long a claim lasts by default: four times what the service waits for an answer.
const LEASE: Duration = Duration::from_secs(2 * 60);

/// How long an event is remembered by default: three days. The service does not document for how long it retries.
const RETENTION: Duration = Duration::from_secs(3 * 24 * 60 * 60);

/// What a [`ReplayGuard`] answers.
pub type GuardFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, GuardError>> + Send + 'a>>;

/// Remembers which events were handled.
///
/// [`MemoryReplayGuard`] serves one process, `RedisReplayGuard` (feature `redis`) any number of them. Implement it for
/// another store by three operations, each of them atomic.
///
/// Use it by [`once`], which claims, completes and releases; or by [`first_time`](Self::first_time) if an event that is lost when
/// the receiver fails is no harm.
pub trait ReplayGuard: Send + Sync {
    /// Claims an event for the length of a lease, so that nobody else handles it meanwhile. The token says whose the claim is.
    ///
    /// If the event is claimed by the same token already, this is [`Claim::First`], too, and the lease goes on as it is: an earlier
    /// answer was lost on the way. If this fails, the claim may have been made all the same; [`release`](Self::release) undoes it.
    fn claim<'a>(&'a self, event_id: &'a EventId, token: &'a ClaimToken) -> GuardFuture<'a, Claim>;

    /// Notes that the event was handled, whoever claims it. From now on it is [`Claim::Handled`], until the guard forgets it.
    fn complete<'a>(&'a self, event_id: &'a EventId) -> GuardFuture<'a, ()>;

    /// Gives a claim back, so that a retry of the event is handled. A claim by another token stays, as its owner is at work; so does
    /// an event that was handled. Neither is an error. The comparison and the removal have to be one atomic step.
    fn release<'a>(&'a self, event_id: &'a EventId, token: &'a ClaimToken) -> GuardFuture<'a, ()>;

    /// Whether this is the first time that the guard hears of the event. It is taken for handled from now on.
    ///
    /// If the receiver fails after this, the service's retry is taken for a duplicate: [`once`] has no such gap.
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

macro_rules! guard_by_pointer {
    ($pointer:ident) => {
        impl<G: ReplayGuard + ?Sized> ReplayGuard for $pointer<G> {
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
    };
}

guard_by_pointer!(Arc);
guard_by_pointer!(Box);

/// What became of an attempt to claim an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The event is the caller's to handle.
    First,
    /// Somebody handles it at this moment, or failed to without saying so; then the lease runs out.
    InProgress,
    /// It was handled.
    Handled,
}

/// A replay guard could not claim, complete or release an event: its store does not answer, or is full.
///
/// Answer a delivery whose event could not be claimed with 503, so that the service delivers it again.
pub struct GuardError(Box<dyn std::error::Error + Send + Sync>);

impl GuardError {
    /// An error for this reason.
    pub fn new(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for GuardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the replay guard failed: {}", self.0)
    }
}

/// The text: what a program prints whose `main` returns the error is for people, too.
impl fmt::Debug for GuardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for GuardError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // What is displayed has named the reason.
        causes::unnamed(&self.0.to_string(), self.0.source())
    }
}
