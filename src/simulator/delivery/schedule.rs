//! The schedule of events and retries.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::simulator::clock::time::checked_later;
use crate::simulator::delivery::queue::Delivery;
use crate::simulator::model::event::{RunEvent, planned_events};
use crate::simulator::model::plan::RunPlan;

#[derive(Debug)]
pub(crate) enum Scheduled {
    /// An event of the run at this index.
    Run {
        position: usize,
        event: RunEvent,
    },
    /// A test delivery to the webhook with this id.
    Test {
        webhook: Arc<str>,
    },
    Retry(Delivery),
}

/// Events and retries by their time. Those with the same time are in the order in which they were scheduled.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    entries: BTreeMap<(DateTime<Utc>, u64), Scheduled>,
    next_number: u64,
}

impl Schedule {
    pub(crate) fn push(&mut self, at: DateTime<Utc>, scheduled: Scheduled) {
        self.entries.insert((at, self.next_number), scheduled);
        self.next_number += 1;
    }

    /// Schedules the events of a new run, except those after the year 9999.
    pub(crate) fn push_run(&mut self, position: usize, plan: &RunPlan, now: DateTime<Utc>) {
        for (elapsed, event) in planned_events(plan) {
            if let Some(at) = checked_later(now, elapsed) {
                self.push(at, Scheduled::Run { position, event });
            }
        }
    }

    /// Takes the next entry that is due, with its time.
    pub(crate) fn take_due(&mut self, now: DateTime<Utc>) -> Option<(DateTime<Utc>, Scheduled)> {
        let entry = self.entries.first_entry().filter(|entry| entry.key().0 <= now)?;
        let (at, _) = *entry.key();
        Some((at, entry.remove()))
    }

    pub(crate) fn next(&self) -> Option<DateTime<Utc>> {
        self.entries.keys().next().map(|(at, _)| *at)
    }
}
