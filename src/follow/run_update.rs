//! [`RunUpdate`]: the state of a run, as a response or a delivery reports it.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use crate::types::{Run, RunId, RunStatus, RunSummary};

/// Before this, in Unix seconds (2020), no run can have ended. Some services write a zero for a time that is not known.
const EARLIEST_END: i64 = 1_577_836_800;

/// The time by which the service's clock may be ahead.
const CLOCK_SKEW: TimeDelta = TimeDelta::hours(1);

type Time = Option<DateTime<Utc>>;

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
    /// `true` if the response came from a cache.
    pub(super) is_stale: bool,
}

impl RunUpdate {
    /// Returns an update of the status alone.
    pub(super) fn of_status(id: RunId, status: RunStatus) -> Self {
        let is_final = status.is_terminal();
        Self { id, status, is_final, iterations: None, pull_request: None, run: None, is_whole: false, is_stale: false }
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

    pub(super) fn from_run(run: Run, now: DateTime<Utc>) -> Self {
        Self {
            is_final: has_ended(&run, now),
            iterations: run.iterations,
            pull_request: run.pr_url.clone(),
            is_whole: true,
            is_stale: false,
            run: Some(Box::new(run.clone())),
            ..Self::of_status(run.id, run.status)
        }
    }

    pub(super) fn from_summary(summary: RunSummary, now: DateTime<Utc>) -> Self {
        let timing = summary.completed_at.map(|completed_at| json!({ "completedAt": completed_at }));
        Self {
            run: run_of(&summary, [("timing", timing)]).map(Box::new),
            is_final: is_final(&summary.status, false, (summary.created_at, summary.completed_at), now),
            iterations: summary.iterations,
            ..Self::of_status(summary.id, summary.status)
        }
    }

    /// Returns a number that grows from submission to end. An unknown status lies in between.
    pub(super) fn progress(&self) -> u8 {
        if self.is_final { 2 } else { u8::from(self.status != RunStatus::Pending) }
    }
}

/// Returns whether a run has ended. With a status that this version of the crate does not know, it has if it has an
/// error, or a time of its end that can be true.
pub(super) fn has_ended(run: &Run, now: DateTime<Utc>) -> bool {
    let has_error = run.error.as_ref().is_some_and(|error| error.code.is_some() || error.message.is_some());
    let times = run.timing.as_ref().map(|timing| (timing.started_at, timing.completed_at)).unwrap_or_default();
    is_final(&run.status, has_error, times, now)
}

fn is_final(status: &RunStatus, has_error: bool, (started, completed): (Time, Time), now: DateTime<Utc>) -> bool {
    let can_be_true = |completed: DateTime<Utc>| {
        let is_after_start = started.is_none_or(|started| completed >= started);
        is_after_start && completed.timestamp() >= EARLIEST_END && completed - now <= CLOCK_SKEW
    };
    match status {
        RunStatus::Unknown(_) => has_error || completed.is_some_and(can_be_true),
        status => status.is_terminal(),
    }
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

    use super::{RunUpdate, has_ended};
    use crate::types::{Run, RunStatus, RunSummary};

    const NOW: &str = "2026-01-15T10:40:00Z";

    fn listed(status: &str, completed_at: Option<&str>) -> RunUpdate {
        let summary = json!({
            "id": "run_1", "workOrderId": "wo_1", "status": status, "iterations": 3, "completedAt": completed_at,
        });
        RunUpdate::from_summary(RunSummary::deserialize(summary).unwrap(), NOW.parse().unwrap())
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
    fn a_known_status_decides_by_itself() {
        let time = Some("2026-01-15T10:34:47Z");
        for (status, completed_at, is_final) in
            [("running", time, false), ("pending", time, false), ("succeeded", None, true), ("failed", None, true)]
        {
            assert_eq!(listed(status, completed_at).is_final, is_final, "{status} {completed_at:?}");
        }
    }

    #[test]
    fn an_unknown_status_is_final_if_the_run_has_an_error_or_ended_at_a_time_that_can_be_true() {
        let start = json!("2026-01-15T10:30:00Z");
        for (completed_at, error, is_final) in [
            (json!(null), json!(null), false),
            (json!("2026-01-15T10:34:47Z"), json!(null), true),
            (json!("2026-01-15T10:30:00Z"), json!(null), true),
            (json!("2026-01-15T10:29:59Z"), json!(null), false),
            // The service's clock may be ahead, but not by a day.
            (json!("2026-01-15T11:39:00Z"), json!(null), true),
            (json!("2026-01-16T10:40:00Z"), json!(null), false),
            (json!("9999-12-31T23:59:59Z"), json!(null), false),
            (json!("0001-01-01T00:00:00Z"), json!(null), false),
            (json!("1970-01-01T00:00:00Z"), json!(null), false),
            (json!("1899-12-30T00:00:00Z"), json!(null), false),
            (json!("2000-01-01T00:00:00Z"), json!(null), false),
            (json!(null), json!({ "code": "EXPIRED", "message": "Too old." }), true),
            (json!(null), json!({ "message": "Too old." }), true),
            (json!("0001-01-01T00:00:00Z"), json!({ "code": "EXPIRED" }), true),
            (json!(null), json!({}), false),
        ] {
            for started_at in [start.clone(), json!(null)] {
                let run = json!({
                    "id": "run_1", "workOrderId": "wo_1", "status": "hibernating", "error": error,
                    "timing": { "startedAt": started_at, "completedAt": completed_at },
                });
                let ended = has_ended(&Run::deserialize(&run).unwrap(), NOW.parse().unwrap());
                // Without its start, a run may have ended before it.
                let is_final = is_final || completed_at == "2026-01-15T10:29:59Z" && started_at.is_null();
                assert_eq!(ended, is_final, "{run}");
            }
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
