//! The rate limiter: limits, fairness, shared limits, and unpolled calls.

mod fake;
mod figures;
mod header_forms;
mod leases;
mod limits;
mod programs;
mod shared;
mod unpolled;

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use agentgate::{Client, Clock as _, WorkspaceSource};
use common::time::SimulatedTime;

/// Polls a future once.
async fn poll_once<F: Future + ?Sized>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
}

/// Returns the output of the first future to complete. The other can be polled again.
async fn first<A: Future + Unpin, B: Future + Unpin>(mut a: A, mut b: B) -> Result<A::Output, B::Output> {
    poll_fn(|context| {
        if let Poll::Ready(output) = Pin::new(&mut a).poll(context) {
            return Poll::Ready(Ok(output));
        }
        Pin::new(&mut b).poll(context).map(Err)
    })
    .await
}

/// Runs a future to completion. Returns `None` after an hour of simulated time.
async fn within_an_hour<T>(time: &SimulatedTime, work: impl Future<Output = T>) -> Option<T> {
    let hour = time.sleep(Duration::from_secs(60 * 60));
    time.run(async { first(pin!(work), hour).await.ok() }).await
}

/// Submits `count` work orders with a separate client, and advances time by a minute.
async fn submit_runs(time: &SimulatedTime, count: usize) {
    let client = time.client();
    time.run(async {
        for _ in 0..count {
            let source = WorkspaceSource::git("https://github.com/your-org/your-repo");
            client.work_orders().create("Fix it", source).await.unwrap();
        }
        time.sleep(Duration::from_secs(60)).await;
    })
    .await;
    time.simulator().clear_requests();
}

/// Uses all requests of the window.
async fn exhaust(time: &SimulatedTime, client: &Client, limit: u32) {
    time.run(async {
        for _ in 0..limit {
            client.credits().balance().await.unwrap();
        }
    })
    .await;
}
