//! Runs: an agent at work on a work order.

use super::pages::in_pages;
use crate::follow::{WaitForRun, WatchRun, Watcher};
use crate::transport::Call;
use crate::types::{CancelledRun, Run, RunId, RunPage, RunStatus, RunSummary};
use crate::{Response, Result};

resource! {
    /// Runs: from [`Client::runs`](crate::Client::runs).
    Runs
}

impl Runs {
    /// Gets a run by its id.
    ///
    /// ```no_run
    /// # async fn example(client: agentgate::Client) -> agentgate::Result<()> {
    /// let run = client.runs().get("run_3n9x2p").await?;
    /// println!("{} after {} iterations", run.status, run.iterations.unwrap_or(0));
    /// # Ok(())
    /// # }
    /// ```
    pub fn get(&self, id: impl Into<RunId>) -> GetRun {
        GetRun::new(self.client.clone(), id.into())
    }

    /// Lists runs, a page at a time, or all of them as a stream.
    ///
    /// ```no_run
    /// use agentgate::types::RunStatus;
    ///
    /// # async fn example(client: agentgate::Client) -> agentgate::Result<()> {
    /// let failed = client.runs().list().status(RunStatus::Failed).tenant("acme-corp").limit(100).await?;
    /// println!("{} of {:?}", failed.data.len(), failed.total);
    ///
    /// let mut runs = client.runs().list().status(RunStatus::Failed).items();
    /// while let Some(run) = runs.next().await {
    ///     println!("{}", run?.id);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn list(&self) -> ListRuns {
        ListRuns::new(self.client.clone())
    }

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

    /// Cancels a run that is pending or running. A finished run answers with a
    /// [conflict](crate::Error::is_conflict).
    pub fn cancel(&self, id: impl Into<RunId>) -> CancelRun {
        CancelRun::new(self.client.clone(), id.into())
    }
}

call! {
    /// Gets a run: from [`Runs::get`].
    GetRun(GET_RUN) -> Run { id: RunId }
    path [id]
    |this, api| api.get_run(&this.id)
}

call! {
    /// Lists runs: from [`Runs::list`].
    ListRuns(LIST_RUNS) -> RunPage {}
    filters {
        status: RunStatus,
        tenant_id: String,
        tenant_user_id: String,
        limit: u32,
        offset: u32,
    }
    path []
    |this, api| api.list_runs(
        this.limit,
        this.offset,
        this.status.as_ref(),
        this.tenant_id.as_deref(),
        this.tenant_user_id.as_deref(),
    )
}

call! {
    /// Cancels a run: from [`Runs::cancel`].
    CancelRun(CANCEL_RUN) -> CancelledRun { id: RunId }
    path [id]
    |this, api| api.cancel_run(&this.id)
    ; then cancelled
}

/// A run that cannot be cancelled may have been cancelled by an earlier attempt, whose answer was lost.
async fn cancelled(
    call: &CancelRun,
    result: Result<Response<CancelledRun>>,
    sent: &Call,
) -> Result<Response<CancelledRun>> {
    let error = match result {
        Err(error) if error.is_conflict() && error.may_have_reached_server() => error,
        result => return result,
    };
    let mut look = call.client.runs().get(&call.id);
    look.options.clone_from(&call.options);
    look.options.deadline = sent.time_left();
    match look.max_retries(0).with_response().await {
        Ok(response) if response.value().status == RunStatus::Cancelled => Ok(response.map(|run| CancelledRun {
            id: run.id,
            status: run.status,
            cancelled_at: run.timing.and_then(|timing| timing.completed_at),
        })),
        _ => Err(error),
    }
}

impl ListRuns {
    /// Only runs with this status.
    pub fn status(mut self, status: impl Into<RunStatus>) -> Self {
        self.status = Some(status.into());
        self
    }
}

tenant_and_page_filters!(ListRuns, "runs", default 20);
in_pages!(ListRuns(LIST_RUNS) -> RunPage { status, tenant_id, tenant_user_id } of RunSummary, "runs");
