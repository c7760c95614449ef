//! [`Broadcast`]: a channel between the processes of a program, by which a delivery that one receives ends the waits of all.

mod key;
mod message;
#[cfg(feature = "redis")]
mod redis;
mod replicas;
mod sharing;

use std::future::Future;
use std::pin::Pin;

pub(crate) use self::key::BroadcastKey;
#[cfg(feature = "redis")]
pub use self::redis::RedisBroadcast;
pub(super) use self::sharing::{Sharing, share, warn};

/// The future of an operation on a channel.
pub type BroadcastFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The reason why a channel cannot be used.
pub type BroadcastError = Box<dyn std::error::Error + Send + Sync>;

/// A channel on which each message reaches all subscribers, on other machines too: for [`Watcher::broadcast`](super::Watcher::broadcast).
///
/// [`RedisBroadcast`](super::RedisBroadcast) (feature `redis`) is one. Another system that has publish and subscribe (NATS, Postgres,
/// MQTT) takes this trait. Messages are bytes of UTF-8, mostly shorter than 500. They are authenticated, so a channel need not be
/// private. It may lose, repeat, delay and reorder messages, and may send a publisher its own: all this costs nothing but time.
///
/// Neither operation should take longer than a few seconds, as the ones that follow wait for it.
pub trait Broadcast: Send + Sync + 'static {
    /// Sends a message to all subscribers of the channel with this name.
    fn publish<'a>(&'a self, channel: &'a str, message: &'a [u8]) -> BroadcastFuture<'a, Result<(), BroadcastError>>;

    /// Subscribes to the channel with this name. It is called again, with increasing delays up to 30 seconds, after it has failed or
    /// the subscription has ended.
    fn subscribe<'a>(
        &'a self,
        channel: &'a str,
    ) -> BroadcastFuture<'a, Result<Box<dyn BroadcastSubscription>, BroadcastError>>;
}

/// A subscription to a channel. It is given up on drop.
pub trait BroadcastSubscription: Send {
    /// Returns the next message, or `None` if the connection is lost.
    fn next(&mut self) -> BroadcastFuture<'_, Option<Vec<u8>>>;
}
