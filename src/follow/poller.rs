//! [`Poller`]: the task that polls while runs are awaited.

use std::future::{Future as _, poll_fn};
use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::page_scan::PageScan;
use super::poll_scheduler::{Request, Step};
use super::run_source::RunSource;
use super::state::FollowState;
use crate::platform::JoinSet;
use crate::types::{Run, RunId, RunPage};
use crate::{Error, Operation, Response, Result};

const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// Sends the requests that the scheduler decides on. Each request is a task of its own, so that one that hangs delays
/// no other.
pub(super) struct Poller {
    pub(super) state: Arc<FollowState>,
    pub(super) source: Arc<dyn RunSource>,
    pub(super) generation: u64,
}

struct Finished {
    outcome: Outcome,
    sent: Duration,
}

enum Outcome {
    Run(RunId, Result<Box<Response<Run>>>),
    Page(PageScan, Result<Box<Response<RunPage>>>),
}

impl Poller {
    pub(super) async fn run(self) {
        let mut requests = JoinSet::new();
        while let Some(step) = self.next_step() {
            match step {
                Step::Send(request) => {
                    requests.spawn(send(Arc::clone(&self.source), request, self.state.now()));
                }
                Step::Wait(delay) => {
                    if let Some(finished) = self.wait(delay.min(LONGEST_SLEEP), &mut requests).await {
                        self.apply(finished);
                    }
                }
            }
        }
    }

    /// Returns the next step, or `None` if no run is awaited, or if another poller has replaced this one: a request of
    /// this one would end with it, and the run that it fetches would count as being fetched for ever.
    fn next_step(&self) -> Option<Step> {
        let now = self.state.now();
        let rate_limit = self.source.rate_limit();
        let mut inner = self.state.lock();
        if inner.generation != self.generation {
            return None;
        }
        if inner.registry.is_empty() {
            inner.stop_if_idle();
            return None;
        }
        Some(inner.next_step(rate_limit, self.state.clock.now(), now))
    }

    /// Waits until a request has ended, the state has changed, or the delay is over.
    async fn wait(&self, delay: Duration, requests: &mut JoinSet<Finished>) -> Option<Finished> {
        let mut sleep = self.state.clock.sleep(delay);
        let mut changed = pin!(self.state.changed.notified());
        poll_fn(|context| {
            match requests.poll_join_next(context) {
                Poll::Ready(Some(Ok(finished))) => return Poll::Ready(Some(finished)),
                Poll::Ready(Some(Err(error))) => {
                    if let Ok(panic) = error.try_into_panic() {
                        resume_unwind(panic);
                    }
                }
                Poll::Ready(None) | Poll::Pending => {}
            }
            if sleep.as_mut().poll(context).is_ready() || changed.as_mut().poll(context).is_ready() {
                return Poll::Ready(None);
            }
            Poll::Pending
        })
        .await
    }

    fn apply(&self, finished: Finished) {
        let now = self.state.now();
        let mut inner = self.state.lock();
        match finished.outcome {
            Outcome::Run(id, result) => inner.apply_run(&id, result, finished.sent, now),
            Outcome::Page(scan, result) => inner.apply_page(scan, result, finished.sent, now),
        }
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        let mut inner = self.state.lock();
        // A poller that ends while runs are awaited has lost its runtime. Waits on other runtimes subscribe again.
        if inner.generation == self.generation {
            inner.poller = None;
            inner.is_polling = false;
            if std::thread::panicking() {
                let error = Error::configuration("the poller has panicked", "The message of the panic says why.");
                inner.registry.fail_all(&error.with_operation(Operation::GET_RUN));
            } else {
                inner.registry.clear();
            }
        }
    }
}

async fn send(source: Arc<dyn RunSource>, request: Request, sent: Duration) -> Finished {
    let outcome = match request {
        Request::Run(id) => {
            let result = source.run(&id).await.map(Box::new);
            Outcome::Run(id, result)
        }
        Request::Page(scan) => {
            let result = source.page(scan.scope.status(), scan.offset).await.map(Box::new);
            Outcome::Page(scan, result)
        }
    };
    Finished { outcome, sent }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Poller;
    use crate::Client;
    use crate::follow::RunFollower;

    #[tokio::test]
    async fn a_poller_that_was_replaced_takes_no_step() {
        let client = Client::builder().api_key("org_live_test").base_url("http://127.0.0.1:1").build().unwrap();
        let follower = RunFollower::new(&client.follow, client.clone());
        let _awaited = follower.subscribe_end(&"run_1".into()).unwrap();
        let generation = follower.state.lock().generation;
        let poller = |generation| Poller {
            state: Arc::clone(&follower.state),
            source: Arc::clone(&follower.source),
            generation,
        };
        assert!(poller(generation - 1).next_step().is_none());
        assert!(poller(generation).next_step().is_some());
    }
}
