//! The errors of waits for a run.

use std::time::Duration;

use super::{ConcernedRun, Error, ErrorKind};
use crate::types::{Run, RunId, RunStatus};

impl Error {
    /// Returns the id of the run that was waited for.
    ///
    /// After [`and_wait`](crate::resources::Call::and_wait), an id means that the work order was accepted.
    #[must_use]
    pub fn run_id(&self) -> Option<&RunId> {
        self.0.run.as_ref().map(|run| &run.id)
    }

    /// Returns the last known status of the run that was waited for.
    #[must_use]
    pub fn run_status(&self) -> Option<&RunStatus> {
        self.0.run.as_ref()?.status.as_ref()
    }

    /// Returns the run if it has ended without success.
    #[must_use]
    pub fn run(&self) -> Option<&Run> {
        self.0.run.as_ref()?.run.as_ref()
    }

    pub(crate) fn unsuccessful_run(run: Run) -> Self {
        let (kind, how, advice) = match &run.status {
            RunStatus::Failed => (
                ErrorKind::RunFailed,
                "failed".to_owned(),
                "Look at the run's error, then submit a work order that avoids it.",
            ),
            RunStatus::Cancelled => (
                ErrorKind::RunCancelled,
                "was cancelled".to_owned(),
                "Submit the work order again if it is still wanted.",
            ),
            status => (
                ErrorKind::RunOutcomeUnknown,
                format!("has ended as `{status}`"),
                "This version does not know whether that is a success: look at the run before you go on.",
            ),
        };
        let details = run.error.iter().flat_map(|error| [error.code.as_deref(), error.message.as_deref()]).flatten();
        let parts: Vec<_> = [how.as_str()].into_iter().chain(details).collect();
        let problem = parts.join(": ").trim_end_matches('.').to_owned();
        let mut error = Self::new(kind, Some(problem), advice);
        let context = ConcernedRun { id: run.id.clone(), status: Some(run.status.clone()), run: Some(run) };
        error.0.run = Some(Box::new(context));
        error
    }

    /// Creates the error of a wait that timed out. `failure` is the error of the last poll, if it failed.
    pub(crate) fn wait_timeout(id: RunId, status: Option<RunStatus>, timeout: Duration, failure: Option<Self>) -> Self {
        let has_ended = status.as_ref().is_some_and(RunStatus::is_terminal);
        let (problem, advice) = match &status {
            Some(status) if has_ended => (
                format!("has ended as {status}, but could not be fetched within the wait time-out of {timeout:?}"),
                "Fetch it by its id.",
            ),
            Some(status) => (
                format!("was {status} when the wait timed out after {timeout:?}"),
                "The run continues: wait again, or cancel it.",
            ),
            None => (
                format!("could not be fetched within the wait time-out of {timeout:?}"),
                "Wait longer; the rate limit may be exhausted, or the service unavailable.",
            ),
        };
        let problem = match &failure {
            Some(failure) => format!("{problem}; the last poll failed: {}", failure.summary()),
            None => problem,
        };
        let mut error = Self::new(ErrorKind::WaitTimeout, Some(problem), advice);
        error.0.source = failure.map(Box::new);
        error.0.run = Some(Box::new(ConcernedRun { id, status, run: None }));
        error
    }

    /// Wraps the last of several successive failures of polls.
    pub(crate) fn repeated(self, times: u32) -> Self {
        if times < 2 {
            return self;
        }
        let mut error = self.clone().with_attempts(times);
        error.0.problem = Some(format!("{times} polls in a row failed, the last: {}", self.summary()));
        (error.0.underlying, error.0.source) = (None, Some(Box::new(self)));
        error
    }

    /// Notes that the last known status came from a cache.
    pub(crate) fn with_stale_status(mut self) -> Self {
        if let Some(problem) = &mut self.0.problem {
            problem.push_str(", by a response that came from a cache");
        }
        self.0.advice = "The run may have ended: fetch it by its id, and look for a proxy that caches responses.";
        self
    }

    /// Notes that the run was cancelled when the wait timed out.
    pub(crate) fn with_cancellation(mut self) -> Self {
        self.0.advice = "The run was cancelled, as requested.";
        self
    }

    /// Notes that cancelling the run when the wait timed out failed.
    pub(crate) fn with_failed_cancellation(mut self, error: Self) -> Self {
        self.0.advice = "The run continues, as cancelling it failed too: see the source of this error.";
        self.0.source = Some(Box::new(error));
        self
    }

    /// Sets the run that the call was for.
    pub(crate) fn with_run_id(mut self, id: &RunId) -> Self {
        let context = || Box::new(ConcernedRun { id: id.clone(), status: None, run: None });
        self.0.run.get_or_insert_with(context);
        self
    }

    /// Returns the failure without the operation and the advice.
    fn summary(&self) -> String {
        match (&self.0.problem, self.response()) {
            (Some(problem), _) => problem.clone(),
            (None, Some(response)) => match &response.read.code {
                Some(code) => format!("{} {code}", response.raw.status.as_u16()),
                None => response.status(),
            },
            (None, None) => self.kind().to_string(),
        }
    }
}
