//! [`Watcher`]: the settings of polling, and the entry point for the events of webhooks.

use std::fmt;
use std::time::Duration;

#[cfg(feature = "webhooks")]
use super::broadcast;
use super::follower::RunFollower;
use super::state::Settings;
use super::wait::WaitForRun;
use super::watch::WatchRun;
use crate::types::RunId;

/// A handle to the polling of a client: its settings, its waits, and the events of webhooks. From
/// [`Runs::watcher`](crate::resources::Runs::watcher).
///
/// A client has one watcher, which its clones share. Every [`wait`](crate::resources::Runs::wait) of the client uses
/// it, so a setting applies to all waits.
///
/// # Polling
///
/// A round of polls covers all awaited runs by the fewest requests: pages of the running runs, or single fetches where
/// these are fewer. The delay between two rounds is the number of requests of a round over the [`share`](Self::share)
/// of the rate limit, and at least [`shortest_delay`](Self::shortest_delay). It is longer while the rest of the program
/// has nearly used the limit up. At 100 requests a minute, a round of one request is repeated every 2.4 seconds.
///
/// A run that cannot be fetched has its own delays, and delays no other. Its waits end with the error after a quarter
/// of an hour of responses that are none of the service's or cannot be read (a 4xx without the service's error body, a
/// page of HTML, a redirect), or after an hour of other failures (5xx, 429, the network, a middleware).
///
/// # Webhooks
///
/// Pass the events of a webhook to [`notify`](Self::notify): the delivery of `run.completed`, `run.failed` or
/// `run.cancelled` ends the waits for its run at once. **The webhook needs all three**; other events end no wait.
///
/// While deliveries arrive, polling uses the [`fallback_share`](Self::fallback_share). If a poll finds a run that has
/// ended and the delivery does not follow within 5 seconds, polling uses the full [`share`](Self::share) again, until
/// ten ends in a row are delivered. So a lost delivery delays the end of a wait at most until the next poll at the
/// fallback share. Note:
///
/// - With several processes behind a load balancer, each receives a part of the deliveries. Polling finds an end that
///   was delivered to another process, unless the processes share their deliveries by [`broadcast`](Self::broadcast).
/// - A run that this client or a clone cancels needs no delivery.
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
    pub(super) follower: RunFollower,
}

impl Watcher {
    pub(crate) fn new(follower: RunFollower) -> Self {
        Self { follower }
    }

    /// Sets the share of the organization's rate limit that polling may use, from 0 to 1. A value outside of that range
    /// counts as the nearest bound. At least one request every ten minutes is sent. Defaults to 0.25.
    #[must_use]
    pub fn share(self, share: f64) -> Self {
        self.set(|settings| settings.share = bounded(share, Settings::default().share))
    }

    /// Sets the share of the rate limit that polling may use while webhooks deliver the ends of runs, from 0 to 1. It
    /// determines how soon an end is found whose delivery is lost: at 100 requests a minute, 0.05 is a poll every 12
    /// seconds. A share larger than [`share`](Self::share) counts as that. Defaults to 0.05.
    #[must_use]
    pub fn fallback_share(self, share: f64) -> Self {
        self.set(|settings| settings.fallback_share = bounded(share, Settings::default().fallback_share))
    }

    /// Sets the shortest delay between two rounds of polls, at least 100 milliseconds. Defaults to 2 seconds.
    #[must_use]
    pub fn shortest_delay(self, delay: Duration) -> Self {
        self.set(|settings| settings.shortest_delay = delay.max(Duration::from_millis(100)))
    }

    fn set(self, change: impl FnOnce(&mut Settings)) -> Self {
        self.follower.state.update(|inner| {
            change(&mut inner.settings);
            inner.has_changed = true;
        });
        self
    }

    /// Waits for the end of a run, as [`Runs::wait`](crate::resources::Runs::wait) does.
    pub fn wait(&self, id: impl Into<RunId>) -> WaitForRun {
        WaitForRun::new(self.follower.clone(), id.into())
    }

    /// Returns a stream of the changes of a run, as [`Runs::watch`](crate::resources::Runs::watch) does.
    pub fn watch(&self, id: impl Into<RunId>) -> WatchRun {
        WatchRun::new(self.follower.clone(), id.into())
    }

    /// Shares deliveries with the other processes of the program, its *replicas*: an event that is passed to
    /// [`notify`](Self::notify) in one ends the waits in all. The replicas have the same API key and base URL, and each
    /// calls this once.
    ///
    /// `RedisBroadcast` (feature `redis`) is a channel; implement [`Broadcast`](super::Broadcast) for others.
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
    /// A delivery to another replica counts as a delivery to this one, so polling uses the
    /// [`fallback_share`](Self::fallback_share). Replicas that await runs announce themselves every 30 seconds, and
    /// divide the share: of three, each polls at a third. So all replicas together poll as often as one process. A
    /// replica that is killed is counted for another 90 seconds. No replica polls for the others: it would have to know
    /// their runs, and its loss would stop polling.
    ///
    /// # Failures
    ///
    /// A lost message delays the end of a wait: polling finds it. While the channel fails, waits behave as in a single
    /// process. [`notify`](Self::notify) neither blocks nor fails: up to 1,024 messages wait to be published, and more
    /// are dropped. The start of a failure is logged as a warning (feature `tracing`).
    ///
    /// # Security
    ///
    /// A message holds the id of a run and of its work order, the run's status, its iterations and its time of
    /// completion: no prompt, no error, no pull request. It is authenticated by a key that is derived from the API key.
    /// Access to the channel alone allows to read, suppress or repeat messages, but not to change or make them. A
    /// repeated message ends no wait wrongly, as a run that has ended does not start again. Repeated announcements of
    /// replicas that are gone can make others poll less often. Messages are ignored whose time differs from the
    /// receiver's clock by more than 15 minutes.
    ///
    /// The API key allows to forge messages. They have the effect of deliveries, so pass only verified events to
    /// [`notify`](Self::notify): all replicas apply them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) outside of a tokio runtime. That runtime runs the
    /// tasks that publish and listen, until the last clone of the client is dropped.
    #[cfg(feature = "webhooks")]
    pub fn broadcast(self, broadcast: impl super::Broadcast) -> crate::Result<Self> {
        let Ok(runtime) = crate::platform::Handle::try_current() else {
            let advice = "Call it in a task of a tokio runtime.";
            return Err(crate::Error::configuration(
                "sharing deliveries requires a tokio runtime, and there is none",
                advice,
            ));
        };
        let RunFollower { state, source } = &self.follower;
        broadcast::start(state, source.broadcast_key(), std::sync::Arc::new(broadcast), &runtime);
        Ok(self)
    }

    /// Sets polling back to its full [`share`](Self::share) permanently, because no more deliveries are expected.
    /// Deliveries still end waits.
    ///
    /// At a graceful shutdown, call it before the receiver stops accepting connections, then wait for the remaining
    /// runs.
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
        self.follower.state.update(|inner| {
            inner.health.stop();
            inner.has_changed = true;
        });
    }

    /// Returns the number of awaited runs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.follower.state.lock().registry.len()
    }

    /// Returns `true` if no run is awaited.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn bounded(share: f64, default: f64) -> f64 {
    if share.is_nan() { default } else { share.clamp(0.0, 1.0) }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").field("runs", &self.len()).finish_non_exhaustive()
    }
}
