//! [`FinishedRun`]: a run that has ended, and its fetch.

use std::time::Duration;

use super::follower::RunFollower;
use super::poll_failures::{NextPoll, PollFailures};
use super::run_update::has_ended;
use crate::types::{Run, RunId, RunStatus};
use crate::{Error, Response, Result};

/// The number of fetches that may show an ended run as running, before the status of the update is taken instead.
const MAX_STALE_FETCHES: u32 = 5;

/// The delay after the first of them. It doubles.
const STALE_DELAY: Duration = Duration::from_secs(1);

/// A run that has ended: the output of [`Runs::wait`](crate::resources::Runs::wait).
///
/// A wait succeeds whenever the run ends, also if the run failed or was cancelled. [`succeeded`](Self::succeeded)
/// returns an error for a run that did not succeed:
///
/// ```no_run
/// # async fn example(client: agentgate::Client) -> agentgate::Result<()> {
/// let run = client.runs().wait("run_3n9x2p").await?.succeeded()?;
/// println!("{}", run.pr_url.unwrap_or_default());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "the run may have failed"]
pub struct FinishedRun(Run);

impl FinishedRun {
    pub(crate) fn new(run: Run) -> Self {
        Self(run)
    }

    /// Returns the final status. An [unknown](RunStatus::Unknown) one is final if the run has an error, or a time of
    /// its end that is after its start and not in the future.
    #[must_use]
    pub fn status(&self) -> &RunStatus {
        &self.0.status
    }

    /// Returns the run, whatever its status.
    #[must_use]
    pub fn run(&self) -> &Run {
        &self.0
    }

    /// Returns the run, whatever its status.
    #[must_use]
    pub fn into_run(self) -> Run {
        self.0
    }

    /// Returns the run if it succeeded.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::RunFailed`](crate::ErrorKind::RunFailed),
    /// [`ErrorKind::RunCancelled`](crate::ErrorKind::RunCancelled), or, with a final status that this version does not
    /// know, [`ErrorKind::RunOutcomeUnknown`](crate::ErrorKind::RunOutcomeUnknown). [`Error::run`] has the run.
    pub fn succeeded(self) -> Result<Run> {
        if self.0.status == RunStatus::Succeeded { Ok(self.0) } else { Err(Error::unsuccessful_run(self.0)) }
    }
}

/// Fetches a run that has ended with this status. `failure` is the error of the last fetch, for a wait that times out
/// meanwhile.
pub(super) async fn fetch_finished(
    follower: &RunFollower,
    id: &RunId,
    status: RunStatus,
    failure: &mut Option<Error>,
) -> Result<Response<Run>> {
    let clock = &follower.state.clock;
    let (mut failures, mut stale_fetches) = (PollFailures::default(), 0);
    loop {
        let delay = match follower.source.run(id).await {
            Ok(response) if has_ended(response.value(), clock.now()) => return Ok(response),
            // From a server replica that lags behind.
            Ok(response) => {
                stale_fetches += 1;
                if stale_fetches == MAX_STALE_FETCHES {
                    return Ok(response.map(|run| Run { status, ..run }));
                }
                *failure = None;
                STALE_DELAY * (1 << (stale_fetches - 1))
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
