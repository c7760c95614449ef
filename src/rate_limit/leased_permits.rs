//! The permits that a client has leased from a shared rate limit, and the changes that it has to report.

use std::time::Duration;

use super::shared::Lease;
use super::window::{LONGEST_WINDOW, Report};

/// The number of permits that are leased in advance, so that a program which makes one call after the other needs no
/// round trip for each.
const SPARE: u32 = 16;

/// The pause after a lease without permits that requests no pause.
const SHORTEST_PAUSE: Duration = Duration::from_millis(250);

/// The first and the longest pause before a failed shared limit is tried again. Pauses double.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A shared limit that leases nothing for this time to waiting calls counts as failed, as every window has permits.
const USELESS_AFTER: Duration = Duration::from_secs(122);

/// The state of a shared rate limit, as one client knows it. Times are monotonic.
#[derive(Debug)]
pub(super) struct LeasedPermits {
    timeout: Duration,
    requests: Pool,
    submissions: Pool,
    /// A lease is under way, and counts as failed at this time.
    pending_until: Option<Duration>,
    /// The shared limit does not work, and is tried again at this time.
    away_until: Option<Duration>,
    failures: u32,
    /// It stopped working, and the end of the lease has not reported that yet.
    is_loss_unreported: bool,
    /// Calls have been waiting since this time, and nothing was leased.
    useless_since: Option<Duration>,
    /// The number of clients that share the limit, from the last lease.
    clients: u32,
    unreported: UnreportedChanges,
}

/// Permits of one kind.
#[derive(Debug, Default)]
struct Pool {
    count: u32,
    expires_at: Duration,
    /// No more are leased before this.
    retry_at: Duration,
}

/// Numbers of calls that wait.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Waiting {
    /// Calls that are not submissions.
    pub(super) requests: u32,
    pub(super) submissions: u32,
}

/// Changes that the client has to report to the shared limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct UnreportedChanges {
    pub(super) submissions_ended: u32,
    pub(super) submissions_returned: u32,
    pub(super) hold_until: Option<Duration>,
    pub(super) hold_submissions_until: Option<Duration>,
    /// The service has reported a new window.
    pub(super) is_new_window: bool,
}

/// The content of a request to the shared limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct LeaseDemand {
    pub(super) requested_at: Duration,
    pub(super) requests: u32,
    pub(super) submissions: u32,
    pub(super) spare: u32,
    pub(super) changes: UnreportedChanges,
    /// The last report of the service on the present window.
    pub(super) report: Option<Report>,
    pub(super) submission_limit: u32,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct LeasedPermit {
    expires_at: Duration,
}

/// A change of the state of the shared limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    None,
    Lost,
    Found,
}

impl LeasedPermits {
    pub(super) fn new(timeout: Duration) -> Self {
        Self {
            timeout: timeout.min(LONGEST_WINDOW),
            requests: Pool::default(),
            submissions: Pool::default(),
            pending_until: None,
            away_until: None,
            failures: 0,
            is_loss_unreported: false,
            useless_since: None,
            clients: 1,
            unreported: UnreportedChanges::default(),
        }
    }

    /// Returns whether permits come from the shared limit.
    pub(super) fn is_working(&self) -> bool {
        self.away_until.is_none()
    }

    /// Returns whether calls wait for a lease that is under way.
    pub(super) fn is_pending(&self) -> bool {
        self.is_working() && self.pending_until.is_some()
    }

    /// Returns the number of clients that take from the window without coordination.
    pub(super) fn shares(&self) -> u32 {
        if self.is_working() { 1 } else { self.clients }
    }

    /// Takes a permit, or returns the time at which to try again at the latest.
    pub(super) fn try_acquire(&mut self, is_submission: bool, now: Duration) -> Result<LeasedPermit, Duration> {
        self.expire(now);
        let pending_until = self.pending_until;
        let pool = self.pool(is_submission);
        if pool.count == 0 {
            return Err(pending_until.unwrap_or(pool.retry_at));
        }
        pool.count -= 1;
        Ok(LeasedPermit { expires_at: pool.expires_at })
    }

    /// Takes back a permit that was not used.
    pub(super) fn give_back(&mut self, permit: LeasedPermit, is_submission: bool, now: Duration) {
        if self.is_working() && now < permit.expires_at {
            self.pool(is_submission).add(1, permit.expires_at, now);
        } else if is_submission {
            self.unreported.submissions_returned = self.unreported.submissions_returned.saturating_add(1);
        }
    }

    /// A submission with a leased permit has ended.
    pub(super) fn submission_ended(&mut self) {
        self.unreported.submissions_ended = self.unreported.submissions_ended.saturating_add(1);
    }

    pub(super) fn window_began(&mut self) {
        self.unreported.is_new_window = true;
    }

    pub(super) fn hold(&mut self, until: Duration) {
        self.unreported.hold_until = self.unreported.hold_until.max(Some(until));
    }

    pub(super) fn hold_submissions(&mut self, until: Duration) {
        self.unreported.hold_submissions_until = self.unreported.hold_submissions_until.max(Some(until));
    }

    /// Returns the earliest time at which more can be leased, as far as that is known.
    pub(super) fn estimate(&self, is_submission: bool, now: Duration) -> Duration {
        let pool = if is_submission { &self.submissions } else { &self.requests };
        if self.is_pending() { now } else { pool.retry_at.max(now) }
    }

    /// Begins a lease, if there is something to request or to report. `waiting` counts the calls that wait.
    pub(super) fn begin(
        &mut self,
        now: Duration,
        report: Option<Report>,
        submission_limit: u32,
        waiting: Waiting,
    ) -> Option<LeaseDemand> {
        // A task that has not ended by then does not run.
        let is_pending = self.pending_until.is_some_and(|until| now < until.saturating_add(LONGEST_WINDOW));
        if is_pending || self.away_until.is_some_and(|until| now < until) {
            return None;
        }
        self.expire(now);
        let may_lease = |pool: &Pool| self.is_working() && pool.count == 0 && now >= pool.retry_at;
        let (leases_requests, leases_submissions) = (may_lease(&self.requests), may_lease(&self.submissions));
        let (mut requests, mut submissions) = (0, 0);
        if leases_requests || leases_submissions {
            requests = waiting.requests * u32::from(leases_requests);
            submissions = waiting.submissions * u32::from(leases_submissions);
        }
        let leases = requests > 0 || submissions > 0;
        if self.is_working() && !leases && self.unreported == UnreportedChanges::default() {
            return None;
        }
        if leases {
            self.useless_since.get_or_insert(now);
        }
        self.pending_until = Some(now.saturating_add(self.timeout));
        let spare = if requests > 0 { SPARE } else { 0 };
        let changes = std::mem::take(&mut self.unreported);
        Some(LeaseDemand { requested_at: now, requests, submissions, spare, changes, report, submission_limit })
    }

    /// Applies the result of a lease.
    pub(super) fn end(&mut self, demand: &LeaseDemand, lease: Option<Lease>, now: Duration) -> Change {
        self.pending_until = None;
        let is_loss_unreported = std::mem::take(&mut self.is_loss_unreported);
        let Some(lease) = lease.map(Lease::sane) else {
            return if is_loss_unreported { Change::Lost } else { self.failed(now) };
        };
        self.expire(now);
        // The time that the response took is part of the time that it grants.
        let expires_at = demand.requested_at.saturating_add(lease.valid_for);
        let most = if now < expires_at { u32::MAX } else { 0 };
        let requests = lease.requests.min(demand.requests.saturating_add(demand.spare)).min(most);
        let submissions = lease.submissions.min(demand.submissions).min(most);
        if requests > 0 || submissions > 0 || (demand.requests == 0 && demand.submissions == 0) {
            self.useless_since = None;
        }
        if self.useless_since.is_some_and(|since| now.saturating_sub(since) > USELESS_AFTER) {
            self.useless_since = None;
            return self.failed(now);
        }
        let change = if self.is_working() || is_loss_unreported { Change::None } else { Change::Found };
        (self.away_until, self.failures, self.clients) = (None, 0, lease.clients);
        self.requests.lease(requests, demand.requests, expires_at, lease.retry_in, now);
        self.submissions.lease(submissions, demand.submissions, expires_at, lease.submissions_retry_in, now);
        change
    }

    /// Counts a lease that takes too long as failed. The task that waits for it may not run.
    pub(super) fn check_time(&mut self, now: Duration) {
        if self.is_working() && self.pending_until.is_some_and(|until| now >= until) {
            self.failed(now);
            self.is_loss_unreported = true;
        }
    }

    fn failed(&mut self, now: Duration) -> Change {
        let change = if self.is_working() { Change::Lost } else { Change::None };
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(5)).min(LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        self.away_until = Some(now.saturating_add(pause));
        let unused = std::mem::take(&mut self.submissions).count;
        self.requests = Pool::default();
        self.unreported.submissions_returned = self.unreported.submissions_returned.saturating_add(unused);
        change
    }

    fn expire(&mut self, now: Duration) {
        self.requests.expire(now);
        let expired = self.submissions.expire(now);
        self.unreported.submissions_returned = self.unreported.submissions_returned.saturating_add(expired);
    }

    fn pool(&mut self, is_submission: bool) -> &mut Pool {
        if is_submission { &mut self.submissions } else { &mut self.requests }
    }
}

impl Pool {
    /// Removes expired permits, and returns their number.
    fn expire(&mut self, now: Duration) -> u32 {
        if now < self.expires_at { 0 } else { std::mem::take(&mut self.count) }
    }

    fn lease(&mut self, count: u32, wanted: u32, expires_at: Duration, retry_in: Duration, now: Duration) {
        self.add(count, expires_at, now);
        if count < wanted {
            let shortest = if count == 0 { SHORTEST_PAUSE } else { Duration::ZERO };
            self.retry_at = now.saturating_add(retry_in.max(shortest));
        }
    }

    fn add(&mut self, count: u32, expires_at: Duration, now: Duration) {
        if count == 0 {
            return;
        }
        self.expire(now);
        self.expires_at = if self.count == 0 { expires_at } else { self.expires_at.min(expires_at) };
        self.count = self.count.saturating_add(count);
    }
}
