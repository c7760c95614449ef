//! [`Follow`]: what the clones of a client share to follow runs, and [`RunFollower`]: a handle to it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::{Notify, mpsc, oneshot};

#[cfg(feature = "webhooks")]
use super::broadcast::{Sharing, warn};
use super::poll_budget::{self, PollBudget};
use super::poller::Poller;
use super::registry::{RunRegistry, Subscriber};
use super::rounds::{Rounds, Step};
use super::run_update::RunUpdate;
use super::source::RunSource;
use super::webhook_health::WebhookHealth;
use crate::clock::Clock;
use crate::platform::{AbortHandle, Handle};
use crate::types::{RunId, RunStatus};
use crate::{Error, Operation, RateLimit, Result};

/// The settings of a client's polling.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) share: f64,
    pub(super) fallback_share: f64,
    pub(super) shortest_delay: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { share: 0.25, fallback_share: 0.05, shortest_delay: Duration::from_secs(2) }
    }
}

/// The state that the clones of a client share to follow runs.
pub(crate) struct Follow {
    pub(super) clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// There may be something to do sooner than the poller thought.
    pub(super) changed: Notify,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) settings: Settings,
    pub(super) registry: RunRegistry,
    pub(super) rounds: Rounds,
    pub(super) health: WebhookHealth,
    budget: PollBudget,
    #[cfg(feature = "webhooks")]
    pub(super) sharing: Sharing,
    /// The task that polls, and a number that tells it from earlier ones.
    pub(super) task: Option<AbortHandle>,
    pub(super) is_polling: bool,
    pub(super) generation: u64,
}

impl State {
    pub(super) fn step(&mut self, rate_limit: Option<RateLimit>, time: DateTime<Utc>, now: Duration) -> Step {
        self.health.expire(now);
        let Settings { share, fallback_share, shortest_delay } = self.settings;
        let share = if self.health.is_healthy() { share.min(fallback_share) } else { share };
        // The limit is the organization's, so all that poll have parts of one share.
        #[cfg(feature = "webhooks")]
        let share = share / (1.0 + f64::from(self.sharing.replicas(now)));
        let rate = poll_budget::rate(share, rate_limit, time);
        self.budget.pay(now, rate);
        let step = self.rounds.step(&mut self.registry, &mut self.budget, rate, shortest_delay, now);
        match (step, self.health.expires_at()) {
            (Step::Wait(delay), Some(at)) => Step::Wait(delay.min(at.saturating_sub(now))),
            (step, _) => step,
        }
    }

    /// Ends the polling if nobody waits any more.
    pub(super) fn stop_if_idle(&mut self) {
        if self.registry.is_empty() && self.is_polling {
            self.is_polling = false;
            self.generation += 1;
            if let Some(task) = self.task.take() {
                task.abort();
            }
        }
    }
}

impl Follow {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Mutex::default(), changed: Notify::new() }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    /// Takes note of a status that the response to a submission or a cancellation tells.
    pub(crate) fn learn_status(&self, id: &RunId, status: &RunStatus) {
        let now = self.now();
        let mut state = self.state();
        state.registry.learn(RunUpdate::of_status(id.clone(), status.clone()), now);
        state.stop_if_idle();
    }

    /// Takes note of an event that was delivered.
    #[cfg(feature = "webhooks")]
    pub(super) fn learn_event(&self, event: &crate::webhook::Event) {
        let Some((_, Some(update))) = RunUpdate::from_event(event) else { return };
        if self.state().sharing.publish((&update).into()) {
            warn("too many deliveries wait to be shared with the other replicas", "the queue is full");
        }
        self.learn_delivery(update);
    }

    /// Takes note of what a delivery told, here or elsewhere.
    #[cfg(feature = "webhooks")]
    pub(super) fn learn_delivery(&self, update: RunUpdate) {
        let now = self.now();
        let mut state = self.state();
        if update.is_final {
            let was_healthy = state.health.is_healthy();
            let is_awaited = state.registry.contains(&update.id);
            state.health.delivered(&update.id, is_awaited);
            if was_healthy != state.health.is_healthy() {
                self.changed.notify_one();
            }
        }
        state.registry.learn(update, now);
        state.stop_if_idle();
    }
}

impl fmt::Debug for Follow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follow").finish_non_exhaustive()
    }
}

/// A handle to follow runs: what is shared, and the source to poll.
#[derive(Clone)]
pub(crate) struct RunFollower {
    pub(super) follow: Arc<Follow>,
    pub(super) source: Arc<dyn RunSource>,
}

impl RunFollower {
    pub(crate) fn new(follow: &Arc<Follow>, source: impl RunSource) -> Self {
        Self { follow: Arc::clone(follow), source: Arc::new(source) }
    }

    /// Subscribes to the end of a run.
    pub(super) fn subscribe_end(&self, id: &RunId) -> Result<Subscription<oneshot::Receiver<Result<RunUpdate>>>> {
        let (sender, receiver) = oneshot::channel();
        self.subscribe(id, Subscriber::End(sender), receiver)
    }

    /// Subscribes to all changes of a run.
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
            let error = Error::configuration("to follow a run takes a tokio runtime, and there is none", advice);
            return Err(error.with_operation(Operation::GET_RUN));
        };
        let follow = &self.follow;
        let now = follow.now();
        let mut state = follow.state();
        let number = state.registry.subscribe(id, subscriber, now);
        let begins = !state.registry.is_empty() && !state.is_polling;
        if begins {
            state.is_polling = true;
            state.generation += 1;
            let shortest_delay = state.settings.shortest_delay;
            state.rounds.restart(now, shortest_delay);
            #[cfg(feature = "webhooks")]
            state.sharing.begin();
        }
        let generation = state.generation;
        drop(state);
        let subscription = Subscription { follow: Arc::clone(follow), id: id.clone(), number, receiver };
        if !begins {
            follow.changed.notify_one();
            return Ok(subscription);
        }
        // Not while the state is locked: a runtime that shuts down drops the task at once, and that locks the state.
        let poller = Poller { follow: Arc::clone(follow), source: Arc::clone(&self.source), generation };
        let task = runtime.spawn(poller.run()).abort_handle();
        let mut state = follow.state();
        match (state.generation == generation, state.is_polling) {
            (true, true) => state.task = Some(task),
            (true, false) => {
                drop(state);
                let error =
                    Error::configuration("the tokio runtime is shutting down", "Wait on a runtime that goes on.");
                return Err(error.with_operation(Operation::GET_RUN));
            }
            (false, _) => task.abort(),
        }
        drop(state);
        Ok(subscription)
    }

    /// Returns the last known status of an awaited run, and the failure of the last poll if that has failed.
    pub(super) fn last_poll(&self, id: &RunId) -> (Option<RunStatus>, Option<Error>) {
        let state = self.follow.state();
        let (status, failure) = state.registry.state(id);
        (status, failure.or_else(|| state.rounds.list_failure.clone()))
    }
}

/// A place among the subscribers to a run, which is given up on drop.
pub(super) struct Subscription<R> {
    follow: Arc<Follow>,
    id: RunId,
    number: u64,
    pub(super) receiver: R,
}

impl<R> Drop for Subscription<R> {
    fn drop(&mut self) {
        let mut state = self.follow.state();
        state.registry.unsubscribe(&self.id, self.number);
        state.stop_if_idle();
    }
}
