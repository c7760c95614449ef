//! Runs: waits, watches, and the resolution of cancellations.

use serde::Deserialize as _;
use serde_json::json;

use super::{Call, CancelRun, Runs};
use crate::follow::{WaitForRun, WatchRun, Watcher};
use crate::transport::Execution;
use crate::types::{CancelledRun, Run, RunId, RunStatus};
use crate::{Response, Result};

impl Runs {
    /// Waits until a run has ended, and fetches it.
    ///
    /// The wait has no time limit unless [`timeout`](WaitForRun::timeout) is set. All waits of a client share their
    /// polls, see [`Watcher`]. A wait for a run that has already ended takes one request.
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

    /// Returns a stream of the states of a run. The first item is the current state, and the last one is the state at
    /// the end of the run.
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

    /// Returns the watcher of this client and its clones. Use it to configure polling, and to pass the events of
    /// webhooks.
    #[must_use]
    pub fn watcher(&self) -> Watcher {
        Watcher::new(self.client.follower())
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
            // Whoever sent the 409: the run itself is the proof.
            Err(error) if error.status().is_some_and(|status| status == 409) && error.may_have_reached_server() => {
                error
            }
            Ok(response) => {
                // Waits need no poll or delivery to end.
                call.client.follow.apply_status(&call.endpoint.id, &response.value().status);
                return Ok(response);
            }
            Err(error) => return Err(error),
        };
        let mut get = call.client.runs().get(&call.endpoint.id);
        get.settings = call.settings.of_part(sent.time());
        get.settings.options.max_retries = Some(0);
        match get.with_response().await {
            Ok(response) if response.value().status == RunStatus::Cancelled => {
                // It fails if the contract requires a field that a run does not have.
                response.try_map(|run| cancelled(&run)).map_err(|_| error)
            }
            _ => Err(error),
        }
    }
}

/// Returns the value that the cancellation would have returned.
fn cancelled(run: &Run) -> serde_json::Result<CancelledRun> {
    let cancelled_at = run.timing.as_ref().and_then(|timing| timing.completed_at);
    CancelledRun::deserialize(json!({ "id": run.id, "status": run.status, "cancelledAt": cancelled_at }))
}
