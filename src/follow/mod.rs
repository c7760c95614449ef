//! Following runs: to their end, change by change, one or ten thousand.
//!
//! A run takes minutes, and the organization has 100 requests a minute. A program that asks for each of its runs every five seconds
//! has spent them on eight runs. Here, all that wait on one client share a [`Watcher`]: it asks for many runs by one request, more often
//! for young ones than for old ones, and spends no more than its share of the limit. Given the events of a webhook, it hardly asks at all.
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
//! The polls run on the tokio runtime of whoever waited first; it has to go on while others wait, or be dropped. Nothing runs in the
//! background once nobody waits: a wait, a watch or a stream that is dropped takes its polling with it.

mod book;
mod finished;
mod news;
mod pace;
mod plan;
mod schedule;
mod trust;
mod wait;
mod watch;
mod watcher;

pub use self::finished::FinishedRun;
pub use self::schedule::PollSchedule;
pub use self::wait::WaitForRun;
pub use self::watch::WatchRun;
pub(crate) use self::watcher::Follow;
pub use self::watcher::Watcher;
