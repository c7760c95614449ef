//! Keeps a client, with all its clones, inside the organization's rate limits.
//!
//! The organization has 100 requests a minute, shared by every program with its keys. A client that learns of the limit by
//! collecting 429s wastes its share and everyone else's. So the [`RateLimiter`] reads the rate-limit headers of every response
//! ([`window`]), counts submissions itself, as no header reports their limit ([`submissions`]), and grants permits in the order
//! in which they were asked for ([`fair_queue`]). A 429 that comes all the same holds every call that it concerns.

mod fair_queue;
mod leased;
#[cfg(feature = "redis")]
mod redis;
mod shared;
mod sharing;
mod submissions;
mod wait;
mod window;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode};

use self::fair_queue::{FairQueue, LeaseDemand, Request};
use self::leased::Leased;
#[cfg(feature = "redis")]
pub use self::redis::{RedisRateLimit, RedisRateLimitError};
pub use self::shared::{Lease, LeaseFuture, LeaseReport, LeaseRequest, SharedRateLimit};
pub(crate) use self::sharing::{Sharing, organization};
use self::submissions::Submissions;
pub(crate) use self::wait::Wait;
pub use self::wait::WaitReason;
use self::window::{Report, Window};
use crate::clock::Clock;
use crate::response::{RateLimit, service_now};
use crate::{Operation, Result};

/// Submitted work orders a minute, by the service's documentation.
pub(crate) const SUBMISSIONS: u32 = 20;

/// The longest wait that a 429 asks for in the normal course: its window is a minute.
pub(crate) const LONGEST_WINDOW: Duration = Duration::from_secs(61);

/// What a client does when the rate limit is spent. See
/// [`ClientBuilder::rate_limit_mode`](crate::ClientBuilder::rate_limit_mode).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RateLimitMode {
    /// Calls wait for their turn, in the order they came, up to their deadline. A call whose turn cannot come before its
    /// deadline fails at once.
    #[default]
    Wait,
    /// Calls that would have to wait fail at once with [`ErrorKind::RateLimited`](crate::ErrorKind::RateLimited) and
    /// [`retry_after`](crate::Error::retry_after); nothing is sent.
    FailFast,
    /// Calls are sent, and the service responds with 429.
    Off,
}

/// The rate limits as the clones of a client know them.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    queue: FairQueue,
    last: Mutex<Option<RateLimit>>,
    /// Where the permits come from, if that is a limit which several processes share.
    sharing: Option<Sharing>,
    clock: Arc<dyn Clock>,
}

impl RateLimiter {
    pub(crate) fn new(submissions: u32, sharing: Option<Sharing>, clock: Arc<dyn Clock>) -> Self {
        let leased = sharing.as_ref().map(|sharing| Leased::new(sharing.timeout()));
        let queue = FairQueue::new(Window::new(), Submissions::new(submissions), leased);
        Self { queue, last: Mutex::default(), sharing, clock }
    }

    /// The last rate limit that a response reported.
    pub(crate) fn known(&self) -> Option<RateLimit> {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a permit for one attempt; or, if there is none by `until`, how long it would take. `on_wait` is called when the wait for it
    /// begins, if there is one.
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
            let begin_lease = |demand: LeaseDemand| self.begin_lease(demand);
            Some(self.queue.acquire(request, &*self.clock, until, &mut on_wait, &begin_lease).await?)
        };
        Ok(Permit { limiter: Arc::clone(self), is_submission, ticket })
    }

    /// The longest time that a permit from a shared limit takes, while that works.
    fn lease_time(&self) -> Duration {
        let sharing = self.sharing.as_ref().filter(|_| self.queue.is_shared());
        sharing.map(Sharing::timeout).unwrap_or_default()
    }

    fn report(&self, reported: RateLimit, headers: &HeaderMap, now: Duration) -> Option<Report> {
        let clock_now = self.clock.now();
        let reset_at: SystemTime = reported.reset_at?.into();
        let service_now = service_now(headers, clock_now);
        // A reset beyond any window is a mistake, and must not make anybody wait for it.
        let reset = reset_at.duration_since(service_now).unwrap_or_default().min(LONGEST_WINDOW);
        let ends = reset_at.min(service_now + LONGEST_WINDOW);
        Some(Report { limit: reported.limit?, left: reported.remaining?, resets_at: now + reset, ends })
    }
}

/// A permit for one attempt. It is told how the attempt ended; dropped without, the attempt counts as lost.
#[derive(Debug)]
#[must_use = "the attempt belongs between acquiring a permit and telling it how the attempt ended"]
pub(crate) struct Permit {
    limiter: Arc<RateLimiter>,
    is_submission: bool,
    /// None after the attempt has ended, and if the limiter is off.
    ticket: Option<u64>,
}

impl Permit {
    /// The service has responded, and asks for this wait, if any.
    pub(crate) fn responded(mut self, status: StatusCode, headers: &HeaderMap, wait: Option<Duration>) {
        let limiter = &self.limiter;
        let now = limiter.clock.monotonic();
        let reported = RateLimit::from_headers(headers);
        let limit = reported.and_then(|reported| reported.limit);
        let known = limiter.queue.limit();
        let is_refusal = status == StatusCode::TOO_MANY_REQUESTS;
        // A 429 reports the limit that was hit, and that need not be the one on all requests. For a submission, this cannot be
        // told while nothing is known.
        let can_be_told = known.is_some() || self.is_submission;
        let is_other_limit = is_refusal && can_be_told && limit.is_some() && limit != known;
        let has_requests_left = reported.and_then(|reported| reported.remaining).is_some_and(|left| left > 0);
        if !is_other_limit && reported.is_some() {
            *limiter.last.lock().unwrap_or_else(PoisonError::into_inner) = reported;
        }
        let Some(ticket) = self.ticket.take() else { return };
        let report = reported.filter(|_| !is_other_limit).and_then(|reported| limiter.report(reported, headers, now));
        // However long the service asks for, one call tries again after a window.
        let hold = wait.filter(|_| is_refusal).map(|wait| now + wait.min(LONGEST_WINDOW));
        limiter.queue.finish(ticket, now, |limits, was_submission| {
            if was_submission {
                limits.submissions.responded(now);
            }
            // A response without headers may come from a gateway, unless it is a success. One about another limit
            // tells nothing of this one.
            limits.responded(report, status.is_success());
            if let Some(until) = hold {
                // With requests left, the 429 is about another limit: that on submissions or on concurrent runs, or one
                // that concerns this call alone.
                if !is_other_limit && !has_requests_left {
                    limits.hold(until);
                } else if self.is_submission {
                    limits.hold_submissions(until);
                }
            }
        });
        limiter.report_news(now);
    }

    /// Nothing was sent.
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
