//! Keeps a client, with all its clones, inside the organization's rate limits.
//!
//! The organization has 100 requests a minute, shared by every program with its keys. A client that learns of the limit by
//! collecting 429s wastes its share and everyone else's. So the [`RateLimiter`] reads what every answer says of the window
//! ([`window`]), counts submissions itself, as their own limit is not reported ([`submissions`]), and lets callers through one
//! after the other ([`turnstile`]). A 429 that comes all the same holds every caller, not each in turn.

mod submissions;
mod turnstile;
mod window;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderMap, StatusCode};

use self::submissions::Submissions;
use self::turnstile::{TooLong, Turnstile};
use self::window::{COLD_START, Report, Window};
use crate::clock::Clock;
use crate::rate_limit::RateLimit;
use crate::transport::{service_now, until};
use crate::{Operation, Result};

/// Submitted work orders a minute, by the service's documentation.
pub(crate) const SUBMISSIONS: u32 = 20;

/// The longest wait that a 429 asks for in the course of things: its window is a minute.
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
    /// Calls are sent, and the service answers 429.
    Off,
}

/// What the clones of a client know of the rate limits.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    mode: RateLimitMode,
    window: Turnstile<Window>,
    submissions: Turnstile<Submissions>,
    last: Mutex<Option<RateLimit>>,
}

impl RateLimiter {
    pub(crate) fn new(mode: RateLimitMode, submissions: u32) -> Self {
        // Who does not wait cannot wait for the first answer either.
        let cold_start = if mode == RateLimitMode::Wait { COLD_START } else { u32::MAX };
        Self {
            mode,
            window: Turnstile::new(Window::new(cold_start)),
            submissions: Turnstile::new(Submissions::new(submissions)),
            last: Mutex::default(),
        }
    }

    pub(crate) fn mode(&self) -> RateLimitMode {
        self.mode
    }

    /// What the last answer that said something said.
    pub(crate) fn known(&self) -> Option<RateLimit> {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A permit for one attempt; or, if there is none in time, how long it would take.
    pub(crate) async fn acquire<'a>(
        &'a self,
        operation: Operation,
        clock: &'a dyn Clock,
        deadline: Option<Duration>,
    ) -> Result<Permit<'a>, Duration> {
        let is_submission = operation == Operation::CREATE_WORK_ORDER;
        let mut permit = Permit { limiter: self, clock, submission: false, window: false };
        if is_submission {
            self.pass(&self.submissions, clock, deadline).await?;
            permit.submission = self.mode != RateLimitMode::Off;
        }
        match self.pass(&self.window, clock, deadline).await {
            Ok(()) => {
                permit.window = self.mode != RateLimitMode::Off;
                Ok(permit)
            }
            Err(wait) => {
                permit.unsent();
                Err(wait)
            }
        }
    }

    async fn pass<G: turnstile::Gate>(
        &self,
        turnstile: &Turnstile<G>,
        clock: &dyn Clock,
        deadline: Option<Duration>,
    ) -> Result<(), Duration> {
        match self.mode {
            RateLimitMode::Wait => turnstile.pass(clock, deadline).await,
            RateLimitMode::FailFast => turnstile.try_pass(clock.monotonic()),
            RateLimitMode::Off => Ok(()),
        }
        .map_err(|TooLong(wait)| wait)
    }
}

/// Leave for one attempt. It says how the attempt ended; dropped without, the attempt counts as lost.
#[derive(Debug)]
#[must_use = "the attempt belongs between getting a permit and saying how it ended"]
pub(crate) struct Permit<'a> {
    limiter: &'a RateLimiter,
    clock: &'a dyn Clock,
    submission: bool,
    window: bool,
}

impl Permit<'_> {
    /// The service answered, and asks for a wait if it says so.
    pub(crate) fn answered(mut self, status: StatusCode, headers: &HeaderMap, wait: Option<Duration>) {
        let now = self.clock.monotonic();
        let is_refusal = status == StatusCode::TOO_MANY_REQUESTS;
        let reported = RateLimit::from_headers(headers);
        let limit = reported.and_then(|reported| reported.limit);
        let known = self.limiter.window.look(Window::limit);
        // A refusal speaks of the limit that was hit, and that need not be the one on all requests.
        // A submission's cannot be told while nothing is known.
        let can_be_told = known.is_some() || self.submission;
        let is_own_limit = is_refusal && can_be_told && limit.is_some() && limit != known;
        if !is_own_limit && reported.is_some() {
            *self.limiter.last.lock().unwrap_or_else(PoisonError::into_inner) = reported;
        }
        // However long the service asks for, somebody asks again after a window.
        let hold = wait.filter(|_| is_refusal).map(|wait| now + wait.min(LONGEST_WINDOW));
        if std::mem::take(&mut self.submission) {
            self.limiter.submissions.with_gate(|gate| {
                gate.answered(now);
                if let Some(until) = hold {
                    gate.hold(until);
                }
            });
        }
        if std::mem::take(&mut self.window) {
            let report = reported.filter(|_| !is_own_limit).and_then(|reported| self.report(reported, headers, now));
            self.limiter.window.with_gate(|window| {
                // A word on another limit says nothing of this one.
                window.answered(report, !is_own_limit);
                if let Some(until) = hold.filter(|_| !is_own_limit) {
                    window.hold(until);
                }
            });
        }
    }

    /// Nothing was sent.
    pub(crate) fn unsent(mut self) {
        if std::mem::take(&mut self.submission) {
            self.limiter.submissions.with_gate(Submissions::unsent);
        }
        if std::mem::take(&mut self.window) {
            self.limiter.window.with_gate(Window::unsent);
        }
    }

    fn report(&self, reported: RateLimit, headers: &HeaderMap, now: Duration) -> Option<Report> {
        let clock_now = self.clock.now();
        let reset_at = reported.reset_at?.into();
        // A reset beyond any window is a mistake, and must not make anybody wait for it.
        let reset = until(reset_at, headers, clock_now).unwrap_or_default().min(LONGEST_WINDOW);
        let ends = reset_at.min(service_now(headers, clock_now) + LONGEST_WINDOW);
        Some(Report { limit: reported.limit?, left: reported.remaining?, resets_at: now + reset, ends })
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.submission {
            let now = self.clock.monotonic();
            // Without leave of the window, nothing was sent.
            let was_sent = self.window;
            self.limiter.submissions.with_gate(|gate| if was_sent { gate.answered(now) } else { gate.unsent() });
        }
        if self.window {
            self.limiter.window.with_gate(Window::lost);
        }
    }
}
