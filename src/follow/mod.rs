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

pub use self::finished::FinishedRun;
pub(crate) use self::follower::{Follow, RunFollower};
pub(crate) use self::source::{RunSource, SourceFuture};
pub use self::wait::WaitForRun;
pub use self::watch::WatchRun;
pub use self::watcher::Watcher;
