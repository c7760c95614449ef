//! Following runs of a model service, in simulated time and without HTTP.
//!
//! The time is that of tokio's paused clock: it passes when every task waits for it to.

mod broadcast;
mod deliveries;
mod failures;
mod figures;
mod histories;
mod model;

use std::future::Future;
use std::time::Duration;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Runs this on a runtime of its own, whose time passes by itself.
fn in_simulated_time<T>(test: impl Future<Output = T>) -> T {
    fastrand::seed(7);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(test)
}
