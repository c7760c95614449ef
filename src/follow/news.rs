//! What polls and deliveries tell of a run, brought into one form.

use serde::{Deserialize as _, Serialize};
use serde_json::{Value, json};

use crate::types::{Run, RunId, RunStatus, RunSummary};

/// What is known of a run now.
#[derive(Clone, Debug)]
pub(super) struct News {
    pub(super) id: RunId,
    pub(super) status: RunStatus,
    pub(super) iterations: Option<u32>,
    pub(super) pull_request: Option<String>,
    /// The run, if enough is known to show one.
    pub(super) run: Option<Box<Run>>,
    /// Whether that is all of it, and not the brief form of lists.
    pub(super) is_whole: bool,
}

impl From<Run> for News {
    fn from(run: Run) -> Self {
        Self {
            id: run.id.clone(),
            status: run.status.clone(),
            iterations: run.iterations,
            pull_request: run.pr_url.clone(),
            run: Some(Box::new(run)),
            is_whole: true,
        }
    }
}

impl From<RunSummary> for News {
    fn from(summary: RunSummary) -> Self {
        let run = summarized(&summary).map(Box::new);
        Self {
            id: summary.id,
            status: summary.status,
            iterations: summary.iterations,
            pull_request: None,
            run,
            is_whole: false,
        }
    }
}

/// The run that a list tells of, without what lists leave out. `None` if a run has to have a field that lists do not have.
fn summarized(summary: &RunSummary) -> Option<Run> {
    let timing = summary.completed_at.map(|completed_at| json!({ "completedAt": completed_at }));
    run_of(summary, [("timing", timing)])
}

/// The run that something with fields of a run tells of, with these in their place. It goes by way of JSON, so that a new field of
/// runs needs no change here.
fn run_of<const N: usize>(told: &impl Serialize, fields: [(&str, Option<Value>); N]) -> Option<Run> {
    let mut run = serde_json::to_value(told).ok()?;
    for (name, value) in fields {
        if let Some(value) = value {
            run.as_object_mut()?.insert(name.to_owned(), value);
        }
    }
    Run::deserialize(run).ok()
}

impl News {
    /// What an event tells of a run; `None` if it is about none. An event that tells of no status leaves it open.
    #[cfg(feature = "webhooks")]
    pub(super) fn of_event(event: &crate::webhook::Event) -> Option<(RunId, Option<Self>)> {
        use crate::types::WebhookEventType as Type;

        let id = event.run_id()?.clone();
        let by_type = match event.event_type {
            Type::RunCreated => RunStatus::Pending,
            Type::RunStarted => RunStatus::Running,
            Type::RunCompleted => RunStatus::Succeeded,
            Type::RunFailed => RunStatus::Failed,
            Type::RunCancelled => RunStatus::Cancelled,
            _ => return Some((id, None)),
        };
        let Some(data) = event.run() else { return Some((id, None)) };
        // What has ended may have ended in another way than its type says, if the run itself says so.
        let told = data.status.clone().filter(|status| by_type.is_terminal() && status.is_terminal());
        let status = told.unwrap_or(by_type);
        let run = run_of(data, [("id", Some(json!(id))), ("status", Some(json!(status)))]).map(Box::new);
        // Which fields an event carries is not documented: one that has none of these is too brief to be all.
        let says_more = data.timing.is_some() || data.cost.is_some() || data.pr_url.is_some() || data.error.is_some();
        let news = Self {
            id: id.clone(),
            iterations: data.iterations,
            pull_request: data.pr_url.clone(),
            is_whole: run.is_some() && says_more,
            run,
            status,
        };
        Some((id, Some(news)))
    }
}

/// How far a status is on the way from submission to end. A word that nobody knows is somewhere in between.
pub(super) fn progress(status: &RunStatus) -> u8 {
    match status {
        RunStatus::Pending => 0,
        RunStatus::Succeeded | RunStatus::Failed | RunStatus::Cancelled => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize as _;
    use serde_json::json;

    use super::News;
    use crate::types::{RunStatus, RunSummary};

    #[test]
    fn a_run_in_a_list_is_told_with_the_time_of_its_end() {
        let summary = json!({
            "id": "run_1", "workOrderId": "wo_1", "status": "failed", "iterations": 3, "completedAt": "2026-01-15T10:34:47Z",
        });
        let news = News::from(RunSummary::deserialize(summary).unwrap());
        let run = news.run.unwrap();
        assert_eq!((run.id.as_str(), run.work_order_id.as_str(), run.status), ("run_1", "wo_1", RunStatus::Failed));
        assert_eq!((run.iterations, news.is_whole), (Some(3), false));
        assert_eq!(run.timing.unwrap().completed_at, "2026-01-15T10:34:47Z".parse().ok());
    }

    #[cfg(feature = "webhooks")]
    #[test]
    fn a_run_in_an_event_is_told_under_the_id_of_the_event() {
        let event = |data: serde_json::Value| {
            let json = json!({ "id": "evt_1", "type": "run.completed", "data": data });
            News::of_event(&crate::webhook::Event::from_json(json).unwrap()).unwrap().1.unwrap()
        };
        let news =
            event(json!({ "runId": "run_1", "workOrderId": "wo_1", "prUrl": "https://example.com/1", "more": [1] }));
        let run = news.run.unwrap();
        assert_eq!((run.id.as_str(), run.status, news.is_whole), ("run_1", RunStatus::Succeeded, true));
        assert_eq!(run.pr_url.as_deref(), Some("https://example.com/1"));
        // Without the work order, there is no run to show.
        assert!(event(json!({ "runId": "run_1" })).run.is_none());
    }
}
