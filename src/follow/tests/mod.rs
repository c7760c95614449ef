//! Follows runs of a model service without HTTP, in tokio's paused time.

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

/// Runs a test on a runtime with paused time.
fn in_simulated_time<T>(test: impl Future<Output = T>) -> T {
    fastrand::seed(7);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(test)
}
