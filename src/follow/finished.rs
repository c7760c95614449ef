//! A run that has ended.

use crate::types::{Run, RunStatus};
use crate::{Error, Result};

/// A run that has ended, for good or ill: what [`Runs::wait`](crate::resources::Runs::wait) comes to.
///
/// A wait ends well when the run ends, however it ends: a failed run is no failure of the wait. [`succeeded`](Self::succeeded) makes an
/// error of a run that did not succeed:
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

    /// Returns the final status: `succeeded`, `failed` or `cancelled`.
    #[must_use]
    pub fn status(&self) -> &RunStatus {
        &self.0.status
    }

    /// The run, however it ended.
    #[must_use]
    pub fn run(&self) -> &Run {
        &self.0
    }

    /// The run, however it ended.
    #[must_use]
    pub fn into_run(self) -> Run {
        self.0
    }

    /// The run, if it succeeded.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::RunFailed`](crate::ErrorKind::RunFailed) or [`ErrorKind::RunCancelled`](crate::ErrorKind::RunCancelled); the run
    /// is in [`Error::run`].
    pub fn succeeded(self) -> Result<Run> {
        if self.0.status == RunStatus::Succeeded { Ok(self.0) } else { Err(Error::unsuccessful_run(self.0)) }
    }
}
