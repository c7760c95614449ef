//! [`Poller`]: the task that polls while runs are awaited.

use std::future::{Future as _, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::futures::Notified;

use super::page_scan::PageScan;
use super::poll_scheduler::{Request, Step};
use super::run_source::RunSource;
use super::state::{FollowState, Times};
use crate::platform::JoinSet;
use crate::types::{Run, RunId, RunPage};
use crate::{Error, Operation, Response, Result};

/// Sends the requests that the scheduler decides on. Each request is a task of its own, so that one that hangs delays
/// no other.
pub(super) struct Poller {
    pub(super) state: Arc<FollowState>,
    pub(super) source: Arc<dyn RunSource>,
    pub(super) number: u64,
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
    /// Polls until no run is awaited. A panic of the source or the clock fails all waits.
    pub(super) async fn run(self) {
        let mut polling = pin!(self.poll());
        let polling = poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| polling.as_mut().poll(context))) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => Poll::Ready(Err(panic)),
        });
        if polling.await.is_err() {
            let error = Error::configuration("the poller has panicked", "The message of the panic says why.");
            self.state.update(|inner| inner.registry.fail_all(error.with_operation(Operation::GET_RUN)));
        }
    }

    async fn poll(&self) {
        let mut requests = JoinSet::new();
        loop {
            // From here on, no change is missed.
            let changed = pin!(self.state.changed.notified());
            match self.next_step() {
                None => return,
                Some(Step::Send(request)) => {
                    requests.spawn(send(Arc::clone(&self.source), request, self.state.now()));
                }
                Some(Step::Wait(delay)) => {
                    if let Some(finished) = self.wait(delay, changed, &mut requests).await {
                        self.apply(finished);
                    }
                }
            }
        }
    }

    fn next_step(&self) -> Option<Step> {
        let (rate_limit, time, now) = (self.source.rate_limit(), self.state.clock.now(), self.state.now());
        self.state.update(|inner| inner.next_step(self.number, rate_limit, time, now))
    }

    /// Waits until a request has ended, the state has changed, or the delay is over.
    async fn wait(
        &self,
        delay: Duration,
        mut changed: Pin<&mut Notified<'_>>,
        requests: &mut JoinSet<Finished>,
    ) -> Option<Finished> {
        let mut sleep = self.state.clock.sleep(delay);
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

    fn apply(&self, Finished { outcome, sent }: Finished) {
        let at = Times { sent, now: self.state.now(), time: self.state.clock.now() };
        self.state.update(|inner| match outcome {
            Outcome::Run(id, result) => inner.apply_run(&id, result, at),
            Outcome::Page(scan, result) => inner.apply_page(scan, result, at),
        });
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.state.update(|inner| inner.poller_ended(self.number));
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
