//! Claim, handle, complete.

use std::fmt;

use http::StatusCode;

use super::{Claim, ClaimToken, GuardError, ReplayGuard};
use crate::causes;
use crate::types::EventId;

/// Handles an event unless it was handled before, or is being handled.
///
/// The handler is a future, and runs for the first delivery alone. If it succeeds, the event is complete, and later
/// deliveries are duplicates. If it fails, the event is released, and the service's retry is handled. If it ends in neither
/// way (it panicked, the service hung up and the framework dropped it, the machine died), the claim runs out with its
/// lease, and the retry after that is handled.
///
/// ```
/// use agentgate::webhook::{Event, MemoryReplayGuard, Once, once};
///
/// async fn handle(event: &Event) -> Result<(), std::io::Error> {
///     // ... note the outcome, tell the tenant ...
///     # Ok(())
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let event = Event::parse_unverified(br#"{"id": "evt_1", "type": "run.completed", "data": {}}"#)?;
/// let guard = MemoryReplayGuard::new();
/// assert_eq!(once(&guard, &event.id, handle(&event)).await?, Once::Handled(()));
/// assert_eq!(once(&guard, &event.id, handle(&event)).await?, Once::Duplicate);
/// # Ok(())
/// # }
/// ```
///
/// # What it promises
///
/// Each event is handled to its end once, as long as no handler takes longer than the lease and the guard can be reached to note
/// it; and none is lost, as long as the service retries for longer than the lease. An event is handled again if
///
/// - this future is dropped, or the process ends, after the handler succeeded and before that is noted;
/// - the guard could not note it, twice (then the outcome is still [`Once::Handled`], and with the feature `tracing` a warning says so);
/// - it is delivered again when the guard has forgotten it: after the retention; with a [`MemoryReplayGuard`](super::MemoryReplayGuard)
///   also after a restart, or when more events than its capacity came since; with a `RedisReplayGuard` also when Redis has lost it, by a
///   restart without persistence, by eviction or by a failover.
///
/// So a handler with effects outside should be idempotent by the event's id.
///
/// A handler that must not be dropped when the sender hangs up belongs in a task of its own, with the note of its success:
/// `tokio::spawn(async move { once(&guard, &event.id, handle(&event)).await }).await`.
///
/// # Errors
///
/// If the handler fails, or the guard cannot tell whether the event is new; then the handler did not run. Answer either with
/// [`OnceError::status`], so that the service delivers the event again.
pub async fn once<G, T, E>(
    guard: &G,
    event_id: &EventId,
    handler: impl Future<Output = Result<T, E>>,
) -> Result<Once<T>, OnceError<E>>
where
    G: ReplayGuard + ?Sized,
{
    let outcome = claim_and_handle(guard, event_id, handler).await;
    tell(
        event_id,
        match &outcome {
            Ok(Once::Handled(_)) => "handled",
            Ok(Once::Duplicate) => "duplicate",
            Ok(Once::InProgress) => "in progress",
            Err(OnceError::Guard(_)) => "the guard failed",
            Err(OnceError::Handler(_)) => "the handler failed",
        },
    );
    outcome
}

async fn claim_and_handle<G, T, E>(
    guard: &G,
    event_id: &EventId,
    handler: impl Future<Output = Result<T, E>>,
) -> Result<Once<T>, OnceError<E>>
where
    G: ReplayGuard + ?Sized,
{
    let token = ClaimToken::new();
    match guard.claim(event_id, &token).await {
        Ok(Claim::First) => {}
        Ok(Claim::InProgress) => return Ok(Once::InProgress),
        Ok(Claim::Handled) => return Ok(Once::Duplicate),
        Err(error) => {
            // Perhaps it was the answer alone that failed. The claim would be nobody's, and hold up the retry until its lease runs out.
            let _ = guard.release(event_id, &token).await;
            return Err(OnceError::Guard(error));
        }
    }
    match handler.await {
        Ok(value) => {
            // What is done is done: to answer with an error now would ask for the event again.
            // And to forget it would be to handle it again, so that it is noted on a second connection if it takes one.
            let noted = match guard.complete(event_id).await {
                Err(_) => guard.complete(event_id).await,
                noted => noted,
            };
            if let Err(error) = noted {
                warn(event_id, &error, "an event was handled, and could not be noted as such");
            }
            Ok(Once::Handled(value))
        }
        Err(error) => {
            if let Err(error) = guard.release(event_id, &token).await {
                warn(event_id, &error, "an event could not be released; its claim has to run out");
            }
            Err(OnceError::Handler(error))
        }
    }
}

/// Leaves for the receiver's log what became of which event.
#[cfg_attr(not(feature = "tracing"), allow(unused_variables, reason = "there is no log"))]
fn tell(event_id: &EventId, outcome: &str) {
    #[cfg(feature = "tracing")]
    tracing::debug!(event.id = %event_id, outcome, "a webhook event was delivered");
}

/// Leaves for the receiver's log what the outcome does not tell.
#[cfg_attr(not(feature = "tracing"), allow(unused_variables, reason = "there is no log"))]
fn warn(event_id: &EventId, error: &GuardError, what: &str) {
    #[cfg(feature = "tracing")]
    tracing::warn!(event.id = %event_id, error = %error, "{what}");
}

/// What became of an event in [`once`].
///
/// With the features `axum` and `actix-web` it is a response with its [`status`](Self::status) and no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Once<T> {
    /// It was handled now, with this value.
    Handled(T),
    /// It was handled before.
    Duplicate,
    /// Another delivery of it is being handled, and may yet fail.
    InProgress,
}

impl<T> Once<T> {
    /// The status to answer with: 204 if the event was handled, now or before; 503 while another delivery is being handled, so that
    /// the service comes again in case that one fails. (It might take a 4xx for the last word.)
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Handled(_) | Self::Duplicate => StatusCode::NO_CONTENT,
            Self::InProgress => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// Why [`once`] failed.
///
/// With the features `axum` and `actix-web` it is a response with its [`status`](Self::status) and no body; the reason is an error
/// by `tracing` if that feature is on.
#[derive(Debug)]
pub enum OnceError<E> {
    /// The guard cannot tell whether the event is new. The handler did not run.
    Guard(GuardError),
    /// The handler failed.
    Handler(E),
}

impl<E> OnceError<E> {
    /// The status to answer with: 503 if the guard does not work, 500 if the handler failed. The service delivers again after
    /// either.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Guard(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Handler(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Leaves the reason for the receiver's log; the sender gets none.
    #[cfg(any(feature = "axum", feature = "actix-web"))]
    #[cfg_attr(not(feature = "tracing"), expect(clippy::unused_self, reason = "there is no log"))]
    pub(in crate::webhook) fn log(&self)
    where
        E: fmt::Display,
    {
        #[cfg(feature = "tracing")]
        tracing::error!(error = %self, status = self.status().as_u16(), "a webhook event was not handled");
    }
}

impl<E: fmt::Display> fmt::Display for OnceError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Guard(error) => error.fmt(f),
            Self::Handler(error) => write!(f, "the event was not handled: {error}"),
        }
    }
}

impl<E: std::error::Error> std::error::Error for OnceError<E> {
    // Either is displayed already, and only what is behind it is new.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Guard(error) => error.source(),
            Self::Handler(error) => causes::unnamed(&error.to_string(), error.source()),
        }
    }
}
