//! A channel by Redis.

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

/// A subscription on which nothing has come for so long is probed, as a connection may be cut without a word.
const PROBE: Duration = Duration::from_secs(10);

/// Shares deliveries by publish and subscribe on Redis (or Valkey, or whatever speaks its protocol).
///
/// It holds two connections: one that publishes, and one that is subscribed. Nothing is stored, so persistence, `maxmemory` and eviction
/// do not matter. A user with an access-control list needs `+publish`, `+subscribe`, `+ping` and `&agentgate:runs:*`. In a cluster, any
/// node will do.
///
/// Connections that are lost are made anew. What is published meanwhile is lost, and polling finds the ends of those runs.
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
/// An address with `rediss://` needs TLS, which is a feature of the `redis` crate: add that crate with, for example,
/// `tokio-rustls-comp` to your program.
pub struct RedisBroadcast {
    client: Client,
    publisher: OnceCell<ConnectionManager>,
}

impl RedisBroadcast {
    /// Connects to a Redis server, such as `redis://127.0.0.1/`.
    ///
    /// A program that is to start while Redis is away uses [`open`](Self::open).
    ///
    /// # Errors
    ///
    /// If the address is none, if nobody answers there within two seconds, or if the server asks for a password that the address does
    /// not have.
    pub async fn connect(url: &str) -> Result<Self, BroadcastError> {
        let broadcast = Self::open(url)?;
        // Connecting sends no command whose failure counts: a server that asks for a password says so to the first that does.
        let ping = async { redis::cmd("PING").exec_async(&mut broadcast.publisher().await?).await };
        ping.await.map(|()| broadcast).map_err(redis_login::refusal)
    }

    /// Uses a Redis server without connecting to it. It is connected to when it is needed, for as long as it takes.
    ///
    /// # Errors
    ///
    /// If the address is none.
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
                if let Ok(message) = timeout(PROBE, next).await {
                    return Some(message?.get_payload_bytes().to_vec());
                }
                timeout(TIMEOUT, self.sink.ping::<()>()).await.ok()?.ok()?;
            }
        })
    }
}
