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
use super::source::PAGE;
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

/// How long lists are not used after the service has refused one, or was shown to list an ended run as running.
const NO_LISTS: Duration = Duration::from_secs(10 * 60);

/// Lists may lag this much behind.
const LAG: Duration = Duration::from_secs(30);

/// How many ended runs are looked for in lists that may lag.
const ENDED: usize = 32;

/// What a page or a series of pages lists.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scope {
    Pending,
    Running,
    All,
}

/// Why pages are read.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Reason {
    FirstLook,
    Round,
    Rotation,
}

/// A series of pages under way, which begins with the newest run.
#[derive(Clone, Debug)]
pub(super) struct Scan {
    pub(super) scope: Scope,
    pub(super) offset: u32,
    reason: Reason,
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
    fn new(scope: Scope, reason: Reason, began: Duration) -> Self {
        Self { scope, offset: 0, reason, began, pages: 0, in_vain: 0, ended: 0, is_second: false }
    }

    /// Returns whether it has yet to show this run.
    fn misses(&self, run: &AwaitedRun) -> bool {
        let is_listed = match (self.reason, self.scope) {
            (Reason::FirstLook, _) => run.seen.is_none(),
            (_, Scope::Pending) => run.is_pending(),
            (_, Scope::Running) => !run.is_pending(),
            (_, Scope::All) => true,
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

/// What to do next.
#[derive(Debug)]
pub(super) enum Step {
    Send(Request),
    /// Wait this long, or until something has changed.
    Wait(Duration),
}

#[derive(Debug, Default)]
pub(super) struct Rounds {
    /// Pages to read next. A scan whose page is being fetched is in none of them.
    scans: VecDeque<Scan>,
    page_in_flight: Option<Reason>,
    next_round: Duration,
    was_first_look: bool,
    since_rotation: u32,
    rotation: u32,
    /// How many runs have the status `running`, by the last page of them.
    running: Option<u64>,
    /// How many single runs had to be fetched after the last list of the running.
    left_running: usize,
    /// How many pages the last list of all took, and how many single runs had to be fetched after it.
    all_pages: usize,
    left_out: usize,
    list_failures: Failures,
    last_list: Duration,
    no_lists_before: Duration,
    pub(super) list_failure: Option<Error>,
    /// Runs that a fetch has found ended: a page that still lists one as going on after a while is not to be relied on.
    ended: VecDeque<(Duration, RunId)>,
}

/// What the awaited runs need.
#[derive(Default)]
struct Survey {
    pending: usize,
    /// Runs that wait for their first look, and one of them.
    new: usize,
    first_look: Option<RunId>,
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
        let mut new_by_list = None;
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
                survey.new += 1;
                new_by_list.get_or_insert(id);
            }
            earlier(&mut survey.oldest, run.fetched, id);
        }
        if survey.new <= FEW || !has_lists {
            survey.first_look = new_by_list.cloned();
        }
        survey
    }
}

impl Rounds {
    /// Begins anew, after a time in which nobody waited.
    pub(super) fn restart(&mut self, now: Duration, shortest_delay: Duration) {
        self.scans.clear();
        self.page_in_flight = None;
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
        let first_look = self.first_look(&survey, now);
        // First looks and rounds take turns.
        if let Some(request) = first_look.as_ref().filter(|_| !self.was_first_look) {
            self.was_first_look = true;
            return self.send(request.clone(), false, runs, budget, now);
        }
        self.was_first_look = false;
        let round_delay = self.next_round.saturating_sub(now).max(budget.round_delay(rate));
        // A first look at most of the runs is as good as a round. One of fetches may be too long to be waited for.
        let may_begin = self.scan_of(Reason::Round).is_none()
            && self.page_in_flight.is_none()
            && survey.new <= runs.len() / 2
            && (survey.due.is_none() || self.lists_are_overdue(now));
        if may_begin && (round_delay.is_zero() || survey.due.is_some()) {
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

    /// The request for runs whose wait has just begun.
    fn first_look(&mut self, survey: &Survey, now: Duration) -> Option<Request> {
        if let Some(id) = &survey.first_look {
            return Some(Request::Run(id.clone()));
        }
        if survey.new == 0 || self.page_in_flight.is_some() {
            return None;
        }
        let scan = self.scan_of(Reason::FirstLook).map(|index| self.scans[index].clone());
        Some(Request::Page(scan.unwrap_or_else(|| Scan::new(Scope::All, Reason::FirstLook, now))))
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
        let page = self.scan_of(Reason::Round).filter(|_| self.page_in_flight.is_none());
        match (&survey.due, page) {
            (Some((_, id)), _) => Some(Request::Run(id.clone())),
            (None, Some(index)) => Some(Request::Page(self.scans[index].clone())),
            (None, None) => None,
        }
    }

    /// A page of the pending runs, or the run that was not fetched for the longest time.
    fn rotation(&self, survey: &Survey, now: Duration) -> Option<Request> {
        let shows_all = self.scan_of(Reason::Round).is_some_and(|index| self.scans[index].scope == Scope::All);
        let page = || {
            let is_of_use = survey.pending > 0 && self.has_lists(now) && self.page_in_flight.is_none();
            let scan = self.scan_of(Reason::Rotation).map(|index| self.scans[index].clone());
            let scan = scan.unwrap_or_else(|| Scan::new(Scope::Pending, Reason::Rotation, now));
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

    fn scan_of(&self, reason: Reason) -> Option<usize> {
        self.scans.iter().position(|scan| scan.reason == reason)
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
                self.scans.retain(|other| other.reason != scan.reason);
                self.page_in_flight = Some(scan.reason);
                self.last_list = now;
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
        if !self.has_lists(now) || awaited <= by_running.min(by_all) {
            for run in runs.iter_mut() {
                run.needs_fetch = true;
            }
        } else {
            let scope = if by_all <= by_running { Scope::All } else { Scope::Running };
            self.scans.push_back(Scan::new(scope, Reason::Round, now));
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
        self.page_in_flight = None;
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
        scan.offset = scan.offset.saturating_add(u32::try_from(count).unwrap_or(PAGE));
        let left = scan.left(runs);
        scan.in_vain = (scan.in_vain + 1).saturating_sub(before.saturating_sub(left));
        if is_last || left == 0 || scan.in_vain > left / 10 {
            self.finish(&scan, runs);
        } else {
            self.scans.push_back(scan);
        }
        found
    }

    /// A scan has ended: what it did not show is fetched.
    fn finish(&mut self, scan: &Scan, runs: &mut RunRegistry) {
        let left = scan.left(runs);
        match (scan.scope, scan.reason) {
            (Scope::Running, Reason::Round) if !scan.is_second => self.left_running = left,
            (Scope::Running | Scope::Pending, _) => {}
            (Scope::All, Reason::Round) => {
                (self.all_pages, self.left_out) = (scan.pages, left);
                // So many would have been fetched if only the running had been listed.
                self.left_running = scan.ended.max(left);
            }
            // A first look need not be at all runs.
            (Scope::All, _) => self.all_pages = self.all_pages.max(scan.pages),
        }
        let (other, pages) = match scan.scope {
            Scope::All => (Scope::Running, self.running_pages(runs.len())),
            _ => (Scope::All, self.all_pages.max(1)),
        };
        if left > pages + FEW && !scan.is_second && scan.reason != Reason::Rotation {
            // Pages may tell of them with fewer requests.
            self.scans.push_back(Scan { is_second: true, ..Scan::new(other, scan.reason, scan.began) });
            return;
        }
        for run in runs.iter_mut().filter(|run| scan.misses(run)) {
            run.needs_fetch = true;
        }
    }

    /// A page could not be read. Runs are fetched by themselves until it is tried again.
    pub(super) fn page_failed(&mut self, error: Error, now: Duration) {
        self.page_in_flight = None;
        self.scans.clear();
        let delay = match error.kind() {
            ErrorKind::PermissionDenied => NO_LISTS,
            _ => {
                let _ = self.list_failures.record(&error, true, now);
                self.list_failures.delay(error.retry_after())
            }
        };
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
    runs.div_ceil(PAGE as usize).max(1)
}

/// The filter for what a scan lists.
impl Scope {
    pub(super) fn status(self) -> Option<RunStatus> {
        match self {
            Self::Pending => Some(RunStatus::Pending),
            Self::Running => Some(RunStatus::Running),
            Self::All => None,
        }
    }
}
