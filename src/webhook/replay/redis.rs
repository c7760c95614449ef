//! [`RedisReplayGuard`]: a replay guard for several processes.

use std::fmt;
use std::time::Duration;

use redis::aio::{ConnectionLike, ConnectionManager};
use redis::{Cmd, FromRedisValue};

use super::{Claim, ClaimToken, GuardError, GuardFuture, LEASE, RETENTION, ReplayGuard};
use crate::redis_login;
use crate::types::EventId;

/// The value of the key of a handled event.
const HANDLED: &str = "handled";

/// Deletes the claim of this token in one step.
const RELEASE: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";

/// A replay guard that remembers events in Redis, or in a server with the same protocol, such as Valkey, by
/// `SET key value NX PX milliseconds`.
///
/// Every event is one key, which Redis expires. Clones share a connection.
///
/// ```no_run
/// use std::time::Duration;
/// use agentgate::webhook::RedisReplayGuard;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let one_day = Duration::from_secs(24 * 60 * 60);
/// let guard = RedisReplayGuard::connect("redis://127.0.0.1/").await?.retention(one_day);
/// # Ok(())
/// # }
/// ```
///
/// # Lost events
///
/// An event that Redis has lost is handled again if it is delivered again:
///
/// - **Persistence.** Without it, a restart of Redis loses all events. Snapshots (RDB) lose those since the last
///   snapshot, and an append-only file with `appendfsync everysec` those of up to a second.
/// - **Eviction.** When its memory is full, Redis deletes keys by its `maxmemory-policy`. All policies but `noeviction`
///   may delete events; with `noeviction`, claims fail instead, and the service delivers again later.
/// - **Failover.** Replication is asynchronous. A replica that takes over, by Sentinel or in a cluster, may lack the
///   last writes.
///
/// So use an instance with `appendonly yes` and `noeviction`, and a handler that is idempotent by the event's id.
///
/// An address with `rediss://` needs TLS, a feature of the `redis` crate: add that crate to your program, for example
/// with the feature `tokio-rustls-comp`.
#[derive(Clone)]
pub struct RedisReplayGuard<C = ConnectionManager> {
    connection: C,
    prefix: String,
    lease: Duration,
    retention: Duration,
}

impl RedisReplayGuard {
    /// Connects to a Redis server, such as `redis://127.0.0.1/`. A lost connection is reestablished; operations of the
    /// guard meanwhile fail within about a second.
    ///
    /// # Errors
    ///
    /// If the address is invalid, if no server responds, or if the server requires a password that the address does not
    /// have.
    pub async fn connect(url: &str) -> Result<Self, GuardError> {
        redis_login::connect(url).await.map(Self::new).map_err(GuardError::new)
    }
}

impl<C: ConnectionLike + Clone + Send + Sync> RedisReplayGuard<C> {
    /// Uses an existing connection: a `ConnectionManager`, a multiplexed connection, or a connection to a cluster.
    pub fn new(connection: C) -> Self {
        Self { connection, prefix: "agentgate:event:".to_owned(), lease: LEASE, retention: RETENTION }
    }

    /// Sets the prefix of each key, before the event's id. Receivers that each have to handle every event need
    /// different prefixes. Defaults to `agentgate:event:`.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets the duration of a claim, which should be longer than the handler takes. Defaults to 2 minutes.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Sets the time for which a handled event is remembered, which should be longer than
    /// [`max_age`](crate::webhook::Verifier::max_age) and [`max_clock_skew`](crate::webhook::Verifier::max_clock_skew)
    /// together. Defaults to 3 days.
    #[must_use]
    pub fn retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    fn set(&self, event_id: &EventId, value: &str, time: Duration) -> Cmd {
        let mut command = redis::cmd("SET");
        command.arg(self.key(event_id)).arg(value).arg("PX").arg(milliseconds(time));
        command
    }

    /// Sets an event's key unless it exists.
    fn set_new(&self, event_id: &EventId, value: &str, time: Duration) -> Cmd {
        let mut command = self.set(event_id, value, time);
        command.arg("NX");
        command
    }

    fn key(&self, event_id: &EventId) -> String {
        format!("{}{event_id}", self.prefix)
    }

    async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, GuardError> {
        command.query_async(&mut self.connection.clone()).await.map_err(GuardError::new)
    }
}

/// The value of the key of a claimed event.
fn claimed(token: &ClaimToken) -> String {
    format!("claimed:{token}")
}

/// Redis accepts whole milliseconds, at least one, and refuses times far in the future.
fn milliseconds(time: Duration) -> u64 {
    /// A thousand years.
    const LONGEST: u64 = 1000 * 365 * 24 * 60 * 60 * 1000;
    u64::try_from(time.as_millis()).unwrap_or(LONGEST).clamp(1, LONGEST)
}

impl<C: ConnectionLike + Clone + Send + Sync> ReplayGuard for RedisReplayGuard<C> {
    fn claim<'a>(&'a self, event_id: &'a EventId, token: &'a ClaimToken) -> GuardFuture<'a, Claim> {
        Box::pin(async move {
            let mine = claimed(token);
            // A claim may expire between the two commands. After the second time, the event counts as claimed by
            // another.
            for _ in 0..2 {
                if self.query::<bool>(&self.set_new(event_id, &mine, self.lease)).await? {
                    return Ok(Claim::First);
                }
                let mut get = redis::cmd("GET");
                match self.query::<Option<String>>(get.arg(self.key(event_id))).await?.as_deref() {
                    Some(HANDLED) => return Ok(Claim::Handled),
                    Some(holder) if holder == mine => return Ok(Claim::First),
                    Some(_) => return Ok(Claim::InProgress),
                    None => {}
                }
            }
            Ok(Claim::InProgress)
        })
    }

    fn complete<'a>(&'a self, event_id: &'a EventId) -> GuardFuture<'a, ()> {
        Box::pin(async move { self.query(&self.set(event_id, HANDLED, self.retention)).await })
    }

    fn release<'a>(&'a self, event_id: &'a EventId, token: &'a ClaimToken) -> GuardFuture<'a, ()> {
        Box::pin(async move {
            let mut eval = redis::cmd("EVAL");
            self.query(eval.arg(RELEASE).arg(1).arg(self.key(event_id)).arg(claimed(token))).await
        })
    }

    // One command instead of a claim and a completion.
    fn first_time<'a>(&'a self, event_id: &'a EventId) -> GuardFuture<'a, bool> {
        Box::pin(async move { self.query(&self.set_new(event_id, HANDLED, self.retention)).await })
    }
}

impl<C> fmt::Debug for RedisReplayGuard<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisReplayGuard")
            .field("prefix", &self.prefix)
            .field("lease", &self.lease)
            .field("retention", &self.retention)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_within_the_limits_of_redis() {
        assert_eq!(milliseconds(Duration::ZERO), 1);
        assert_eq!(milliseconds(Duration::from_nanos(1)), 1);
        assert_eq!(milliseconds(Duration::from_millis(1500)), 1500);
        assert_eq!(milliseconds(Duration::MAX), 31_536_000_000_000);
    }
}
