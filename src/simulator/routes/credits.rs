//! Credits: the balance, and what changed it.

use crate::simulator::model::credits::Transaction;
use crate::simulator::model::error::ApiError;
use crate::simulator::model::organization::Organization;
use crate::simulator::model::response::Answer;
use crate::simulator::routes::Call;

// Infallible, but of the shape that all operations have.
#[allow(clippy::unnecessary_wraps)]
pub(crate) fn get(organization: &mut Organization, call: &mut Call<'_>) -> Result<Answer, ApiError> {
    Ok(Answer::ok(&organization.credits.balance(call.now)))
}

pub(crate) fn usage(organization: &mut Organization, call: &mut Call<'_>) -> Result<Answer, ApiError> {
    let page = call.query.page(50);
    let (start, end) = (call.query.time("startDate"), call.query.time("endDate"));
    call.query.check()?;
    // The types are an open set: one that no transaction has matches none.
    let kind = call.query.text("type");
    let (tenant, user) = (call.query.text("tenantId"), call.query.text("tenantUserId"));
    let matching = organization.credits.transactions().filter(|transaction| {
        start.is_none_or(|start| transaction.created_at >= start)
            && end.is_none_or(|end| transaction.created_at <= end)
            && kind.is_none_or(|kind| transaction.kind == kind)
            && transaction.tenant.matches(tenant, user)
    });
    Ok(Answer::ok(&page.of("transactions", matching, Transaction::to_json)))
}
