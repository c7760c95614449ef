//! [`FollowState`]: the state that the clones of a client share to follow runs.

use std::fmt;
use std::mem::take;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::Notify;

#[cfg(feature = "webhooks")]
use super::broadcast::{Outbox, Replicas};
use super::page_scan::PageScan;
use super::poll_budget;
use super::poll_scheduler::{PollScheduler, Step};
use super::pollers::Pollers;
use super::run_registry::RunRegistry;
use super::run_update::RunUpdate;
use super::webhook_health::WebhookHealth;
use crate::clock::Clock;
use crate::types::{Run, RunId, RunPage, RunStatus};
use crate::{Error, ErrorKind, RateLimit, Response, Result};

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

pub(crate) struct FollowState {
    pub(super) clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
    /// Wakes the pollers before their delays are over.
    pub(super) changed: Notify,
}

#[derive(Debug, Default)]
pub(super) struct Inner {
    pub(super) settings: Settings,
    pub(super) registry: RunRegistry,
    pub(super) health: WebhookHealth,
    pub(super) pollers: Pollers,
    scheduler: PollScheduler,
    /// The next step may be another than the one that the pollers wait for.
    pub(super) has_changed: bool,
    #[cfg(feature = "webhooks")]
    pub(super) outbox: Outbox,
    #[cfg(feature = "webhooks")]
    pub(super) replicas: Replicas,
}

/// The time on both kinds of clock.
pub(super) type Now = (Duration, DateTime<Utc>);

impl FollowState {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, inner: Mutex::default(), changed: Notify::new() }
    }

    /// Locks the state, to read it. No code of the user runs while it is locked: no clock, waker, or error's `Drop`.
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state. Whoever is to know of the change is woken when it is unlocked.
    pub(super) fn update<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner = self.lock();
        let output = change(&mut inner);
        // Without runs, the pollers end.
        let has_changed = take(&mut inner.has_changed) || inner.registry.is_empty();
        let outbound = take(&mut inner.registry.outbound);
        drop(inner);
        outbound.deliver();
        if has_changed {
            self.changed.notify_waiters();
        }
        output
    }

    pub(super) fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    pub(super) fn times(&self) -> Now {
        (self.clock.monotonic(), self.clock.now())
    }

    /// Applies the status in the response to a submission or a cancellation.
    pub(crate) fn apply_status(&self, id: &RunId, status: &RunStatus) {
        let now = self.now();
        self.update(|inner| inner.registry.apply_and_keep(RunUpdate::of_status(id.clone(), status.clone()), now));
    }
}

impl fmt::Debug for FollowState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FollowState").finish_non_exhaustive()
    }
}

impl Inner {
    /// Prepares for the first run after a time without any.
    pub(super) fn begin(&mut self, now: Duration) {
        self.scheduler.restart(now, self.settings.shortest_delay);
        #[cfg(feature = "webhooks")]
        self.outbox.wait_began();
    }

    /// Returns the next step of a poller. `None` if no run is awaited.
    pub(super) fn next_step(&mut self, poller: u64, limit: Option<RateLimit>, (now, time): Now) -> Option<Step> {
        if self.registry.is_empty() {
            self.pollers.remove(poller);
            return None;
        }
        if let Some(delay) = self.pollers.standby(poller, now) {
            return Some(Step::Wait(delay));
        }
        if self.pollers.activate(poller) {
            // The requests of the poller before it may never end.
            self.scheduler.forget_requests();
            self.registry.agenda.forget_fetches();
        }
        let step = self.active_step(limit, (now, time));
        Some(self.pollers.limit(step, now))
    }

    fn active_step(&mut self, limit: Option<RateLimit>, (now, time): Now) -> Step {
        self.health.expire(now);
        let Settings { share, fallback_share, shortest_delay } = self.settings;
        let share = if self.health.is_healthy() { share.min(fallback_share) } else { share };
        // The limit is the organization's, so the replicas that poll divide one share.
        #[cfg(feature = "webhooks")]
        let share = share / (1.0 + f64::from(self.replicas.count(now)));
        let rate = poll_budget::rate(share, limit, time);
        let step = self.scheduler.step(&mut self.registry.agenda, rate, shortest_delay, now);
        match (step, self.health.expires_at()) {
            (Step::Wait(delay), Some(at)) => Step::Wait(delay.min(at.saturating_sub(now))),
            (step, _) => step,
        }
    }

    pub(super) fn apply_run(&mut self, id: &RunId, result: Result<Response<Run>>, (now, time): Now) {
        self.has_changed = true;
        self.registry.agenda.fetch_ends(id);
        match result {
            Ok(response) => {
                let is_stale = response.is_stale();
                // The response may have another id than the one that was fetched.
                let update = RunUpdate::from_run(response.into_inner(), time);
                if self.registry.apply(RunUpdate { id: id.clone(), is_stale, ..update }) {
                    self.health.polled(id, now);
                    self.scheduler.found_end(id, now);
                }
            }
            Err(error) if is_refusal(error.kind()) => self.registry.fail_all(error),
            Err(error) => self.registry.failed(id, error, now),
        }
    }

    pub(super) fn apply_page(&mut self, scan: PageScan, result: Result<Response<RunPage>>, (now, time): Now) {
        self.has_changed = true;
        self.registry.outbound.dropped.extend(self.scheduler.list_failure.take());
        match result {
            Ok(page) => {
                for id in self.scheduler.apply_page(scan, page, &mut self.registry, (now, time)) {
                    self.health.polled(&id, now);
                }
            }
            Err(error) if is_refusal(error.kind()) => self.registry.fail_all(error),
            Err(error) => self.scheduler.page_failed(error, now),
        }
    }

    /// Returns the last known status of an awaited run, whether it came from a cache, and the error of the last poll if
    /// that failed.
    pub(super) fn last_poll(&self, id: &RunId) -> (Option<RunStatus>, bool, Option<Error>) {
        let (status, is_stale, failure) = self.registry.last_poll(id);
        (status, is_stale, failure.or_else(|| self.scheduler.list_failure.clone()))
    }

    /// Records that a poller has ended, with its runtime or by a panic.
    pub(super) fn poller_ended(&mut self, poller: u64) {
        if self.pollers.remove(poller) {
            self.has_changed = true;
            if self.pollers.is_empty() {
                // Waits on other runtimes start another.
                self.registry.wake_all();
            }
        }
    }
}

/// Returns `true` if no request with this key will succeed.
fn is_refusal(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Authentication | ErrorKind::Configuration | ErrorKind::OrganizationSuspended)
}
