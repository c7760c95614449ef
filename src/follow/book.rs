//! What a watcher knows: the runs that are waited for, who waits for them, and what was told of them. No input or output here.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use super::news::{News, progress};
use super::pace::Pace;
use super::plan::{MARGIN, Situation, page_for};
use super::schedule::PollSchedule;
use super::trust::Trust;
use crate::types::{Run, RunId, RunPage, RunStatus};
use crate::{Error, Result};

/// What deliveries told of runs that nobody waited for: so many are remembered.
#[cfg(feature = "webhooks")]
const REMEMBERED: usize = 10_000;

/// While deliveries can be relied on, a new run is given this long to be heard of before it is asked for.
const GRACE: Duration = Duration::from_secs(5);

/// The share of its pause by which a run is asked for early, if others are asked for anyway.
const EARLY: f64 = 0.25;

/// The first pause after a failed poll, and the longest.
const FIRST_HOLD: Duration = Duration::from_secs(2);
const LONGEST_HOLD: Duration = Duration::from_secs(60);

/// How long a delivery may come after a poll has found the end of a run.
const LATE: Duration = Duration::from_secs(60);

/// How long lists are not used after the service refused one.
const NO_LISTS: Duration = Duration::from_secs(10 * 60);

/// The longest wait that the service may ask for. It may be wrong, and somebody waits.
pub(super) const LONGEST_ASKED: Duration = Duration::from_secs(15 * 60);

/// After a failed poll's pause of this length, lists are given up for a while: perhaps single runs can be read.
const ENOUGH: Duration = Duration::from_secs(8);

/// How much the latest count of runs that had left counts beside the earlier ones, in tenths.
const WEIGHT: usize = 3;

/// How a watcher works.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) schedule: PollSchedule,
    /// The share of the rate limit that polling may spend.
    pub(super) share: f64,
    /// While deliveries can be relied on, runs are asked for no sooner than this after they were heard of.
    pub(super) safety_net: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { schedule: PollSchedule::default(), share: 0.5, safety_net: Duration::from_secs(15 * 60) }
    }
}

#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) settings: Settings,
    pub(super) pace: Pace,
    pub(super) trust: Trust,
    runs: HashMap<RunId, Watched>,
    told: Told,
    /// The task that polls, and a number that tells it from earlier ones.
    pub(super) driver: Option<AbortHandle>,
    pub(super) is_driven: bool,
    pub(super) generation: u64,
    next_subscriber: u64,
    /// How many runs there are, and how many of them have not ended, by the last answers.
    total: Option<u64>,
    running: Option<u64>,
    pending: Option<u64>,
    /// How many runs were missing among those that have not ended, lately.
    left_in_tenths: usize,
    /// Lists cannot be used before this: the service refused one.
    no_lists_before: Duration,
    /// Nothing is asked before this, because the last poll failed; and the pause that was due for it.
    hold: Option<(Duration, Duration)>,
    /// The chance that changes pauses, from 0 to 1. It is the same for all runs of one page, so that they stay together.
    chance: f64,
    /// Runs whose end was found by polling, and when: a delivery may yet tell of it.
    untold: VecDeque<(Duration, RunId)>,
}

/// A run that is waited for.
#[derive(Debug)]
struct Watched {
    since: Duration,
    /// When it was last heard of, by a poll or a delivery.
    heard: Option<Duration>,
    /// The pause to the next poll.
    pause: Duration,
    /// It is not asked for before this, because that failed: others come first.
    not_before: Duration,
    status: Option<RunStatus>,
    iterations: Option<u32>,
    pull_request: Option<String>,
    /// Its place in the list, newest first, and the number of runs there were when it was seen there.
    place: Option<(u32, Option<u64>)>,
    subscribers: Vec<(u64, Recipient)>,
}

/// Who is told of a run.
#[derive(Debug)]
pub(super) enum Recipient {
    /// Of its end.
    End(oneshot::Sender<Result<News>>),
    /// Of every change, the end included.
    Changes(mpsc::UnboundedSender<Result<News>>),
}

impl Recipient {
    fn tell(&self, news: &News) {
        if let Self::Changes(sender) = self {
            // Whoever has gone is about to take their name off.
            let _ = sender.send(Ok(news.clone()));
        }
    }

    fn end(self, outcome: Result<News>) {
        match self {
            Self::End(sender) => drop(sender.send(outcome)),
            Self::Changes(sender) => drop(sender.send(outcome)),
        }
    }
}

/// What the task that polls has to do next.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// Nobody waits.
    End,
    Wait(Duration),
    Poll,
}

impl Book {
    /// Notes that somebody waits for a run. The number takes the name off again.
    pub(super) fn subscribe(&mut self, id: &RunId, known: Option<RunStatus>, to: Recipient, now: Duration) -> u64 {
        let number = self.next_subscriber;
        self.next_subscriber += 1;
        if let Some(news) = self.told.end(id) {
            to.end(Ok(news.clone()));
            return number;
        }
        let told = self.told.take(id);
        if let Some(watched) = self.runs.get_mut(id) {
            watched.greet(id, &to);
            watched.subscribers.push((number, to));
            return number;
        }
        let heard = told.as_ref().map(|(heard, _)| *heard).or(known.is_some().then_some(now));
        let news = told.and_then(|(_, news)| news);
        let mut watched = Watched {
            since: now,
            heard,
            pause: self.settings.schedule.jittered(Duration::ZERO, fastrand::f64()),
            status: news.as_ref().map(|news| news.status.clone()).or(known),
            iterations: news.as_ref().and_then(|news| news.iterations),
            pull_request: news.and_then(|news| news.pull_request),
            not_before: Duration::ZERO,
            place: None,
            subscribers: Vec::new(),
        };
        watched.greet(id, &to);
        watched.subscribers.push((number, to));
        self.runs.insert(id.clone(), watched);
        number
    }

    /// Takes a name off. Nobody waits for the run any more if it was the last.
    pub(super) fn unsubscribe(&mut self, id: &RunId, number: u64) {
        if let Some(watched) = self.runs.get_mut(id) {
            watched.subscribers.retain(|(other, _)| *other != number);
            if watched.subscribers.is_empty() {
                self.runs.remove(id);
            }
        }
    }

    /// Ends the polling if nobody waits any more.
    pub(super) fn end_if_idle(&mut self) {
        if self.runs.is_empty() && self.is_driven {
            self.is_driven = false;
            self.generation += 1;
            if let Some(driver) = self.driver.take() {
                driver.abort();
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.runs.len()
    }

    /// The last status that was heard of.
    pub(super) fn status(&self, id: &RunId) -> Option<RunStatus> {
        self.runs.get(id)?.status.clone()
    }

    /// Forgets everybody; they find out by their end of the line.
    pub(super) fn abandon(&mut self) {
        self.runs.clear();
    }

    pub(super) fn step(&mut self, now: Duration) -> Step {
        if self.runs.is_empty() {
            return Step::End;
        }
        while self.untold.front().is_some_and(|(found, _)| found.saturating_add(LATE) <= now) {
            self.untold.pop_front();
            self.trust.missed();
        }
        let is_trusted = self.trust.is_given(now);
        let first = self.runs.values().map(|watched| watched.due(is_trusted, &self.settings)).min().unwrap_or(now);
        // When the trust ends, more is due.
        let first = if is_trusted { first.min(self.trust.ends_at()) } else { first };
        let next = self.hold.map_or(first, |(until, _)| first.max(until));
        match next.saturating_sub(now) {
            Duration::ZERO => Step::Poll,
            pause => Step::Wait(pause),
        }
    }

    /// The runs that a round of polls asks for that began then: those that were due, and those that were nearly, as they cost little
    /// beside the others.
    fn due(&self, began: Duration) -> impl Iterator<Item = (&RunId, &Watched)> {
        let is_trusted = self.trust.is_given(began);
        self.runs.iter().filter(move |(_, watched)| {
            let early = if is_trusted { Duration::ZERO } else { watched.pause.mul_f64(EARLY) };
            watched.heard.is_some_and(|heard| heard < began)
                && watched.due(is_trusted, &self.settings) <= began.saturating_add(early)
        })
    }

    /// What a round has to ask for that began then, but for the newcomers.
    pub(super) fn situation(&self, began: Duration, now: Duration) -> Situation {
        let mut situation = Situation {
            running: self.running,
            pending: self.pending,
            left: self.left_in_tenths.div_ceil(10),
            lists: self.has_lists(now),
            ..Situation::default()
        };
        for (_, watched) in self.due(began) {
            match watched.place(self.total) {
                Some(place) => situation.places.push(place),
                None => situation.unknown += 1,
            }
        }
        situation.places.sort_unstable();
        situation
    }

    /// One of the runs to ask for, the one first that was not heard of for the longest time.
    pub(super) fn first_due(&self, began: Duration) -> Option<RunId> {
        self.due(began).min_by_key(|(_, watched)| (watched.not_before, watched.heard)).map(|(id, _)| id.clone())
    }

    /// How many of the runs to ask for have no place that is known.
    pub(super) fn unknown(&self, began: Duration) -> usize {
        self.due(began).filter(|(_, watched)| watched.place(self.total).is_none()).count()
    }

    /// Where the page begins that holds the newest of the runs to ask for whose place is known.
    pub(super) fn first_page(&self, began: Duration) -> Option<u32> {
        self.due(began).filter_map(|(_, watched)| watched.place(self.total)).min().map(page_for)
    }

    /// The runs that were never heard of and have to be asked for.
    fn newcomers(&self, now: Duration) -> impl Iterator<Item = (&RunId, &Watched)> {
        let is_trusted = self.trust.is_given(now);
        self.runs
            .iter()
            .filter(move |(_, watched)| watched.heard.is_none() && watched.due(is_trusted, &self.settings) <= now)
    }

    pub(super) fn newcomer_count(&self, now: Duration) -> usize {
        self.newcomers(now).count()
    }

    pub(super) fn first_newcomer(&self, now: Duration) -> Option<RunId> {
        self.newcomers(now).min_by_key(|(_, watched)| watched.not_before).map(|(id, _)| id.clone())
    }

    /// What a poll has found of a run.
    fn found(&mut self, news: News, now: Duration) {
        if self.hear(&news, now) && self.trust.has_begun() {
            self.untold.push_back((now, news.id));
        }
    }

    /// A run, as a poll found it. It is the one that was asked for, by whichever id the answer calls it.
    pub(super) fn hear_run(&mut self, id: &RunId, run: Run, now: Duration) {
        self.chance = fastrand::f64();
        self.found(News { id: id.clone(), ..run.into() }, now);
    }

    /// What a delivery told of a run, if it told what became of it.
    #[cfg(feature = "webhooks")]
    pub(super) fn hear_delivery(&mut self, id: &RunId, news: Option<News>, now: Duration) {
        let is_end = news.as_ref().is_some_and(|news| news.status.is_terminal());
        let was_found = is_end && self.untold.iter().any(|(_, untold)| untold == id);
        self.untold.retain(|(_, untold)| !was_found || untold != id);
        let is_waited_for = self.runs.contains_key(id);
        self.trust.delivered(now, is_end && (was_found || is_waited_for));
        match (news, self.runs.get_mut(id)) {
            (Some(news), Some(_)) => {
                if self.hear(&news, now) {
                    // For whoever waits for it next.
                    self.told.put(id.clone(), now, Some(news));
                }
            }
            (None, Some(watched)) => watched.heard = Some(now),
            (news, None) => self.told.put(id.clone(), now, news),
        }
    }

    /// What became of a run. True if somebody was told that it has ended.
    fn hear(&mut self, news: &News, now: Duration) -> bool {
        let Some(watched) = self.runs.get_mut(&news.id) else { return false };
        watched.heard = Some(now);
        let age = now.saturating_sub(watched.since);
        watched.pause = self.settings.schedule.jittered(age, self.chance);
        if news.status.is_terminal() {
            let subscribers = self.runs.remove(&news.id).map(|watched| watched.subscribers).unwrap_or_default();
            for (_, to) in subscribers {
                to.end(Ok(news.clone()));
            }
            return true;
        }
        watched.change(news);
        false
    }

    /// A page of the list of all runs that begins at `offset`.
    pub(super) fn hear_page(&mut self, page: RunPage, offset: u32, now: Duration) {
        self.chance = fastrand::f64();
        self.total = page.total.or(self.total);
        let begin = u64::from(offset);
        // A page that is shorter than it should be is taken to have shown the run at least that it was read for.
        let end = begin + (page.data.len() as u64).max(u64::from(MARGIN) + 1);
        for watched in self.runs.values_mut() {
            // Whoever is not where they should be by what was known is asked for by name.
            if watched.place(self.total).is_some_and(|place| (begin..end).contains(&place)) {
                watched.place = None;
            }
        }
        for (summary, place) in page.data.into_iter().zip(offset..=u32::MAX) {
            if let Some(watched) = self.runs.get_mut(&summary.id) {
                watched.place = Some((place, self.total));
                self.found(summary.into(), now);
            }
        }
    }

    /// A page of the list of runs that have this status.
    pub(super) fn hear_active(&mut self, page: RunPage, status: &RunStatus, now: Duration) {
        self.chance = fastrand::f64();
        let total = if *status == RunStatus::Running { &mut self.running } else { &mut self.pending };
        *total = page.total.or(*total);
        for summary in page.data {
            self.found(summary.into(), now);
        }
    }

    /// So many runs were missing among those that have not ended.
    pub(super) fn note_left(&mut self, count: usize) {
        self.left_in_tenths = (self.left_in_tenths * (10 - WEIGHT) + 10 * count * WEIGHT) / 10;
    }

    /// A poll failed in a way that may pass. It says for how long nothing is asked.
    pub(super) fn hold(&mut self, now: Duration, asked: Option<Duration>) {
        let backoff = self.hold.map_or(FIRST_HOLD, |(_, last)| (last * 2).min(LONGEST_HOLD));
        let pause = asked.unwrap_or(backoff).clamp(FIRST_HOLD, LONGEST_ASKED);
        self.hold = Some((now.saturating_add(pause), backoff));
    }

    /// This run could not be asked for, for now.
    pub(super) fn put_off(&mut self, id: &RunId, now: Duration) {
        if let Some(watched) = self.runs.get_mut(id) {
            watched.not_before = now.saturating_add(watched.pause.max(FIRST_HOLD));
        }
    }

    /// A list failed in a way that may pass. If that goes on, lists are done without.
    pub(super) fn list_failed(&mut self, now: Duration) {
        if self.hold.is_some_and(|(_, last)| last >= ENOUGH) {
            self.do_without_lists(now);
        }
    }

    /// A poll went well.
    pub(super) fn release(&mut self) {
        self.hold = None;
    }

    pub(super) fn has_lists(&self, now: Duration) -> bool {
        self.no_lists_before <= now
    }

    /// The service refused a list.
    pub(super) fn do_without_lists(&mut self, now: Duration) {
        self.no_lists_before = now.saturating_add(NO_LISTS);
    }

    /// This run cannot be waited for.
    pub(super) fn fail(&mut self, id: &RunId, error: &Error) {
        for (_, to) in self.runs.remove(id).map(|watched| watched.subscribers).unwrap_or_default() {
            to.end(Err(error.clone()));
        }
    }

    /// No run can be waited for.
    pub(super) fn fail_all(&mut self, error: &Error) {
        for (_, watched) in self.runs.drain() {
            for (_, to) in watched.subscribers {
                to.end(Err(error.clone()));
            }
        }
    }
}

impl Watched {
    /// When it is to be asked for.
    fn due(&self, is_trusted: bool, settings: &Settings) -> Duration {
        let due = match (self.heard, is_trusted) {
            (None, false) => self.since,
            (None, true) => self.since.saturating_add(GRACE),
            (Some(heard), false) => heard.saturating_add(self.pause),
            (Some(heard), true) => {
                // A run that goes on for hours tells nothing for hours.
                let age = heard.saturating_sub(self.since);
                heard.saturating_add(self.pause.max(settings.safety_net).max(age))
            }
        };
        due.max(self.not_before)
    }

    /// Its place now: new runs come to the front of the list, and all others move back by one for each.
    fn place(&self, total: Option<u64>) -> Option<u64> {
        let (place, then) = self.place?;
        let moved = total.zip(then).map_or(0, |(now, then)| now.saturating_sub(then));
        // What lies beyond what can be asked for is as good as not known.
        u32::try_from(u64::from(place).saturating_add(moved)).ok().map(u64::from)
    }

    /// Tells somebody new what is known already.
    fn greet(&self, id: &RunId, to: &Recipient) {
        if let Some(status) = &self.status {
            to.tell(&News {
                id: id.clone(),
                status: status.clone(),
                iterations: self.iterations,
                pull_request: self.pull_request.clone(),
                run: None,
                is_whole: false,
            });
        }
    }

    fn change(&mut self, news: &News) {
        let goes_back = self.status.as_ref().is_some_and(|status| progress(&news.status) < progress(status));
        if goes_back {
            // A delivery that was overtaken, or an answer from a copy that lags behind.
            return;
        }
        let iterations = news.iterations.or(self.iterations).max(self.iterations);
        let pull_request = news.pull_request.clone().or_else(|| self.pull_request.clone());
        let is_change = self.status.as_ref() != Some(&news.status)
            || iterations != self.iterations
            || pull_request != self.pull_request;
        if is_change {
            self.status = Some(news.status.clone());
            self.iterations = iterations;
            self.pull_request = pull_request;
            for (_, to) in &self.subscribers {
                to.tell(news);
            }
        }
    }
}

/// What deliveries told of runs that nobody waits for, the oldest forgotten first.
#[derive(Debug, Default)]
struct Told {
    news: HashMap<RunId, (Duration, Option<News>)>,
    order: VecDeque<RunId>,
}

impl Told {
    #[cfg(feature = "webhooks")]
    fn put(&mut self, id: RunId, now: Duration, news: Option<News>) {
        // What is known is not lost to an event that says less, or comes late.
        let known = self.news.get(&id).and_then(|(_, known)| known.clone());
        let news = match (news, known) {
            (Some(news), Some(known)) if progress(&news.status) < progress(&known.status) => Some(known),
            (news, known) => news.or(known),
        };
        if self.news.insert(id.clone(), (now, news)).is_none() {
            self.order.push_back(id);
        }
        while self.order.len() > REMEMBERED {
            if let Some(oldest) = self.order.pop_front() {
                self.news.remove(&oldest);
            }
        }
    }

    /// How the run has ended, if that was told.
    fn end(&self, id: &RunId) -> Option<&News> {
        self.news.get(id)?.1.as_ref().filter(|news| news.status.is_terminal())
    }

    fn take(&mut self, id: &RunId) -> Option<(Duration, Option<News>)> {
        let told = self.news.remove(id)?;
        self.order.retain(|other| other != id);
        Some(told)
    }
}
