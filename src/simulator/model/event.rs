//! The events of a run.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::simulator::clock::time::timestamp;
use crate::simulator::model::plan::{Outcome, RunPlan};
use crate::simulator::model::response::without_nulls;
use crate::simulator::model::run::Run;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunEvent {
    Created,
    Started,
    VerificationStarted,
    VerificationPassed,
    VerificationFailed,
    Completed,
    Failed,
    Cancelled,
}

impl RunEvent {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Created => "run.created",
            Self::Started => "run.started",
            Self::VerificationStarted => "verification.started",
            Self::VerificationPassed => "verification.passed",
            Self::VerificationFailed => "verification.failed",
            Self::Completed => "run.completed",
            Self::Failed => "run.failed",
            Self::Cancelled => "run.cancelled",
        }
    }

    /// Returns the `data` of the event. AgentGate does not document it.
    pub(crate) fn data(self, run: &Run, at: DateTime<Utc>) -> Value {
        match self {
            Self::VerificationStarted | Self::VerificationPassed | Self::VerificationFailed => without_nulls(json!({
                "runId": run.id,
                "workOrderId": run.work_order_id,
                "iterations": run.progress(at).iterations,
                "tenantContext": run.tenant.json(),
            })),
            Self::Created | Self::Started | Self::Completed | Self::Failed | Self::Cancelled => run.to_json(at),
        }
    }
}

/// Returns all events of a run that is not cancelled, in order, with the time since its submission.
///
/// The verification starts after four fifths of the running time. A run that never ends is not verified.
pub(crate) fn planned_events(plan: &RunPlan) -> Vec<(Duration, RunEvent)> {
    let mut events = vec![(Duration::ZERO, RunEvent::Created), (plan.pending, RunEvent::Started)];
    if let Some(end) = plan.end() {
        let (verdict, ending) = match plan.outcome {
            Outcome::Failed { .. } => (RunEvent::VerificationFailed, RunEvent::Failed),
            _ => (RunEvent::VerificationPassed, RunEvent::Completed),
        };
        let verification = plan.pending + plan.running / 5 * 4;
        events.extend([(verification, RunEvent::VerificationStarted), (end, verdict), (end, ending)]);
    }
    events
}

#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) kind: &'static str,
    /// The payload. It is serialized once, so that every attempt sends and signs the same bytes.
    pub(crate) body: Bytes,
}

impl Event {
    pub(crate) fn new(number: u64, kind: &'static str, at: DateTime<Utc>, data: &Value) -> Self {
        let id = format!("evt_{number:06}");
        let payload = json!({ "id": id, "type": kind, "createdAt": timestamp(at), "data": data });
        Self { body: Bytes::from(payload.to_string()), id, kind }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_ends_after_the_year_9999_is_not_verified() {
        assert_eq!(planned_events(&RunPlan::succeeds().running(Duration::MAX)).len(), 2);
    }
}
