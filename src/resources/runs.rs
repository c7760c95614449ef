//! Runs: waits, watches, and the resolution of cancellations.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{Call, CancelRun, Runs};
use crate::follow::{WaitForRun, WatchRun, Watcher};
use crate::transport::Execution;
use crate::types::{CancelledRun, RunId, RunStatus};
use crate::{Response, Result, json};

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
    /// Fetches the run if the response says that the cancellation was accepted, and not its outcome; or that the run
    /// cannot be cancelled, where an earlier attempt may have cancelled it.
    pub(super) async fn resolved(
        call: &Call<Self>,
        result: Result<Response<CancelledRun>>,
        sent: &Execution,
        id: &RunId,
    ) -> Result<Response<CancelledRun>> {
        let known = match result {
            // Whoever sent the 409: the run itself is the proof.
            Err(error) if error.status().is_some_and(|status| status == 409) && error.may_have_reached_server() => {
                Err(error)
            }
            Err(error) if error.is_decode() => {
                let accepted = error.body().and_then(accepted_status);
                let Some(Ok(run)) = accepted.map(|status| cancelled(id, &status, None)) else {
                    return Err(error);
                };
                Ok(error.into_done().map(|()| run))
            }
            Ok(response) if response.value().status == RunStatus::Unknown(String::new()) => Ok(response),
            Ok(response) => {
                // Waits need no poll or delivery to end.
                call.client.follow.apply_status(id, &response.value().status);
                return Ok(response);
            }
            Err(error) => return Err(error),
        };
        let mut get = call.client.runs().get(id);
        get.settings = call.settings.of_part(sent.time());
        get.settings.options.max_retries = Some(0);
        match get.with_response().await {
            Ok(response) if known.is_ok() || response.value().status == RunStatus::Cancelled => {
                let run = response.value();
                call.client.follow.apply_status(id, &run.status);
                let cancelled_at = run.timing.as_ref().and_then(|timing| timing.completed_at);
                // It fails if the contract requires a field that a run does not have.
                response.try_map(|run| cancelled(&run.id, &run.status, cancelled_at)).or(known)
            }
            _ => known,
        }
    }
}

/// Returns the value that the cancellation would have returned.
fn cancelled(id: &RunId, status: &RunStatus, at: Option<DateTime<Utc>>) -> serde_json::Result<CancelledRun> {
    json::convert(&json!({ "id": id, "status": status, "cancelledAt": at }))
}

/// Returns the status in the body of a success that says no more than that the request was accepted, or an unknown
/// status: a body that is empty, JSON without an error, or a few words. HTML comes from something else than the
/// service.
fn accepted_status(body: &[u8]) -> Option<RunStatus> {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || b" .,!".contains(byte);
    let body = match json::read(body) {
        Ok(body) => body,
        Err(_) if body.len() < 64 && body.trim_ascii().iter().all(is_word) => Value::Null,
        Err(_) => return None,
    };
    let is_error = body == false || body["success"] == false || !body["error"].is_null() || !body["errors"].is_null();
    (!is_error).then(|| body["status"].as_str().unwrap_or_default().into())
}
