//! [`PollScheduler`]: decides which run or page is fetched next, and when. No input or output here.
//!
//! Polling is a series of rounds. A round is the cheapest set of requests that covers all awaited runs:
//!
//! | plan | requests |
//! |---|---|
//! | fetch each | one for each awaited run |
//! | list the running | the pages with status `running`; one for each awaited run that was on them and no longer is |
//! | list all | the pages of all runs, from the newest to the last awaited; one for each awaited run that is on none |
//!
//! The plan is chosen before each round, by the number of requests that each has recently taken. Pending runs are
//! covered by the rotation: between the requests of rounds, it fetches a page of the pending runs, or a single run, so
//! that no wait depends on lists that lag or omit runs.

use std::collections::VecDeque;
use std::time::Duration;

use super::page_scan::{PageScan, Scope};
use super::poll_budget::PollBudget;
use super::poll_failures::PollFailures;
use super::run_registry::RunRegistry;
use super::run_source::PAGE_SIZE;
use super::run_update::RunUpdate;
use crate::types::{RunId, RunPage};
use crate::{Error, ErrorKind, Response};

/// The number of new runs that are fetched one by one. More are listed.
const MAX_FIRST_FETCHES: usize = 3;

/// One request in this many belongs to the rotation.
const ROTATION_INTERVAL: u32 = 8;

/// One request of the rotation in this many fetches a run. The others fetch a page.
const ROTATION_FETCH_INTERVAL: u32 = 3;

/// The rotation fetches no run again sooner than this.
const MIN_REFETCH_DELAY: Duration = Duration::from_secs(60);

/// The longest time for which runs are fetched one by one before lists are tried again.
const LIST_RETRY_DELAY: Duration = Duration::from_secs(60);

/// The time for which lists are not used after the service refused one, or after one showed an ended run as running.
const LIST_SUSPENSION: Duration = Duration::from_secs(10 * 60);

/// Lists may lag this much behind.
const MAX_LIST_LAG: Duration = Duration::from_secs(30);

/// The number of ended runs that are remembered to detect lists that lag more.
const MAX_ENDED: usize = 32;

#[derive(Clone, Debug)]
pub(super) enum Request {
    Run(RunId),
    Page(PageScan),
}

/// The next step of the poller.
#[derive(Debug)]
pub(super) enum Step {
    Send(Request),
    /// Wait this long, or until the state has changed.
    Wait(Duration),
}

#[derive(Debug, Default)]
pub(super) struct PollScheduler {
    /// The scan of the current round. `None` while a page of it is being fetched.
    round: Option<PageScan>,
    /// The scan of the pending runs, in the same way.
    pending: Option<PageScan>,
    is_listing: bool,
    next_round: Duration,
    was_first_fetch: bool,
    since_rotation: u32,
    rotation: u32,
    /// The number of runs with the status `running`, by the last page of them.
    running: Option<u64>,
    /// The number of runs that the last scan of the running runs left to be fetched one by one.
    unlisted_running: usize,
    /// The number of pages of the last scan of all runs.
    all_pages: usize,
    /// The number of runs that it left to be fetched one by one.
    unlisted: usize,
    list_failures: PollFailures,
    last_list: Duration,
    lists_suspended_until: Duration,
    pub(super) list_failure: Option<Error>,
    /// Runs that a fetch has found ended. Lists that show one of them as running long after that are suspended.
    ended: VecDeque<(Duration, RunId)>,
}

/// The awaited runs that have to be fetched or listed.
#[derive(Default)]
struct Needs {
    pending: usize,
    /// A run that was neither fetched nor listed yet. `None` if there are so many that a list is cheaper.
    new: Option<RunId>,
    has_many_new: bool,
    /// Of the runs that have to be fetched by themselves, the one with the oldest fetch.
    due: Option<(Duration, RunId)>,
    /// Of all runs, the one with the oldest fetch, for the rotation.
    oldest: Option<(Duration, RunId)>,
    /// The time from which the next run whose fetch has failed can be fetched again.
    retry_at: Option<Duration>,
}

impl Needs {
    fn of(runs: &RunRegistry, has_lists: bool, now: Duration) -> Self {
        let mut needs = Self::default();
        let earlier = |slot: &mut Option<(Duration, RunId)>, at: Duration, id: &RunId| {
            if slot.as_ref().is_none_or(|(first, _)| at < *first) {
                *slot = Some((at, id.clone()));
            }
        };
        let mut new = 0;
        for (id, run) in runs.iter() {
            needs.pending += usize::from(run.is_pending());
            let is_new = run.seen.is_none();
            if !run.is_fetchable(now) {
                let waits = !run.is_fetching && (is_new || run.needs_fetch);
                if waits {
                    needs.retry_at = Some(needs.retry_at.map_or(run.not_before, |at| at.min(run.not_before)));
                }
                continue;
            }
            if run.needs_fetch {
                earlier(&mut needs.due, run.fetched, id);
            } else if is_new {
                new += 1;
                needs.new.get_or_insert_with(|| id.clone());
            }
            earlier(&mut needs.oldest, run.fetched, id);
        }
        needs.has_many_new = new > MAX_FIRST_FETCHES && has_lists;
        if needs.has_many_new {
            needs.new = None;
        }
        needs
    }
}

impl PollScheduler {
    /// Resets the rounds after a time in which no run was awaited.
    pub(super) fn restart(&mut self, now: Duration, shortest_delay: Duration) {
        (self.round, self.pending, self.is_listing) = (None, None, false);
        // The first fetches cover all awaited runs.
        self.next_round = self.next_round.max(now.saturating_add(shortest_delay));
        self.running = None;
    }

    /// Returns the next request, and takes it from the budget; or the delay to the next step.
    pub(super) fn step(
        &mut self,
        runs: &mut RunRegistry,
        budget: &mut PollBudget,
        rate: f64,
        shortest_delay: Duration,
        now: Duration,
    ) -> Step {
        let delay = budget.delay(rate);
        if !delay.is_zero() {
            return Step::Wait(delay);
        }
        let needs = Needs::of(runs, self.has_lists(now), now);
        // First fetches and rounds take turns.
        let first_fetch = needs.new.clone().map(Request::Run);
        if let Some(request) = first_fetch.clone().filter(|_| !self.was_first_fetch) {
            self.was_first_fetch = true;
            return self.send(request, false, runs, budget, now);
        }
        self.was_first_fetch = false;
        let round_delay = self.next_round.saturating_sub(now).max(budget.round_delay(rate));
        // A round of single fetches may take too long to wait for its end.
        let is_over = needs.due.is_none() || self.is_list_overdue(now);
        let may_begin = self.round.is_none() && !self.is_listing && is_over;
        if may_begin && (round_delay.is_zero() || needs.has_many_new || needs.due.is_some()) {
            self.next_round = now.saturating_add(shortest_delay);
            self.begin_round(runs, &needs, now);
            if let Some(request) = self.next_request(&Needs::of(runs, self.has_lists(now), now), now) {
                return self.send(request, true, runs, budget, now);
            }
        } else if let Some(request) = self.next_request(&needs, now) {
            return self.send(request, false, runs, budget, now);
        }
        if let Some(request) = first_fetch {
            return self.send(request, false, runs, budget, now);
        }
        let round = if may_begin { round_delay.max(Duration::from_millis(1)) } else { Duration::MAX };
        Step::Wait(needs.retry_at.map_or(round, |at| at.saturating_sub(now).min(round)))
    }

    fn is_list_overdue(&self, now: Duration) -> bool {
        self.has_lists(now) && self.last_list.saturating_add(LIST_RETRY_DELAY) <= now
    }

    /// Returns the next request of the current round or of the rotation.
    fn next_request(&mut self, needs: &Needs, now: Duration) -> Option<Request> {
        if self.since_rotation >= ROTATION_INTERVAL && needs.due.is_none() {
            self.since_rotation = 0;
            self.rotation = (self.rotation + 1) % ROTATION_FETCH_INTERVAL;
            if let Some(request) = self.rotation(needs, now) {
                return Some(request);
            }
        }
        match &needs.due {
            Some((_, id)) => Some(Request::Run(id.clone())),
            None => self.round.clone().filter(|_| !self.is_listing).map(Request::Page),
        }
    }

    /// Returns a page of the pending runs, or the run with the oldest fetch.
    fn rotation(&self, needs: &Needs, now: Duration) -> Option<Request> {
        let shows_all = self.round.as_ref().is_some_and(|scan| scan.scope == Scope::All);
        let page = || {
            let is_of_use = needs.pending > 0 && self.has_lists(now) && !self.is_listing;
            let scan = self.pending.clone().unwrap_or_else(|| PageScan::new(Scope::Pending, now));
            is_of_use.then_some(Request::Page(scan))
        };
        let run = || {
            let oldest = needs.oldest.as_ref().filter(|(fetched, _)| fetched.saturating_add(MIN_REFETCH_DELAY) <= now);
            oldest.map(|(_, id)| Request::Run(id.clone()))
        };
        match (self.rotation == 0, shows_all) {
            (true, true) => run(),
            (true, false) => run().or_else(page),
            (false, true) => None,
            (false, false) => page().or_else(run),
        }
    }

    fn scan(&mut self, scope: Scope) -> &mut Option<PageScan> {
        if scope == Scope::Pending { &mut self.pending } else { &mut self.round }
    }

    fn send(
        &mut self,
        request: Request,
        begins_round: bool,
        runs: &mut RunRegistry,
        budget: &mut PollBudget,
        now: Duration,
    ) -> Step {
        budget.add(begins_round, fastrand::f64());
        self.since_rotation += 1;
        match &request {
            Request::Run(id) => {
                if let Some(run) = runs.get_mut(id) {
                    (run.is_fetching, run.fetched) = (true, now);
                }
            }
            Request::Page(scan) => {
                *self.scan(scan.scope) = None;
                (self.is_listing, self.last_list) = (true, now);
            }
        }
        Step::Send(request)
    }

    /// Returns the number of pages that list the running runs.
    fn running_pages(&self, awaited: usize) -> usize {
        pages(self.running.and_then(|running| usize::try_from(running).ok()).unwrap_or(awaited))
    }

    /// Begins the round that takes the fewest requests.
    fn begin_round(&mut self, runs: &mut RunRegistry, needs: &Needs, now: Duration) {
        let awaited = runs.len();
        let by_running = self.running_pages(awaited - needs.pending) + self.unlisted_running;
        let by_all = if self.all_pages == 0 { pages(awaited) } else { self.all_pages } + self.unlisted;
        let is_cheapest = awaited <= by_running.min(by_all) && !needs.has_many_new;
        if !self.has_lists(now) || is_cheapest {
            for run in runs.iter_mut() {
                run.needs_fetch = true;
            }
        } else {
            let is_all = by_all <= by_running || needs.has_many_new;
            self.round = Some(PageScan::new(if is_all { Scope::All } else { Scope::Running }, now));
        }
    }

    /// Applies a page of a scan. Returns the runs that it found ended.
    pub(super) fn apply_page(
        &mut self,
        mut scan: PageScan,
        page: Response<RunPage>,
        runs: &mut RunRegistry,
        sent: Duration,
        now: Duration,
        time: chrono::DateTime<chrono::Utc>,
    ) -> Vec<RunId> {
        let (is_stale, page) = (page.is_stale(), page.into_inner());
        self.is_listing = false;
        self.list_failures = PollFailures::default();
        self.list_failure = None;
        if scan.scope == Scope::Running {
            self.running = page.total.or(self.running);
        }
        let before = scan.missing(runs);
        let count = page.data.len();
        let end = u64::from(scan.offset) + count as u64;
        let is_last = count == 0 || page.total.is_some_and(|total| end >= total);
        let mut found = Vec::new();
        for summary in page.data {
            let update = RunUpdate { is_stale, ..RunUpdate::from_summary(summary, time) };
            let has_ended = |(at, id): &(Duration, RunId)| *id == update.id && at.saturating_add(MAX_LIST_LAG) <= sent;
            if !update.is_final && self.ended.iter().any(has_ended) {
                self.ended.clear();
                self.lists_suspended_until = now.saturating_add(LIST_SUSPENSION);
            }
            let id = update.id.clone();
            if runs.apply(update, sent) {
                found.push(id);
            }
        }
        scan.ended += found.len();
        scan.pages += 1;
        scan.offset = scan.offset.saturating_add(u32::try_from(count).unwrap_or(PAGE_SIZE));
        let left = scan.missing(runs);
        scan.unproductive = (scan.unproductive + 1).saturating_sub(before.saturating_sub(left));
        if is_last || left == 0 || scan.unproductive > left / 10 {
            self.finish(&scan, runs);
        } else {
            let scope = scan.scope;
            *self.scan(scope) = Some(scan);
        }
        found
    }

    /// Ends a scan: the runs that it did not show are listed by a second scan, or fetched one by one.
    fn finish(&mut self, scan: &PageScan, runs: &mut RunRegistry) {
        let left = scan.missing(runs);
        match scan.scope {
            Scope::All => {
                (self.all_pages, self.unlisted) = (scan.pages, left);
                // A scan of the running runs would have left these to be fetched.
                self.unlisted_running = scan.ended.max(left);
            }
            Scope::Running if !scan.is_second => self.unlisted_running = left,
            Scope::Running | Scope::Pending => {}
        }
        let (other, pages) = match scan.scope {
            Scope::All => (Scope::Running, self.running_pages(runs.len())),
            Scope::Running | Scope::Pending => (Scope::All, self.all_pages.max(1)),
        };
        if left > pages + MAX_FIRST_FETCHES && !scan.is_second && scan.scope != Scope::Pending {
            // Pages may cover them with fewer requests.
            self.round = Some(PageScan { is_second: true, ..PageScan::new(other, scan.began) });
            return;
        }
        for run in runs.iter_mut().filter(|run| scan.is_missing(run)) {
            run.needs_fetch = true;
        }
    }

    /// Records a failed page. Until lists are tried again, runs are fetched one by one.
    pub(super) fn page_failed(&mut self, error: Error, now: Duration) {
        (self.round, self.pending, self.is_listing) = (None, None, false);
        self.list_failures.record(&error, true, now);
        let is_refused = error.kind() == ErrorKind::PermissionDenied;
        let delay = if is_refused { LIST_SUSPENSION } else { self.list_failures.delay(error.retry_after()) };
        self.lists_suspended_until = now.saturating_add(delay);
        self.list_failure = Some(error);
    }

    /// Records a run that a fetch has found ended.
    pub(super) fn found_end(&mut self, id: &RunId, now: Duration) {
        self.ended.push_back((now, id.clone()));
        if self.ended.len() > MAX_ENDED {
            self.ended.pop_front();
        }
    }

    fn has_lists(&self, now: Duration) -> bool {
        self.lists_suspended_until <= now
    }
}

fn pages(runs: usize) -> usize {
    runs.div_ceil(PAGE_SIZE as usize).max(1)
}
