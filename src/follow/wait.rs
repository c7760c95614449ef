//! [`WaitForRun`]: waiting for the end of a run.

use std::fmt;
use std::future::IntoFuture;
use std::time::Duration;

use tokio::sync::oneshot;

use super::failures::{Failures, NextPoll};
use super::finished::FinishedRun;
use super::follower::{RunFollower, Subscription};
use super::run_update::{RunUpdate, has_ended};
use super::source::SourceFuture;
use crate::race::race;
use crate::types::{Run, RunId, RunStatus, WorkOrderCreated};
use crate::{Error, Response, Result};

/// Number of times that a run is fetched after its end became known, until the response confirms it.
const LOOKS: u32 = 5;

/// The delay before the second of them. It doubles.
const LOOK_DELAY: Duration = Duration::from_secs(1);

/// Waits for a run to end: from [`Runs::wait`](crate::resources::Runs::wait) and
/// [`Call::and_wait`](crate::resources::Call::and_wait).
///
/// Without a [`timeout`](Self::timeout) it waits for as long as the run takes.
///
/// # Errors
///
/// - There is no such run, or the key may not read it.
/// - The key has expired, or the organization is suspended.
/// - Polls for this run keep failing: for a minute in a way that will hardly pass (a redirect, a 405, HTML, JSON that cannot be
///   read), or for an hour in any other way (5xx, 429, the network). `source()` is the error of the last
///   poll.
/// - [`ErrorKind::WaitTimeout`](crate::ErrorKind::WaitTimeout): the [`timeout`](Self::timeout) has passed. If the last poll has
///   failed, `source()` is its error.
#[must_use = "a wait does nothing until it is awaited"]
pub struct WaitForRun {
    follower: RunFollower,
    target: Target,
    timeout: Option<Duration>,
    cancel_on_timeout: bool,
    summary_only: bool,
}

/// The run to wait for.
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

    /// Sets the time limit for the wait, counted from when the work order was accepted if this wait submits it. After it, the wait
    /// fails with [`ErrorKind::WaitTimeout`](crate::ErrorKind::WaitTimeout), which has the last
    /// [status](crate::Error::run_status), and the run goes on. Defaults to no limit.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Cancels the run when the [`timeout`](Self::timeout) passes. The wait fails all the same, unless the run turns out to have ended
    /// by then and can be fetched.
    pub fn cancel_on_timeout(mut self) -> Self {
        self.cancel_on_timeout = true;
        self
    }

    /// Returns the run as a list or a delivery tells of it: its status, its iterations, when it ended. Fields that lists leave out
    /// (pull request, cost, error, tenant) may be missing then. This saves the request that fetches the run when it has ended, which
    /// matters to a program that waits for thousands.
    pub fn summary_only(mut self) -> Self {
        self.summary_only = true;
        self
    }

    /// Waits, and returns the run together with status, headers, request id and body of the response in which it was fetched. For this, the
    /// run is fetched when it has ended, also where the wait would know it without.
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

    /// Returns the run when it has ended. The response around it is that of the service if that is needed.
    async fn run(self, needs_response: bool) -> Result<Response<Run>> {
        let id = match self.target {
            Target::Run(id) => id,
            Target::Submission(submission) => submission.await?.run_id,
        };
        let follower = self.follower;
        let summary_only = self.summary_only;
        let (subscription, ended, failure) = (None, None, None);
        let mut wait = Wait { follower, id, summary_only, needs_response, subscription, ended, failure };
        let ended = match self.timeout {
            None => wait.end().await,
            Some(timeout) => {
                let sleep = wait.follower.follow.clock.sleep(timeout);
                match race(wait.end(), sleep).await {
                    Some(ended) => ended,
                    None => return Box::pin(wait.give_up(timeout, self.cancel_on_timeout)).await,
                }
            }
        };
        ended.map_err(|error| error.with_run_id(&wait.id))
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

/// A wait under way.
struct Wait {
    follower: RunFollower,
    id: RunId,
    summary_only: bool,
    needs_response: bool,
    subscription: Option<Subscription<oneshot::Receiver<Result<RunUpdate>>>>,
    /// The final status, once it is known.
    ended: Option<RunStatus>,
    /// Why the ended run could not be fetched.
    failure: Option<Error>,
}

impl Wait {
    /// Returns the run when it has ended.
    async fn end(&mut self) -> Result<Response<Run>> {
        let update = loop {
            let subscription = self.follower.subscribe_end(&self.id)?;
            if let Ok(outcome) = (&mut self.subscription.insert(subscription).receiver).await {
                break outcome?;
            }
            // The poller is gone with its runtime. The next subscription starts another.
        };
        self.subscription = None;
        self.ended = Some(update.status.clone());
        match update.run {
            Some(run) if !self.needs_response && (update.is_whole || self.summary_only) => Ok(Response::of_value(*run)),
            _ => Box::pin(whole(&self.follower, &self.id, update.status, &mut self.failure)).await,
        }
    }

    /// Ends the wait after its time-out.
    async fn give_up(self, timeout: Duration, cancel: bool) -> Result<Response<Run>> {
        let is_over = self.ended.is_some();
        let (status, failure) = match self.ended {
            Some(status) => (Some(status), self.failure),
            None => self.follower.last_poll(&self.id),
        };
        let error = Error::wait_timeout(self.id.clone(), status, timeout, failure);
        drop(self.subscription);
        if !cancel || is_over {
            return Err(error);
        }
        match self.follower.source.cancel(&self.id).await {
            Ok(()) => Err(error.with_cancellation()),
            // It has ended in the meantime.
            Err(refused) if refused.is_conflict() => match self.follower.source.run(&self.id).await {
                Ok(response) if has_ended(response.value()) => Ok(response),
                _ => Err(error.with_failed_cancellation(refused)),
            },
            Err(failed) => Err(error.with_failed_cancellation(failed)),
        }
    }
}

/// Fetches the whole of a run that has ended with this status, and keeps the last failure.
pub(super) async fn whole(
    follower: &RunFollower,
    id: &RunId,
    status: RunStatus,
    failure: &mut Option<Error>,
) -> Result<Response<Run>> {
    let clock = &follower.follow.clock;
    let (mut failures, mut looks) = (Failures::default(), 0);
    loop {
        let delay = match follower.source.run(id).await {
            Ok(response) if has_ended(response.value()) => return Ok(response),
            // A replica lags behind: what has ended stays so.
            Ok(response) => {
                looks += 1;
                if looks == LOOKS {
                    return Ok(response.map(|run| Run { status, ..run }));
                }
                *failure = None;
                LOOK_DELAY * (1 << (looks - 1))
            }
            Err(error) => match failures.record(&error, true, clock.monotonic()) {
                NextPoll::After(delay) => {
                    *failure = Some(error);
                    delay
                }
                NextPoll::Never => return Err(error.repeated(failures.count())),
            },
        };
        clock.sleep(delay).await;
    }
}
