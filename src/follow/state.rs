//! [`FollowState`]: the state that the clones of a client share to follow runs.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::Notify;

#[cfg(feature = "webhooks")]
use super::broadcast::{Outbox, Replicas};
use super::page_scan::PageScan;
use super::poll_budget::{self, PollBudget};
use super::poll_scheduler::{PollScheduler, Step};
use super::run_registry::RunRegistry;
use super::run_update::RunUpdate;
use super::webhook_health::WebhookHealth;
use crate::clock::Clock;
use crate::platform::AbortHandle;
use crate::types::{Run, RunId, RunPage, RunStatus};
use crate::{ErrorKind, RateLimit, Response, Result};

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
    /// Wakes the poller before its delay is over.
    pub(super) changed: Notify,
}

#[derive(Debug, Default)]
pub(super) struct Inner {
    pub(super) settings: Settings,
    pub(super) registry: RunRegistry,
    pub(super) scheduler: PollScheduler,
    pub(super) health: WebhookHealth,
    budget: PollBudget,
    /// The clock's time at the last step.
    time: DateTime<Utc>,
    #[cfg(feature = "webhooks")]
    pub(super) outbox: Outbox,
    #[cfg(feature = "webhooks")]
    pub(super) replicas: Replicas,
    pub(super) poller: Option<AbortHandle>,
    pub(super) is_polling: bool,
    /// Tells the poller from earlier ones.
    pub(super) generation: u64,
}

impl FollowState {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, inner: Mutex::default(), changed: Notify::new() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    /// Applies the status in the response to a submission or a cancellation.
    pub(crate) fn apply_status(&self, id: &RunId, status: &RunStatus) {
        let now = self.now();
        let mut inner = self.lock();
        inner.registry.apply_and_keep(RunUpdate::of_status(id.clone(), status.clone()), now);
        inner.stop_if_idle();
    }
}

impl fmt::Debug for FollowState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FollowState").finish_non_exhaustive()
    }
}

impl Inner {
    pub(super) fn next_step(&mut self, rate_limit: Option<RateLimit>, time: DateTime<Utc>, now: Duration) -> Step {
        self.health.expire(now);
        self.time = time;
        let Settings { share, fallback_share, shortest_delay } = self.settings;
        let share = if self.health.is_healthy() { share.min(fallback_share) } else { share };
        // The limit is the organization's, so the replicas that poll divide one share.
        #[cfg(feature = "webhooks")]
        let share = share / (1.0 + f64::from(self.replicas.count(now)));
        let rate = poll_budget::rate(share, rate_limit, time);
        self.budget.pay(now, rate);
        let step = self.scheduler.step(&mut self.registry, &mut self.budget, rate, shortest_delay, now);
        match (step, self.health.expires_at()) {
            (Step::Wait(delay), Some(at)) => Step::Wait(delay.min(at.saturating_sub(now))),
            (step, _) => step,
        }
    }

    pub(super) fn apply_run(&mut self, id: &RunId, result: Result<Box<Response<Run>>>, sent: Duration, now: Duration) {
        if let Some(run) = self.registry.get_mut(id) {
            run.is_fetching = false;
        }
        match result {
            Ok(response) => {
                let is_stale = response.is_stale();
                // The response may have another id than the one that was fetched.
                let update = RunUpdate::from_run(response.into_inner(), self.time);
                if self.registry.apply(RunUpdate { id: id.clone(), is_stale, ..update }, sent) {
                    self.health.polled(id, now);
                    self.scheduler.found_end(id, now);
                }
            }
            Err(error) if is_refusal(error.kind()) => self.registry.fail_all(&error),
            Err(error) => self.registry.failed(id, error, now),
        }
    }

    pub(super) fn apply_page(
        &mut self,
        scan: PageScan,
        result: Result<Box<Response<RunPage>>>,
        sent: Duration,
        now: Duration,
    ) {
        match result {
            Ok(page) => {
                for id in self.scheduler.apply_page(scan, *page, &mut self.registry, sent, now, self.time) {
                    self.health.polled(&id, now);
                }
            }
            Err(error) if is_refusal(error.kind()) => self.registry.fail_all(&error),
            Err(error) => self.scheduler.page_failed(error, now),
        }
    }

    /// Stops the poller if no run is awaited.
    pub(super) fn stop_if_idle(&mut self) {
        if self.registry.is_empty() && self.is_polling {
            self.is_polling = false;
            self.generation += 1;
            if let Some(poller) = self.poller.take() {
                poller.abort();
            }
        }
    }
}

/// Returns `true` if no request with this key will succeed.
fn is_refusal(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Authentication | ErrorKind::Configuration | ErrorKind::OrganizationSuspended)
}
