//! A rate limit in Redis.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use redis::aio::{ConnectionLike, ConnectionManager};
use redis::{Client, RedisResult};

use super::shared::{Lease, LeaseFuture, LeaseRequest, SharedRateLimit};
use crate::redis_login;

/// Leases permits in one atomic step.
const LEASE: &str = include_str!("lease.lua");

/// The longest time that Redis may take, by default.
const TIMEOUT: Duration = Duration::from_millis(250);

/// A rate limit that processes share through Redis (5 or later, or Valkey).
///
/// ```no_run
/// use agentgate::shared_rate_limit::RedisRateLimit;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let limit = RedisRateLimit::connect("redis://127.0.0.1/").await?;
/// let client = agentgate::Client::builder().from_env()?.shared_rate_limit(limit).build()?;
/// # Ok(())
/// # }
/// ```
///
/// Clones share a connection. One limit serves clients of any number of organizations.
///
/// - **Cost.** Calls that wait at the same time share a round trip. A program that makes one call after the other needs
///   one round trip for up to 17 calls, while much of the window is left.
/// - **Fairness.** While several processes wait, each is leased the same number of permits in the first two seconds of
///   a window. The rest is leased in the order of the requests.
/// - **Clocks.** Only the clock of Redis is used. Those of the processes may be wrong.
/// - **Storage.** Five keys for each organization, which expire in five minutes: counters and random identifiers of
///   clients. Their names contain a hash of the API key and the service's address. If they are evicted or lost, the
///   next response of the service reports how much is left.
///
/// An address with `rediss://` needs TLS, which is a feature of the `redis` crate: add that crate with, for example,
/// `tokio-rustls-comp` to your program.
#[derive(Clone)]
pub struct RedisRateLimit<C = ConnectionManager> {
    connection: C,
    prefix: String,
    timeout: Duration,
    time_scale: u32,
}

impl RedisRateLimit {
    /// Connects to a Redis server, such as `redis://127.0.0.1/`. A connection that is lost later is opened again.
    ///
    /// # Errors
    ///
    /// If the address is invalid, if no server responds there, or if the server requires a password that the address
    /// does not have.
    pub async fn connect(url: &str) -> Result<Self, RedisRateLimitError> {
        redis_login::connect(url).await.map(Self::new).map_err(RedisRateLimitError)
    }

    /// Connects to a Redis server when the first permit is needed. A client that starts while the server is unavailable
    /// uses its own rate limiter.
    ///
    /// # Errors
    ///
    /// If the address is invalid.
    pub fn connect_lazily(url: &str) -> Result<Self, RedisRateLimitError> {
        let connect = || Client::open(url)?.get_connection_manager_lazy(redis_login::config());
        connect().map(Self::new).map_err(|error| RedisRateLimitError(error.into()))
    }
}

impl<C: ConnectionLike + Clone + Send + Sync> RedisRateLimit<C> {
    /// Uses an existing connection: a `ConnectionManager`, a multiplexed connection, or one to a cluster.
    pub fn new(connection: C) -> Self {
        Self { connection, prefix: "agentgate:limit:".to_owned(), timeout: TIMEOUT, time_scale: 1 }
    }

    /// Sets the start of each key. Defaults to `agentgate:limit:`.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets the longest time that Redis may take, before a client goes on with its own rate limiter. Defaults to 250
    /// ms.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Lets the time of Redis pass at this multiple, for tests on a clock that does the same.
    #[doc(hidden)]
    #[must_use]
    pub fn time_scale(mut self, scale: u32) -> Self {
        self.time_scale = scale.max(1);
        self
    }

    fn script(&self, request: &LeaseRequest) -> redis::Cmd {
        // In a cluster, the part in braces puts all keys on one node.
        let organization = format!("{}{{{}}}", self.prefix, request.organization);
        let mut eval = redis::cmd("EVAL");
        eval.arg(LEASE).arg(5).arg(&organization);
        for name in ["clients", "waiting", "granted", "submissions"] {
            eval.arg(format!("{organization}:{name}"));
        }
        eval.arg(self.time_scale).arg(&*request.client);
        eval.arg(request.requests).arg(request.submissions).arg(request.spare);
        eval.arg(request.submission_limit).arg(request.submissions_ended).arg(request.submissions_returned);
        eval.arg(milliseconds(request.hold_for)).arg(milliseconds(request.hold_submissions_for));
        if let Some(report) = &request.report {
            eval.arg(report.limit).arg(report.remaining).arg(milliseconds(Some(report.resets_in)));
            eval.arg(report.window.min(LATEST));
        }
        eval
    }
}

/// The result of the script.
type Leased = (u32, u32, u64, u64, u64, u32);

/// The largest whole number that a script counts with exactly.
const LATEST: u64 = 1 << 53;

/// Whole milliseconds, rounded up: who comes too early comes in vain.
fn milliseconds(time: Option<Duration>) -> u64 {
    let time = time.unwrap_or_default().as_nanos().div_ceil(1_000_000);
    u64::try_from(time).map_or(LATEST, |time| time.min(LATEST))
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> SharedRateLimit for RedisRateLimit<C> {
    fn lease(&self, request: LeaseRequest) -> LeaseFuture<'_> {
        Box::pin(async move {
            let mut connection = self.connection.clone();
            let script = self.script(&request);
            let mut leased: RedisResult<Leased> = script.query_async(&mut connection).await;
            if leased.as_ref().is_err_and(|error| error.is_io_error() || error.is_connection_dropped()) {
                // The connection was lost some time ago, and the attempt has begun to make it anew. If that one had
                // leased something, it is lost until the window ends.
                leased = script.query_async(&mut connection).await;
            }
            let (requests, submissions, valid_for, retry_in, submissions_retry_in, clients) = leased?;
            Ok(Lease::new(requests, Duration::from_millis(valid_for))
                .submissions(submissions)
                .retry_in(Duration::from_millis(retry_in))
                .submissions_retry_in(Duration::from_millis(submissions_retry_in))
                .clients(clients))
        })
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }
}

impl<C> fmt::Debug for RedisRateLimit<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisRateLimit")
            .field("prefix", &self.prefix)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// The error of a [`RedisRateLimit`] that cannot be set up.
pub struct RedisRateLimitError(Box<dyn Error + Send + Sync>);

impl fmt::Display for RedisRateLimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the rate limit in Redis cannot be used: {}", self.0)
    }
}

/// The text, as a program prints it whose `main` returns the error.
impl fmt::Debug for RedisRateLimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for RedisRateLimitError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        // What is displayed has named the reason.
        crate::error_causes::unnamed(&self.0.to_string(), self.0.source())
    }
}
