//! Submissions with an unknown outcome: the search by their token, and the submission after it, which is opt-in.

use std::time::{Duration, SystemTime};

use super::pages::{Batch, Items};
use super::{Call, CreateWorkOrder, Endpoint as _, ListEndpoint as _, ListRuns, Listed, SubmissionToken};
use crate::response::date;
use crate::transport::{CallSettings, CallTime, Execution};
use crate::types::{RunPage, RunSummary, WorkOrder, WorkOrderCreated};
use crate::{Error, ErrorKind, Response, Result};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

type Created = Response<WorkOrderCreated>;

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

/// The number of runs in succession that are too old, after which a sorted list is read no further. One may have been
/// stored late.
const OLD_RUNS: usize = 20;

/// The largest numbers of runs and of work orders that one search reads, to save the organization's rate limit.
const MAX_RUNS: usize = 1_000;
const MAX_ORDERS: u32 = 50;

/// A proxy that repeats a request does so within this time. The default time-out of nginx is a minute for each try.
const REPETITION: TimeDelta = TimeDelta::minutes(5);

const NOT_FOUND: &str = "the work order was not found among the recent runs; check again before you submit it again.";

impl Call<CreateWorkOrder> {
    /// Submits the work order again if its outcome is unknown and it cannot be found.
    ///
    /// If the outcome of a submission is unknown, the client [searches](super::WorkOrders::submit) for its token. With
    /// `reconcile`, it searches three times within half a minute. If all searches succeed and prove that there is no
    /// such work order, it is submitted again with the same token, as often as [`max_retries`](Self::max_retries)
    /// allows.
    ///
    /// Nothing is submitted again if a search fails or proves nothing: if the list of runs ends before its total, or
    /// comes from a cache, if there are more than 50 other work orders to fetch, or a work order with the same prompt
    /// and without a token from a service that returns no tokens. The searches that follow may still find the work
    /// order. Otherwise, the error is the same as without `reconcile`.
    ///
    /// The [`deadline`](Self::deadline), [`max_wait`](Self::max_wait), rate limit mode and headers of the call hold for
    /// the searches and the submissions, too.
    ///
    /// **Limitations.** A request that a proxy delays until after the last search is not found, and there are then two
    /// work orders. The same holds if all three lists come from a cache that shows nothing of itself (no `Age`, a new
    /// `Date`, no request id) and ignores the query.
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
    result: Result<Created>,
    sent: &Execution,
) -> Result<Created> {
    let (mut error, token) = match (result, call.token()) {
        (Ok(response), token) => return Ok(remembered(call, token, response)),
        (Err(error), Some(token)) if error.may_have_reached_server() && !call.settings.repeatable => (error, token),
        (Err(error), _) => return Err(error),
    };
    let search = Search::new(call, token, sent.begun(), sent.time());
    let mut retries = if call.settings.reconcile { sent.options().retries() } else { 0 };
    loop {
        match search.run().await {
            Ok(Some(found)) => return Ok(remembered(call, Some(token), found)),
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
        let settings = CallSettings { time: Some(search.time.clone()), ..call.settings.clone() };
        error = match call.send(&call.begin(settings)).await {
            Ok(response) => return Ok(remembered(call, Some(token), response)),
            Err(unsent) if unsent.attempts() == 0 => return Err(error.with_search(NOT_FOUND)),
            Err(error) if error.may_have_reached_server() => error,
            // It was this submission that was refused, and not the one before.
            Err(refusal) => return Err(refusal.or_may_have_reached_server(true).with_search(NOT_FOUND)),
        };
    }
}

/// Looks for the work order of a submission whose call was dropped.
pub(super) async fn find(
    call: &Call<CreateWorkOrder>,
    token: SubmissionToken,
    begun: DateTime<Utc>,
) -> Result<Option<WorkOrderCreated>> {
    let time = call.client.transport.time_of(&call.settings);
    let found = Search { is_thorough: true, ..Search::new(call, token, begun, &time) }.run().await?;
    Ok(found.map(|response| remembered(call, Some(token), response).into_inner()))
}

fn remembered(call: &Call<CreateWorkOrder>, token: Option<SubmissionToken>, response: Created) -> Created {
    call.client.known_tokens.insert(&response.value().work_order_id, token);
    if let Some(sent) = &call.settings.sent {
        sent.accepted();
    }
    response
}

/// The search for a work order by its token.
struct Search<'a> {
    call: &'a Call<CreateWorkOrder>,
    token: SubmissionToken,
    /// Runs from before this are older than the submission, however the clocks differ.
    since: Option<DateTime<Utc>>,
    time: CallTime,
    /// All looks have to prove that the work order is not there. Otherwise, one suffices.
    is_thorough: bool,
}

/// A run of a list, and what its response says about the time.
struct ListedRun {
    run: RunSummary,
    date: Option<SystemTime>,
    is_stale: bool,
}

impl ListedRun {
    fn batch(response: Response<RunPage>) -> Batch<Self> {
        let (date, is_stale) = (date(response.headers()), response.is_stale());
        Batch::new(response, |page| page.into_iter().map(|run| Self { run, date, is_stale }).collect())
    }
}

impl Listed for ListedRun {
    fn id(&self) -> &str {
        self.run.id.as_str()
    }
}

impl<'a> Search<'a> {
    fn new(call: &'a Call<CreateWorkOrder>, token: SubmissionToken, begun: DateTime<Utc>, time: &CallTime) -> Self {
        let (since, time) = (begun.checked_sub_signed(TOLERANCE), time.clone());
        Self { call, token, since, time, is_thorough: call.settings.reconcile }
    }

    /// Returns the work order, or that it is not there. What lost the response may last, so a look that fails is
    /// followed by the next.
    async fn run(&self) -> Result<Option<Created>> {
        let transport = &self.call.client.transport;
        let mut failure = None;
        for delay in LOOKS {
            if transport.time_left(&self.time).is_some_and(|left| left <= delay) {
                return Err(failure.unwrap_or_else(Error::deadline_passed));
            }
            transport.clock.sleep(delay).await;
            match self.look(transport.freshness.new_page_size(ListRuns::PAGE)).await {
                Ok(None) if self.is_thorough => {}
                Ok(result) => return Ok(result),
                Err(error) if is_final(&error) => return Err(error),
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(None), Err)
    }

    /// Goes through the recent runs once.
    async fn look(&self, page_size: u32) -> Result<Option<Created>> {
        let mut list = self.call.client.runs().list().limit(page_size);
        list.settings = self.call.settings.of_part(&self.time);
        let mut runs = list.items_by(ListedRun::batch).read_ahead(false);
        let (mut order, mut fetched, mut is_from_cache) = (Order::default(), 0, false);
        let (mut shows_tokens, mut shows_alike, mut missing) = (false, false, None);
        while let Some(listed) = runs.next().await {
            let ListedRun { run, date, is_stale } = listed?;
            is_from_cache |= is_stale;
            order.newest = order.newest.max(run.created_at);
            let is_old =
                self.is_older_than_submission(run.created_at, date) && !self.is_recent(run.created_at, order.newest);
            order.add(run.created_at, is_old);
            if order.has_only_old_left() {
                break;
            }
            if order.count > MAX_RUNS {
                return Err(Error::incomplete_search("there are too many recent runs"));
            }
            if is_old || self.is_of_another(&run) {
                continue;
            }
            if fetched == MAX_ORDERS {
                return Err(Error::incomplete_search("there are too many recent work orders to fetch"));
            }
            fetched += 1;
            let response = match self.fetch(&run).await {
                Ok(response) => response,
                Err(error) if error.is_not_found() => {
                    missing = Some(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            match token_text(response.value()).map(SubmissionToken::of_order) {
                Some(token) if token == Some(self.token) => {
                    self.report_duplicates(&run, runs).await;
                    let lacks = |_| Error::incomplete_search("the work order was found, but lacks a required field");
                    return response.try_map(|order| created(&run, &order)).map(Some).map_err(lacks);
                }
                Some(token) => {
                    shows_tokens = true;
                    self.call.client.known_tokens.insert(&response.value().id, token);
                }
                None => {
                    let prompt = response.value().task_prompt.as_deref().map(str::trim);
                    shows_alike |= prompt == Some(self.call.endpoint.body.task_prompt.trim());
                }
            }
        }
        match missing {
            Some(error) => Err(error),
            // The service may have dropped the token. That proves nothing.
            None if shows_alike && !shows_tokens => {
                Err(Error::incomplete_search("a recent work order with this prompt has no token"))
            }
            None if is_from_cache => {
                let advice = "Check for the work order manually, and look for a proxy that caches responses.";
                let error = Error::pagination("the list came from a cache, which may be out of date", advice);
                Err(error.with_operation(ListRuns::OPERATION))
            }
            None => Ok(None),
        }
    }

    async fn fetch(&self, run: &RunSummary) -> Result<Response<WorkOrder>> {
        let lacks = || Error::incomplete_search("a recent run does not say its work order");
        let order = run.work_order_id.as_ref().ok_or_else(lacks)?;
        let mut get = self.call.client.work_orders().get(order);
        get.settings = self.call.settings.of_part(&self.time);
        get.with_response().await
    }

    /// Reports other work orders of this submission, among the runs from about the same time.
    async fn report_duplicates(&self, found: &RunSummary, mut runs: Items<ListedRun>) {
        let earliest = found.created_at.and_then(|at| at.checked_sub_signed(REPETITION));
        for _ in 0..MAX_ORDERS {
            let Some(Ok(ListedRun { run, .. })) = runs.next().await else { return };
            if is_older(run.created_at, earliest) {
                return;
            }
            if run.work_order_id != found.work_order_id
                && !self.is_of_another(&run)
                && let Ok(response) = self.fetch(&run).await
                && token_text(response.value()).and_then(SubmissionToken::of_order) == Some(self.token)
            {
                self.call.client.transport.report_duplicate(&response.value().id, &run.id);
            }
        }
    }

    /// Compares a time with that of the submission, by this machine's clock or by that of the response, whichever is
    /// behind: either may be wrong by any time, and no run may be skipped because one is ahead of the runs' times.
    fn is_older_than_submission(&self, created_at: Option<DateTime<Utc>>, date: Option<SystemTime>) -> bool {
        let now = self.call.client.transport.clock.now();
        let behind = date.map_or(now, DateTime::from).min(now) - now;
        is_older(created_at, self.since.and_then(|since| since.checked_add_signed(behind)))
    }

    /// Returns whether a run is as near to the newest as the submission is to now, whatever the service's clock says.
    /// The `Date` of a gateway in front of it proves nothing about that clock.
    fn is_recent(&self, created_at: Option<DateTime<Utc>>, newest: Option<DateTime<Utc>>) -> bool {
        let elapsed = self.since.map(|since| self.call.client.transport.clock.now() - since - TOLERANCE);
        let age = newest.zip(created_at).map(|(newest, created_at)| newest - created_at);
        age.zip(elapsed).is_some_and(|(age, elapsed)| age <= elapsed + REPETITION)
    }

    fn is_of_another(&self, run: &RunSummary) -> bool {
        let is_of_another = |order| self.call.client.known_tokens.is_of_another(order, self.token);
        run.work_order_id.as_ref().is_some_and(is_of_another)
    }
}

/// Returns whether another look would fail in the same way: the key may not read, or the runs are not as they have to
/// be for a search.
fn is_final(error: &Error) -> bool {
    use ErrorKind::{Authentication, OrganizationSuspended, PermissionDenied};

    matches!(error.kind(), Authentication | OrganizationSuspended | PermissionDenied) || error.operation().is_none()
}

/// Returns the token of a work order, if it has an entry for one, which may be no token of this crate.
fn token_text(order: &WorkOrder) -> Option<&str> {
    order.metadata.get(TOKEN)?.as_str()
}

fn is_older(created_at: Option<DateTime<Utc>>, since: Option<DateTime<Utc>>) -> bool {
    created_at.zip(since).is_some_and(|(created_at, since)| created_at < since)
}

/// The order of a list, as far as it was read.
#[derive(Debug, Default)]
struct Order {
    first: Option<DateTime<Utc>>,
    last: Option<DateTime<Utc>>,
    newest: Option<DateTime<Utc>>,
    is_broken: bool,
    count: usize,
    /// The number of the latest runs in succession that are too old.
    old: usize,
}

impl Order {
    fn add(&mut self, created_at: Option<DateTime<Utc>>, is_old: bool) {
        let is_early = |last: DateTime<Utc>| created_at.is_some_and(|this| this - last > DISORDER);
        self.is_broken |= created_at.is_none() || self.last.is_some_and(is_early);
        self.first = self.first.or(created_at);
        self.last = created_at;
        self.count += 1;
        self.old = if is_old { self.old + 1 } else { 0 };
    }

    /// Returns whether all other runs are too old, as the list is sorted.
    fn has_only_old_left(&self) -> bool {
        self.old >= OLD_RUNS && !self.is_broken && self.last <= self.first
    }
}

/// The response that the submission would have had.
fn created(run: &RunSummary, order: &WorkOrder) -> serde_json::Result<WorkOrderCreated> {
    let created_at = order.created_at.or(run.created_at);
    let response = json!({ "workOrderId": order.id, "runId": run.id, "status": run.status, "createdAt": created_at });
    crate::json::convert(&response)
}

#[cfg(test)]
mod tests {
    use super::{OLD_RUNS, Order};
    use chrono::DateTime;

    #[test]
    fn a_list_is_sorted_if_its_runs_stand_near_their_places() {
        for (minutes, expected) in [
            (&[90, 80, 80, 10][..], true),
            // Stamped before they were stored.
            (&[90, 70, 95, 80, 10], true),
            (&[10, 20, 30, 90], false),
            (&[90, 10, 80, 20], false),
        ] {
            let mut order = Order::default();
            let all = minutes.iter().copied().chain([5; OLD_RUNS]);
            all.for_each(|minutes: i64| order.add(DateTime::from_timestamp(minutes * 60, 0), minutes == 5));
            assert_eq!(order.has_only_old_left(), expected, "{minutes:?}");
            order.add(None, true);
            assert!(!order.has_only_old_left());
        }
    }

    #[test]
    fn a_few_old_runs_do_not_end_a_search() {
        let mut order = Order::default();
        for count in 1..=2 * OLD_RUNS {
            order.add(DateTime::from_timestamp(0, 0), true);
            assert_eq!(order.has_only_old_left(), count >= OLD_RUNS);
        }
        order.add(DateTime::from_timestamp(0, 0), false);
        assert!(!order.has_only_old_left());
    }
}
