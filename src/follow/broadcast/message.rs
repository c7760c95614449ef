//! [`Message`]: the messages between replicas.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::super::run_update::RunUpdate;
use crate::types::{RunId, RunStatus, RunSummary, WorkOrderId};

/// A message with its sender and its time.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Envelope {
    pub(super) sender: String,
    pub(super) sent_at: DateTime<Utc>,
    #[serde(flatten)]
    pub(super) message: Message,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub(super) enum Message {
    /// The sender polls.
    Awaiting,
    /// The sender received a delivery about a run.
    Run(RunMessage),
}

/// The fields of a run that lists have: no prompt, no pull request, no error, no tenant.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::follow) struct RunMessage {
    id: RunId,
    #[serde(skip_serializing_if = "Option::is_none")]
    work_order_id: Option<WorkOrderId>,
    status: RunStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    iterations: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_at: Option<DateTime<Utc>>,
}

impl From<&RunUpdate> for RunMessage {
    fn from(update: &RunUpdate) -> Self {
        let run = update.run.as_deref();
        Self {
            id: update.id.clone(),
            work_order_id: run.and_then(|run| run.work_order_id.clone()),
            status: update.status.clone(),
            iterations: update.iterations,
            completed_at: run.and_then(|run| run.timing.as_ref()?.completed_at),
        }
    }
}

impl From<RunMessage> for RunUpdate {
    fn from(run: RunMessage) -> Self {
        match crate::json::convert::<RunSummary>(&run) {
            // Only deliveries are sent, whose statuses are known, so that the time decides nothing.
            Ok(summary) => Self::from_summary(summary, DateTime::UNIX_EPOCH),
            Err(_) => Self { iterations: run.iterations, ..Self::of_status(run.id, run.status) },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::webhook::Event;

    fn update(data: &serde_json::Value) -> RunUpdate {
        let event = json!({ "id": "evt_1", "type": "run.failed", "data": data });
        RunUpdate::from_event(&Event::from_json(event).unwrap()).unwrap()
    }

    #[test]
    fn a_message_has_the_fields_of_lists_and_no_others() {
        let delivered = update(&json!({
            "runId": "run_1", "workOrderId": "wo_1", "iterations": 3, "prUrl": "https://example.com/1",
            "taskPrompt": "the prompt", "error": { "code": "E", "message": "the error" },
            "tenantContext": { "tenantId": "the tenant" }, "timing": { "completedAt": "2026-01-15T10:34:47Z" },
        }));
        let message = json!(RunMessage::from(&delivered));
        assert_eq!(
            message,
            json!({
                "id": "run_1", "workOrderId": "wo_1", "status": "failed", "iterations": 3,
                "completedAt": "2026-01-15T10:34:47Z",
            })
        );
        let update = RunUpdate::from(RunMessage::deserialize(message).unwrap());
        assert!(update.is_final && !update.is_whole);
        let run = update.run.unwrap();
        assert_eq!((run.work_order_id, run.status, run.iterations), (Some("wo_1".into()), RunStatus::Failed, Some(3)));
    }
}
