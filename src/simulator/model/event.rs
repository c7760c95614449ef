//! Events: what can happen to a run, when it will, and what is told of it.

use std::time::Duration;

use axum::body::Bytes;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::simulator::clock::time::timestamp;
use crate::simulator::model::plan::{Outcome, RunPlan};
use crate::simulator::model::response::present;
use crate::simulator::model::run::Run;

/// Something that happens to a run.
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
    /// The word of the API for it.
    pub(crate) fn word(self) -> &'static str {
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

    /// What is told of it. The documentation leaves that open.
    pub(crate) fn data(self, run: &Run, at: DateTime<Utc>) -> Value {
        match self {
            Self::VerificationStarted | Self::VerificationPassed | Self::VerificationFailed => present(json!({
                "runId": run.id,
                "workOrderId": run.work_order_id,
                "iterations": run.iterations(at),
                "tenantContext": run.tenant.json(),
            })),
            Self::Created | Self::Started | Self::Completed | Self::Failed | Self::Cancelled => run.to_json(at),
        }
    }
}

/// All that will happen to a run unless it is cancelled, in its order, by the time since it was submitted.
///
/// Four fifths into its running time, its work is verified. A run that never ends is not verified either.
pub(crate) fn schedule(plan: &RunPlan) -> Vec<(Duration, RunEvent)> {
    let mut events = vec![(Duration::ZERO, RunEvent::Created), (plan.pending, RunEvent::Started)];
    if let Some(end) = plan.end() {
        let (verdict, ending) = match plan.outcome {
            Outcome::Failed { .. } => (RunEvent::VerificationFailed, RunEvent::Failed),
            _ => (RunEvent::VerificationPassed, RunEvent::Completed),
        };
        let late = plan.pending + plan.running / 5 * 4;
        events.extend([(late, RunEvent::VerificationStarted), (end, verdict), (end, ending)]);
    }
    events
}

/// Something that has happened, as all are told who are told of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) id: String,
    /// Its type.
    pub(crate) word: &'static str,
    /// The payload. It is written once, so that every attempt sends and signs the same bytes.
    pub(crate) body: Bytes,
}

impl Event {
    /// The event of this number. Events count from one.
    pub(crate) fn new(number: u64, word: &'static str, at: DateTime<Utc>, data: &Value) -> Self {
        let id = format!("evt_{number:06}");
        let payload = json!({ "id": id, "type": word, "createdAt": timestamp(at), "data": data });
        Self { body: Bytes::from(payload.to_string()), id, word }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(plan: &RunPlan) -> Vec<(u64, &'static str)> {
        schedule(plan).into_iter().map(|(at, event)| (at.as_secs(), event.word())).collect()
    }

    #[test]
    fn a_run_that_succeeds_passes_its_verification_right_before() {
        assert_eq!(
            words(&RunPlan::succeeds()),
            [
                (0, "run.created"),
                (2, "run.started"),
                (10, "verification.started"),
                (12, "verification.passed"),
                (12, "run.completed"),
            ]
        );
    }

    #[test]
    fn a_run_that_fails_fails_its_verification_right_before() {
        let words = words(&RunPlan::fails("TESTS_FAILED", "no"));
        assert_eq!(words[3..], [(12, "verification.failed"), (12, "run.failed")]);
    }

    #[test]
    fn a_run_without_an_end_is_not_verified() {
        assert_eq!(words(&RunPlan::succeeds().forever()), [(0, "run.created"), (2, "run.started")]);
        assert_eq!(words(&RunPlan::succeeds().running(Duration::MAX)).len(), 2);
    }

    #[test]
    fn a_payload_tells_its_event_and_when_it_happened() {
        let event = Event::new(7, "run.created", DateTime::UNIX_EPOCH, &json!({ "id": "run_000001" }));
        let payload: Value = serde_json::from_slice(&event.body).unwrap();
        assert_eq!(
            payload,
            json!({
                "id": "evt_000007",
                "type": "run.created",
                "createdAt": "1970-01-01T00:00:00.000Z",
                "data": { "id": "run_000001" },
            })
        );
    }
}
