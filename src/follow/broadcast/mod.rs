//! [`Broadcast`]: a channel between the processes of a program, so that a delivery to one ends the waits in all.

mod key;
mod message;
mod outbox;
#[cfg(feature = "redis")]
mod redis;
mod replicas;
mod tasks;

use std::future::Future;
use std::pin::Pin;

pub(crate) use self::key::BroadcastKey;
pub(super) use self::outbox::{Outbox, warn};
#[cfg(feature = "redis")]
pub use self::redis::RedisBroadcast;
pub(super) use self::replicas::Replicas;
pub(super) use self::tasks::start;

/// The future of an operation of a [`Broadcast`].
pub type BroadcastFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The error of an operation of a [`Broadcast`].
pub type BroadcastError = Box<dyn std::error::Error + Send + Sync>;

/// A publish-subscribe channel between processes: for [`Watcher::broadcast`](super::Watcher::broadcast).
///
/// `RedisBroadcast` (feature `redis`) is one. Implement the trait for another system that has publish and subscribe
/// (NATS, Postgres, MQTT). Messages are UTF-8, mostly shorter than 500 bytes. They are authenticated, so a channel need
/// not be private. It may lose, repeat, delay and reorder messages, and may send a publisher its own messages: this
/// delays waits, and has no other effect.
///
/// Neither operation should take longer than a few seconds, because the next operation waits for it.
pub trait Broadcast: Send + Sync + 'static {
    /// Publishes a message to all subscribers of the channel with this name.
    fn publish<'a>(&'a self, channel: &'a str, message: &'a [u8]) -> BroadcastFuture<'a, Result<(), BroadcastError>>;

    /// Subscribes to the channel with this name. It is called again after it has failed or the subscription has ended,
    /// with increasing delays of up to 30 seconds.
    fn subscribe<'a>(
        &'a self,
        channel: &'a str,
    ) -> BroadcastFuture<'a, Result<Box<dyn BroadcastSubscription>, BroadcastError>>;
}

/// A subscription to a channel. Dropping it unsubscribes.
pub trait BroadcastSubscription: Send {
    /// Returns the next message, or `None` if the connection is lost.
    fn next(&mut self) -> BroadcastFuture<'_, Option<Vec<u8>>>;
}
