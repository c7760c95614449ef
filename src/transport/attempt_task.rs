//! One attempt with its permit, in a task of its own.
//!
//! A call may be held unpolled after its first poll: by a stream that reads ahead while the loop's body runs, or by a
//! `select!` on `&mut call`. If only the caller polled the attempt, it would then stop in the middle of a TLS handshake
//! or a body while its time-outs went on, and would fail although the service had responded. In a task, the attempt
//! takes as long as the service takes. The limiter gets the response when it arrives, and the permit is held no longer
//! than the attempt's time-out. The rest of a call (retries, delays, callbacks) is polled by its caller.

use std::future::Future;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Request;

use super::Transport;
use super::middleware::{after, before};
use super::retry_after::requested_wait;
use super::submission_state::SentState;
use crate::platform::{Handle, JoinHandle};
use crate::rate_limit::Permit;
use crate::response::RawResponse;
use crate::run_until::run_until;
use crate::{Error, Operation, Result};

pub(super) struct AttemptTask {
    pub(super) transport: Arc<Transport>,
    pub(super) operation: Operation,
    pub(super) attempt: u32,
    pub(super) permit: Permit,
    pub(super) request: Request,
    pub(super) timeout: Duration,
    pub(super) sent: Option<Arc<SentState>>,
}

impl AttemptTask {
    /// Runs the attempt, and reports its result to the permit. Returns the response and the wait that it asks for.
    pub(super) async fn run(self) -> Result<(RawResponse, Option<Duration>)> {
        let Self { transport, operation, attempt, permit, mut request, timeout, sent } = self;
        let _held = transport.clock.hold();
        let stack = &transport.middleware;
        if !stack.is_empty() {
            let before = before(stack, operation, attempt, &mut request);
            let outcome = run_until(before, transport.clock.sleep(timeout)).await;
            if let Err(error) = outcome.unwrap_or_else(|| Err(Error::slow_middleware(timeout))) {
                permit.unsent();
                return Err(error);
            }
        }
        let result = transport.attempt(request, sent.as_ref()).await;
        let wait = match &result {
            Ok(response @ RawResponse { status, headers, .. }) => {
                let wait = requested_wait(*status, headers, transport.clock.now());
                permit.responded(*status, headers, wait);
                if let Some(sent) = sent.filter(|_| status.is_success() && !response.is_page()) {
                    sent.accepted();
                }
                wait
            }
            Err(error) => {
                if error.is_connect() {
                    permit.unsent();
                }
                None
            }
        };
        if !stack.is_empty() {
            let after = after(stack, operation, attempt, result.as_ref());
            // A middleware that takes too long does not change the result.
            run_until(after, transport.clock.sleep(timeout)).await;
        }
        result.map(|response| (response, wait))
    }
}

/// Runs a future in a task of its own, which is cancelled when the returned future is dropped.
pub(super) async fn in_task<T, F>(future: F) -> Result<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let Ok(runtime) = Handle::try_current() else {
        let advice = "Await it in a task of a tokio runtime, or use the blocking client.";
        return Err(Error::configuration("a call takes a tokio runtime, and there is none", advice));
    };
    let mut task = Task(runtime.spawn(future));
    match (&mut task.0).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            Err(_) => Err(Error::runtime_shut_down()),
        },
    }
}

/// A task that is cancelled on drop.
struct Task<T>(JoinHandle<T>);

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
