//! Runs: how to follow them, and how a cancellation is resolved.

use serde::Deserialize as _;
use serde_json::json;

use super::{Call, CancelRun, Runs};
use crate::follow::{WaitForRun, WatchRun, Watcher};
use crate::transport::{CallOptions, Execution};
use crate::types::{CancelledRun, Run, RunId, RunStatus};
use crate::{Response, Result};

impl Runs {
    /// Waits for a run to end, and gets it.
    ///
    /// The run is asked for at once, then less and less often as it takes longer: see
    /// [`PollSchedule`](crate::follow::PollSchedule). Many waits on one client are cheap, as they share their polls: see [`Watcher`].
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// # async fn example(client: agentgate::Client) -> agentgate::Result<()> {
    /// let finished = client.runs().wait("run_3n9x2p").timeout(Duration::from_secs(30 * 60)).await?;
    /// println!("{}", finished.status());
    /// let run = finished.succeeded()?; // a failed run becomes an error that carries it
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait(&self, id: impl Into<RunId>) -> WaitForRun {
        self.watcher().wait(id)
    }

    /// Follows a run: a stream of what changes, which ends with the run when it has ended.
    ///
    /// ```no_run
    /// # async fn example(client: agentgate::Client) -> agentgate::Result<()> {
    /// let mut changes = client.runs().watch("run_3n9x2p");
    /// while let Some(run) = changes.next().await {
    ///     let run = run?;
    ///     println!("{}, {} iterations", run.status, run.iterations.unwrap_or(0));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn watch(&self, id: impl Into<RunId>) -> WatchRun {
        self.watcher().watch(id)
    }

    /// What follows the runs of this client and its clones: to set it up, and to hand it the events of webhooks.
    #[must_use]
    pub fn watcher(&self) -> Watcher {
        Watcher::new(self.client.clone())
    }
}

impl CancelRun {
    /// Fetches a run that cannot be cancelled, if an earlier attempt may have cancelled it.
    pub(super) async fn resolved(
        call: &Call<Self>,
        result: Result<Response<CancelledRun>>,
        sent: &Execution,
    ) -> Result<Response<CancelledRun>> {
        let error = match result {
            Err(error) if error.is_conflict() && error.may_have_reached_server() => error,
            result => return result,
        };
        let mut get = call.client.runs().get(&call.endpoint.id).max_retries(0);
        get.options = CallOptions { max_retries: Some(0), deadline: sent.time_left(), ..call.options.clone() };
        match get.with_response().await {
            Ok(response) if response.value().status == RunStatus::Cancelled => {
                // A field that a run does not tell of cannot be made up.
                response.try_map(|run| cancelled(&run)).map_err(|_| error)
            }
            _ => Err(error),
        }
    }
}

/// The response that the cancellation would have had.
fn cancelled(run: &Run) -> serde_json::Result<CancelledRun> {
    let cancelled_at = run.timing.as_ref().and_then(|timing| timing.completed_at);
    CancelledRun::deserialize(json!({ "id": run.id, "status": run.status, "cancelledAt": cancelled_at }))
}
