//! Runs: list, get, cancel.

use serde_json::json;

use crate::simulator::clock::time::timestamp;
use crate::simulator::delivery::schedule::Scheduled;
use crate::simulator::model::error::ApiError;
use crate::simulator::model::event::RunEvent;
use crate::simulator::model::organization::Organization;
use crate::simulator::model::plan::Status;
use crate::simulator::model::response::{Response, ok};
use crate::simulator::routes::call::Call;

pub(crate) fn list(organization: &mut Organization, call: &mut Call<'_>) -> Result<Response, ApiError> {
    let page = call.query.page(20, 100);
    call.query.check()?;
    // The set of statuses is open: an unknown one matches no run.
    let status = call.query.text("status").map(|status| if status == "canceled" { "cancelled" } else { status });
    let (tenant, user) = (call.query.text("tenantId"), call.query.text("tenantUserId"));
    let newest_first = organization.runs.iter().rev();
    let matching = newest_first.filter(|run| {
        status.is_none_or(|status| run.status(call.now).as_str() == status) && run.tenant.matches(tenant, user)
    });
    Ok(ok(&page.of("data", matching, |run| run.to_summary(call.now))))
}

pub(crate) fn get(organization: &mut Organization, call: &mut Call<'_>) -> Result<Response, ApiError> {
    Ok(ok(&organization.run(&call.id)?.to_json(call.now)))
}

pub(crate) fn cancel(organization: &mut Organization, call: &mut Call<'_>) -> Result<Response, ApiError> {
    let position = organization.run_position(&call.id)?;
    let run = &mut organization.runs[position];
    let status = run.status(call.now);
    if status.is_final() {
        return Err(ApiError::conflict(format!("The run has already ended: it is {}.", status.as_str())));
    }
    run.cancelled_at = Some(call.now);
    if status == Status::Pending {
        organization.credits.refund(&call.id, call.now);
    }
    call.schedule.push(call.now, Scheduled::Run { position, event: RunEvent::Cancelled });
    let status = Status::Cancelled.as_str();
    Ok(ok(&json!({ "id": call.id, "status": status, "cancelledAt": timestamp(call.now) })))
}
