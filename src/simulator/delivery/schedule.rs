//! What is to happen, and when.
//!
//! The plan of a run tells all its events when it is submitted, but for its cancellation. So they are written down here,
//! in the order in which they will happen: by their time, and at the same time in the order they were written down.
//! A retry is written down here too, and so happens in its turn.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use chrono::{DateTime, Utc};

use crate::simulator::clock::time::within_time;
use crate::simulator::delivery::queue::Delivery;
use crate::simulator::model::event::{self, RunEvent};
use crate::simulator::model::plan::RunPlan;

/// Something that is to happen.
#[derive(Debug)]
pub(crate) enum Due {
    /// Something happens to the run that stands here among the organization's runs.
    Run { position: usize, event: RunEvent },
    /// The webhook of this number is tested.
    Test { webhook: usize },
    /// A delivery that failed is tried again.
    Retry(Delivery),
}

/// What is still to happen, the next thing first.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    entries: BinaryHeap<Reverse<Entry>>,
    /// How many entries were ever made.
    made: u64,
    /// Whether something was written down before all else, since somebody last asked.
    sooner: bool,
}

#[derive(Debug)]
struct Entry {
    at: DateTime<Utc>,
    number: u64,
    due: Due,
}

impl Agenda {
    pub(crate) fn push(&mut self, at: DateTime<Utc>, due: Due) {
        self.sooner |= self.next().is_none_or(|next| at < next);
        self.entries.push(Reverse(Entry { at, number: self.made, due }));
        self.made += 1;
    }

    /// Writes down what will happen to a run that is submitted now, unless time ends before.
    pub(crate) fn plan_run(&mut self, position: usize, plan: &RunPlan, now: DateTime<Utc>) {
        for (elapsed, event) in event::schedule(plan) {
            if let Some(at) = within_time(now, elapsed) {
                self.push(at, Due::Run { position, event });
            }
        }
    }

    /// Takes the next thing, if its time has come, with that time.
    pub(crate) fn take(&mut self, now: DateTime<Utc>) -> Option<(DateTime<Utc>, Due)> {
        if self.next()? > now {
            return None;
        }
        self.entries.pop().map(|Reverse(entry)| (entry.at, entry.due))
    }

    /// When the next thing happens.
    pub(crate) fn next(&self) -> Option<DateTime<Utc>> {
        self.entries.peek().map(|Reverse(entry)| entry.at)
    }

    /// Whether the next thing has become another since this was last asked, so that whoever waits for it waits too long.
    pub(crate) fn is_sooner(&mut self) -> bool {
        std::mem::take(&mut self.sooner)
    }
}

impl Entry {
    fn turn(&self) -> (DateTime<Utc>, u64) {
        (self.at, self.number)
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.turn() == other.turn()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.turn().cmp(&other.turn())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::simulator::clock::time::later;

    fn at(seconds: u64) -> DateTime<Utc> {
        later(DateTime::UNIX_EPOCH, Duration::from_secs(seconds))
    }

    fn tests(agenda: &mut Agenda, now: u64) -> Vec<usize> {
        let mut webhooks = Vec::new();
        while let Some((_, Due::Test { webhook })) = agenda.take(at(now)) {
            webhooks.push(webhook);
        }
        webhooks
    }

    #[test]
    fn things_happen_by_their_time_and_then_in_the_order_they_were_written_down() {
        let mut agenda = Agenda::default();
        for (webhook, seconds) in [(1, 5), (2, 3), (3, 5), (4, 3), (5, 9)] {
            agenda.push(at(seconds), Due::Test { webhook });
        }
        assert_eq!(tests(&mut agenda, 2), [0; 0]);
        assert_eq!(tests(&mut agenda, 8), [2, 4, 1, 3]);
        assert_eq!(agenda.next(), Some(at(9)));
    }

    #[test]
    fn only_what_comes_before_all_else_is_sooner() {
        let mut agenda = Agenda::default();
        let mut sooner = |seconds| {
            agenda.push(at(seconds), Due::Test { webhook: 1 });
            agenda.is_sooner()
        };
        assert_eq!([5, 7, 5, 3].map(&mut sooner), [true, false, false, true]);
    }

    #[test]
    fn what_comes_after_the_end_of_time_is_not_written_down() {
        let mut agenda = Agenda::default();
        agenda.plan_run(0, &RunPlan::succeeds().running(Duration::MAX), at(0));
        assert_eq!(agenda.entries.len(), 2);
    }
}
