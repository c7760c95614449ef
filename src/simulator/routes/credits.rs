//! Credits: the balance and its transactions.

use chrono::{NaiveTime, TimeDelta};

use crate::simulator::model::credits::Transaction;
use crate::simulator::model::error::ApiError;
use crate::simulator::model::organization::Organization;
use crate::simulator::model::response::{Response, ok};
use crate::simulator::routes::call::Call;

pub(crate) fn get(organization: &mut Organization, call: &mut Call<'_>) -> Result<Response, ApiError> {
    Ok(ok(&organization.credits.balance(call.now)))
}

pub(crate) fn usage(organization: &mut Organization, call: &mut Call<'_>) -> Result<Response, ApiError> {
    let page = call.query.page(50, 100);
    // A period that ends on a day includes it.
    let last = NaiveTime::MIN - TimeDelta::nanoseconds(1);
    let (start, end) = (call.query.time("startDate", NaiveTime::MIN), call.query.time("endDate", last));
    call.query.check()?;
    // The set of types is open: an unknown one matches no transaction.
    let kind = call.query.text("type");
    let (tenant, user) = (call.query.text("tenantId"), call.query.text("tenantUserId"));
    let matching = organization.credits.transactions().filter(|transaction| {
        start.is_none_or(|start| transaction.created_at >= start)
            && end.is_none_or(|end| transaction.created_at <= end)
            && kind.is_none_or(|kind| transaction.kind == kind)
            && transaction.tenant.matches(tenant, user)
    });
    Ok(ok(&page.of("transactions", matching, Transaction::to_json)))
}
