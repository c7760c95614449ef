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

use super::agenda::Agenda;
use super::page_scan::{PageScan, Scope};
use super::poll_budget::PollBudget;
use super::poll_failures::PollFailures;
use super::run_registry::RunRegistry;
use super::run_source::PAGE_SIZE;
use super::run_update::RunUpdate;
use super::state::Now;
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

/// Lists may lag this much behind, the time for which their response is under way included.
const MAX_LIST_LAG: Duration = Duration::from_secs(60);

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
    budget: PollBudget,
    /// The scan of the current round. `None` while a page of it is being fetched.
    round: Option<PageScan>,
    /// The scan of the pending runs, in the same way.
    pending: Option<PageScan>,
    /// The scan of which a page is being fetched.
    listing: Option<PageScan>,
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

// Steps
impl PollScheduler {
    /// Resets the rounds after a time in which no run was awaited.
    pub(super) fn restart(&mut self, now: Duration, shortest_delay: Duration) {
        self.forget_requests();
        // The first fetches cover all awaited runs.
        self.next_round = self.next_round.max(now.saturating_add(shortest_delay));
        self.running = None;
    }

    /// Begins anew, without the response to the last request for a page.
    pub(super) fn forget_requests(&mut self) {
        (self.round, self.pending, self.listing) = (None, None, None);
    }

    /// Returns the next request, and takes it from the budget; or the delay to the next step.
    pub(super) fn step(&mut self, runs: &mut Agenda, rate: f64, shortest_delay: Duration, now: Duration) -> Step {
        let delays_end = runs.end_delays(now);
        self.budget.pay(now, rate);
        let delay = self.budget.delay(rate);
        if !delay.is_zero() {
            return Step::Wait(delay);
        }
        let first_fetch = self.first_fetch(runs, now);
        // First fetches and rounds take turns.
        self.was_first_fetch = !self.was_first_fetch && first_fetch.is_some();
        if let Some(request) = first_fetch.clone().filter(|_| self.was_first_fetch) {
            return self.send(request, false, runs, now);
        }
        let round_delay = self.next_round.saturating_sub(now).max(self.budget.round_delay(rate));
        let may_begin = self.may_begin_round(runs, now);
        let begins = may_begin && (round_delay.is_zero() || self.has_many_new(runs, now) || runs.due().is_some());
        if begins {
            self.next_round = now.saturating_add(shortest_delay);
            self.begin_round(runs, now);
        }
        if let Some(request) = self.next_request(runs, now).or(first_fetch) {
            return self.send(request, begins, runs, now);
        }
        let round = if may_begin { round_delay.max(Duration::from_millis(1)) } else { Duration::MAX };
        Step::Wait(delays_end.map_or(round, |at| at.saturating_sub(now).min(round)))
    }

    /// Returns the fetch of a run that had no update yet, unless there are so many that a list is cheaper.
    fn first_fetch(&self, runs: &Agenda, now: Duration) -> Option<Request> {
        let (_, first) = runs.new_runs();
        first.filter(|_| !self.has_many_new(runs, now)).cloned().map(Request::Run)
    }

    fn has_many_new(&self, runs: &Agenda, now: Duration) -> bool {
        runs.new_runs().0 > MAX_FIRST_FETCHES && self.has_lists(now)
    }

    /// Returns whether the last round is over. A round of single fetches may take too long to wait for its end.
    fn may_begin_round(&self, runs: &Agenda, now: Duration) -> bool {
        let is_list_overdue = self.has_lists(now) && self.last_list.saturating_add(LIST_RETRY_DELAY) <= now;
        self.round.is_none() && self.listing.is_none() && (runs.due().is_none() || is_list_overdue)
    }

    /// Begins the round that takes the fewest requests.
    fn begin_round(&mut self, runs: &mut Agenda, now: Duration) {
        let awaited = runs.len();
        let has_many_new = self.has_many_new(runs, now);
        let by_running = self.running_pages(awaited - runs.pending()) + self.unlisted_running;
        let by_all = if self.all_pages == 0 { pages(awaited) } else { self.all_pages } + self.unlisted;
        if !self.has_lists(now) || (awaited <= by_running.min(by_all) && !has_many_new) {
            runs.fetch_all();
        } else {
            let scope = if by_all <= by_running || has_many_new { Scope::All } else { Scope::Running };
            runs.begin_scan(scope);
            self.round = Some(PageScan::new(scope));
        }
    }

    /// Returns the number of pages that list the running runs.
    fn running_pages(&self, awaited: usize) -> usize {
        pages(self.running.and_then(|running| usize::try_from(running).ok()).unwrap_or(awaited))
    }

    /// Returns the next request of the current round or of the rotation.
    fn next_request(&mut self, runs: &mut Agenda, now: Duration) -> Option<Request> {
        if let Some(id) = runs.due() {
            return Some(Request::Run(id.clone()));
        }
        if self.since_rotation >= ROTATION_INTERVAL {
            self.since_rotation = 0;
            self.rotation = (self.rotation + 1) % ROTATION_FETCH_INTERVAL;
            if let Some(request) = self.rotation(runs, now) {
                return Some(request);
            }
        }
        self.round.filter(|_| self.listing.is_none()).map(Request::Page)
    }

    /// Returns a page of the pending runs, or the run with the oldest fetch.
    fn rotation(&mut self, runs: &mut Agenda, now: Duration) -> Option<Request> {
        let shows_all = self.round.as_ref().is_some_and(|scan| scan.scope == Scope::All);
        let run = now.checked_sub(MIN_REFETCH_DELAY).and_then(|before| runs.oldest(before)).cloned().map(Request::Run);
        match (self.rotation == 0, shows_all) {
            (true, true) => run,
            (true, false) => run.or_else(|| self.pending_page(runs, now)),
            (false, true) => None,
            (false, false) => self.pending_page(runs, now).or(run),
        }
    }

    fn pending_page(&mut self, runs: &mut Agenda, now: Duration) -> Option<Request> {
        if runs.pending() == 0 || !self.has_lists(now) || self.listing.is_some() {
            return None;
        }
        let scan = self.pending.get_or_insert_with(|| {
            runs.begin_scan(Scope::Pending);
            PageScan::new(Scope::Pending)
        });
        Some(Request::Page(*scan))
    }

    fn send(&mut self, request: Request, begins_round: bool, runs: &mut Agenda, now: Duration) -> Step {
        self.budget.add(begins_round, fastrand::f64());
        self.since_rotation += 1;
        match &request {
            Request::Run(id) => runs.fetch_begins(id, now),
            Request::Page(scan) => {
                self.listing = self.scan(scan.scope).take();
                self.last_list = now;
            }
        }
        Step::Send(request)
    }

    fn scan(&mut self, scope: Scope) -> &mut Option<PageScan> {
        if scope == Scope::Pending { &mut self.pending } else { &mut self.round }
    }

    fn has_lists(&self, now: Duration) -> bool {
        self.lists_suspended_until <= now
    }
}

// Responses
impl PollScheduler {
    /// Applies a page of a scan. Returns the runs that it found ended.
    pub(super) fn apply_page(
        &mut self,
        scan: PageScan,
        page: Response<RunPage>,
        runs: &mut RunRegistry,
        (now, time): Now,
    ) -> Vec<RunId> {
        self.list_failures = PollFailures::default();
        let (is_stale, page) = (page.is_stale(), page.into_inner());
        if scan.scope == Scope::Running {
            self.running = page.total.or(self.running);
        }
        let (count, missing) = (page.data.len(), runs.agenda.missing(scan.scope));
        let mut ended = Vec::new();
        for summary in page.data {
            let update = RunUpdate { is_stale, ..RunUpdate::from_summary(summary, time) };
            self.check_lag(&update, now);
            let id = update.id.clone();
            if runs.apply(update) {
                ended.push(id);
            }
        }
        // The scan may have been forgotten meanwhile.
        if self.listing.as_ref() == Some(&scan) {
            self.listing = None;
            let shown = missing.saturating_sub(runs.agenda.missing(scan.scope));
            self.go_on(scan.with_page(count, shown, ended.len()), count == 0, page.total, &mut runs.agenda);
        }
        ended
    }

    /// Suspends lists if this one shows a run as running long after its end.
    fn check_lag(&mut self, update: &RunUpdate, now: Duration) {
        let has_ended = |(end, id): &(Duration, RunId)| *id == update.id && end.saturating_add(MAX_LIST_LAG) <= now;
        if !update.is_final && self.ended.iter().any(has_ended) {
            self.ended.clear();
            self.lists_suspended_until = now.saturating_add(LIST_SUSPENSION);
        }
    }

    /// Continues a scan after a page, or ends it.
    fn go_on(&mut self, scan: PageScan, is_empty: bool, total: Option<u64>, runs: &mut Agenda) {
        let is_last = is_empty || total.is_some_and(|total| u64::from(scan.offset) >= total);
        let missing = runs.missing(scan.scope);
        if is_last || missing == 0 || scan.is_unproductive(missing) {
            self.finish(&scan, missing, runs);
        } else {
            *self.scan(scan.scope) = Some(scan);
        }
    }

    /// Ends a scan: the runs that it did not show are listed by a second scan, or fetched one by one.
    fn finish(&mut self, scan: &PageScan, missing: usize, runs: &mut Agenda) {
        match scan.scope {
            Scope::All => {
                (self.all_pages, self.unlisted) = (scan.pages, missing);
                // A scan of the running runs would have left these to be fetched.
                self.unlisted_running = scan.ended.max(missing);
            }
            Scope::Running if !scan.is_second => self.unlisted_running = missing,
            Scope::Running | Scope::Pending => {}
        }
        let (other, pages) = match scan.scope {
            Scope::All => (Scope::Running, self.running_pages(runs.len())),
            Scope::Running | Scope::Pending => (Scope::All, self.all_pages.max(1)),
        };
        if missing > pages + MAX_FIRST_FETCHES && !scan.is_second && scan.scope != Scope::Pending {
            // Pages may cover them with fewer requests.
            self.round = Some(PageScan { is_second: true, ..PageScan::new(other) });
        } else {
            runs.fetch_missing(scan.scope);
        }
    }

    /// Records a failed page. Until lists are tried again, runs are fetched one by one.
    pub(super) fn page_failed(&mut self, error: Error, now: Duration) {
        self.forget_requests();
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
}

fn pages(runs: usize) -> usize {
    runs.div_ceil(PAGE_SIZE as usize).max(1)
}
