//! [`Watcher`]: the settings of polling, and the way in for webhooks.

use std::fmt;
use std::time::Duration;

#[cfg(feature = "webhooks")]
use super::broadcast::share;
use super::follower::{RunFollower, Settings};
use super::wait::WaitForRun;
use super::watch::WatchRun;
use crate::types::RunId;

/// Follows any number of runs at little cost: from [`Runs::watcher`](crate::resources::Runs::watcher).
///
/// A client has one watcher, which its clones share. Every [`wait`](crate::resources::Runs::wait) of the client goes through it, so a
/// setting here holds for all of them.
///
/// # Polling
///
/// A round of polls tells of all awaited runs by the fewest requests: pages of the runs that are going on, or single fetches where
/// these are fewer. The delay between two rounds is what a round costs over the [`share`](Self::share) of the rate limit that polling
/// may have, and no less than [`shortest_delay`](Self::shortest_delay). It is longer while the rest of the program has nearly spent the
/// limit. At 100 requests a minute, a round of one request is repeated every 2.4 seconds.
///
/// A run that cannot be fetched has delays of its own, and holds up no other. Its waits end with the error if failures that will
/// hardly pass (a redirect, a 405, HTML) repeat for a minute, or if nothing but other failures (5xx, 429, the network) comes for an
/// hour.
///
/// # Webhooks
///
/// Hand the events of a webhook to [`notify`](Self::notify): the delivery of `run.completed`, `run.failed` or `run.cancelled` ends the
/// waits for its run at once. **The webhook needs all three**; other events end no wait.
///
/// While the ends of runs that are awaited in this process are delivered, polling falls to the
/// [`fallback_share`](Self::fallback_share). The first end that polling finds and no delivery has told of within 5 seconds puts
/// it back, until ten ends in a row were delivered. So deliveries make a wait sooner and never later than polling at that share:
///
/// - With several processes behind a load balancer, each gets a part of the deliveries. An end that another process was told of is
///   found by polling here, unless the processes share their deliveries by [`broadcast`](Self::broadcast).
/// - A run that is cancelled by this client or its clones needs no delivery.
/// - At a graceful shutdown, the receiver stops accepting deliveries before the last waits have ended: call
///   [`deliveries_stopped`](Self::deliveries_stopped) first.
///
/// ```no_run
/// # async fn example(client: agentgate::Client, ids: Vec<agentgate::types::RunId>) -> agentgate::Result<()> {
/// let watcher = client.runs().watcher().share(0.5);
/// let waits: Vec<_> = ids.iter().map(|id| tokio::spawn(watcher.wait(id).into_future())).collect();
/// for wait in waits {
///     let finished = wait.await.expect("the wait does not panic")?;
///     println!("{} {}", finished.run().id, finished.status());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Watcher {
    follower: RunFollower,
}

impl Watcher {
    pub(crate) fn new(follower: RunFollower) -> Self {
        Self { follower }
    }

    /// Sets the share of the organization's rate limit that polling may have, from 0 to 1. A value beyond counts as the nearest
    /// bound; a request every ten minutes is sent in any case. Defaults to 0.25.
    #[must_use]
    pub fn share(self, share: f64) -> Self {
        self.set(|settings| settings.share = bounded(share, Settings::default().share))
    }

    /// Sets the share of the rate limit that polling may have while webhooks deliver the ends of runs, from 0 to 1: how late an end
    /// is noticed whose delivery is lost. At 100 requests a minute, 0.05 is a poll every 12 seconds. A share that is larger than
    /// [`share`](Self::share) counts as that. Defaults to 0.05.
    #[must_use]
    pub fn fallback_share(self, share: f64) -> Self {
        self.set(|settings| settings.fallback_share = bounded(share, Settings::default().fallback_share))
    }

    /// Sets the shortest delay between two rounds of polls. It is at least 100 milliseconds. Defaults to 2 seconds.
    #[must_use]
    pub fn shortest_delay(self, delay: Duration) -> Self {
        self.set(|settings| settings.shortest_delay = delay.max(Duration::from_millis(100)))
    }

    fn set(self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.follower.follow.state().settings);
        self.follower.follow.changed.notify_one();
        self
    }

    /// Waits for the end of a run. The same as [`Runs::wait`](crate::resources::Runs::wait).
    pub fn wait(&self, id: impl Into<RunId>) -> WaitForRun {
        WaitForRun::new(self.follower.clone(), id.into())
    }

    /// Follows the changes of a run. The same as [`Runs::watch`](crate::resources::Runs::watch).
    pub fn watch(&self, id: impl Into<RunId>) -> WatchRun {
        WatchRun::new(self.follower.clone(), id.into())
    }

    /// Takes an event that was delivered. If it tells of the end of a run, the waits for that run end at once.
    ///
    /// Events may come in any order, more than once, and for runs that are not awaited. The last 10,000 are remembered, so a wait that
    /// begins after the delivery ends by it, too. Verify deliveries before: [`Verifier`](crate::webhook::Verifier).
    ///
    /// ```no_run
    /// # #[cfg(feature = "axum")]
    /// # mod example {
    /// use agentgate::follow::Watcher;
    /// use agentgate::webhook::Delivery;
    /// use axum::Extension;
    ///
    /// async fn receive(Extension(watcher): Extension<Watcher>, Delivery(event): Delivery) {
    ///     watcher.notify(&event);
    /// }
    /// # }
    /// ```
    #[cfg(feature = "webhooks")]
    pub fn notify(&self, event: &crate::webhook::Event) {
        self.follower.follow.learn_event(event);
    }

    /// Shares deliveries with the other processes of the program, its *replicas*: what one is [notified](Self::notify) of ends the waits
    /// of all. The replicas have the same API key and base URL, and each calls this once.
    ///
    /// `RedisBroadcast` (feature `redis`) is such a channel; [`Broadcast`](super::Broadcast) is for others.
    ///
    /// ```no_run
    /// # #[cfg(feature = "redis")]
    /// # async fn example(client: agentgate::Client) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// use agentgate::follow::RedisBroadcast;
    ///
    /// let broadcast = RedisBroadcast::connect("redis://127.0.0.1/").await?;
    /// let watcher = client.runs().watcher().broadcast(broadcast)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Polling
    ///
    /// A delivery that another replica received counts as one that was received here: polling falls to the
    /// [`fallback_share`](Self::fallback_share). Replicas that await runs announce themselves every 30 seconds, and each polls at its
    /// part of the share: with three, a third. So the fleet polls as often as one process. One that ends without a word is counted for 90
    /// seconds more. There is no leader that polls for the others: it would have to know their runs, and its loss would stop polling.
    ///
    /// # Failures
    ///
    /// A message that is lost costs time, and nothing else: polling finds the end of the run. While the channel fails, waits go on as in a
    /// process of its own. [`notify`](Self::notify) neither blocks nor fails: up to 1,024 messages wait to be published, and more are
    /// dropped. A warning (by `tracing`) tells when a failure begins.
    ///
    /// # Security
    ///
    /// A message tells of a run its id, its work order's id, its status, its iterations and when it ended: no prompt, no error, no pull
    /// request. It is authenticated by a key that is derived from the API key, so who has access to the channel alone can read
    /// it, suppress it, or send it again, but cannot change it or make one. A repeated message ends no wait falsely, as a run that has ended
    /// stays so; and repeated announcements of replicas that are gone can make others poll more rarely. Messages that are more than 15
    /// minutes off the receiver's clock are ignored.
    ///
    /// Whoever has the API key can forge messages. They are relied on as deliveries are, so events that are not
    /// verified must not be handed to [`notify`](Self::notify): the other replicas would take them, too.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) outside of a tokio runtime. The tasks that publish and listen run
    /// on that runtime, until the last clone of the client is dropped.
    #[cfg(feature = "webhooks")]
    pub fn broadcast(self, broadcast: impl super::Broadcast) -> crate::Result<Self> {
        let Ok(runtime) = crate::platform::Handle::try_current() else {
            let advice = "Call it in a task of a tokio runtime.";
            return Err(crate::Error::configuration(
                "sharing deliveries takes a tokio runtime, and there is none",
                advice,
            ));
        };
        let RunFollower { follow, source } = &self.follower;
        share(follow, source.broadcast_key(), std::sync::Arc::new(broadcast), &runtime);
        Ok(self)
    }

    /// Puts polling back to its full [`share`](Self::share), for good: no more deliveries are to be relied on. Deliveries that come
    /// all the same still end waits.
    ///
    /// Call it at a graceful shutdown before the receiver stops accepting connections, then wait for the runs that are left.
    ///
    /// ```no_run
    /// # #[cfg(feature = "axum")]
    /// # mod example {
    /// # async fn shutdown_signal() {}
    /// # async fn serve(
    /// #     listener: tokio::net::TcpListener,
    /// #     app: axum::Router,
    /// #     watcher: agentgate::follow::Watcher,
    /// # ) -> std::io::Result<()> {
    /// axum::serve(listener, app)
    ///     .with_graceful_shutdown(async move {
    ///         shutdown_signal().await;
    ///         watcher.deliveries_stopped();
    ///     })
    ///     .await
    /// # }
    /// # }
    /// ```
    #[cfg(feature = "webhooks")]
    pub fn deliveries_stopped(&self) {
        self.follower.follow.state().health.stop();
        self.follower.follow.changed.notify_one();
    }

    /// Returns the number of runs that are awaited at this moment.
    #[must_use]
    pub fn len(&self) -> usize {
        self.follower.follow.state().registry.len()
    }

    /// Returns whether no run is awaited at this moment.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A share within its bounds.
fn bounded(share: f64, default: f64) -> f64 {
    if share.is_nan() { default } else { share.clamp(0.0, 1.0) }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").field("runs", &self.len()).finish_non_exhaustive()
    }
}
