//! [`RedisBroadcast`]: a channel by publish and subscribe on Redis.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use futures_core::Stream as _;
use redis::aio::{ConnectionManager, PubSubSink, PubSubStream};
use redis::{Client, IntoConnectionInfo, RedisResult};
use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::{Broadcast, BroadcastError, BroadcastFuture, BroadcastSubscription};
use crate::redis_login;

/// The time limit for connecting, and for each command.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The time without a message after which a subscription is probed, because a connection may be cut without notice.
const PROBE_DELAY: Duration = Duration::from_secs(10);

/// A [`Broadcast`] by publish and subscribe on Redis, or on a server with the same protocol, such as Valkey.
///
/// It holds two connections: one that publishes, and one that is subscribed. Nothing is stored, so persistence,
/// `maxmemory` and eviction do not matter. A user with an access-control list needs `+publish`, `+subscribe`, `+ping`
/// and `&agentgate:runs:*`. In a cluster, any node works.
///
/// Lost connections are reestablished. Messages that are published meanwhile are lost, and polling finds the ends of
/// those runs.
///
/// ```no_run
/// use agentgate::follow::RedisBroadcast;
///
/// # async fn example(client: agentgate::Client) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// let broadcast = RedisBroadcast::connect("redis://127.0.0.1/").await?;
/// client.runs().watcher().broadcast(broadcast)?;
/// # Ok(())
/// # }
/// ```
///
/// An address with `rediss://` needs TLS, a feature of the `redis` crate: add that crate to your program, for example
/// with the feature `tokio-rustls-comp`.
pub struct RedisBroadcast {
    client: Client,
    publisher: OnceCell<ConnectionManager>,
}

impl RedisBroadcast {
    /// Connects to a Redis server, such as `redis://127.0.0.1/`.
    ///
    /// To start a program while Redis is down, use [`open`](Self::open).
    ///
    /// # Errors
    ///
    /// If the address is invalid, if no server responds within two seconds, or if the server requires a password that
    /// the address does not have.
    pub async fn connect(url: &str) -> Result<Self, BroadcastError> {
        let broadcast = Self::open(url)?;
        // Connecting ignores the failures of its commands: the first command after it shows that a password is
        // required.
        let ping = async { redis::cmd("PING").exec_async(&mut broadcast.publisher().await?).await };
        ping.await.map(|()| broadcast).map_err(redis_login::refusal)
    }

    /// Uses a Redis server without connecting yet. Connections are made, and retried, when they are needed.
    ///
    /// # Errors
    ///
    /// If the address is invalid.
    pub fn open(url: impl IntoConnectionInfo) -> Result<Self, BroadcastError> {
        Ok(Self { client: Client::open(url)?, publisher: OnceCell::new() })
    }

    async fn publisher(&self) -> RedisResult<ConnectionManager> {
        let connect = || {
            let config =
                redis_login::config().set_connection_timeout(Some(TIMEOUT)).set_response_timeout(Some(TIMEOUT));
            self.client.get_connection_manager_with_config(config)
        };
        self.publisher.get_or_try_init(connect).await.cloned()
    }

    async fn subscription(&self, channel: &str) -> RedisResult<Box<dyn BroadcastSubscription>> {
        let (mut sink, stream) = self.client.get_async_pubsub().await?.split();
        sink.subscribe(channel).await?;
        Ok(Box::new(Subscription { sink, stream }))
    }
}

impl Broadcast for RedisBroadcast {
    fn publish<'a>(&'a self, channel: &'a str, message: &'a [u8]) -> BroadcastFuture<'a, Result<(), BroadcastError>> {
        Box::pin(async move {
            let mut publisher = self.publisher().await?;
            Ok(redis::cmd("PUBLISH").arg(channel).arg(message).exec_async(&mut publisher).await?)
        })
    }

    fn subscribe<'a>(
        &'a self,
        channel: &'a str,
    ) -> BroadcastFuture<'a, Result<Box<dyn BroadcastSubscription>, BroadcastError>> {
        Box::pin(async move { Ok(timeout(TIMEOUT, self.subscription(channel)).await??) })
    }
}

impl fmt::Debug for RedisBroadcast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBroadcast").finish_non_exhaustive()
    }
}

struct Subscription {
    sink: PubSubSink,
    stream: PubSubStream,
}

impl BroadcastSubscription for Subscription {
    fn next(&mut self) -> BroadcastFuture<'_, Option<Vec<u8>>> {
        Box::pin(async move {
            loop {
                let next = poll_fn(|context| Pin::new(&mut self.stream).poll_next(context));
                if let Ok(message) = timeout(PROBE_DELAY, next).await {
                    return Some(message?.get_payload_bytes().to_vec());
                }
                timeout(TIMEOUT, self.sink.ping::<()>()).await.ok()?.ok()?;
            }
        })
    }
}
