//! [`Poller`]: the task that polls while runs are awaited.

use std::future::{Future as _, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::futures::Notified;

use super::poll_scheduler::{Request, Step};
use super::run_source::RunSource;
use super::state::FollowState;
use crate::platform::{JoinError, JoinSet};
use crate::{Error, Operation};

/// Sends the requests that the scheduler decides on. Each request is a task of its own, so that one that hangs delays
/// no other.
pub(super) struct Poller {
    pub(super) state: Arc<FollowState>,
    pub(super) source: Arc<dyn RunSource>,
    pub(super) number: u64,
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
                    requests.spawn(send(Arc::clone(&self.state), Arc::clone(&self.source), request));
                }
                Some(Step::Wait(delay)) => self.wait(delay, changed, &mut requests).await,
            }
        }
    }

    fn next_step(&self) -> Option<Step> {
        let (limit, now) = (self.source.rate_limit(), self.state.times());
        self.state.update(|inner| inner.next_step(self.number, limit, now))
    }

    /// Waits until the state has changed or the delay is over. Panics if a request has.
    async fn wait(&self, delay: Duration, mut changed: Pin<&mut Notified<'_>>, requests: &mut JoinSet<()>) {
        let mut sleep = self.state.clock.sleep(delay);
        poll_fn(|context| {
            while let Poll::Ready(Some(request)) = requests.poll_join_next(context) {
                if let Some(Ok(panic)) = request.err().map(JoinError::try_into_panic) {
                    resume_unwind(panic);
                }
            }
            let is_over = sleep.as_mut().poll(context).is_ready() || changed.as_mut().poll(context).is_ready();
            if is_over { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.state.update(|inner| inner.poller_ended(self.number));
    }
}

/// Sends a request, and applies its response.
async fn send(state: Arc<FollowState>, source: Arc<dyn RunSource>, request: Request) {
    match request {
        Request::Run(id) => {
            let result = source.run(&id).await;
            let now = state.times();
            state.update(|inner| inner.apply_run(&id, result, now));
        }
        Request::Page(scan) => {
            let result = source.page(scan.scope.status(), scan.offset).await;
            let now = state.times();
            state.update(|inner| inner.apply_page(scan, result, now));
        }
    }
}
