//! The permits that a client has leased from a shared rate limit, and what it has to report to it.

use std::time::Duration;

use super::LONGEST_WINDOW;
use super::shared::Lease;

/// Permits for requests that are leased in stock, so that a program that makes one call after the other has no round trip for each.
const SPARE: u32 = 16;

/// The pause after a lease of nothing that asks for none.
const SHORTEST_PAUSE: Duration = Duration::from_millis(250);

/// The first pause before a shared limit that failed is tried again, and the longest. They double in between.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A shared limit that leases nothing for so long to calls that wait is of no use. In every window, there is something to lease.
const USELESS_AFTER: Duration = Duration::from_secs(122);

/// The state of a shared rate limit, as one client knows it. Times are monotonic.
#[derive(Debug)]
pub(super) struct Leased {
    timeout: Duration,
    requests: Pool,
    submissions: Pool,
    /// A lease is under way, and counts as failed at this time.
    pending_until: Option<Duration>,
    /// The shared limit does not work, and is tried again at this time.
    away_until: Option<Duration>,
    failures: u32,
    /// It stopped working, and the end of the lease has yet to say so.
    is_loss_untold: bool,
    /// Calls have waited since then, and nothing was leased.
    fruitless_since: Option<Duration>,
    /// Clients that share the limit, as the last lease says.
    clients: u32,
    news: News,
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
    /// Calls that are no submissions.
    pub(super) requests: u32,
    pub(super) submissions: u32,
}

/// What the client has to report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    pub(super) submissions_ended: u32,
    pub(super) submissions_returned: u32,
    pub(super) hold_until: Option<Duration>,
    pub(super) hold_submissions_until: Option<Duration>,
    /// The service has reported a new window.
    pub(super) is_new_window: bool,
}

/// What is asked of the shared limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Demand {
    pub(super) asked_at: Duration,
    pub(super) requests: u32,
    pub(super) submissions: u32,
    pub(super) spare: u32,
    pub(super) news: News,
}

/// The permit of a lease.
#[derive(Clone, Copy, Debug)]
pub(super) struct LeasedPermit {
    expires_at: Duration,
}

/// A change between the shared limit and the client's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    None,
    Lost,
    Found,
}

impl Leased {
    pub(super) fn new(timeout: Duration) -> Self {
        Self {
            timeout: timeout.min(LONGEST_WINDOW),
            requests: Pool::default(),
            submissions: Pool::default(),
            pending_until: None,
            away_until: None,
            failures: 0,
            is_loss_untold: false,
            fruitless_since: None,
            clients: 1,
            news: News::default(),
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

    /// The number of clients that take from the window without knowing of each other.
    pub(super) fn shares(&self) -> u32 {
        if self.is_working() { 1 } else { self.clients }
    }

    /// Takes a permit, or returns when to try again at the latest.
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
            self.news.submissions_returned = self.news.submissions_returned.saturating_add(1);
        }
    }

    /// A submission with a leased permit has ended, whatever came of it.
    pub(super) fn submission_ended(&mut self) {
        self.news.submissions_ended = self.news.submissions_ended.saturating_add(1);
    }

    pub(super) fn window_began(&mut self) {
        self.news.is_new_window = true;
    }

    pub(super) fn hold(&mut self, until: Duration) {
        self.news.hold_until = self.news.hold_until.max(Some(until));
    }

    pub(super) fn hold_submissions(&mut self, until: Duration) {
        self.news.hold_submissions_until = self.news.hold_submissions_until.max(Some(until));
    }

    /// The earliest time at which more can be leased, as far as can be told.
    pub(super) fn estimate(&self, is_submission: bool, now: Duration) -> Duration {
        let pool = if is_submission { &self.submissions } else { &self.requests };
        if self.is_pending() { now } else { pool.retry_at.max(now) }
    }

    /// Begins a lease, if there is something to ask or to report. `waiting` counts the calls that wait.
    pub(super) fn begin(&mut self, now: Duration, waiting: impl FnOnce() -> Waiting) -> Option<Demand> {
        // A task that does not end by then is one that does not run.
        let is_pending = self.pending_until.is_some_and(|until| now < until.saturating_add(LONGEST_WINDOW));
        if is_pending || self.away_until.is_some_and(|until| now < until) {
            return None;
        }
        self.expire(now);
        let may_ask = |pool: &Pool| self.is_working() && pool.count == 0 && now >= pool.retry_at;
        let (asks_requests, asks_submissions) = (may_ask(&self.requests), may_ask(&self.submissions));
        let (mut requests, mut submissions) = (0, 0);
        if asks_requests || asks_submissions {
            let waiting = waiting();
            requests = waiting.requests * u32::from(asks_requests);
            submissions = waiting.submissions * u32::from(asks_submissions);
        }
        let asks = requests > 0 || submissions > 0;
        if self.is_working() && !asks && self.news == News::default() {
            return None;
        }
        if asks {
            self.fruitless_since.get_or_insert(now);
        }
        self.pending_until = Some(now.saturating_add(self.timeout));
        let spare = if requests > 0 { SPARE } else { 0 };
        Some(Demand { asked_at: now, requests, submissions, spare, news: std::mem::take(&mut self.news) })
    }

    /// Takes in the result of a lease.
    pub(super) fn end(&mut self, demand: &Demand, lease: Option<Lease>, now: Duration) -> Change {
        self.pending_until = None;
        let is_loss_untold = std::mem::take(&mut self.is_loss_untold);
        let Some(lease) = lease.map(Lease::sane) else {
            return if is_loss_untold { Change::Lost } else { self.failed(now) };
        };
        self.expire(now);
        // On its way, the response has taken from the time that it grants.
        let expires_at = demand.asked_at.saturating_add(lease.valid_for);
        let most = if now < expires_at { u32::MAX } else { 0 };
        let requests = lease.requests.min(demand.requests.saturating_add(demand.spare)).min(most);
        let submissions = lease.submissions.min(demand.submissions).min(most);
        if requests > 0 || submissions > 0 || (demand.requests == 0 && demand.submissions == 0) {
            self.fruitless_since = None;
        }
        if self.fruitless_since.is_some_and(|since| now.saturating_sub(since) > USELESS_AFTER) {
            self.fruitless_since = None;
            return self.failed(now);
        }
        let change = if self.is_working() || is_loss_untold { Change::None } else { Change::Found };
        (self.away_until, self.failures, self.clients) = (None, 0, lease.clients);
        self.requests.lease(requests, demand.requests, expires_at, lease.retry_in, now);
        self.submissions.lease(submissions, demand.submissions, expires_at, lease.submissions_retry_in, now);
        change
    }

    /// Gives up a lease that takes too long. The task that waits for it may not run.
    pub(super) fn check_time(&mut self, now: Duration) {
        if self.is_working() && self.pending_until.is_some_and(|until| now >= until) {
            self.failed(now);
            self.is_loss_untold = true;
        }
    }

    fn failed(&mut self, now: Duration) -> Change {
        let change = if self.is_working() { Change::Lost } else { Change::None };
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(5)).min(LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        self.away_until = Some(now.saturating_add(pause));
        let unused = std::mem::take(&mut self.submissions).count;
        self.requests = Pool::default();
        self.news.submissions_returned = self.news.submissions_returned.saturating_add(unused);
        change
    }

    fn expire(&mut self, now: Duration) {
        self.requests.expire(now);
        let expired = self.submissions.expire(now);
        self.news.submissions_returned = self.news.submissions_returned.saturating_add(expired);
    }

    fn pool(&mut self, is_submission: bool) -> &mut Pool {
        if is_submission { &mut self.submissions } else { &mut self.requests }
    }
}

impl Pool {
    /// Removes what has expired. Returns how many.
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
