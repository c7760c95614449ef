//! The trait of a rate limit that several processes share.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::submissions::SUBMISSIONS_PER_MINUTE;
use super::window::LONGEST_WINDOW;

/// The longest time that a lease may take by default.
const TIMEOUT: Duration = Duration::from_millis(250);

/// The result of [`SharedRateLimit::lease`].
pub type LeaseFuture<'a> = Pin<Box<dyn Future<Output = Result<Lease, Box<dyn Error + Send + Sync>>> + Send + 'a>>;

/// A rate limit that the clients of several processes share. See
/// [`ClientBuilder::shared_rate_limit`](crate::ClientBuilder::shared_rate_limit).
///
/// `RedisRateLimit` (feature `redis`) keeps it in Redis. Implement the trait for another store by one atomic operation:
/// it takes permits for a batch of calls from what is left of the organization's window.
///
/// All times are durations. The clocks of the processes differ, so only the store's own clock counts.
///
/// This example serves the clients of one process. It leaves out fairness between clients and the limit on submissions:
///
/// ```
/// use std::sync::Mutex;
/// use std::time::{Duration, Instant};
///
/// use agentgate::shared_rate_limit::{Lease, LeaseFuture, LeaseRequest, SharedRateLimit};
///
/// #[derive(Debug)]
/// struct InMemory(Mutex<Window>);
///
/// #[derive(Debug)]
/// struct Window {
///     left: u32,
///     ends: Instant,
/// }
///
/// impl SharedRateLimit for InMemory {
///     fn lease(&self, request: LeaseRequest) -> LeaseFuture<'_> {
///         let (now, mut window) = (Instant::now(), self.0.lock().unwrap());
///         if now >= window.ends {
///             *window = Window { left: 100, ends: now + Duration::from_secs(60) };
///         }
///         if let Some(report) = request.report {
///             // The service has counted requests of other programs.
///             window.left = window.left.min(report.remaining);
///         }
///         let submissions = request.submissions.min(window.left);
///         let requests = request.requests.min(window.left - submissions);
///         window.left -= submissions + requests;
///         let time_left = window.ends - now;
///         let lease = Lease::new(requests, time_left).submissions(submissions).retry_in(time_left);
///         Box::pin(async move { Ok(lease) })
///     }
/// }
///
/// # fn main() -> agentgate::Result<()> {
/// let limit = InMemory(Mutex::new(Window { left: 10, ends: Instant::now() }));
/// let client = agentgate::Client::builder().api_key("org_live_xxxxxxxx").shared_rate_limit(limit).build()?;
/// # Ok(())
/// # }
/// ```
pub trait SharedRateLimit: Send + Sync + fmt::Debug + 'static {
    /// Applies the reports of a client, and leases permits to it, in one atomic step.
    ///
    /// A client has one request under way at a time. If this fails or takes longer than [`timeout`](Self::timeout), the
    /// client goes on with its own rate limiter, and tries again later. Permits of a response that came too late are
    /// lost until the window ends.
    fn lease(&self, request: LeaseRequest) -> LeaseFuture<'_>;

    /// Returns the longest time that [`lease`](Self::lease) may take. Defaults to 250 ms.
    fn timeout(&self) -> Duration {
        TIMEOUT
    }
}

impl<T: SharedRateLimit + ?Sized> SharedRateLimit for Arc<T> {
    fn lease(&self, request: LeaseRequest) -> LeaseFuture<'_> {
        (**self).lease(request)
    }

    fn timeout(&self) -> Duration {
        (**self).timeout()
    }
}

/// A request for permits, with the reports of the client.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LeaseRequest {
    /// The organization: a hash of the API key and the service's address, in hexadecimal digits.
    pub organization: Arc<str>,
    /// The client, by a random identifier. Clones of a client have the same one.
    pub client: Arc<str>,
    /// Calls that wait for a permit, without submissions.
    pub requests: u32,
    /// Submissions of work orders that wait for a permit. Each takes a permit from the limit on requests, too.
    pub submissions: u32,
    /// Further permits for requests, which are leased in advance if many are left.
    pub spare: u32,
    /// The client's limit on submissions in a minute.
    pub submission_limit: u32,
    /// Leased submissions that have ended since the last request. Their slots are free in a minute.
    pub submissions_ended: u32,
    /// Leased permits for submissions that were not used. Their slots are free.
    pub submissions_returned: u32,
    /// The rate limit that the service last reported to the client for the present window.
    pub report: Option<LeaseReport>,
    /// The time for which the service has requested that no request is sent.
    pub hold_for: Option<Duration>,
    /// The time for which the service has requested that nothing is submitted.
    pub hold_submissions_for: Option<Duration>,
}

impl LeaseRequest {
    /// Creates a request for no permits, for tests of an implementation.
    #[must_use]
    pub fn new(organization: impl Into<Arc<str>>, client: impl Into<Arc<str>>) -> Self {
        Self {
            organization: organization.into(),
            client: client.into(),
            requests: 0,
            submissions: 0,
            spare: 0,
            submission_limit: SUBMISSIONS_PER_MINUTE,
            submissions_ended: 0,
            submissions_returned: 0,
            report: None,
            hold_for: None,
            hold_submissions_for: None,
        }
    }
}

/// The rate limit as the service reported it to one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseReport {
    /// Requests in a window.
    pub limit: u32,
    /// Requests left in this window.
    pub remaining: u32,
    /// The time to the end of the window. It may be too long by a second, as the service reports whole seconds.
    pub resets_in: Duration,
    /// The end of the window by the clock of the service, in Unix milliseconds. It identifies the window.
    pub window: u64,
}

impl LeaseReport {
    /// Creates a report, for tests of an implementation.
    #[must_use]
    pub const fn new(limit: u32, remaining: u32, resets_in: Duration, window: u64) -> Self {
        Self { limit, remaining, resets_in, window }
    }
}

/// Leased permits, and the times at which to request more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub struct Lease {
    /// Permits for requests.
    pub requests: u32,
    /// Permits for submissions.
    pub submissions: u32,
    /// The time until the permits expire.
    pub valid_for: Duration,
    /// The time after which to request more permits for requests, if fewer were leased than requested.
    pub retry_in: Duration,
    /// The time after which to request more permits for submissions, if fewer were leased than requested.
    pub submissions_retry_in: Duration,
    /// The number of clients that share the limit.
    pub clients: u32,
}

impl Lease {
    /// Creates a lease of permits for so many requests, which expire after a time: at the end of the window. A client
    /// uses none for longer than 61 s.
    pub const fn new(requests: u32, valid_for: Duration) -> Self {
        Self {
            requests,
            submissions: 0,
            valid_for,
            retry_in: Duration::ZERO,
            submissions_retry_in: Duration::ZERO,
            clients: 1,
        }
    }

    /// Sets the number of submissions that are leased beside the requests. Defaults to none.
    pub const fn submissions(mut self, submissions: u32) -> Self {
        self.submissions = submissions;
        self
    }

    /// Sets the time after which to ask again, if fewer permits were leased than wanted. Defaults to at once, and to 61
    /// s at the most.
    pub const fn retry_in(mut self, time: Duration) -> Self {
        (self.retry_in, self.submissions_retry_in) = (time, time);
        self
    }

    /// Sets the time after which to ask for submissions again. Defaults to the same as [`retry_in`](Self::retry_in),
    /// which has to be set before.
    pub const fn submissions_retry_in(mut self, time: Duration) -> Self {
        self.submissions_retry_in = time;
        self
    }

    /// Sets the number of clients that share the limit. A client that cannot reach the shared limit takes this part of
    /// what is left. Defaults to 1.
    pub const fn clients(mut self, clients: u32) -> Self {
        self.clients = clients;
        self
    }

    /// No time is longer than a window, and there is one client at least: the one that asked.
    pub(super) fn sane(self) -> Self {
        Self {
            valid_for: self.valid_for.min(LONGEST_WINDOW),
            retry_in: self.retry_in.min(LONGEST_WINDOW),
            submissions_retry_in: self.submissions_retry_in.min(LONGEST_WINDOW),
            clients: self.clients.max(1),
            ..self
        }
    }
}
