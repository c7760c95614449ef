//! Safe resubmission: after a submission whose fate is unknown, look before submitting again.

use std::collections::{HashMap, VecDeque};
use std::future::IntoFuture;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::{CallFuture, CreateWorkOrder, PAGE};
use crate::transport::{CallOptions, service_date};
use crate::types::{self, RunSummary, WorkOrder, WorkOrderCreated, WorkOrderId};
use crate::{Client, Error, Result};

/// The metadata entry by which a work order is recognized.
const TOKEN: &str = "agentgate-submission";

/// A search that has not ended after so many pages proves nothing.
const MAX_PAGES: u32 = 20;

/// Pauses before each look. A request that was cut off may still be on its way into the service, or at work in it, so that
/// nothing was found counts only when it is so again, and again after half a minute.
const LOOKS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(24)];

/// How much the service's times may differ from its own `Date`, and how much from this machine's clock.
const TOLERANCE: TimeDelta = TimeDelta::seconds(60);
const TOLERANCE_OF_CLOCKS: TimeDelta = TimeDelta::minutes(5);

/// Work orders remembered as somebody's.
const REMEMBERED: usize = 10_000;

impl CreateWorkOrder {
    /// Submits this work order once, and finds out whether it was accepted when the connection does not tell.
    ///
    /// When a submission ends without an answer, it may or may not have been accepted. This adds a random token to the work
    /// order's `metadata` (as `agentgate-submission`), and after such a failure looks for it among the recent runs' work
    /// orders. If it is there, it is returned as though the answer had arrived. Only when it is not there, on three looks within
    /// half a minute, is it submitted again, as often as [`max_retries`](Self::max_retries) allows.
    ///
    /// **What it promises.** After a failure that leaves its fate open, a work order is submitted again only when the service has
    /// answered three times that it has no run of it. (A 429, a 503 and a failed connection leave nothing open; they are
    /// retried as for every call.) An error that [may have reached the service](crate::Error::may_have_reached_server) is
    /// returned when the looking itself fails or takes too long; then nothing is submitted again.
    ///
    /// **What it cannot promise.** A request that reaches the service only after the last look (held up for half a minute in some
    /// proxy) is not seen, and then there are two. If the service does not return `metadata`, the work order is recognized by
    /// prompt, source, tenant and time instead; then an equal work order of the same minute may be taken for it, unless it is
    /// known to be the answer to another `reconcile` of this client and its clones.
    ///
    /// A look takes a request for each hundred recent runs, and one for each run that may be the one. The API key
    /// needs the scopes `runs:read` and `work-orders:read`.
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
    pub fn reconcile(self) -> ReconcileWorkOrder {
        ReconcileWorkOrder { call: self }
    }
}

/// Submits a work order and looks for it when in doubt: from [`CreateWorkOrder::reconcile`].
#[derive(Debug)]
#[must_use = "a call does nothing until it is awaited"]
pub struct ReconcileWorkOrder {
    call: CreateWorkOrder,
}

impl IntoFuture for ReconcileWorkOrder {
    type Output = Result<WorkOrderCreated>;
    type IntoFuture = CallFuture<WorkOrderCreated>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Submission::new(self.call).run().await })
    }
}

/// One work order on its way, over as many submissions as it takes.
struct Submission {
    call: CreateWorkOrder,
    token: String,
    /// When the first submission was made, by the clock of this machine.
    since: DateTime<Utc>,
    /// The same by the clock's `monotonic`.
    since_monotonic: Duration,
    /// By the clock's `monotonic`.
    deadline: Option<Duration>,
}

impl Submission {
    fn new(mut call: CreateWorkOrder) -> Self {
        let token = uuid::Uuid::new_v4().to_string();
        let clock = &call.client.transport.clock;
        let since = clock.now();
        let since_monotonic = clock.monotonic();
        let deadline = call.client.transport.deadline_of(&call.options);
        call.options.repeatable = false;
        call.options.idempotency_key.get_or_insert_with(|| token.clone());
        call.body.metadata.get_or_insert_default().insert(TOKEN.to_owned(), token.clone().into());
        Self { call, token, since, since_monotonic, deadline }
    }

    async fn run(&self) -> Result<WorkOrderCreated> {
        let retries = self.client().transport.max_retries_of(&self.call.options);
        let mut submissions = 0;
        loop {
            submissions += 1;
            let error = match self.submit().await {
                Ok(created) => {
                    self.client().submitted.claim(&created.work_order_id, &self.token);
                    return Ok(created);
                }
                Err(error) if !error.may_have_reached_server() => return Err(error),
                Err(error) => error,
            };
            match self.look().await {
                Ok(Some(found)) => return Ok(found),
                // A success that could not be read is a success all the same, wherever the work order is.
                Ok(None) if error.status().is_some_and(|status| status.is_success()) => return Err(error),
                Ok(None) if submissions > retries => return Err(error.with_proof_of_absence()),
                Ok(None) => {}
                // Nothing is proven.
                Err(_) => return Err(error),
            }
        }
    }

    fn client(&self) -> &Client {
        &self.call.client
    }

    async fn submit(&self) -> Result<WorkOrderCreated> {
        let mut call = CreateWorkOrder::new(self.client().clone(), self.call.body.clone());
        call.options = self.call.options.clone();
        call.options.deadline = self.time_left();
        call.await
    }

    fn time_left(&self) -> Option<Duration> {
        self.client().transport.time_left(self.deadline)
    }

    /// What a call asks for that looks for the work order.
    fn options(&self) -> CallOptions {
        CallOptions { timeout: self.call.options.timeout, deadline: self.time_left(), ..CallOptions::default() }
    }

    /// The work order, if it is there, or that it is not.
    async fn look(&self) -> Result<Option<WorkOrderCreated>> {
        for pause in LOOKS {
            if self.time_left().is_some_and(|left| left <= pause) {
                return Err(Error::deadline_passed());
            }
            self.client().transport.clock.sleep(pause).await;
            if let Some(found) = self.search().await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Goes through the recent runs.
    async fn search(&self) -> Result<Option<WorkOrderCreated>> {
        let mut offset = 0;
        let mut newest_first = true;
        let mut previous: Option<DateTime<Utc>> = None;
        for _ in 0..MAX_PAGES {
            let response = self.page(offset).with_response().await?;
            let since = self.since_by(response.headers());
            let page = response.into_inner();
            for run in &page.data {
                newest_first &= run.created_at.is_some_and(|this| previous.is_none_or(|before| this <= before));
                previous = run.created_at;
                let is_recent = run.created_at.is_none_or(|created_at| created_at >= since);
                if is_recent && let Some(order) = self.recognize(run).await? {
                    return Ok(Some(created(run, order, self.since)));
                }
            }
            offset += u32::try_from(page.data.len()).unwrap_or(PAGE);
            let is_end = page.data.is_empty() || page.total.is_some_and(|total| u64::from(offset) >= total);
            let only_older_follow = newest_first && previous.is_some_and(|created_at| created_at < since);
            if is_end || only_older_follow {
                return Ok(None);
            }
        }
        Err(Error::invalid_request("the search took too many pages", "Look for the work order by hand."))
    }

    fn page(&self, offset: u32) -> super::ListRuns {
        let mut call = self.client().runs().list().limit(PAGE).offset(offset);
        if let Some(tenant) = &self.call.body.tenant_context {
            call.tenant_id.clone_from(&tenant.tenant_id);
            call.tenant_user_id.clone_from(&tenant.tenant_user_id);
        }
        call.options = self.options();
        call
    }

    /// Runs from before this are not ours, by the service's own clock if its answer tells it.
    fn since_by(&self, headers: &http::HeaderMap) -> DateTime<Utc> {
        let clock = &self.client().transport.clock;
        // Either clock may lie: the wall's when it is set, the monotonic one when the machine sleeps.
        let by_wall = clock.now().signed_duration_since(self.since);
        let by_monotonic = clock.monotonic().saturating_sub(self.since_monotonic);
        let elapsed = by_wall.max(TimeDelta::from_std(by_monotonic).unwrap_or(TimeDelta::MAX));
        let (now, tolerance) = match service_date(headers).map(DateTime::<Utc>::from) {
            Some(service_now) => (service_now, TOLERANCE),
            None => (clock.now(), TOLERANCE_OF_CLOCKS),
        };
        let since = now.checked_sub_signed(elapsed).and_then(|since| since.checked_sub_signed(tolerance));
        since.unwrap_or(DateTime::<Utc>::MIN_UTC)
    }

    /// The run's work order, if it is the one that was submitted, and nobody else's yet.
    async fn recognize(&self, run: &RunSummary) -> Result<Option<WorkOrder>> {
        let submitted = &self.client().submitted;
        if submitted.is_of_another(&run.work_order_id, &self.token) {
            return Ok(None);
        }
        let mut call = self.client().work_orders().get(&run.work_order_id);
        call.options = self.options();
        let order = call.await?;
        if let Some(token) = order.metadata.get(TOKEN).and_then(Value::as_str) {
            // Whose it is need not be asked again: each submission has its own token.
            submitted.claim(&order.id, token);
            return Ok((token == self.token).then_some(order));
        }
        if is_equal(&order, &self.call.body) && order.metadata.is_empty() {
            return Ok(submitted.claim(&order.id, &self.token).then_some(order));
        }
        // The service may have dropped the token, or written the source in another way. That proves nothing.
        if order.task_prompt.trim() == self.call.body.task_prompt.trim() {
            return Err(Error::invalid_request("a recent work order may be this one", "Look for it by hand."));
        }
        Ok(None)
    }
}

/// What the service would have answered.
fn created(run: &RunSummary, order: WorkOrder, since: DateTime<Utc>) -> WorkOrderCreated {
    WorkOrderCreated {
        work_order_id: order.id,
        run_id: run.id.clone(),
        status: run.status.clone(),
        created_at: order.created_at.or(run.created_at).unwrap_or(since),
    }
}

/// Whether a work order without metadata may be the one.
fn is_equal(order: &WorkOrder, submitted: &types::CreateWorkOrder) -> bool {
    let tenant = |context: &Option<types::TenantContext>| {
        context.as_ref().map(|context| (context.tenant_id.clone(), context.tenant_user_id.clone())).unwrap_or_default()
    };
    order.task_prompt == submitted.task_prompt
        && order.workspace_source == submitted.workspace_source
        && tenant(&order.tenant_context) == tenant(&submitted.tenant_context)
}

/// The tokens of the work orders that are known to be somebody's: what the clones of a client remember, so that none is taken
/// for another, and none asked for twice.
#[derive(Debug, Default)]
pub(crate) struct Submitted(Mutex<Owners>);

#[derive(Debug, Default)]
struct Owners {
    tokens: HashMap<WorkOrderId, String>,
    /// Oldest first.
    order: VecDeque<WorkOrderId>,
}

impl Submitted {
    /// Makes it this token's; false if it is another's already.
    fn claim(&self, id: &WorkOrderId, token: &str) -> bool {
        let Owners { tokens, order } = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(owner) = tokens.get(id) {
            return owner == token;
        }
        tokens.insert(id.clone(), token.to_owned());
        order.push_back(id.clone());
        if order.len() > REMEMBERED
            && let Some(oldest) = order.pop_front()
        {
            tokens.remove(&oldest);
        }
        true
    }

    fn is_of_another(&self, id: &WorkOrderId, token: &str) -> bool {
        let owners = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        owners.tokens.get(id).is_some_and(|owner| owner != token)
    }
}

#[cfg(test)]
mod tests {
    use super::{REMEMBERED, Submitted};
    use crate::types::WorkOrderId;

    #[test]
    fn a_work_order_belongs_to_one_submission() {
        let submitted = Submitted::default();
        let id = WorkOrderId::from("wo_1");
        assert!(!submitted.is_of_another(&id, "b"));
        assert!(submitted.claim(&id, "a"));
        assert!(!submitted.claim(&id, "b"));
        assert!(submitted.claim(&id, "a"));
        assert!(submitted.is_of_another(&id, "b"));
        assert!(!submitted.is_of_another(&id, "a"));
    }

    #[test]
    fn memory_has_an_end() {
        let submitted = Submitted::default();
        for number in 0..=REMEMBERED {
            submitted.claim(&WorkOrderId::from(format!("wo_{number}")), "a");
        }
        assert!(!submitted.is_of_another(&"wo_0".into(), "b"));
        assert!(submitted.is_of_another(&"wo_1".into(), "b"));
    }
}
