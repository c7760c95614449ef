//! Work orders: submitting one takes its price and starts its run.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::simulator::clock::time::timestamp;
use crate::simulator::model::error::ApiError;
use crate::simulator::model::organization::Organization;
use crate::simulator::model::plan::Outcome;
use crate::simulator::model::response::{Answer, present};
use crate::simulator::model::run::{Run, Tenant};
use crate::simulator::routes::Call;
use crate::simulator::routes::body::{self, Check};
use crate::simulator::routes::workspace_source;

/// The iterations of a work order that does not say how many.
const MAX_ITERATIONS: u32 = 10;

/// A work order that was accepted.
#[derive(Debug)]
pub(crate) struct WorkOrder {
    id: String,
    run_id: String,
    submission: Submission,
    created_at: DateTime<Utc>,
}

/// The submission.
#[derive(Debug)]
struct Submission {
    task_prompt: String,
    workspace_source: Option<Value>,
    max_iterations: u32,
    tenant: Tenant,
    metadata: Option<Value>,
    webhook_url: Option<Arc<str>>,
}

pub(crate) fn create(organization: &mut Organization, call: &mut Call<'_>) -> Result<Answer, ApiError> {
    let submission = read(organization, &call.json()?)?;
    // Only what is accepted counts as submitted, so everything else is looked at first.
    organization.room_for_a_run(call.now)?;
    organization.credits.afford(organization.price)?;
    organization.submissions.take(call.now).map_err(|quota| ApiError::rate_limited(quota, call.now))?;

    let number = organization.work_orders.len() + 1;
    let (id, run_id) = (format!("wo_{number:06}"), format!("run_{number:06}"));
    organization.credits.deduct(organization.price, &run_id, submission.tenant.clone(), call.now);

    let mut plan = organization.next_plan();
    plan.iterations = plan.iterations.min(submission.max_iterations);
    let pull_request = match &plan.outcome {
        Outcome::Succeeded { pull_request: Some(url) } => url.clone(),
        _ => format!("{}/pull/{number}", submission.repository()),
    };
    organization.agenda.plan_run(organization.runs.len(), &plan, call.now);
    organization.runs.push(Run {
        id: run_id.clone(),
        work_order_id: id.clone(),
        created_at: call.now,
        tenant: submission.tenant.clone(),
        plan,
        pull_request,
        price: organization.price,
        cancelled_at: None,
        webhook_url: submission.webhook_url.clone(),
    });

    let created = json!({ "workOrderId": id, "runId": run_id, "status": "pending", "createdAt": timestamp(call.now) });
    organization.work_orders.push(WorkOrder { id, run_id, submission, created_at: call.now });
    Ok(Answer::created(&created))
}

pub(crate) fn get(organization: &mut Organization, call: &mut Call<'_>) -> Result<Answer, ApiError> {
    let found = organization.work_orders.iter().find(|order| order.id == call.id);
    let order = found.ok_or_else(|| ApiError::not_found(&format!("work order {}", call.id)))?;
    let status = organization.run(&order.run_id)?.status(call.now).word();
    Ok(Answer::ok(&present(json!({
        "id": order.id,
        "taskPrompt": order.submission.task_prompt,
        "workspaceSource": order.submission.workspace_source,
        "runId": order.run_id,
        "status": status,
        "maxIterations": order.submission.max_iterations,
        "tenantContext": order.submission.tenant.json(),
        "metadata": order.submission.metadata,
        "createdAt": timestamp(order.created_at),
    }))))
}

fn read(organization: &Organization, body: &Value) -> Result<Submission, ApiError> {
    let order = body::root(body)?;
    let mut check = Check::default();

    check.require(&order, "taskPrompt");
    let task_prompt = check.some_text(&order, "taskPrompt").unwrap_or_default().to_owned();
    check.require(&order, "workspaceSource");
    workspace_source::check(&mut check, &order, "workspaceSource", |id| {
        organization.templates.iter().any(|template| template.id == id)
    });
    let max_iterations = check.count(&order, "maxIterations").unwrap_or(MAX_ITERATIONS);
    check.object(&order, "gatePlan");
    let webhook_url = check.callback(&order, "webhookUrl").map(Arc::from);
    if let Some(tenant) = check.object(&order, "tenantContext") {
        check.text(&tenant, "tenantId");
        check.text(&tenant, "tenantUserId");
        check.object(&tenant, "metadata");
    }
    check.object(&order, "metadata");
    check.finish()?;

    Ok(Submission {
        task_prompt,
        workspace_source: order.copy("workspaceSource"),
        max_iterations,
        tenant: Tenant::new(order.copy("tenantContext")),
        metadata: order.copy("metadata"),
        webhook_url,
    })
}

impl Submission {
    /// The web address of the repository to work on; a placeholder if the work order names none that has one.
    fn repository(&self) -> &str {
        let repository = self.workspace_source.as_ref().and_then(|source| source["repository"].as_str());
        match repository {
            Some(url) if url.starts_with("https://") => url.trim_end_matches('/').trim_end_matches(".git"),
            _ => "https://github.com/your-org/your-repo",
        }
    }
}
