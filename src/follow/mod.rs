//! Following runs: to their end, change by change, one or ten thousand.
//!
//! A run takes minutes, and the organization has 100 requests a minute. A program that fetches each of its runs every five seconds
//! has spent them on eight runs. Here, all waits of a client share a [`Watcher`]: it lists many runs by one request, and polls as
//! often as its share of the limit allows. Given the events of a webhook, it hardly polls at all.
//!
//! - [`Runs::wait`](crate::resources::Runs::wait) waits for the end of a run,
//! - [`Call::and_wait`](crate::resources::Call::and_wait) submits a work order and waits for its run,
//! - [`Runs::watch`](crate::resources::Runs::watch) is a stream of changes,
//! - [`Runs::watcher`](crate::resources::Runs::watcher) takes settings, and the events of webhooks.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! # async fn example(client: agentgate::Client) -> agentgate::Result<()> {
//! let finished = client.runs().wait("run_3n9x2p").timeout(Duration::from_secs(30 * 60)).await?;
//! let run = finished.succeeded()?;
//! println!("{}", run.pr_url.unwrap_or_default());
//! # Ok(())
//! # }
//! ```
//!
//! The polls run on the tokio runtime of the first wait. When that runtime is dropped, the next wait polls on its own. Nothing runs in
//! the background once nobody waits: a wait, a watch or a stream that is dropped takes its polling with it.
//!
//! # Figures
//!
//! Runs of 2 to 15 minutes, in the summary form, at 100 requests a minute, in simulated time
//! (`cargo test -p agentgate --lib follow::tests::figures -- --nocapture`). "Late" is how long after the end of a run its wait
//! ends.
//!
//! | at a time / awaited | loop of `get` and `sleep(5)`: requests a minute | late: median, 99 % | `wait`: requests a minute | late: median, 99 % |
//! |---|---|---|---|---|
//! | 1 / 1 | 12.1 | 1.8 s, 1.8 s | 24.5 | 2.2 s, 2.2 s |
//! | 10 / 100 | 94.3 | 23.7 s, 59.2 s | 24.4 | 1.1 s, 4.8 s |
//! | 10 / 1,000 | 99.3 | 106 s, 504 s | 24.4 | 1.5 s, 5.4 s |
//! | 100 / 1,000 | 97.5 | 129 s, 526 s | 24.4 | 3.4 s, 9.8 s |
//! | 10,000 / 10,000, `share(0.5)` | | | 49.9 | 64 s, 127 s |
//! | 100 / 10,000, with deliveries | | | 4.9 | 0 s, 0 s |
//!
//! A waiter takes 1.8 KB. With webhooks, ten runs at a time
//! (`cargo test -p agentgate --lib follow::tests::deliveries -- --nocapture`):
//!
//! | set-up | late: median | 90th percentile | at most |
//! |---|---|---|---|
//! | no webhook | 1.1 s | 2.2 s | 4.7 s |
//! | one process, all three events | 0 s | 0 s | 0 s |
//! | two processes behind a load balancer | 0.1 s | 3.0 s | 6.0 s |
//! | without `run.cancelled`, cancelled by another client | 0 s | 1.9 s | 3.6 s |
//! | graceful shutdown, the runs that are left | 1.9 s | 3.7 s | 4.4 s |
//!
//! Three processes that await 1,000 runs, a hundred at a time, with deliveries to any of them
//! (`cargo test -p agentgate --lib follow::tests::sharing -- --nocapture`):
//!
//! | set-up | late: median | 99 % | requests a minute |
//! |---|---|---|---|
//! | not shared | 0.9 s | 6.9 s | 71.9 |
//! | shared by [`Watcher::broadcast`] | 0 s | 0 s | 5.4 |
//! | shared, one message in ten lost, one in ten up to a minute late | 0 s | 60 s | 14.3 |
//! | shared, while the channel is away | 0.9 s | 7.1 s | 71.9 |
#[cfg(feature = "webhooks")]
mod broadcast;
mod failures;
mod finished;
mod follower;
mod poll_budget;
mod poller;
mod registry;
mod rounds;
mod run_update;
mod source;
#[cfg(all(test, feature = "webhooks"))]
mod tests;
mod wait;
mod watch;
mod watcher;
mod webhook_health;

#[cfg(feature = "webhooks")]
pub(crate) use self::broadcast::BroadcastKey;
#[cfg(feature = "redis")]
pub use self::broadcast::RedisBroadcast;
#[cfg(feature = "webhooks")]
pub use self::broadcast::{Broadcast, BroadcastError, BroadcastFuture, BroadcastSubscription};
pub use self::finished::FinishedRun;
pub(crate) use self::follower::{Follow, RunFollower};
pub(crate) use self::source::{RunSource, SourceFuture};
pub use self::wait::WaitForRun;
pub use self::watch::WatchRun;
pub use self::watcher::Watcher;
