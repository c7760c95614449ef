//! The state of the simulator, shared between the server, the delivery worker and the handle.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use tokio::sync::Notify;

use crate::simulator::clock::handle::SharedClock;
use crate::simulator::delivery::dispatcher::Dispatcher;
use crate::simulator::delivery::schedule::Schedule;
use crate::simulator::model::organization::Organization;

#[derive(Debug)]
pub(crate) struct SharedState {
    state: Mutex<State>,
    pub(crate) clock: Arc<SharedClock>,
    /// Wakes the delivery worker: the state may have changed.
    pub(crate) worker: Notify,
    /// Wakes [`Simulator::settle`](crate::simulator::Simulator::settle): the queue of a receiver is empty.
    pub(crate) delivered: Notify,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) organization: Organization,
    pub(crate) schedule: Schedule,
    pub(crate) deliveries: Dispatcher,
}

impl SharedState {
    pub(crate) fn new(clock: Arc<SharedClock>, organization: Organization, deliveries: Dispatcher) -> Self {
        let state = Mutex::new(State { organization, schedule: Schedule::default(), deliveries });
        Self { state, clock, worker: Notify::new(), delivered: Notify::new() }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state at the current time, and dispatches the events that are due before and after the change.
    pub(crate) fn act<T>(&self, change: impl FnOnce(&mut State, DateTime<Utc>) -> T) -> T {
        let mut state = self.lock();
        let now = self.clock.time.now();
        state.dispatch_due(now);
        let result = change(&mut state, now);
        state.dispatch_due(self.clock.time.now());
        self.worker.notify_one();
        result
    }
}

impl State {
    pub(crate) fn dispatch_due(&mut self, now: DateTime<Utc>) {
        while let Some((at, scheduled)) = self.schedule.take_due(now) {
            self.deliveries.dispatch(scheduled, at, &self.organization);
        }
    }
}
