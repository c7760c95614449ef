//! [`RunUpdate`]: the state of a run, as a response or a delivery reports it.

use serde::Serialize;
use serde_json::{Value, json};

use crate::types::{Run, RunId, RunStatus, RunSummary};

#[derive(Clone, Debug)]
pub(super) struct RunUpdate {
    pub(super) id: RunId,
    pub(super) status: RunStatus,
    pub(super) is_final: bool,
    pub(super) iterations: Option<u32>,
    pub(super) pull_request: Option<String>,
    /// The run, if its required fields are known.
    pub(super) run: Option<Box<Run>>,
    /// `true` if `run` has all fields, not only those of lists.
    pub(super) is_whole: bool,
}

impl RunUpdate {
    /// Returns an update of the status alone.
    pub(super) fn of_status(id: RunId, status: RunStatus) -> Self {
        let is_final = status.is_terminal();
        Self { id, status, is_final, iterations: None, pull_request: None, run: None, is_whole: false }
    }

    /// Returns the update that an event reports. `None` if it is not about the status of a run.
    #[cfg(feature = "webhooks")]
    pub(super) fn from_event(event: &crate::webhook::Event) -> Option<Self> {
        use crate::types::WebhookEventType as Type;

        let id = event.run_id()?.clone();
        let by_type = match event.kind {
            Type::RunCreated => RunStatus::Pending,
            Type::RunStarted => RunStatus::Running,
            Type::RunCompleted => RunStatus::Succeeded,
            Type::RunFailed => RunStatus::Failed,
            Type::RunCancelled => RunStatus::Cancelled,
            _ => return None,
        };
        let data = event.run()?;
        // Of two final statuses, that of the data counts.
        let by_data = data.status.clone().filter(|status| by_type.is_terminal() && status.is_terminal());
        let status = by_data.unwrap_or(by_type);
        let run = run_of(data, [("id", Some(json!(id))), ("status", Some(json!(status)))]).map(Box::new);
        // The fields of an event are not documented. One with none of these lacks most of the run.
        let is_detailed = data.timing.is_some() || data.cost.is_some() || data.pr_url.is_some() || data.error.is_some();
        Some(Self {
            iterations: data.iterations,
            pull_request: data.pr_url.clone(),
            is_whole: data.work_order_id.is_some() && is_detailed,
            run,
            ..Self::of_status(id, status)
        })
    }

    /// Returns a number that grows from submission to end. An unknown status lies in between.
    pub(super) fn progress(&self) -> u8 {
        if self.is_final { 2 } else { u8::from(self.status != RunStatus::Pending) }
    }
}

impl From<Run> for RunUpdate {
    fn from(run: Run) -> Self {
        Self {
            id: run.id.clone(),
            status: run.status.clone(),
            is_final: has_ended(&run),
            iterations: run.iterations,
            pull_request: run.pr_url.clone(),
            run: Some(Box::new(run)),
            is_whole: true,
        }
    }
}

impl From<RunSummary> for RunUpdate {
    fn from(summary: RunSummary) -> Self {
        let timing = summary.completed_at.map(|completed_at| json!({ "completedAt": completed_at }));
        Self {
            run: run_of(&summary, [("timing", timing)]).map(Box::new),
            is_final: is_final(&summary.status, summary.completed_at.is_some()),
            iterations: summary.iterations,
            ..Self::of_status(summary.id, summary.status)
        }
    }
}

/// Returns whether a run has ended, possibly with a status that this version of the crate does not know.
pub(super) fn has_ended(run: &Run) -> bool {
    is_final(&run.status, run.timing.as_ref().is_some_and(|timing| timing.completed_at.is_some()))
}

fn is_final(status: &RunStatus, is_completed: bool) -> bool {
    status.is_terminal() || (is_completed && matches!(status, RunStatus::Unknown(_)))
}

/// Makes a run from an object with fields of a run, and from these fields. It converts through JSON, so that a new
/// field of runs needs no change here.
fn run_of<const N: usize>(source: &impl Serialize, fields: [(&str, Option<Value>); N]) -> Option<Run> {
    let mut run = serde_json::to_value(source).ok()?;
    for (name, value) in fields {
        if let Some(value) = value {
            run.as_object_mut()?.insert(name.to_owned(), value);
        }
    }
    crate::json::convert(&run).ok()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize as _;
    use serde_json::json;

    use super::RunUpdate;
    use crate::types::{RunStatus, RunSummary};

    fn listed(status: &str, completed_at: Option<&str>) -> RunUpdate {
        let summary = json!({
            "id": "run_1", "workOrderId": "wo_1", "status": status, "iterations": 3, "completedAt": completed_at,
        });
        RunUpdate::from(RunSummary::deserialize(summary).unwrap())
    }

    #[test]
    fn a_run_in_a_list_has_the_time_of_its_end() {
        let update = listed("failed", Some("2026-01-15T10:34:47Z"));
        let run = update.run.unwrap();
        assert_eq!((run.id.as_str(), run.work_order_id, run.status), ("run_1", Some("wo_1".into()), RunStatus::Failed));
        assert_eq!((run.iterations, update.is_whole), (Some(3), false));
        assert_eq!(run.timing.unwrap().completed_at, "2026-01-15T10:34:47Z".parse().ok());
    }

    #[test]
    fn an_unknown_status_is_final_if_the_run_is_complete() {
        let time = Some("2026-01-15T10:34:47Z");
        for (status, completed_at, is_final) in
            [("hibernating", None, false), ("expired", time, true), ("running", time, false), ("succeeded", None, true)]
        {
            assert_eq!(listed(status, completed_at).is_final, is_final, "{status} {completed_at:?}");
        }
    }

    #[cfg(feature = "webhooks")]
    #[test]
    fn a_run_in_an_event_has_the_id_of_the_event() {
        let event = |data: serde_json::Value| {
            let json = json!({ "id": "evt_1", "type": "run.completed", "data": data });
            RunUpdate::from_event(&crate::webhook::Event::from_json(json).unwrap()).unwrap()
        };
        let update =
            event(json!({ "runId": "run_1", "workOrderId": "wo_1", "prUrl": "https://example.com/1", "more": [1] }));
        let run = update.run.unwrap();
        assert_eq!((run.id.as_str(), run.status, update.is_whole), ("run_1", RunStatus::Succeeded, true));
        assert_eq!(run.pr_url.as_deref(), Some("https://example.com/1"));
        assert!(!event(json!({ "runId": "run_1", "prUrl": "https://example.com/1" })).is_whole);
    }
}
