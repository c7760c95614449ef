//! Waiting for the end of runs, with shared polling and webhooks.
//!
//! A run takes minutes, and an organization may send 100 requests a minute. A program that fetches each run every five
//! seconds exceeds this limit with nine runs. Instead, all waits of a client share a [`Watcher`]. It lists many runs
//! with one request, and uses a share of the rate limit, a quarter by default. With the events of a webhook, it uses a
//! twentieth.
//!
//! - [`Runs::wait`](crate::resources::Runs::wait) waits for the end of a run.
//! - [`Call::and_wait`](crate::resources::Call::and_wait) submits a work order and waits for its run.
//! - [`Runs::watch`](crate::resources::Runs::watch) returns a stream of the changes of a run.
//! - [`Runs::watcher`](crate::resources::Runs::watcher) returns the watcher, which has the settings and takes the
//!   events of webhooks.
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
//! Each tokio runtime that polls a wait has a task for the polls. One of these tasks polls for all waits. If it is two
//! seconds late, because its runtime is busy, is not driven or has shut down, the task of another runtime takes over.
//! Nothing runs in the background while nothing is awaited: dropping the last wait, watch or stream stops the polling.
//!
//! # Figures
//!
//! Runs of 2 to 15 minutes, with `summary_only`, at 100 requests a minute, in simulated time
//! (`cargo test -p agentgate --lib follow::tests::figures -- --nocapture`). "Delay" is the time from the end of a run
//! to the end of its wait.
//!
//! | running / awaited | loop of `get` and `sleep(5)`: requests a minute | delay: median, 99 % | `wait`: requests a minute | delay: median, 99 % |
//! |---|---|---|---|---|
//! | 1 / 1 | 12.1 | 1.8 s, 1.8 s | 24.5 | 2.2 s, 2.2 s |
//! | 10 / 100 | 94.3 | 23.7 s, 59.2 s | 24.4 | 1.1 s, 4.8 s |
//! | 10 / 1,000 | 99.3 | 106 s, 504 s | 24.4 | 1.5 s, 5.7 s |
//! | 100 / 1,000 | 97.5 | 129 s, 526 s | 24.4 | 3.4 s, 9.8 s |
//! | 10,000 / 10,000, `share(0.5)` | | | 49.9 | 64 s, 127 s |
//! | 100 / 10,000, with deliveries | | | 4.9 | 0 s, 0 s |
//!
//! A wait takes 2.3 KB of memory. The processor time of a wait and of a request hardly grows with the number of waits
//! (`cargo test -p agentgate --lib follow::tests::figures -- --ignored --nocapture`). With webhooks and ten running
//! runs (`cargo test -p agentgate --lib follow::tests::deliveries -- --nocapture`):
//!
//! | set-up | delay: median | 90 % | maximum |
//! |---|---|---|---|
//! | no webhook | 1.1 s | 2.2 s | 4.7 s |
//! | one process, all three events | 0 s | 0 s | 0 s |
//! | two processes behind a load balancer | 0.3 s | 2.8 s | 6.0 s |
//! | without `run.cancelled`, cancelled by another client | 0 s | 1.7 s | 12.3 s |
//! | graceful shutdown, the remaining runs | 1.9 s | 3.7 s | 4.4 s |
//!
//! Three processes that await 1,000 runs, of which 100 run at a time, with deliveries to any of the three
//! (`cargo test -p agentgate --lib follow::tests::broadcast -- --nocapture`):
//!
//! | set-up | delay: median | 99 % | requests a minute |
//! |---|---|---|---|
//! | not shared | 0.9 s | 6.5 s | 71.9 |
//! | shared by [`Watcher::broadcast`] | 0 s | 0 s | 5.4 |
//! | shared, one message in ten lost, one in ten up to a minute late | 0 s | 73 s | 14.6 |
//! | shared, while the channel is down | 0.8 s | 7.3 s | 71.9 |

// A wait subscribes to its run in the registry, and the poller polls while the registry is not empty:
//
//     wait, watch ─▶ follower ─▶ state: run_registry  (the awaited runs and their subscribers' mailboxes)
//                       │               agenda         (the same runs by what polling has to do with them)
//                       │               poll_scheduler (the run or page to fetch next) over poll_budget (when)
//                       ▼               webhook_health (the share of the rate limit that polling takes)
//                     poller ─────▶ run_source (the service)
//
// A poll and a delivery end a wait in the same way: both become a `RunUpdate`, and the registry sends one with a final
// status to the subscribers of its run. `Watcher::notify` applies the update of an event here, and publishes it by
// `broadcast` to the other processes, whose listeners apply it there.

mod agenda;
#[cfg(feature = "webhooks")]
mod broadcast;
mod finished_run;
mod follower;
mod mailbox;
mod page_scan;
mod poll_budget;
mod poll_failures;
mod poll_scheduler;
mod poller;
mod pollers;
mod run_registry;
mod run_source;
mod run_update;
mod state;
#[cfg(all(test, feature = "test-util", feature = "webhooks"))]
mod tests;
mod wait;
mod watch;
mod watcher;
#[cfg(feature = "webhooks")]
mod webhook_events;
mod webhook_health;

#[cfg(feature = "webhooks")]
pub(crate) use self::broadcast::BroadcastKey;
#[cfg(feature = "redis")]
pub use self::broadcast::RedisBroadcast;
#[cfg(feature = "webhooks")]
pub use self::broadcast::{Broadcast, BroadcastError, BroadcastFuture, BroadcastSubscription};
pub use self::finished_run::FinishedRun;
pub(crate) use self::follower::RunFollower;
pub(crate) use self::run_source::{PAGE_SIZE, RunSource, SourceFuture};
pub(crate) use self::state::FollowState;
pub use self::wait::WaitForRun;
pub use self::watch::WatchRun;
pub use self::watcher::Watcher;
