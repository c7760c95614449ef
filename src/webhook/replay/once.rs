//! [`once`]: claims an event, handles it, and completes or releases the claim.

use std::fmt;

use http::StatusCode;

use super::{Claim, ClaimToken, GuardError, ReplayGuard};
use crate::error_causes;
use crate::types::EventId;

/// Handles an event unless it was handled before or is being handled.
///
/// The handler is a future, which runs only for the first delivery. If it succeeds, the event is complete, and later
/// deliveries are duplicates. If it fails, the event is released, and the service's retry is handled. If it does not
/// end (it panicked, the service closed the connection and the framework dropped it, the machine stopped), the lease
/// expires, and the retry after that is handled.
///
/// ```
/// use agentgate::webhook::{Event, MemoryReplayGuard, Once, once};
///
/// async fn handle(event: &Event) -> Result<(), std::io::Error> {
///     // ... store the outcome, notify the tenant ...
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
/// # Guarantees
///
/// The handler succeeds once for each event, provided that it takes less time than the lease (2 minutes by default) and
/// that the guard is available. No event is lost, provided that the service retries for longer than the lease. An event
/// is handled again if
///
/// - this future is dropped, or the process ends, after the handler succeeded and before the event is completed;
/// - the guard failed to complete it, twice: the result is still [`Once::Handled`], and a warning is logged (feature
///   `tracing`);
/// - it is delivered again after the guard has forgotten it: after the retention; with a
///   [`MemoryReplayGuard`](super::MemoryReplayGuard) also after a restart, or after more events than its capacity; with
///   a `RedisReplayGuard` also if Redis has lost it, by a restart without persistence, by eviction or by a failover.
///
/// So a handler with external effects should be idempotent by the event's id.
///
/// Run a handler in a task of its own if it must not be dropped when the sender closes the connection:
/// `tokio::spawn(async move { once(&guard, &event.id, handle(&event)).await }).await`.
///
/// # Errors
///
/// If the handler fails, or if the guard fails to claim the event; then the handler did not run. Respond to either with
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
    log(
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
            // The claim may have been made, and would delay the retry until its lease expires.
            let _ = guard.release(event_id, &token).await;
            return Err(OnceError::Guard(error));
        }
    }
    match handler.await {
        Ok(value) => {
            // A second attempt may use a new connection. An error in the result would make the service deliver the
            // event again.
            let completed = match guard.complete(event_id).await {
                Err(_) => guard.complete(event_id).await,
                completed => completed,
            };
            if let Err(error) = completed {
                warn(event_id, &error, "an event was handled, and could not be completed");
            }
            Ok(Once::Handled(value))
        }
        Err(error) => {
            if let Err(error) = guard.release(event_id, &token).await {
                warn(event_id, &error, "an event could not be released; its claim has to expire");
            }
            Err(OnceError::Handler(error))
        }
    }
}

#[cfg_attr(not(feature = "tracing"), allow(unused_variables, reason = "there is no log"))]
fn log(event_id: &EventId, outcome: &str) {
    #[cfg(feature = "tracing")]
    tracing::debug!(event.id = %event_id, outcome, "a webhook event was delivered");
}

#[cfg_attr(not(feature = "tracing"), allow(unused_variables, reason = "there is no log"))]
fn warn(event_id: &EventId, error: &GuardError, problem: &str) {
    #[cfg(feature = "tracing")]
    tracing::warn!(event.id = %event_id, error = %error, "{problem}");
}

/// The result of [`once`].
///
/// With the features `axum` and `actix-web`, it is a response with its [`status`](Self::status) and no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Once<T> {
    /// The handler succeeded with this value.
    Handled(T),
    /// The event was handled before.
    Duplicate,
    /// The handler of another delivery is running, and may fail.
    InProgress,
}

impl<T> Once<T> {
    /// Returns the status of the response: 204 if the event was handled, now or before; 503 while another delivery is
    /// being handled, so that the service retries if the handler of that one fails.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Handled(_) | Self::Duplicate => StatusCode::NO_CONTENT,
            Self::InProgress => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// The error of [`once`].
///
/// With the features `axum` and `actix-web`, it is a response with its [`status`](Self::status) and no body; the reason
/// is logged as an error (feature `tracing`).
#[derive(Debug)]
pub enum OnceError<E> {
    /// The guard failed to claim the event. The handler did not run.
    Guard(GuardError),
    /// The handler failed.
    Handler(E),
}

impl<E> OnceError<E> {
    /// Returns the status of the response: 503 if the guard failed, 500 if the handler failed. The service retries
    /// after either.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Guard(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Handler(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

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
    // The text of this error contains that of either.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Guard(error) => error.source(),
            Self::Handler(error) => error_causes::unnamed(&error.to_string(), error.source()),
        }
    }
}
