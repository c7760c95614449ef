//! What becomes of an event: who is told, how often it is tried, and how it is counted.
//!
//! A test sees the same whether a delivery ends before or after its next step. So on a clock that stands still, a delivery
//! is made when it is due, an answer takes no time, and the lack of one takes as long as the time-out: how far the clock
//! was advanced meanwhile changes nothing. After an advance by an hour, all retries of that hour are made.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::simulator::clock::time::{Time, later, within_time};
use crate::simulator::delivery::delivery_faults::{DeliveryOrder, Mishaps};
use crate::simulator::delivery::destination::Destination;
use crate::simulator::delivery::queue::{Delivery, Lanes, Target};
use crate::simulator::delivery::record::{DeliveryOutcome, RecordedDelivery};
use crate::simulator::delivery::schedule::{Agenda, Due};
use crate::simulator::delivery::signed_request::Parcel;
use crate::simulator::model::event::{Event, RunEvent};
use crate::simulator::model::organization::Organization;

/// How patient and how stubborn the simulator is with receivers.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// How long a receiver may take to answer.
    pub(crate) timeout: Duration,
    /// The pauses before each retry.
    pub(crate) retries: Vec<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(30), retries: [10, 60, 600, 3600].map(Duration::from_secs).to_vec() }
    }
}

/// All deliveries: those that wait, and what came of the others.
#[derive(Debug)]
pub(crate) struct Deliveries {
    settings: Settings,
    /// How many events have happened.
    events: u64,
    pub(crate) lanes: Lanes,
    pub(crate) mishaps: Mishaps,
    /// `None` if deliveries are not recorded.
    pub(crate) record: Option<Vec<RecordedDelivery>>,
    /// How many attempts have ended.
    pub(crate) count: usize,
}

/// A delivery that is being sent.
#[derive(Debug)]
pub(crate) struct Attempt {
    delivery: Delivery,
    pub(crate) parcel: Parcel,
    pub(crate) destination: Destination,
    /// When it was begun.
    started: DateTime<Utc>,
    /// How long the receiver may take.
    pub(crate) timeout: Duration,
}

impl Attempt {
    /// When the receiver will have taken too long; `None` if time ends before.
    pub(crate) fn deadline(&self) -> Option<DateTime<Utc>> {
        within_time(self.started, self.timeout)
    }
}

/// How an attempt ended.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) outcome: DeliveryOutcome,
    /// How long that takes on a clock that stands still.
    pub(crate) took: Duration,
}

impl Deliveries {
    pub(crate) fn new(settings: Settings, record: bool) -> Self {
        let record = record.then(Vec::new);
        Self { settings, events: 0, lanes: Lanes::default(), mishaps: Mishaps::default(), record, count: 0 }
    }

    /// Lets something happen.
    pub(crate) fn happen(&mut self, due: Due, at: DateTime<Utc>, organization: &Organization) {
        let deliveries = match due {
            Due::Run { position, event } => self.run_event(position, event, at, organization),
            Due::Test { webhook } => {
                let id = organization.webhook(webhook).map(|webhook| &webhook.id);
                self.announce("webhook.test", at, vec![Target::Webhook(webhook)], || json!({ "webhookId": id }))
            }
            Due::Retry(delivery) => vec![delivery],
        };
        for delivery in deliveries {
            self.admit(delivery, organization);
        }
    }

    fn run_event(
        &mut self,
        position: usize,
        event: RunEvent,
        at: DateTime<Utc>,
        organization: &Organization,
    ) -> Vec<Delivery> {
        let Some(run) = organization.runs.get(position) else { return Vec::new() };
        // What was planned for a cancelled run does not happen any more.
        if event != RunEvent::Cancelled && run.cancelled_at.is_some_and(|cancelled| cancelled <= at) {
            return Vec::new();
        }
        let word = event.word();
        let webhooks = organization.webhooks.iter().filter(|webhook| webhook.wants(word));
        let webhooks = webhooks.map(|webhook| Target::Webhook(webhook.number));
        let targets = webhooks.chain(run.webhook_url.clone().map(Target::Url)).collect();
        self.announce(word, at, targets, || event.data(run, at))
    }

    /// Makes an event, to be delivered to each of these.
    fn announce(
        &mut self,
        word: &'static str,
        at: DateTime<Utc>,
        targets: Vec<Target>,
        data: impl FnOnce() -> Value,
    ) -> Vec<Delivery> {
        // What nobody is told of has happened too, and has its number.
        self.events += 1;
        if targets.is_empty() {
            return Vec::new();
        }
        let event = Arc::new(Event::new(self.events, word, at, &data()));
        let delivery = |target| Delivery { event: Arc::clone(&event), target, due: at, attempt: 1, duplicate: false };
        targets.into_iter().map(delivery).collect()
    }

    /// Puts a delivery that is due into line, unless a mishap befalls it.
    fn admit(&mut self, delivery: Delivery, organization: &Organization) {
        let Some(delivery) = self.mishaps.pass(delivery) else { return };
        if self.mishaps.losses == 0 {
            self.lanes.push(delivery);
        } else if let Some(parcel) = Parcel::new(&delivery, organization) {
            self.mishaps.losses -= 1;
            self.note(&delivery, parcel, DeliveryOutcome::Lost);
        }
    }

    /// Lets go what was held. It is due now.
    pub(crate) fn release(&mut self, order: DeliveryOrder, organization: &Organization, now: DateTime<Utc>) {
        for delivery in self.mishaps.release(order) {
            self.admit(Delivery { due: now, ..delivery }, organization);
        }
    }

    /// Takes the next delivery that can be sent to a target.
    pub(crate) fn next(&mut self, target: &Target, organization: &Organization, time: &Time) -> Option<Attempt> {
        while let Some(delivery) = self.lanes.next(target) {
            let Some(parcel) = Parcel::new(&delivery, organization) else { continue };
            let (started, timeout) = (time.settled(delivery.due), self.settings.timeout);
            match Destination::of(&parcel.uri) {
                Ok(destination) => return Some(Attempt { delivery, parcel, destination, started, timeout }),
                Err(reason) => self.note(&delivery, parcel, DeliveryOutcome::Undeliverable(reason.to_owned())),
            }
        }
        None
    }

    /// Notes what came of a delivery, and when, and has it tried again if it failed.
    pub(crate) fn conclude(&mut self, attempt: Attempt, end: End, agenda: &mut Agenda, time: &Time) {
        let Attempt { delivery, parcel, started, .. } = attempt;
        let ended = time.settled(later(started, end.took));
        if end.outcome.is_success() {
            // Each comes right after the one before.
            for duplicate in self.mishaps.duplicates(&delivery).into_iter().rev() {
                self.lanes.push_front(duplicate);
            }
        } else if !delivery.duplicate {
            self.retry(&delivery, agenda, ended);
        }
        self.note(&delivery, parcel, end.outcome);
    }

    fn retry(&self, delivery: &Delivery, agenda: &mut Agenda, failed: DateTime<Utc>) {
        let retries = usize::try_from(delivery.attempt - 1).unwrap_or(usize::MAX);
        let pause = self.settings.retries.get(retries);
        if let Some(due) = pause.and_then(|pause| within_time(failed, *pause)) {
            agenda.push(due, Due::Retry(Delivery { due, attempt: delivery.attempt + 1, ..delivery.clone() }));
        }
    }

    fn note(&mut self, delivery: &Delivery, parcel: Parcel, outcome: DeliveryOutcome) {
        self.count += 1;
        if let Some(record) = &mut self.record {
            record.push(RecordedDelivery::new(delivery, parcel, outcome));
        }
    }
}
