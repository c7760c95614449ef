//! [`RunFollower`]: subscribes to runs, and starts their pollers.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::mailbox::Mailbox;
use super::poller::Poller;
use super::run_source::RunSource;
use super::run_update::RunUpdate;
use super::state::FollowState;
use crate::platform::{self, Handle};
use crate::types::RunId;
use crate::{Error, Operation, Result};

#[derive(Clone)]
pub(crate) struct RunFollower {
    pub(super) state: Arc<FollowState>,
    pub(super) source: Arc<dyn RunSource>,
}

impl RunFollower {
    pub(crate) fn new(state: &Arc<FollowState>, source: impl RunSource) -> Self {
        Self { state: Arc::clone(state), source: Arc::new(source) }
    }

    /// Subscribes to the end of a run, or to every change.
    pub(super) fn subscribe(&self, id: &RunId, wants_changes: bool) -> Subscription {
        let (mailbox, now) = (Arc::<Mailbox>::default(), self.state.now());
        let number = self.state.update(|inner| {
            if inner.registry.is_empty() {
                inner.begin(now);
            }
            inner.has_changed = true;
            inner.registry.subscribe(id, Arc::clone(&mailbox), wants_changes, now)
        });
        Subscription { follower: self.clone(), id: id.clone(), number, mailbox }
    }

    /// Starts a poller on the current runtime, unless it has one.
    fn ensure_poller(&self) -> Result<()> {
        let problem = match Handle::try_current() {
            Ok(runtime) => {
                let Some(number) = self.state.lock().pollers.add(platform::runtime_id()) else { return Ok(()) };
                let poller = Poller { state: Arc::clone(&self.state), source: Arc::clone(&self.source), number };
                // A runtime that shuts down drops the task at once.
                drop(runtime.spawn(poller.run()));
                ("the tokio runtime is shutting down", "Wait on a runtime that keeps running.")
            }
            Err(_) => (
                "following a run requires a tokio runtime, and there is none",
                "Await it in a task of a tokio runtime, or use the blocking client.",
            ),
        };
        if self.state.lock().pollers.is_empty() {
            return Err(Error::configuration(problem.0, problem.1).with_operation(Operation::GET_RUN));
        }
        Ok(())
    }
}

/// A subscription to a run. Dropping it unsubscribes.
pub(super) struct Subscription {
    follower: RunFollower,
    id: RunId,
    number: u64,
    mailbox: Arc<Mailbox>,
}

impl Subscription {
    pub(super) async fn next(&mut self) -> Result<RunUpdate> {
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&self, context: &Context<'_>) -> Poll<Result<RunUpdate>> {
        // Before there is a poller, which may end in between and wakes those that wait.
        if let Poll::Ready(update) = self.mailbox.poll(context.waker().clone()) {
            return Poll::Ready(update);
        }
        // At each poll, which may be on another runtime than the one before.
        match self.follower.ensure_poller() {
            Ok(()) => Poll::Pending,
            // The poller may have ended with this run.
            Err(error) => Poll::Ready(self.mailbox.take().unwrap_or(Err(error))),
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.follower.state.update(|inner| inner.registry.unsubscribe(&self.id, self.number));
    }
}
