//! [`Poller`]: the task that polls, for as long as somebody waits.

use std::future::{Future as _, poll_fn};
use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::follower::{Follow, State};
use super::rounds::{Request, Scan, Step};
use super::run_update::RunUpdate;
use super::source::RunSource;
use crate::platform::JoinSet;
use crate::types::{Run, RunId, RunPage};
use crate::{Error, ErrorKind, Operation, Result};

/// The poller looks at what there is to do at least this often.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// The task that sends the requests of [`Rounds`](super::rounds::Rounds). Each is a task of its own, so that one that hangs holds
/// up no other.
pub(super) struct Poller {
    pub(super) follow: Arc<Follow>,
    pub(super) source: Arc<dyn RunSource>,
    pub(super) generation: u64,
}

/// A request that has ended.
struct Finished {
    outcome: Outcome,
    sent: Duration,
}

enum Outcome {
    Run(RunId, Result<Box<Run>>),
    Page(Scan, Result<RunPage>),
}

impl Poller {
    pub(super) async fn run(self) {
        let mut requests = JoinSet::new();
        while let Some(step) = self.step() {
            match step {
                Step::Send(request) => {
                    requests.spawn(send(Arc::clone(&self.source), request, self.follow.now()));
                }
                Step::Wait(delay) => {
                    if let Some(finished) = self.wait(delay.min(LONGEST_SLEEP), &mut requests).await {
                        self.apply(finished);
                    }
                }
            }
        }
    }

    /// Returns what to do next, or nothing if nobody waits any more.
    fn step(&self) -> Option<Step> {
        let now = self.follow.now();
        let rate_limit = self.source.rate_limit();
        let mut state = self.follow.state();
        if state.registry.is_empty() {
            state.stop_if_idle();
            return None;
        }
        Some(state.step(rate_limit, self.follow.clock.now(), now))
    }

    /// Waits until a request has ended, something has changed, or the time is up.
    async fn wait(&self, delay: Duration, requests: &mut JoinSet<Finished>) -> Option<Finished> {
        let mut sleep = self.follow.clock.sleep(delay);
        let mut changed = pin!(self.follow.changed.notified());
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
        let now = self.follow.now();
        let mut state = self.follow.state();
        match finished.outcome {
            Outcome::Run(id, result) => state.apply_run(&id, result, finished.sent, now),
            Outcome::Page(scan, result) => state.apply_page(scan, result, finished.sent, now),
        }
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        let mut state = self.follow.state();
        // If it ends while somebody waits, its runtime has been shut down. Those who wait on another find out, and begin anew.
        if state.generation == self.generation {
            state.task = None;
            state.is_polling = false;
            if std::thread::panicking() {
                let error = Error::configuration("the poller has panicked", "The message of the panic says why.");
                state.registry.fail_all(&error.with_operation(Operation::GET_RUN));
            } else {
                state.registry.clear();
            }
        }
    }
}

async fn send(source: Arc<dyn RunSource>, request: Request, sent: Duration) -> Finished {
    let outcome = match request {
        Request::Run(id) => {
            let result = source.run(&id).await.map(|response| Box::new(response.into_inner()));
            Outcome::Run(id, result)
        }
        Request::Page(scan) => {
            let result = source.page(scan.scope.status(), scan.offset).await;
            Outcome::Page(scan, result)
        }
    };
    Finished { outcome, sent }
}

impl State {
    fn apply_run(&mut self, id: &RunId, result: Result<Box<Run>>, sent: Duration, now: Duration) {
        if let Some(run) = self.registry.get_mut(id) {
            run.is_fetching = false;
        }
        match result {
            Ok(run) => {
                // It is the run that was fetched, by whichever id the response calls it.
                if self.registry.apply(RunUpdate { id: id.clone(), ..(*run).into() }, sent) {
                    self.health.polled(id, now);
                    self.rounds.found_end(id, now);
                }
            }
            Err(error) if is_refusal(error.kind()) => self.registry.fail_all(&error),
            Err(error) => self.registry.failed(id, error, now),
        }
    }

    fn apply_page(&mut self, scan: Scan, result: Result<RunPage>, sent: Duration, now: Duration) {
        match result {
            Ok(page) => {
                for id in self.rounds.apply_page(scan, page, &mut self.registry, sent, now) {
                    self.health.polled(&id, now);
                }
            }
            Err(error) if is_refusal(error.kind()) => self.registry.fail_all(&error),
            Err(error) => self.rounds.page_failed(error, now),
        }
    }
}

/// Returns `true` if no request with this key will succeed.
fn is_refusal(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Authentication | ErrorKind::Configuration | ErrorKind::OrganizationSuspended)
}
