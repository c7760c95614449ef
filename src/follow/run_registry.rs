//! [`RunRegistry`]: the awaited runs, their subscribers, and their last known state. No input or output here.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

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
    /// The last updates that did not come from a poll, with their times.
    recent: BoundedMap<RunId, (Duration, RunUpdate)>,
    next_subscriber: u64,
}

#[derive(Debug)]
pub(super) struct AwaitedRun {
    pub(super) since: Duration,
    /// The time of the last update, by a poll that was sent then or by a delivery. `None` if there was none yet.
    pub(super) seen: Option<Duration>,
    /// The time of the last fetch of this run alone.
    pub(super) fetched: Duration,
    pub(super) is_fetching: bool,
    /// Lists did not show it, so it has to be fetched.
    pub(super) needs_fetch: bool,
    /// The end of the delay after a failed fetch.
    pub(super) not_before: Duration,
    failures: PollFailures,
    last_failure: Option<Error>,
    /// The last response came from a cache.
    is_stale: bool,
    pub(super) status: Option<RunStatus>,
    iterations: Option<u32>,
    pull_request: Option<String>,
    subscribers: BTreeMap<u64, Subscriber>,
}

/// A receiver of the updates of a run.
#[derive(Debug)]
pub(super) enum Subscriber {
    /// Receives the end of the run.
    End(oneshot::Sender<Result<RunUpdate>>),
    /// Receives every change, including the end.
    Changes(mpsc::UnboundedSender<Result<RunUpdate>>),
}

impl Subscriber {
    /// Sends an update that is not the end. A closed channel is no error: its subscription is being dropped.
    fn send(&self, update: &RunUpdate) {
        if let Self::Changes(sender) = self {
            let _ = sender.send(Ok(update.clone()));
        }
    }

    fn end(self, outcome: Result<RunUpdate>) {
        match self {
            Self::End(sender) => drop(sender.send(outcome)),
            Self::Changes(sender) => drop(sender.send(outcome)),
        }
    }
}

impl RunRegistry {
    /// Adds a subscriber, and returns its number. If the end of the run is known, sends it at once.
    pub(super) fn subscribe(&mut self, id: &RunId, subscriber: Subscriber, now: Duration) -> u64 {
        self.next_subscriber += 1;
        let number = self.next_subscriber;
        if let Some(run) = self.runs.get_mut(id) {
            run.send_current(id, &subscriber);
            run.subscribers.insert(number, subscriber);
            return number;
        }
        let known = self.recent.get(id);
        if let Some((_, update)) = known.filter(|(_, update)| update.is_final) {
            subscriber.end(Ok(update.clone()));
            return number;
        }
        let mut run = AwaitedRun {
            since: now,
            seen: known.map(|(updated, _)| *updated).filter(|updated| updated.saturating_add(FRESH) >= now),
            fetched: now,
            is_fetching: false,
            needs_fetch: false,
            not_before: Duration::ZERO,
            failures: PollFailures::default(),
            last_failure: None,
            is_stale: false,
            status: known.map(|(_, update)| update.status.clone()),
            iterations: known.and_then(|(_, update)| update.iterations),
            pull_request: known.and_then(|(_, update)| update.pull_request.clone()),
            subscribers: BTreeMap::new(),
        };
        run.send_current(id, &subscriber);
        run.subscribers.insert(number, subscriber);
        self.runs.insert(id.clone(), run);
        number
    }

    /// Removes a subscriber, and the run if it was the last.
    pub(super) fn unsubscribe(&mut self, id: &RunId, number: u64) {
        if let Some(run) = self.runs.get_mut(id) {
            run.subscribers.remove(&number);
            if run.subscribers.is_empty() {
                self.runs.remove(id);
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

    pub(super) fn get_mut(&mut self, id: &RunId) -> Option<&mut AwaitedRun> {
        self.runs.get_mut(id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&RunId, &AwaitedRun)> {
        self.runs.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut AwaitedRun> {
        self.runs.values_mut()
    }

    /// Returns the last known status of an awaited run, whether it came from a cache, and the error of its last fetch
    /// if that failed.
    pub(super) fn last_poll(&self, id: &RunId) -> (Option<RunStatus>, bool, Option<Error>) {
        self.runs.get(id).map(|run| (run.status.clone(), run.is_stale, run.last_failure.clone())).unwrap_or_default()
    }

    /// Applies an update to an awaited run: sends it to the subscribers, and ends the waits if it is final. Returns
    /// whether it did.
    ///
    /// `at` is the earliest time for which the update holds: the time at which the request was sent.
    pub(super) fn apply(&mut self, update: RunUpdate, at: Duration) -> bool {
        let Some(run) = self.runs.get_mut(&update.id) else { return false };
        if update.is_final {
            self.end(&update.id.clone(), &Ok(update));
            return true;
        }
        run.seen = run.seen.max(Some(at));
        run.needs_fetch = false;
        run.failures = PollFailures::default();
        run.last_failure = None;
        run.is_stale = update.is_stale;
        run.change(&update);
        false
    }

    /// Applies an update that did not come from a poll, and keeps it for waits that begin later.
    pub(super) fn apply_and_keep(&mut self, update: RunUpdate, now: Duration) {
        let is_stale = |(_, known): &(Duration, RunUpdate)| update.progress() < known.progress();
        if !self.recent.get(&update.id).is_some_and(is_stale) {
            self.recent.insert(update.id.clone(), (now, update.clone()), ());
            self.recent.shrink_while(|count, ()| count > MAX_RECENT);
        }
        self.apply(update, now);
    }

    /// Records a failed fetch, and ends the waits if no other fetch will succeed.
    pub(super) fn failed(&mut self, id: &RunId, error: Error, now: Duration) {
        let Some(run) = self.runs.get_mut(id) else { return };
        match run.failures.record(&error, run.status.is_some(), now) {
            NextPoll::After(delay) => {
                run.not_before = now.saturating_add(delay);
                run.last_failure = Some(error);
            }
            NextPoll::Never => {
                let count = run.failures.count();
                self.end(id, &Err(error.repeated(count)));
            }
        }
    }

    fn end(&mut self, id: &RunId, outcome: &Result<RunUpdate>) {
        for subscriber in self.runs.remove(id).map(|run| run.subscribers).unwrap_or_default().into_values() {
            subscriber.end(outcome.clone());
        }
    }

    /// Ends all waits with this error.
    pub(super) fn fail_all(&mut self, error: &Error) {
        for subscriber in self.runs.drain().flat_map(|(_, run)| run.subscribers.into_values()) {
            subscriber.end(Err(error.clone()));
        }
    }

    /// Removes all subscribers, which closes their channels.
    pub(super) fn clear(&mut self) {
        self.runs.clear();
    }
}

impl AwaitedRun {
    pub(super) fn is_fetchable(&self, now: Duration) -> bool {
        !self.is_fetching && self.not_before <= now
    }

    pub(super) fn is_pending(&self) -> bool {
        self.status == Some(RunStatus::Pending)
    }

    /// Sends the last known state to a new subscriber.
    fn send_current(&self, id: &RunId, subscriber: &Subscriber) {
        if let Some(status) = &self.status {
            subscriber.send(&RunUpdate {
                iterations: self.iterations,
                pull_request: self.pull_request.clone(),
                ..RunUpdate::of_status(id.clone(), status.clone())
            });
        }
    }

    fn change(&mut self, update: &RunUpdate) {
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
            for subscriber in self.subscribers.values() {
                subscriber.send(update);
            }
        }
    }
}
