//! Work orders: create, get. A work order costs the price of a run and starts it.

use std::sync::Arc;

use serde_json::json;

use crate::simulator::clock::time::timestamp;
use crate::simulator::model::error::ApiError;
use crate::simulator::model::organization::Organization;
use crate::simulator::model::plan::Outcome;
use crate::simulator::model::response::{Response, created, ok};
use crate::simulator::model::run::{Run, Tenant};
use crate::simulator::model::work_order::WorkOrder;
use crate::simulator::routes::body::{Object, Validator};
use crate::simulator::routes::call::Call;
use crate::simulator::routes::workspace_source;

const DEFAULT_MAX_ITERATIONS: u32 = 10;

pub(crate) fn create(organization: &mut Organization, call: &mut Call<'_>) -> Result<Response, ApiError> {
    let order = read(organization, call)?;
    let price = organization.settings.price;
    // Only accepted work orders count as submissions, so this limit is the last check.
    organization.check_concurrency(call.now)?;
    organization.credits.check_balance(price)?;
    organization.submissions.acquire(call.now).map_err(|quota| ApiError::rate_limited(quota, call.now))?;
    organization.credits.deduct(price, &order.run_id, order.tenant.clone(), call.now);

    let mut plan = organization.next_plan();
    plan.iterations = plan.iterations.min(order.max_iterations);
    let pull_request = match &plan.outcome {
        Outcome::Succeeded { pull_request: Some(url) } => url.clone(),
        _ => format!("{}/pull/{}", order.repository(), organization.work_orders.len() + 1),
    };
    call.schedule.push_run(organization.runs.len(), &plan, call.now);
    organization.runs.push(Run {
        id: order.run_id.clone(),
        work_order_id: order.id.clone(),
        created_at: call.now,
        tenant: order.tenant.clone(),
        plan,
        pull_request,
        price,
        cancelled_at: None,
        webhook_url: order.webhook_url.clone(),
    });
    let response = created(&json!({
        "workOrderId": order.id,
        "runId": order.run_id,
        "status": "pending",
        "createdAt": timestamp(call.now),
    }));
    organization.work_orders.push(order);
    Ok(response)
}

pub(crate) fn get(organization: &mut Organization, call: &mut Call<'_>) -> Result<Response, ApiError> {
    let found = organization.work_orders.iter().find(|order| order.id == call.id);
    let order = found.ok_or_else(|| ApiError::not_found(&format!("work order {}", call.id)))?;
    Ok(ok(&order.to_json(organization.run(&order.run_id)?.status(call.now))))
}

fn read(organization: &Organization, call: &Call<'_>) -> Result<WorkOrder, ApiError> {
    let body = call.json()?;
    let object = Object::root(&body)?;
    let mut validator = Validator::default();

    validator.require(&object, "taskPrompt");
    let task_prompt = validator.non_empty_text(&object, "taskPrompt").unwrap_or_default().to_owned();
    validator.require(&object, "workspaceSource");
    workspace_source::validate(&mut validator, &object, "workspaceSource", organization);
    let max_iterations = validator.positive_number(&object, "maxIterations").unwrap_or(DEFAULT_MAX_ITERATIONS);
    let webhook_url = validator.callback(&object, "webhookUrl").map(Arc::from);
    if let Some(tenant) = validator.object(&object, "tenantContext") {
        validator.text(&tenant, "tenantId");
        validator.text(&tenant, "tenantUserId");
        validator.object(&tenant, "metadata");
    }
    validator.object(&object, "metadata");
    validator.finish()?;

    let number = organization.work_orders.len() + 1;
    Ok(WorkOrder {
        id: format!("wo_{number:06}"),
        run_id: format!("run_{number:06}"),
        created_at: call.now,
        task_prompt,
        workspace_source: object.get("workspaceSource").cloned(),
        max_iterations,
        tenant: Tenant(object.get("tenantContext").cloned()),
        metadata: object.get("metadata").cloned(),
        webhook_url,
    })
}
