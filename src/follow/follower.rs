//! [`RunFollower`]: subscribes to runs, and starts the poller for the first subscription.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::poller::Poller;
use super::run_registry::Subscriber;
use super::run_source::RunSource;
use super::run_update::RunUpdate;
use super::state::FollowState;
use crate::platform::Handle;
use crate::types::{RunId, RunStatus};
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

    pub(super) fn subscribe_end(&self, id: &RunId) -> Result<Subscription<oneshot::Receiver<Result<RunUpdate>>>> {
        let (sender, receiver) = oneshot::channel();
        self.subscribe(id, Subscriber::End(sender), receiver)
    }

    pub(super) fn subscribe_changes(
        &self,
        id: &RunId,
    ) -> Result<Subscription<mpsc::UnboundedReceiver<Result<RunUpdate>>>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.subscribe(id, Subscriber::Changes(sender), receiver)
    }

    fn subscribe<R>(&self, id: &RunId, subscriber: Subscriber, receiver: R) -> Result<Subscription<R>> {
        let Ok(runtime) = Handle::try_current() else {
            let advice = "Await it in a task of a tokio runtime, or use the blocking client.";
            return Err(configuration("following a run requires a tokio runtime, and there is none", advice));
        };
        let state = &self.state;
        let now = state.now();
        let mut inner = state.lock();
        let number = inner.registry.subscribe(id, subscriber, now);
        let begins = !inner.registry.is_empty() && !inner.is_polling;
        if begins {
            inner.is_polling = true;
            inner.generation += 1;
            let shortest_delay = inner.settings.shortest_delay;
            inner.scheduler.restart(now, shortest_delay);
            #[cfg(feature = "webhooks")]
            inner.outbox.wait_began();
        }
        let generation = inner.generation;
        drop(inner);
        let subscription = Subscription { state: Arc::clone(state), id: id.clone(), number, receiver };
        if !begins {
            state.changed.notify_one();
            return Ok(subscription);
        }
        // Not while the state is locked: a runtime that shuts down drops the task at once, and that locks the state.
        let poller = Poller { state: Arc::clone(state), source: Arc::clone(&self.source), generation };
        let task = runtime.spawn(poller.run()).abort_handle();
        let mut inner = state.lock();
        match (inner.generation == generation, inner.is_polling) {
            (true, true) => inner.poller = Some(task),
            (true, false) => {
                drop(inner);
                return Err(configuration(
                    "the tokio runtime is shutting down",
                    "Wait on a runtime that keeps running.",
                ));
            }
            (false, _) => task.abort(),
        }
        drop(inner);
        Ok(subscription)
    }

    /// Returns the last known status of an awaited run, whether it came from a cache, and the error of the last poll if
    /// that failed.
    pub(super) fn last_poll(&self, id: &RunId) -> (Option<RunStatus>, bool, Option<Error>) {
        let inner = self.state.lock();
        let (status, is_stale, failure) = inner.registry.last_poll(id);
        (status, is_stale, failure.or_else(|| inner.scheduler.list_failure.clone()))
    }
}

fn configuration(message: &str, advice: &'static str) -> Error {
    Error::configuration(message, advice).with_operation(Operation::GET_RUN)
}

/// A subscription to a run. Dropping it unsubscribes.
pub(super) struct Subscription<R> {
    state: Arc<FollowState>,
    id: RunId,
    number: u64,
    pub(super) receiver: R,
}

impl<R> Drop for Subscription<R> {
    fn drop(&mut self) {
        let mut inner = self.state.lock();
        inner.registry.unsubscribe(&self.id, self.number);
        inner.stop_if_idle();
    }
}
