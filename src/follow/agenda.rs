//! [`Agenda`]: the awaited runs by what polling has to do with them. No operation looks at all runs.
//!
//! Each scan and each round of fetches begins an epoch. A run has the epoch of its last update, so the runs of an
//! earlier epoch than a scan's are those that the scan has not shown.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::page_scan::Scope;
use crate::types::RunId;

#[derive(Debug, Default)]
pub(super) struct Agenda {
    runs: HashMap<RunId, Polling>,
    epoch: u64,
    running: Class,
    pending: Class,
    /// The runs that can be fetched and had no update yet.
    new: BTreeSet<RunId>,
    /// The runs that can be fetched, by the time of their last fetch.
    by_fetch: BTreeSet<(Duration, RunId)>,
    fetching: BTreeSet<RunId>,
    /// The runs whose fetch has failed, by the end of their delay.
    delayed: BTreeSet<(Duration, RunId)>,
}

/// The runs that are pending, or those that are not.
#[derive(Debug, Default)]
struct Class {
    count: usize,
    /// The runs that can be fetched, by their epoch.
    by_epoch: BTreeSet<(u64, RunId)>,
    /// Runs of an earlier epoch than this are due to be fetched.
    due_before: u64,
    /// The scan of the round, and the scan of the pending runs.
    scans: [Missing; 2],
}

impl Class {
    fn due(&self) -> Option<&(u64, RunId)> {
        self.by_epoch.first().filter(|(epoch, _)| *epoch < self.due_before)
    }
}

/// The number of runs that a scan has not shown.
#[derive(Clone, Copy, Debug, Default)]
struct Missing {
    epoch: u64,
    count: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Polling {
    is_pending: bool,
    /// There was no update yet.
    is_new: bool,
    epoch: u64,
    fetched: Duration,
    state: FetchState,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum FetchState {
    Ready,
    Fetching,
    Delayed(Duration),
}

impl Agenda {
    pub(super) fn add(&mut self, id: RunId, is_pending: bool, is_new: bool, now: Duration) {
        let run = Polling { is_pending, is_new, epoch: self.epoch, fetched: now, state: FetchState::Ready };
        self.index(&id, run, true);
        self.runs.insert(id, run);
    }

    pub(super) fn remove(&mut self, id: &RunId) {
        if let Some(run) = self.runs.remove(id) {
            self.index(id, run, false);
        }
    }

    /// Records an update of a run.
    pub(super) fn seen(&mut self, id: &RunId, is_pending: bool) {
        let epoch = self.epoch;
        self.change(id, |run| (run.is_new, run.is_pending, run.epoch) = (false, is_pending, epoch));
    }

    pub(super) fn fetch_begins(&mut self, id: &RunId, now: Duration) {
        self.change(id, |run| (run.state, run.fetched) = (FetchState::Fetching, now));
    }

    pub(super) fn fetch_ends(&mut self, id: &RunId) {
        self.change(id, |run| run.state = FetchState::Ready);
    }

    pub(super) fn delay(&mut self, id: &RunId, until: Duration) {
        self.change(id, |run| run.state = FetchState::Delayed(until));
    }

    /// Ends the delays that are over. Returns the end of the next.
    pub(super) fn end_delays(&mut self, now: Duration) -> Option<Duration> {
        loop {
            let (until, id) = self.delayed.first().cloned()?;
            if until > now {
                return Some(until);
            }
            self.fetch_ends(&id);
        }
    }

    /// Makes the runs that are being fetched ready to be fetched again.
    pub(super) fn forget_fetches(&mut self) {
        while let Some(id) = self.fetching.first().cloned() {
            self.fetch_ends(&id);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.runs.len()
    }

    pub(super) fn pending(&self) -> usize {
        self.pending.count
    }

    /// Returns the number of runs that can be fetched and had no update yet, and the first of them.
    pub(super) fn new_runs(&self) -> (usize, Option<&RunId>) {
        (self.new.len(), self.new.first())
    }

    /// Returns the run that is due to be fetched and was not updated for the longest time.
    pub(super) fn due(&self) -> Option<&RunId> {
        let due = [self.running.due(), self.pending.due()];
        due.into_iter().flatten().min().map(|(_, id)| id)
    }

    /// Returns the run that was not fetched for the longest time, of those that were not fetched since this time.
    pub(super) fn oldest(&self, before: Duration) -> Option<&RunId> {
        self.by_fetch.first().filter(|(fetched, _)| *fetched <= before).map(|(_, id)| id)
    }

    /// Makes all runs due.
    pub(super) fn fetch_all(&mut self) {
        self.epoch += 1;
        (self.running.due_before, self.pending.due_before) = (self.epoch, self.epoch);
    }

    /// Begins the scan of the round or that of the pending runs: no run counts as shown.
    pub(super) fn begin_scan(&mut self, scope: Scope) {
        self.epoch += 1;
        for class in [&mut self.running, &mut self.pending] {
            class.scans[scan(scope)] = Missing { epoch: self.epoch, count: class.count };
        }
    }

    /// Returns the number of runs that a scan should list and has not shown.
    pub(super) fn missing(&self, scope: Scope) -> usize {
        let missing = |class: &Class| class.scans[scan(scope)].count;
        match scope {
            Scope::Pending => missing(&self.pending),
            Scope::Running => missing(&self.running),
            Scope::All => missing(&self.pending) + missing(&self.running),
        }
    }

    /// Makes these runs due.
    pub(super) fn fetch_missing(&mut self, scope: Scope) {
        let classes = match scope {
            Scope::Pending => &mut [&mut self.pending][..],
            Scope::Running => &mut [&mut self.running],
            Scope::All => &mut [&mut self.running, &mut self.pending],
        };
        for class in classes {
            class.due_before = class.due_before.max(class.scans[scan(scope)].epoch);
        }
    }

    fn change(&mut self, id: &RunId, change: impl FnOnce(&mut Polling)) {
        let Some(run) = self.runs.get_mut(id) else { return };
        let before = *run;
        change(run);
        let after = *run;
        if after != before {
            self.index(id, before, false);
            self.index(id, after, true);
        }
    }

    /// Adds a run to the indexes, or removes it.
    fn index(&mut self, id: &RunId, run: Polling, is_added: bool) {
        let class = if run.is_pending { &mut self.pending } else { &mut self.running };
        let shows = class.scans.iter_mut().filter(|scan| run.epoch < scan.epoch).map(|scan| &mut scan.count);
        for count in shows.chain([&mut class.count]) {
            *count = if is_added { *count + 1 } else { count.saturating_sub(1) };
        }
        match run.state {
            FetchState::Ready => {
                set(&mut class.by_epoch, (run.epoch, id.clone()), is_added);
                set(&mut self.by_fetch, (run.fetched, id.clone()), is_added);
                if run.is_new {
                    set(&mut self.new, id.clone(), is_added);
                }
            }
            FetchState::Fetching => set(&mut self.fetching, id.clone(), is_added),
            FetchState::Delayed(until) => set(&mut self.delayed, (until, id.clone()), is_added),
        }
    }
}

fn scan(scope: Scope) -> usize {
    usize::from(scope == Scope::Pending)
}

fn set<T: Ord>(items: &mut BTreeSet<T>, item: T, is_added: bool) {
    if is_added {
        items.insert(item);
    } else {
        items.remove(&item);
    }
}
