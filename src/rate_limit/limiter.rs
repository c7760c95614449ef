//! [`RateLimiter`]: grants permits for attempts, and learns the limits from their responses.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderMap, StatusCode};

use super::fair_queue::FairQueue;
use super::leased_permits::LeasedPermits;
use super::leasing::{Leasing, SharedLimit};
use super::limits::{Limits, Request};
use super::wait::Wait;
use super::window::LONGEST_WINDOW;
use crate::Operation;
use crate::clock::Clock;
use crate::response::{RateLimit, service_now};

/// The behaviour of calls when the rate limit is spent. See
/// [`ClientBuilder::rate_limit_mode`](crate::ClientBuilder::rate_limit_mode).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RateLimitMode {
    /// Calls wait in the order in which they were made, up to their deadline. A call whose turn cannot come before its
    /// deadline fails at once. A 429 takes no retry: the call waits again, up to 30 times.
    #[default]
    Wait,
    /// Calls that would have to wait fail at once with [`ErrorKind::RateLimited`](crate::ErrorKind::RateLimited) and
    /// [`retry_after`](crate::Error::retry_after); nothing is sent.
    FailFast,
    /// Calls are sent, and the service responds with 429.
    Off,
}

/// The rate limiter of a client and its clones.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    queue: Arc<FairQueue>,
    last: Mutex<Option<RateLimit>>,
    /// Set if permits come from a limit that several processes share.
    leasing: Option<Arc<Leasing>>,
    clock: Arc<dyn Clock>,
}

impl RateLimiter {
    pub(crate) fn new(submissions_per_minute: u32, shared: Option<SharedLimit>, clock: Arc<dyn Clock>) -> Self {
        let leased = shared.as_ref().map(|shared| LeasedPermits::new(shared.timeout()));
        let queue = Arc::new(FairQueue::new(Limits::new(submissions_per_minute, leased)));
        let leasing =
            shared.map(|shared| Arc::new(Leasing { shared, queue: Arc::clone(&queue), clock: Arc::clone(&clock) }));
        Self { queue, last: Mutex::default(), leasing, clock }
    }

    /// Returns the rate limit that a response reported last.
    pub(crate) fn known(&self) -> Option<RateLimit> {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the longest wait that a 429 normally requests: a minute, or the rest of a longer window that is known.
    pub(crate) fn longest_wait(&self) -> Duration {
        self.queue.window_left(self.clock.monotonic()).unwrap_or_default().max(LONGEST_WINDOW)
    }

    /// Returns whether calls wait by the word of something in front of the service.
    pub(crate) fn is_foreign(&self) -> bool {
        self.queue.is_foreign()
    }

    /// Waits for a permit for one attempt. If there is none by `until`, returns the time that it would take. `on_wait`
    /// is called when a wait begins.
    pub(crate) async fn acquire(
        self: &Arc<Self>,
        operation: Operation,
        mode: RateLimitMode,
        until: Option<Duration>,
        mut on_wait: impl FnMut(Wait) + Send,
    ) -> Result<Permit, Duration> {
        let is_submission = operation == Operation::CREATE_WORK_ORDER;
        let may_wait = mode == RateLimitMode::Wait;
        let until = if may_wait { until } else { Some(self.clock.monotonic().saturating_add(self.lease_time())) };
        let ticket = if mode == RateLimitMode::Off {
            None
        } else {
            let request = Request { is_submission, may_wait };
            let begin_lease = |demand| {
                if let Some(leasing) = &self.leasing {
                    leasing.begin(demand);
                }
            };
            Some(self.queue.acquire(request, &*self.clock, until, &mut on_wait, &begin_lease).await?)
        };
        Ok(Permit { limiter: Arc::clone(self), is_submission, ticket })
    }

    /// Returns the longest time that a lease takes. Zero if permits do not come from a shared limit.
    fn lease_time(&self) -> Duration {
        let leasing = self.leasing.as_ref().filter(|_| self.queue.is_shared());
        leasing.map(|leasing| leasing.shared.timeout()).unwrap_or_default()
    }
}

/// A permit for one attempt. If it is dropped before the result of the attempt is reported, the attempt counts as lost.
#[derive(Debug)]
#[must_use = "the attempt has to run before its result is reported to the permit"]
pub(crate) struct Permit {
    limiter: Arc<RateLimiter>,
    is_submission: bool,
    /// `None` after the attempt has ended, and if the limiter is off.
    ticket: Option<u64>,
}

impl Permit {
    /// Reports a response, the wait that it requests, and whether it is the service's own.
    pub(crate) fn responded(mut self, status: StatusCode, headers: &HeaderMap, wait: Option<Duration>, is_own: bool) {
        let limiter = &self.limiter;
        let now = limiter.clock.monotonic();
        let service_now = service_now(headers, limiter.clock.now());
        let reported = RateLimit::reported(headers, Some(service_now));
        let limit = reported.and_then(|reported| reported.limit);
        let known = limiter.queue.limit();
        let is_refusal = status == StatusCode::TOO_MANY_REQUESTS;
        // A 429 reports the limit that was hit, which need not be the one on all requests. While no limit is known,
        // only that of a submission counts as another.
        let can_differ = known.is_some() || self.is_submission;
        let is_other_limit = is_refusal && can_differ && limit.is_some() && limit != known;
        let has_requests_left = reported.and_then(|reported| reported.remaining).is_some_and(|left| left > 0);
        let reported = reported.filter(|_| !is_other_limit);
        if let Some(known) = reported.filter(RateLimit::is_known) {
            *limiter.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
        }
        let Some(ticket) = self.ticket.take() else { return };
        // However long the wait is that the service asks for, a call tries again after a window.
        let hold = wait.filter(|_| is_refusal).map(|wait| now + wait.min(LONGEST_WINDOW));
        limiter.queue.finish(ticket, now, |limits, was_submission| {
            if was_submission {
                limits.submissions.responded(now);
            }
            // A failure without headers may come from a gateway. A response about another limit says nothing about this
            // one.
            let report = reported.map(|reported| limits.window.complete(reported, now, service_now));
            if report.is_some() || hold.is_some() {
                limits.is_foreign = !is_own;
            }
            limits.responded(report, status.is_success());
            if let Some(until) = hold {
                // With requests left, the 429 is about another limit: that on submissions or on concurrent runs, or one
                // that concerns this call only.
                if !is_other_limit && !has_requests_left {
                    limits.hold(until);
                } else if self.is_submission {
                    limits.hold_submissions(until);
                }
            }
        });
        if let Some(leasing) = &limiter.leasing {
            leasing.report_changes(now);
        }
    }

    /// Reports that nothing was sent.
    pub(crate) fn unsent(mut self) {
        if let Some(ticket) = self.ticket.take() {
            let now = self.limiter.clock.monotonic();
            self.limiter.queue.give_back(ticket, now);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let now = self.limiter.clock.monotonic();
            self.limiter.queue.finish(ticket, now, |limits, was_submission| limits.lost(was_submission, now));
        }
    }
}
