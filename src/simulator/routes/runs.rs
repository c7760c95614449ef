//! Runs: following them, and cancelling them.

use serde_json::json;

use crate::simulator::clock::time::timestamp;
use crate::simulator::delivery::{Due, RunEvent};
use crate::simulator::model::error::ApiError;
use crate::simulator::model::organization::Organization;
use crate::simulator::model::plan::Status;
use crate::simulator::model::response::Answer;
use crate::simulator::routes::Call;

pub(crate) fn list(organization: &mut Organization, call: &mut Call<'_>) -> Result<Answer, ApiError> {
    let page = call.query.page(20);
    call.query.check()?;
    // The statuses are an open set: one that no run has matches none.
    let status = call.query.text("status").map(|word| if word == "canceled" { "cancelled" } else { word });
    let (tenant, user) = (call.query.text("tenantId"), call.query.text("tenantUserId"));
    let newest_first = organization.runs.iter().rev();
    let matching = newest_first.filter(|run| {
        status.is_none_or(|status| run.status(call.now).word() == status) && run.tenant.matches(tenant, user)
    });
    Ok(Answer::ok(&page.of("data", matching, |run| run.to_summary(call.now))))
}

pub(crate) fn get(organization: &mut Organization, call: &mut Call<'_>) -> Result<Answer, ApiError> {
    Ok(Answer::ok(&organization.run(&call.id)?.to_json(call.now)))
}

pub(crate) fn cancel(organization: &mut Organization, call: &mut Call<'_>) -> Result<Answer, ApiError> {
    let position = organization.run_position(&call.id)?;
    let run = &mut organization.runs[position];
    let status = run.status(call.now);
    if status.is_final() {
        return Err(ApiError::conflict(format!("The run has already ended: it is {}.", status.word())));
    }
    run.cancelled_at = Some(call.now);
    if status == Status::Pending {
        organization.credits.refund(&call.id, call.now);
    }
    organization.agenda.push(call.now, Due::Run { position, event: RunEvent::Cancelled });
    Ok(Answer::ok(&json!({ "id": call.id, "status": Status::Cancelled.word(), "cancelledAt": timestamp(call.now) })))
}
