//! [`Rounds`]: which request the poller sends next. No input or output here.
//!
//! A round is the cheapest set of requests that tells of all awaited runs:
//!
//! | plan | requests |
//! |---|---|
//! | fetch each | one for each awaited run |
//! | list the running | the pages with status `running`; one for each awaited run that was on them and has left |
//! | list all | the pages of all runs, from the newest to the last awaited; one for each awaited run that is on none |
//!
//! The plan is chosen before each round, by what each has cost lately. Pending runs take no request each: a page in rotation shows
//! them now and then. In the same rotation single runs are fetched, so that no wait depends on lists that lag or leave runs out.

use std::collections::VecDeque;
use std::time::Duration;

use super::failures::Failures;
use super::poll_budget::PollBudget;
use super::registry::{AwaitedRun, RunRegistry};
use super::run_update::RunUpdate;
use crate::types::{RunId, RunPage, RunStatus};
use crate::{Error, ErrorKind};

/// Up to so many runs get their first look by a fetch each; more, by pages.
const FEW: usize = 3;

/// After so many requests, one is for the rotation.
const ROTATION: u32 = 8;

/// One in so many of these is a fetch, and the others are pages.
const TURNS: u32 = 3;

/// No run is fetched in rotation sooner than this after the last time.
const RECHECK: Duration = Duration::from_secs(60);

/// While runs are fetched one by one for want of lists, a list is tried this often.
const LIST_RETRY: Duration = Duration::from_secs(60);

/// The time for which lists are not used after the service has refused one, or was shown to list an ended run as running.
const NO_LISTS: Duration = Duration::from_secs(10 * 60);

/// Lists may lag this much behind.
const LAG: Duration = Duration::from_secs(30);

/// Number of ended runs that are looked for in lists that may lag.
const ENDED: usize = 32;

/// The runs that a page or a series of pages lists.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scope {
    Pending,
    Running,
    All,
}

impl Scope {
    pub(super) fn status(self) -> Option<RunStatus> {
        match self {
            Self::Pending => Some(RunStatus::Pending),
            Self::Running => Some(RunStatus::Running),
            Self::All => None,
        }
    }
}

/// A series of pages under way, which begins with the newest run.
#[derive(Clone, Debug)]
pub(super) struct Scan {
    pub(super) scope: Scope,
    pub(super) offset: u32,
    began: Duration,
    pages: usize,
    /// Pages that showed less than a run each, lately.
    in_vain: usize,
    /// Runs that it found ended.
    ended: usize,
    /// It looks for what one of another scope has not shown.
    is_second: bool,
}

impl Scan {
    fn new(scope: Scope, began: Duration) -> Self {
        Self { scope, offset: 0, began, pages: 0, in_vain: 0, ended: 0, is_second: false }
    }

    /// Returns whether it has yet to show this run.
    fn misses(&self, run: &AwaitedRun) -> bool {
        let is_listed = match self.scope {
            Scope::Pending => run.is_pending(),
            Scope::Running => !run.is_pending(),
            Scope::All => true,
        };
        is_listed && run.since <= self.began && run.is_unseen_since(self.began)
    }

    /// Returns the number of runs that it has yet to show.
    fn left(&self, runs: &RunRegistry) -> usize {
        runs.iter().filter(|(_, run)| self.misses(run)).count()
    }
}

/// A request to send.
#[derive(Clone, Debug)]
pub(super) enum Request {
    Run(RunId),
    Page(Scan),
}

/// The next step.
#[derive(Debug)]
pub(super) enum Step {
    Send(Request),
    /// Wait this long, or until something has changed.
    Wait(Duration),
}

#[derive(Debug, Default)]
pub(super) struct Rounds {
    /// The scan of the round under way, and that of the pending runs, unless a page of it is being fetched.
    round: Option<Scan>,
    pending: Option<Scan>,
    is_listing: bool,
    next_round: Duration,
    was_first_look: bool,
    since_rotation: u32,
    rotation: u32,
    /// Number of runs with the status `running`, by the last page of them.
    running: Option<u64>,
    /// Number of single runs that had to be fetched after the last list of the running.
    left_running: usize,
    /// Number of pages of the last list of all, and of single runs that had to be fetched after it.
    all_pages: usize,
    left_out: usize,
    list_failures: Failures,
    last_list: Duration,
    no_lists_before: Duration,
    pub(super) list_failure: Option<Error>,
    /// Runs that a fetch has found ended: a page that still lists one as going on after a while is not to be relied on.
    ended: VecDeque<(Duration, RunId)>,
}

/// The needs of the awaited runs.
#[derive(Default)]
struct Survey {
    pending: usize,
    /// A run that waits for its first look; or more than a few do, and lists work.
    new: Option<RunId>,
    has_many_new: bool,
    /// The run to fetch that was not fetched for the longest time.
    due: Option<(Duration, RunId)>,
    /// The same of all runs, for the rotation.
    oldest: Option<(Duration, RunId)>,
    /// When a run can be fetched again whose fetch has failed.
    retry_at: Option<Duration>,
}

impl Survey {
    fn of(runs: &RunRegistry, has_lists: bool, now: Duration) -> Self {
        let mut survey = Self::default();
        let earlier = |slot: &mut Option<(Duration, RunId)>, at: Duration, id: &RunId| {
            if slot.as_ref().is_none_or(|(first, _)| at < *first) {
                *slot = Some((at, id.clone()));
            }
        };
        let mut new = 0;
        for (id, run) in runs.iter() {
            survey.pending += usize::from(run.is_pending());
            let is_new = run.seen.is_none();
            if !run.is_fetchable(now) {
                let waits = !run.is_fetching && (is_new || run.needs_fetch);
                if waits {
                    survey.retry_at = Some(survey.retry_at.map_or(run.not_before, |at| at.min(run.not_before)));
                }
                continue;
            }
            if run.needs_fetch {
                earlier(&mut survey.due, run.fetched, id);
            } else if is_new {
                new += 1;
                survey.new.get_or_insert_with(|| id.clone());
            }
            earlier(&mut survey.oldest, run.fetched, id);
        }
        survey.has_many_new = new > FEW && has_lists;
        if survey.has_many_new {
            survey.new = None;
        }
        survey
    }
}

impl Rounds {
    /// Begins anew, after a time in which nobody waited.
    pub(super) fn restart(&mut self, now: Duration, shortest_delay: Duration) {
        (self.round, self.pending, self.is_listing) = (None, None, false);
        // The first look tells of all there is.
        self.next_round = self.next_round.max(now.saturating_add(shortest_delay));
        self.running = None;
    }

    /// Returns the next request, and takes it from the budget; or how long to wait.
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
        let survey = Survey::of(runs, self.has_lists(now), now);
        // First looks and rounds take turns.
        let first_look = survey.new.clone().map(Request::Run);
        if let Some(request) = first_look.clone().filter(|_| !self.was_first_look) {
            self.was_first_look = true;
            return self.send(request, false, runs, budget, now);
        }
        self.was_first_look = false;
        let round_delay = self.next_round.saturating_sub(now).max(budget.round_delay(rate));
        // A round of fetches may be too long to be waited for.
        let is_over = survey.due.is_none() || self.lists_are_overdue(now);
        let may_begin = self.round.is_none() && !self.is_listing && is_over;
        if may_begin && (round_delay.is_zero() || survey.has_many_new || survey.due.is_some()) {
            self.next_round = now.saturating_add(shortest_delay);
            self.begin_round(runs, &survey, now);
            if let Some(request) = self.follow_up(&Survey::of(runs, self.has_lists(now), now), now) {
                return self.send(request, true, runs, budget, now);
            }
        } else if let Some(request) = self.follow_up(&survey, now) {
            return self.send(request, false, runs, budget, now);
        }
        if let Some(request) = first_look {
            return self.send(request, false, runs, budget, now);
        }
        let round = if may_begin { round_delay.max(Duration::from_millis(1)) } else { Duration::MAX };
        Step::Wait(survey.retry_at.map_or(round, |at| at.saturating_sub(now).min(round)))
    }

    fn lists_are_overdue(&self, now: Duration) -> bool {
        self.has_lists(now) && self.last_list.saturating_add(LIST_RETRY) <= now
    }

    /// The next request of the round under way, or of the rotation.
    fn follow_up(&mut self, survey: &Survey, now: Duration) -> Option<Request> {
        if self.since_rotation >= ROTATION && survey.due.is_none() {
            self.since_rotation = 0;
            self.rotation = (self.rotation + 1) % TURNS;
            if let Some(request) = self.rotation(survey, now) {
                return Some(request);
            }
        }
        match &survey.due {
            Some((_, id)) => Some(Request::Run(id.clone())),
            None => self.round.clone().filter(|_| !self.is_listing).map(Request::Page),
        }
    }

    /// A page of the pending runs, or the run that was not fetched for the longest time.
    fn rotation(&self, survey: &Survey, now: Duration) -> Option<Request> {
        let shows_all = self.round.as_ref().is_some_and(|scan| scan.scope == Scope::All);
        let page = || {
            let is_of_use = survey.pending > 0 && self.has_lists(now) && !self.is_listing;
            let scan = self.pending.clone().unwrap_or_else(|| Scan::new(Scope::Pending, now));
            is_of_use.then_some(Request::Page(scan))
        };
        let run = || {
            let oldest = survey.oldest.as_ref().filter(|(fetched, _)| fetched.saturating_add(RECHECK) <= now);
            oldest.map(|(_, id)| Request::Run(id.clone()))
        };
        match (self.rotation == 0, shows_all) {
            (true, true) => run(),
            (true, false) => run().or_else(page),
            (false, true) => None,
            (false, false) => page().or_else(run),
        }
    }

    /// The scan to go on with after a page.
    fn scan(&mut self, scope: Scope) -> &mut Option<Scan> {
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

    /// Returns how many pages list the running runs, of which so many are awaited.
    fn running_pages(&self, awaited: usize) -> usize {
        pages(self.running.and_then(|running| usize::try_from(running).ok()).unwrap_or(awaited))
    }

    /// Begins the round that takes the fewest requests.
    fn begin_round(&mut self, runs: &mut RunRegistry, survey: &Survey, now: Duration) {
        let awaited = runs.len();
        let by_running = self.running_pages(awaited - survey.pending) + self.left_running;
        let by_all = if self.all_pages == 0 { pages(awaited) } else { self.all_pages } + self.left_out;
        let is_cheapest = awaited <= by_running.min(by_all) && !survey.has_many_new;
        if !self.has_lists(now) || is_cheapest {
            for run in runs.iter_mut() {
                run.needs_fetch = true;
            }
        } else {
            let is_all = by_all <= by_running || survey.has_many_new;
            self.round = Some(Scan::new(if is_all { Scope::All } else { Scope::Running }, now));
        }
    }

    /// A page has been read. Returns the runs that it found ended.
    pub(super) fn apply_page(
        &mut self,
        mut scan: Scan,
        page: RunPage,
        runs: &mut RunRegistry,
        sent: Duration,
        now: Duration,
    ) -> Vec<RunId> {
        self.is_listing = false;
        self.list_failures = Failures::default();
        self.list_failure = None;
        if scan.scope == Scope::Running {
            self.running = page.total.or(self.running);
        }
        let before = scan.left(runs);
        let count = page.data.len();
        let end = u64::from(scan.offset) + count as u64;
        let is_last = count == 0 || page.total.is_some_and(|total| end >= total);
        let mut found = Vec::new();
        for summary in page.data {
            let update = RunUpdate::from(summary);
            let has_ended = |(at, id): &(Duration, RunId)| *id == update.id && at.saturating_add(LAG) <= sent;
            if !update.is_final && self.ended.iter().any(has_ended) {
                self.ended.clear();
                self.no_lists_before = now.saturating_add(NO_LISTS);
            }
            let id = update.id.clone();
            if runs.apply(update, sent) {
                found.push(id);
            }
        }
        scan.ended += found.len();
        scan.pages += 1;
        scan.offset = scan.offset.saturating_add(u32::try_from(count).unwrap_or(RunPage::LARGEST));
        let left = scan.left(runs);
        scan.in_vain = (scan.in_vain + 1).saturating_sub(before.saturating_sub(left));
        if is_last || left == 0 || scan.in_vain > left / 10 {
            self.finish(&scan, runs);
        } else {
            let scope = scan.scope;
            *self.scan(scope) = Some(scan);
        }
        found
    }

    /// A scan has ended: what it did not show is fetched.
    fn finish(&mut self, scan: &Scan, runs: &mut RunRegistry) {
        let left = scan.left(runs);
        match scan.scope {
            Scope::All => {
                (self.all_pages, self.left_out) = (scan.pages, left);
                // So many would have been fetched if only the running had been listed.
                self.left_running = scan.ended.max(left);
            }
            Scope::Running if !scan.is_second => self.left_running = left,
            Scope::Running | Scope::Pending => {}
        }
        let (other, pages) = match scan.scope {
            Scope::All => (Scope::Running, self.running_pages(runs.len())),
            Scope::Running | Scope::Pending => (Scope::All, self.all_pages.max(1)),
        };
        if left > pages + FEW && !scan.is_second && scan.scope != Scope::Pending {
            // Pages may tell of them with fewer requests.
            self.round = Some(Scan { is_second: true, ..Scan::new(other, scan.began) });
            return;
        }
        for run in runs.iter_mut().filter(|run| scan.misses(run)) {
            run.needs_fetch = true;
        }
    }

    /// A page could not be read. Runs are fetched by themselves until it is tried again.
    pub(super) fn page_failed(&mut self, error: Error, now: Duration) {
        (self.round, self.pending, self.is_listing) = (None, None, false);
        self.list_failures.record(&error, true, now);
        let is_refused = error.kind() == ErrorKind::PermissionDenied;
        let delay = if is_refused { NO_LISTS } else { self.list_failures.delay(error.retry_after()) };
        self.no_lists_before = now.saturating_add(delay);
        self.list_failure = Some(error);
    }

    /// A fetch has found the end of a run.
    pub(super) fn found_end(&mut self, id: &RunId, now: Duration) {
        self.ended.push_back((now, id.clone()));
        if self.ended.len() > ENDED {
            self.ended.pop_front();
        }
    }

    fn has_lists(&self, now: Duration) -> bool {
        self.no_lists_before <= now
    }
}

fn pages(runs: usize) -> usize {
    runs.div_ceil(RunPage::LARGEST as usize).max(1)
}
