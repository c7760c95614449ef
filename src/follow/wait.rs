//! [`WaitForRun`]: waits for the end of a run.

use std::fmt;
use std::future::IntoFuture;
use std::time::Duration;

use super::finished_run::{FinishedRun, fetch_finished};
use super::follower::{RunFollower, Subscription};
use super::run_source::SourceFuture;
use super::run_update::has_ended;
use crate::run_until::run_until;
use crate::types::{Run, RunId, RunStatus, WorkOrderCreated};
use crate::{Error, Response, Result};

/// A wait for the end of a run: from [`Runs::wait`](crate::resources::Runs::wait) and
/// [`Call::and_wait`](crate::resources::Call::and_wait).
///
/// It waits as long as the run takes, unless a [`timeout`](Self::timeout) is set.
///
/// # Errors
///
/// - The service says that the run does not exist, or that the key may not read it. A run that is known to exist may be
///   missing for a minute.
/// - The service says that the key is not accepted, or that the organization is suspended. This ends all waits of the
///   client.
/// - Polls for this run keep failing: for a quarter of an hour with responses that are none of the service's or cannot
///   be read (a 4xx without the service's error body, a page of HTML, a redirect), or for an hour with other failures
///   (5xx, 429, the network, a middleware). `source()` is the error of the last poll. A wait therefore survives ten
///   minutes of a gateway that refuses every request.
/// - [`ErrorKind::WaitTimeout`](crate::ErrorKind::WaitTimeout): the [`timeout`](Self::timeout) has passed. If the last
///   poll failed, `source()` is its error.
#[must_use = "a wait does nothing until it is awaited"]
pub struct WaitForRun {
    follower: RunFollower,
    target: Target,
    timeout: Option<Duration>,
    cancel_on_timeout: bool,
    summary_only: bool,
}

enum Target {
    Run(RunId),
    Submission(SourceFuture<WorkOrderCreated>),
}

impl WaitForRun {
    pub(crate) fn new(follower: RunFollower, id: RunId) -> Self {
        Self::of(follower, Target::Run(id))
    }

    pub(crate) fn after(follower: RunFollower, submission: SourceFuture<WorkOrderCreated>) -> Self {
        Self::of(follower, Target::Submission(submission))
    }

    fn of(follower: RunFollower, target: Target) -> Self {
        Self { follower, target, timeout: None, cancel_on_timeout: false, summary_only: false }
    }

    /// Sets the time limit for the wait, counted from the submission's response if this wait submits the work order.
    /// After it, the wait fails with [`ErrorKind::WaitTimeout`](crate::ErrorKind::WaitTimeout) and the last known
    /// [status](crate::Error::run_status); the run continues. Its text says so if
    /// that status came from a cache, and the run may have ended. Defaults to no limit.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Cancels the run when the [`timeout`](Self::timeout) passes. The wait still fails with
    /// [`ErrorKind::WaitTimeout`](crate::ErrorKind::WaitTimeout), unless the run has ended by then and can be fetched.
    /// By default, the run continues.
    pub fn cancel_on_timeout(mut self) -> Self {
        self.cancel_on_timeout = true;
        self
    }

    /// Returns the run with the fields of the list or delivery that showed its end, without fetching it: its status,
    /// iterations and time of completion. Fields that lists omit (pull request, cost, error, tenant) may be missing.
    /// This saves one request for each run. Defaults to `false`.
    pub fn summary_only(mut self) -> Self {
        self.summary_only = true;
        self
    }

    /// Waits, and returns the run with the status, headers, request id and body of its response. The run is always
    /// fetched when it has ended.
    ///
    /// ```no_run
    /// # async fn example(client: agentgate::Client) -> agentgate::Result<()> {
    /// let response = client.runs().wait("run_3n9x2p").with_response().await?;
    /// println!("{:?} {}", response.request_id(), String::from_utf8_lossy(response.body()));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "a wait does nothing until it is awaited"]
    pub fn with_response(self) -> SourceFuture<Response<FinishedRun>> {
        Box::pin(async move { self.run(true).await.map(|response| response.map(FinishedRun::new)) })
    }

    async fn run(self, needs_response: bool) -> Result<Response<Run>> {
        let id = match self.target {
            Target::Run(id) => id,
            Target::Submission(submission) => submission.await?.run_id,
        };
        let (follower, summary_only) = (self.follower, self.summary_only);
        let (subscription, status, failure) = (None, None, None);
        let mut wait = Wait { follower, id, summary_only, needs_response, subscription, status, failure };
        let outcome = match self.timeout {
            None => wait.end().await,
            Some(timeout) => {
                let sleep = wait.follower.state.clock.sleep(timeout);
                match run_until(wait.end(), sleep).await {
                    Some(outcome) => outcome,
                    None => return Box::pin(wait.time_out(timeout, self.cancel_on_timeout)).await,
                }
            }
        };
        outcome.map_err(|error| error.with_run_id(&wait.id))
    }
}

impl IntoFuture for WaitForRun {
    type Output = Result<FinishedRun>;
    type IntoFuture = SourceFuture<FinishedRun>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.run(false).await.map(|response| FinishedRun::new(response.into_inner())) })
    }
}

impl fmt::Debug for WaitForRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitForRun")
            .field("timeout", &self.timeout)
            .field("cancel_on_timeout", &self.cancel_on_timeout)
            .field("summary_only", &self.summary_only)
            .finish_non_exhaustive()
    }
}

struct Wait {
    follower: RunFollower,
    id: RunId,
    summary_only: bool,
    needs_response: bool,
    subscription: Option<Subscription>,
    /// The final status, once it is known.
    status: Option<RunStatus>,
    /// The error of the last fetch of the ended run.
    failure: Option<Error>,
}

impl Wait {
    async fn end(&mut self) -> Result<Response<Run>> {
        let subscription = self.follower.subscribe(&self.id, false);
        let update = self.subscription.insert(subscription).next().await?;
        self.subscription = None;
        self.status = Some(update.status.clone());
        match update.run {
            Some(run) if !self.needs_response && (update.is_whole || self.summary_only) => Ok(Response::of_value(*run)),
            _ => Box::pin(fetch_finished(&self.follower, &self.id, update.status, &mut self.failure)).await,
        }
    }

    async fn time_out(self, timeout: Duration, cancel: bool) -> Result<Response<Run>> {
        let is_over = self.status.is_some();
        let (status, is_stale, failure) = match self.status {
            Some(status) => (Some(status), false, self.failure),
            None => self.follower.state.lock().last_poll(&self.id),
        };
        let error = Error::wait_timeout(self.id.clone(), status, timeout, failure);
        let error = if is_stale { error.with_stale_status() } else { error };
        drop(self.subscription);
        if !cancel || is_over {
            return Err(error);
        }
        match self.follower.source.cancel(&self.id).await {
            Ok(()) => Err(error.with_cancellation()),
            // The run may have ended in the meantime.
            Err(refused) if refused.status().is_some_and(|status| status == 409) => {
                match self.follower.source.run(&self.id).await {
                    Ok(response) if has_ended(response.value(), self.follower.state.clock.now()) => Ok(response),
                    _ => Err(error.with_failed_cancellation(refused)),
                }
            }
            Err(failed) => Err(error.with_failed_cancellation(failed)),
        }
    }
}
