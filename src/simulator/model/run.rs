//! A run, and the JSON it is shown as.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::simulator::clock::time::{later, since, timestamp};
use crate::simulator::model::plan::{Outcome, Progress, RunPlan, Status};
use crate::simulator::model::response::present;

/// A submitted run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) id: String,
    pub(crate) work_order_id: String,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) tenant: Tenant,
    /// Its future, its iterations already capped by the work order.
    pub(crate) plan: RunPlan,
    /// The `prUrl` if it succeeds.
    pub(crate) pull_request: String,
    /// What it cost, in cents.
    pub(crate) price: u32,
    pub(crate) cancelled_at: Option<DateTime<Utc>>,
    /// Where its events go besides the webhooks: the work order's `webhookUrl`.
    pub(crate) webhook_url: Option<Arc<str>>,
}

impl Run {
    pub(crate) fn status(&self, now: DateTime<Utc>) -> Status {
        self.progress(now).status
    }

    /// When the run ends by itself; `None` if it never does.
    pub(crate) fn end(&self) -> Option<DateTime<Utc>> {
        self.plan.end().map(|end| later(self.created_at, end))
    }

    /// How many iterations it has taken so far.
    pub(crate) fn iterations(&self, now: DateTime<Utc>) -> u32 {
        self.progress(now).iterations
    }

    fn progress(&self, now: DateTime<Utc>) -> Progress {
        let cancelled = self.cancelled_at.map(|cancelled| since(self.created_at, cancelled));
        self.plan.progress(since(self.created_at, now), cancelled)
    }

    /// The run as `GET /v1/runs/{id}` shows it.
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
        present(json!({
            "id": self.id,
            "workOrderId": self.work_order_id,
            "status": progress.status.word(),
            "iterations": progress.iterations,
            "prUrl": pull_request,
            "timing": self.timing(progress),
            "cost": cost,
            "tenantContext": self.tenant.json(),
            "error": error,
        }))
    }

    /// The run as `GET /v1/runs` lists it.
    pub(crate) fn to_summary(&self, now: DateTime<Utc>) -> Value {
        let progress = self.progress(now);
        present(json!({
            "id": self.id,
            "workOrderId": self.work_order_id,
            "status": progress.status.word(),
            "iterations": progress.iterations,
            "createdAt": timestamp(self.created_at),
            "completedAt": progress.ended.map(|ended| self.after(ended)),
        }))
    }

    fn timing(&self, progress: Progress) -> Option<Value> {
        if progress.started.is_none() && progress.ended.is_none() {
            return None;
        }
        let duration =
            progress.started.zip(progress.ended).map(|(started, ended)| ended.saturating_sub(started).as_millis());
        Some(present(json!({
            "startedAt": progress.started.map(|started| self.after(started)),
            "completedAt": progress.ended.map(|ended| self.after(ended)),
            "durationMs": duration.map(|millis| u64::try_from(millis).unwrap_or(u64::MAX)),
        })))
    }

    fn after(&self, elapsed: Duration) -> String {
        timestamp(later(self.created_at, elapsed))
    }
}

/// The customer of the organization for whom a run is done: the work order's `tenantContext`, as it was sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tenant(Option<Value>);

impl Tenant {
    pub(crate) fn new(context: Option<Value>) -> Self {
        Self(context)
    }

    pub(crate) fn json(&self) -> Option<&Value> {
        self.0.as_ref()
    }

    pub(crate) fn id(&self) -> Option<&str> {
        self.text("tenantId")
    }

    pub(crate) fn user_id(&self) -> Option<&str> {
        self.text("tenantUserId")
    }

    /// Whether a list that was asked for this tenant and this user, if for any, shows what belongs to this one.
    pub(crate) fn matches(&self, id: Option<&str>, user_id: Option<&str>) -> bool {
        id.is_none_or(|id| self.id() == Some(id)) && user_id.is_none_or(|user_id| self.user_id() == Some(user_id))
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.as_ref()?.get(name)?.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(plan: RunPlan) -> Run {
        Run {
            id: "run_000001".to_owned(),
            work_order_id: "wo_000001".to_owned(),
            created_at: DateTime::UNIX_EPOCH,
            tenant: Tenant::new(Some(json!({ "tenantId": "acme-corp" }))),
            plan,
            pull_request: "https://github.com/your-org/your-repo/pull/1".to_owned(),
            price: 50,
            cancelled_at: None,
            webhook_url: None,
        }
    }

    fn after(seconds: u64) -> DateTime<Utc> {
        later(DateTime::UNIX_EPOCH, Duration::from_secs(seconds))
    }

    #[test]
    fn what_is_not_known_yet_is_absent() {
        let pending = run(RunPlan::succeeds()).to_json(after(0));
        assert_eq!(
            pending,
            json!({
                "id": "run_000001",
                "workOrderId": "wo_000001",
                "status": "pending",
                "iterations": 0,
                "tenantContext": { "tenantId": "acme-corp" },
            })
        );
    }

    #[test]
    fn a_succeeded_run_tells_its_pull_request_times_and_cost() {
        let succeeded = run(RunPlan::succeeds()).to_json(after(60));
        assert_eq!(succeeded["prUrl"], "https://github.com/your-org/your-repo/pull/1");
        assert_eq!(succeeded["cost"], json!({ "credits": 50 }));
        assert_eq!(
            succeeded["timing"],
            json!({
                "startedAt": "1970-01-01T00:00:02.000Z",
                "completedAt": "1970-01-01T00:00:12.000Z",
                "durationMs": 10_000,
            })
        );
    }

    #[test]
    fn a_failed_run_tells_why_and_has_no_pull_request() {
        let failed = run(RunPlan::fails("TESTS_FAILED", "no")).to_json(after(60));
        assert_eq!(failed["error"], json!({ "code": "TESTS_FAILED", "message": "no" }));
        assert_eq!(failed.get("prUrl"), None);
    }

    #[test]
    fn a_run_cancelled_while_pending_never_started_and_cost_nothing() {
        let mut run = run(RunPlan::succeeds());
        run.cancelled_at = Some(after(1));
        let json = run.to_json(after(60));
        assert_eq!(json["timing"], json!({ "completedAt": "1970-01-01T00:00:01.000Z" }));
        assert_eq!(json.get("cost"), None);
    }
}
