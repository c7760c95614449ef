//! [`RunRegistry`]: the awaited runs, their subscribers, and their last known state. No input or output here.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::agenda::Agenda;
use super::mailbox::{Mailbox, Outbound};
use super::poll_failures::{NextPoll, PollFailures};
use super::run_update::RunUpdate;
use crate::bounded_map::BoundedMap;
use crate::types::{RunId, RunStatus};
use crate::{Error, Result};

/// The number of updates that are kept for waits that begin later.
const MAX_RECENT: usize = 10_000;

/// A wait fetches no run first that was updated within this time.
const FRESH: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub(super) struct RunRegistry {
    runs: HashMap<RunId, AwaitedRun>,
    pub(super) agenda: Agenda,
    /// The last updates that did not come from a poll, with their times.
    recent: BoundedMap<RunId, (Duration, RunUpdate)>,
    next_subscriber: u64,
    pub(super) outbound: Outbound,
}

#[derive(Debug, Default)]
struct AwaitedRun {
    failures: PollFailures,
    last_failure: Option<Error>,
    /// The last response came from a cache.
    is_stale: bool,
    status: Option<RunStatus>,
    iterations: Option<u32>,
    pull_request: Option<String>,
    subscribers: BTreeMap<u64, Subscriber>,
}

#[derive(Debug)]
struct Subscriber {
    mailbox: Arc<Mailbox>,
    /// Receives every change, and not only the end of the run.
    wants_changes: bool,
}

impl RunRegistry {
    /// Adds a subscriber, and returns its number. If the end of the run is known, sends it at once.
    pub(super) fn subscribe(&mut self, id: &RunId, mailbox: Arc<Mailbox>, wants_changes: bool, now: Duration) -> u64 {
        self.next_subscriber += 1;
        let number = self.next_subscriber;
        if !self.runs.contains_key(id) {
            let known = self.recent.get(id);
            if let Some((_, update)) = known.filter(|(_, update)| update.is_final) {
                mailbox.put(Ok(update.clone()), &mut self.outbound);
                return number;
            }
            let is_new = known.is_none_or(|(updated, _)| updated.saturating_add(FRESH) < now);
            let mut run = AwaitedRun::default();
            if let Some((_, update)) = known {
                run.change(update, &mut self.outbound);
            }
            self.agenda.add(id.clone(), run.is_pending(), is_new, now);
            self.runs.insert(id.clone(), run);
        }
        if let Some(run) = self.runs.get_mut(id) {
            let subscriber = Subscriber { mailbox, wants_changes };
            run.send_current(id, &subscriber, &mut self.outbound);
            run.subscribers.insert(number, subscriber);
        }
        number
    }

    /// Removes a subscriber, and the run if it was the last.
    pub(super) fn unsubscribe(&mut self, id: &RunId, number: u64) {
        if let Some(run) = self.runs.get_mut(id) {
            run.subscribers.remove(&number);
            if run.subscribers.is_empty() {
                self.remove(id);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.runs.len()
    }

    #[cfg(feature = "webhooks")]
    pub(super) fn contains(&self, id: &RunId) -> bool {
        self.runs.contains_key(id)
    }

    /// Returns the last known status of an awaited run, whether it came from a cache, and the error of its last fetch
    /// if that failed.
    pub(super) fn last_poll(&self, id: &RunId) -> (Option<RunStatus>, bool, Option<Error>) {
        self.runs.get(id).map(|run| (run.status.clone(), run.is_stale, run.last_failure.clone())).unwrap_or_default()
    }

    /// Applies an update to an awaited run: sends it to the subscribers, and ends the waits if it is final. Returns
    /// whether it did.
    pub(super) fn apply(&mut self, update: RunUpdate) -> bool {
        let Some(run) = self.runs.get_mut(&update.id) else { return false };
        if update.is_final {
            self.end(&update.id.clone(), &Ok(update));
            return true;
        }
        run.failures = PollFailures::default();
        self.outbound.dropped.extend(run.last_failure.take());
        run.is_stale = update.is_stale;
        run.change(&update, &mut self.outbound);
        self.agenda.seen(&update.id, run.is_pending());
        false
    }

    /// Applies an update that did not come from a poll, and keeps it for waits that begin later.
    pub(super) fn apply_and_keep(&mut self, update: RunUpdate, now: Duration) {
        let is_stale = |(_, known): &(Duration, RunUpdate)| update.progress() < known.progress();
        if !self.recent.get(&update.id).is_some_and(is_stale) {
            self.recent.insert(update.id.clone(), (now, update.clone()), ());
            self.recent.shrink_while(|count, ()| count > MAX_RECENT);
        }
        self.apply(update);
    }

    /// Records a failed fetch, and ends the waits if no other fetch will succeed.
    pub(super) fn failed(&mut self, id: &RunId, error: Error, now: Duration) {
        let Some(run) = self.runs.get_mut(id) else { return self.outbound.dropped.push(error) };
        match run.failures.record(&error, run.status.is_some(), now) {
            NextPoll::After(delay) => {
                self.outbound.dropped.extend(run.last_failure.replace(error));
                self.agenda.delay(id, now.saturating_add(delay));
            }
            NextPoll::Never => {
                let error = error.repeated(run.failures.count());
                self.end(id, &Err(error.clone()));
                self.outbound.dropped.push(error);
            }
        }
    }

    /// Ends all waits with this error.
    pub(super) fn fail_all(&mut self, error: Error) {
        for id in self.runs.keys().cloned().collect::<Vec<_>>() {
            self.end(&id, &Err(error.clone()));
        }
        self.outbound.dropped.push(error);
    }

    fn end(&mut self, id: &RunId, outcome: &Result<RunUpdate>) {
        for subscriber in self.remove(id).into_values() {
            subscriber.mailbox.put(outcome.clone(), &mut self.outbound);
        }
    }

    fn remove(&mut self, id: &RunId) -> BTreeMap<u64, Subscriber> {
        self.agenda.remove(id);
        let Some(run) = self.runs.remove(id) else { return BTreeMap::new() };
        self.outbound.dropped.extend(run.last_failure);
        run.subscribers
    }

    /// Lets all subscribers poll again.
    pub(super) fn wake_all(&mut self) {
        for subscriber in self.runs.values().flat_map(|run| run.subscribers.values()) {
            subscriber.mailbox.wake(&mut self.outbound);
        }
    }
}

impl AwaitedRun {
    fn is_pending(&self) -> bool {
        self.status == Some(RunStatus::Pending)
    }

    /// Sends the last known state to a new subscriber.
    fn send_current(&self, id: &RunId, subscriber: &Subscriber, outbound: &mut Outbound) {
        if let Some(status) = self.status.clone().filter(|_| subscriber.wants_changes) {
            let (iterations, pull_request) = (self.iterations, self.pull_request.clone());
            let update = RunUpdate { iterations, pull_request, ..RunUpdate::of_status(id.clone(), status) };
            subscriber.mailbox.put(Ok(update), outbound);
        }
    }

    fn change(&mut self, update: &RunUpdate, outbound: &mut Outbound) {
        let goes_back =
            self.status.as_ref().is_some_and(|status| *status != RunStatus::Pending) && update.progress() == 0;
        if goes_back {
            // A delivery out of order, or a response from a server replica that lags behind.
            return;
        }
        let iterations = update.iterations.max(self.iterations);
        let pull_request = update.pull_request.clone().or_else(|| self.pull_request.clone());
        let is_change = self.status.as_ref() != Some(&update.status)
            || iterations != self.iterations
            || pull_request != self.pull_request;
        if is_change {
            (self.status, self.iterations, self.pull_request) = (Some(update.status.clone()), iterations, pull_request);
            for subscriber in self.subscribers.values().filter(|subscriber| subscriber.wants_changes) {
                subscriber.mailbox.put(Ok(update.clone()), outbound);
            }
        }
    }
}
