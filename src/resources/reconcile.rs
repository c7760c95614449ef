//! Submissions with an unknown outcome: the search by their token, and the submission after it, which is opt-in.

use std::time::Duration;

use super::{Call, CreateWorkOrder, Endpoint as _, SubmissionToken};
use crate::response::service_now;
use crate::transport::{CallOptions, CallSettings, Execution};
use crate::types::{RunPage, RunSummary, WorkOrder, WorkOrderCreated};
use crate::{Error, Response, Result};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

/// The metadata entry by which a work order is recognized.
pub(super) const TOKEN: &str = "agentgate-submission";

/// Delays before each look. A request whose connection broke may still reach the service, or be processed, so a work
/// order counts as absent only after three searches within half a minute.
const LOOKS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(24)];

/// The tolerated difference between the clocks of this machine and of the service. Older runs are not considered.
const TOLERANCE: TimeDelta = TimeDelta::hours(1);

/// The difference in time by which runs may be out of order in a sorted list, as services may store runs later than
/// they stamp them.
const DISORDER: TimeDelta = TimeDelta::minutes(30);

/// The largest numbers of pages and of work orders that one search fetches, to save the organization's rate limit.
const MAX_PAGES: u32 = 10;
const MAX_ORDERS: u32 = 50;

const NOT_FOUND: &str = "the work order was not found among the recent runs; check again before you submit it again.";

impl Call<CreateWorkOrder> {
    /// Submits the work order again if its outcome is unknown and it cannot be found.
    ///
    /// If the outcome of a submission is unknown, the client [searches](super::WorkOrders::submit) for its token. With
    /// `reconcile`, it searches three times within half a minute. If all searches succeed and none finds the work
    /// order, it is submitted again with the same token, as often as [`max_retries`](Self::max_retries) allows.
    ///
    /// Nothing is submitted again if a search fails or is incomplete: if there are more than 50 other work orders to
    /// fetch, or a work order with the same prompt and without a token from a service that returns no tokens. The error
    /// is then the same as without `reconcile`.
    ///
    /// **Limitation.** A request that a proxy delays until after the last search is not found, and there are then two
    /// work orders.
    ///
    /// Replaces an earlier [`repeatable`](Self::repeatable).
    ///
    /// ```no_run
    /// use agentgate::WorkspaceSource;
    ///
    /// # async fn example(client: agentgate::Client) -> agentgate::Result<()> {
    /// let order = client
    ///     .work_orders()
    ///     .create("Fix it", WorkspaceSource::git("https://github.com/your-org/your-repo"))
    ///     .reconcile()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn reconcile(mut self) -> Self {
        self.settings.reconcile = true;
        self.settings.repeatable = false;
        self
    }
}

/// Returns the result of a submission, after a search for it if its outcome is unknown.
pub(super) async fn resolved(
    call: &Call<CreateWorkOrder>,
    result: Result<Response<WorkOrderCreated>>,
    sent: &Execution,
) -> Result<Response<WorkOrderCreated>> {
    let mut error = match result {
        Ok(response) => return Ok(remembered(call, response)),
        Err(error) if !error.may_have_reached_server() || call.settings.repeatable => return Err(error),
        Err(error) => error,
    };
    let search = Search { call, since: sent.begun().checked_sub_signed(TOLERANCE), deadline: sent.deadline() };
    let mut retries =
        if call.settings.reconcile { call.client.transport.max_retries_of(&call.settings.options) } else { 0 };
    loop {
        match search.run().await {
            Ok(Some(found)) => return Ok(remembered(call, found)),
            Ok(None) => {}
            Err(reason) => {
                return Err(error.with_search(format!("the search for the work order failed, as the client {reason}")));
            }
        }
        // A success that could not be read is a success all the same, wherever the work order is.
        let is_success = error.status().is_some_and(|status| status.is_success());
        if retries == 0 || is_success {
            return Err(error.with_search(NOT_FOUND));
        }
        retries -= 1;
        let mut settings = call.settings.clone();
        settings.options.deadline = search.time_left();
        error = match call.endpoint.send(&call.begin(settings)).await {
            Ok(response) => return Ok(remembered(call, response)),
            Err(unsent) if unsent.attempts() == 0 => return Err(error.with_search(NOT_FOUND)),
            Err(error) if error.may_have_reached_server() => error,
            // It was this submission that was refused, and not the one before.
            Err(refusal) => {
                if let Some(sent) = &call.settings.sent {
                    sent.unknown();
                }
                return Err(refusal.or_may_have_reached_server(true).with_search(NOT_FOUND));
            }
        };
    }
}

/// Looks for the work order of a submission whose call was dropped.
pub(super) async fn find(call: &Call<CreateWorkOrder>, begun: DateTime<Utc>) -> Result<Option<WorkOrderCreated>> {
    let mut call = call.clone();
    call.settings.reconcile = true;
    let since = begun.checked_sub_signed(TOLERANCE);
    let deadline = call.client.transport.deadline_of(&call.settings.options);
    let found = Search { call: &call, since, deadline }.run().await?;
    Ok(found.map(|response| remembered(&call, response).into_inner()))
}

fn remembered(call: &Call<CreateWorkOrder>, response: Response<WorkOrderCreated>) -> Response<WorkOrderCreated> {
    call.client.known_tokens.insert(&response.value().work_order_id, own_token(call));
    if let Some(sent) = &call.settings.sent {
        sent.accepted();
    }
    response
}

/// The search for a work order by its token.
struct Search<'a> {
    call: &'a Call<CreateWorkOrder>,
    /// Runs from before this are older than the submission, however the clocks differ.
    since: Option<DateTime<Utc>>,
    /// By the clock's `monotonic`.
    deadline: Option<Duration>,
}

impl Search<'_> {
    /// Returns the work order, or that it is not there.
    async fn run(&self) -> Result<Option<Response<WorkOrderCreated>>> {
        let looks = if self.call.settings.reconcile { &LOOKS[..] } else { &LOOKS[..1] };
        for delay in looks {
            if self.time_left().is_some_and(|left| left <= *delay) {
                return Err(Error::deadline_passed());
            }
            self.call.client.transport.clock.sleep(*delay).await;
            if let Some(found) = self.look().await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn time_left(&self) -> Option<Duration> {
        self.call.client.transport.time_left(self.deadline)
    }

    /// Returns the settings of a call that is part of the search.
    fn settings(&self) -> CallSettings {
        let CallOptions { timeout, extras, .. } = &self.call.settings.options;
        let (timeout, extras) = (*timeout, extras.headers_only());
        CallOptions { timeout, deadline: self.time_left(), extras, ..CallOptions::default() }.into()
    }

    /// Goes through the recent runs once, newest first.
    async fn look(&self) -> Result<Option<Response<WorkOrderCreated>>> {
        let (mut offset, mut fetched) = (0, 0);
        let mut listed = Order::default();
        let (mut shows_tokens, mut is_like, mut missing) = (false, false, None);
        for _ in 0..MAX_PAGES {
            let mut list = self.call.client.runs().list().limit(RunPage::LARGEST).offset(offset);
            list.settings = self.settings();
            let response = list.with_response().await?;
            let since = self.since_by_service(&response);
            let page = response.into_inner();
            listed.begin_page();
            for run in &page.data {
                listed.add(run.created_at);
                if is_older(run.created_at, since) || self.is_of_another(run) {
                    continue;
                }
                if fetched == MAX_ORDERS {
                    return Err(Error::incomplete_search("there are too many recent work orders to fetch"));
                }
                fetched += 1;
                let Some(order) = &run.work_order_id else {
                    return Err(Error::incomplete_search("a recent run does not say its work order"));
                };
                let mut get = self.call.client.work_orders().get(order);
                get.settings = self.settings();
                let response = match get.with_response().await {
                    Ok(response) => response,
                    Err(error) if error.is_not_found() => {
                        missing = Some(error);
                        continue;
                    }
                    Err(error) => return Err(error),
                };
                let order = response.value();
                match token(order) {
                    Some(token) if token == own_token(self.call) => {
                        return match response.try_map(|order| created(run, &order)) {
                            Ok(response) => Ok(Some(response)),
                            Err(_) => {
                                Err(Error::incomplete_search("the work order was found, but lacks a required field"))
                            }
                        };
                    }
                    Some(token) => {
                        shows_tokens = true;
                        self.call.client.known_tokens.insert(&order.id, token);
                    }
                    None => {
                        let prompt = order.task_prompt.as_deref().map(str::trim);
                        is_like |= prompt == Some(self.call.endpoint.body.task_prompt.trim());
                    }
                }
            }
            offset += u32::try_from(page.data.len()).unwrap_or(RunPage::LARGEST);
            let is_end = page.data.is_empty() || page.total.is_some_and(|total| u64::from(offset) >= total);
            if is_end || (listed.is_newest_first() && is_older(listed.last, since)) {
                return match missing {
                    Some(error) => Err(error),
                    // The service may have dropped the token. That proves nothing.
                    None if is_like && !shows_tokens => {
                        Err(Error::incomplete_search("a recent work order with this prompt has no token"))
                    }
                    None => Ok(None),
                };
            }
        }
        Err(Error::incomplete_search("there are too many recent runs"))
    }

    /// Returns `since` by the clock of the service, which stamps the runs. This machine's may be wrong by any time.
    fn since_by_service(&self, response: &Response<RunPage>) -> Option<DateTime<Utc>> {
        let now = self.call.client.transport.clock.now();
        let service_now: DateTime<Utc> = service_now(response.headers(), now).into();
        self.since?.checked_add_signed(service_now - now)
    }

    fn is_of_another(&self, run: &RunSummary) -> bool {
        let is_of_another = |order| self.call.client.known_tokens.is_of_another(order, own_token(self.call));
        run.work_order_id.as_ref().is_some_and(is_of_another)
    }
}

fn is_older(created_at: Option<DateTime<Utc>>, since: Option<DateTime<Utc>>) -> bool {
    created_at.zip(since).is_some_and(|(created_at, since)| created_at < since)
}

/// The order of a list, as far as it was read.
#[derive(Debug, Default)]
struct Order {
    first: Option<DateTime<Utc>>,
    last: Option<DateTime<Utc>>,
    is_broken: bool,
}

impl Order {
    /// Runs that came in the meantime push others from the page before to this one.
    fn begin_page(&mut self) {
        self.last = None;
    }

    fn add(&mut self, created_at: Option<DateTime<Utc>>) {
        let is_early = |last: DateTime<Utc>| created_at.is_some_and(|this| this - last > DISORDER);
        self.is_broken |= created_at.is_none() || self.last.is_some_and(is_early);
        self.first = self.first.or(created_at);
        self.last = created_at;
    }

    fn is_newest_first(&self) -> bool {
        !self.is_broken && self.last <= self.first
    }
}

/// The token of a work order, if it has one.
fn token(order: &WorkOrder) -> Option<SubmissionToken> {
    order.metadata.get(TOKEN).and_then(Value::as_str).map(SubmissionToken::of_order)
}

pub(super) fn own_token(call: &Call<CreateWorkOrder>) -> SubmissionToken {
    let token = call.endpoint.body.metadata.as_ref().and_then(|metadata| metadata.get(TOKEN)?.as_str());
    SubmissionToken::of_order(token.unwrap_or_default())
}

/// The response that the submission would have had.
fn created(run: &RunSummary, order: &WorkOrder) -> serde_json::Result<WorkOrderCreated> {
    let created_at = order.created_at.or(run.created_at);
    let response = json!({ "workOrderId": order.id, "runId": run.id, "status": run.status, "createdAt": created_at });
    crate::json::convert(&response)
}

#[cfg(test)]
mod tests {
    use super::Order;
    use chrono::DateTime;

    #[test]
    fn a_list_is_sorted_if_its_runs_stand_near_their_places() {
        for (minutes, expected) in [
            (&[][..], true),
            (&[90, 80, 80, 10], true),
            // Stamped before they were stored.
            (&[90, 70, 95, 80, 10], true),
            (&[10, 20, 30, 90], false),
            (&[90, 10, 80, 20], false),
        ] {
            let mut order = Order::default();
            for time in minutes {
                order.add(DateTime::from_timestamp(time * 60, 0));
            }
            assert_eq!(order.is_newest_first(), expected, "{minutes:?}");
            order.begin_page();
            order.add(DateTime::from_timestamp(85 * 60, 0));
            order.add(DateTime::from_timestamp(5 * 60, 0));
            assert_eq!(order.is_newest_first(), expected || minutes.is_empty(), "{minutes:?}");
            order.add(None);
            assert!(!order.is_newest_first());
        }
    }
}
