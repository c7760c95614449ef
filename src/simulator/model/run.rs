//! Runs and their JSON.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::simulator::clock::time::{later, since, timestamp};
use crate::simulator::model::plan::{Outcome, Progress, RunPlan, Status};
use crate::simulator::model::response::without_nulls;

#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) id: String,
    pub(crate) work_order_id: String,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) tenant: Tenant,
    /// The plan, with its iterations capped by the work order.
    pub(crate) plan: RunPlan,
    /// The `prUrl` if it succeeds.
    pub(crate) pull_request: String,
    /// The price in cents.
    pub(crate) price: u32,
    pub(crate) cancelled_at: Option<DateTime<Utc>>,
    /// The work order's `webhookUrl`.
    pub(crate) webhook_url: Option<Arc<str>>,
}

impl Run {
    pub(crate) fn status(&self, now: DateTime<Utc>) -> Status {
        self.progress(now).status
    }

    /// Returns the time at which the run ends if it is not cancelled; `None` if it never does.
    pub(crate) fn end(&self) -> Option<DateTime<Utc>> {
        self.plan.end().map(|end| later(self.created_at, end))
    }

    pub(crate) fn progress(&self, now: DateTime<Utc>) -> Progress {
        let cancelled = self.cancelled_at.map(|cancelled| since(self.created_at, cancelled));
        self.plan.progress(since(self.created_at, now), cancelled)
    }

    /// Returns the response body of `GET /v1/runs/{id}`.
    pub(crate) fn to_json(&self, now: DateTime<Utc>) -> Value {
        let progress = self.progress(now);
        let (pull_request, error) = match &self.plan.outcome {
            Outcome::Succeeded { .. } if progress.status == Status::Succeeded => (Some(&self.pull_request), None),
            Outcome::Failed { code, message } if progress.status == Status::Failed => {
                (None, Some(json!({ "code": code, "message": message })))
            }
            _ => (None, None),
        };
        let cost = (progress.started.is_some() && progress.ended.is_some()).then(|| json!({ "credits": self.price }));
        without_nulls(json!({
            "id": self.id,
            "workOrderId": self.work_order_id,
            "status": progress.status.as_str(),
            "iterations": progress.iterations,
            "prUrl": pull_request,
            "timing": self.timing(progress),
            "cost": cost,
            "tenantContext": self.tenant.json(),
            "error": error,
        }))
    }

    /// Returns the run as an item of `GET /v1/runs`.
    pub(crate) fn to_summary(&self, now: DateTime<Utc>) -> Value {
        let progress = self.progress(now);
        without_nulls(json!({
            "id": self.id,
            "workOrderId": self.work_order_id,
            "status": progress.status.as_str(),
            "iterations": progress.iterations,
            "createdAt": timestamp(self.created_at),
            "completedAt": progress.ended.map(|ended| self.timestamp_after(ended)),
        }))
    }

    fn timing(&self, progress: Progress) -> Option<Value> {
        if progress.started.is_none() && progress.ended.is_none() {
            return None;
        }
        let duration =
            progress.started.zip(progress.ended).map(|(started, ended)| ended.saturating_sub(started).as_millis());
        Some(without_nulls(json!({
            "startedAt": progress.started.map(|started| self.timestamp_after(started)),
            "completedAt": progress.ended.map(|ended| self.timestamp_after(ended)),
            "durationMs": duration.map(|millis| u64::try_from(millis).unwrap_or(u64::MAX)),
        })))
    }

    fn timestamp_after(&self, elapsed: Duration) -> String {
        timestamp(later(self.created_at, elapsed))
    }
}

/// The `tenantContext` of a work order, as it was sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tenant(pub(crate) Option<Value>);

impl Tenant {
    pub(crate) fn json(&self) -> Option<&Value> {
        self.0.as_ref()
    }

    pub(crate) fn id(&self) -> Option<&str> {
        self.0.as_ref()?.get("tenantId")?.as_str()
    }

    pub(crate) fn user_id(&self) -> Option<&str> {
        self.0.as_ref()?.get("tenantUserId")?.as_str()
    }

    /// Returns `true` if the tenant passes the filters of a list.
    pub(crate) fn matches(&self, id: Option<&str>, user_id: Option<&str>) -> bool {
        id.is_none_or(|id| self.id() == Some(id)) && user_id.is_none_or(|user_id| self.user_id() == Some(user_id))
    }
}
