//! The dispatch of events: their receivers, attempts, retries and results.
//!
//! The results must not depend on how fast the deliveries are sent. So on a manual clock, a delivery is made when it is
//! due, a response takes no time, and a missing one takes as long as the time-out, no matter how far the clock was
//! advanced meanwhile. After an advance by an hour, all retries of that hour are made.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::simulator::clock::time::{Time, checked_later, later};
use crate::simulator::delivery::delivery_faults::{DeliveryFaults, DeliveryOrder};
use crate::simulator::delivery::destination::Destination;
use crate::simulator::delivery::queue::{Delivery, Queue, Target};
use crate::simulator::delivery::record::{DeliveryOutcome, RecordedDelivery};
use crate::simulator::delivery::schedule::{Schedule, Scheduled};
use crate::simulator::delivery::signed_request::SignedRequest;
use crate::simulator::model::event::{Event, RunEvent};
use crate::simulator::model::organization::Organization;

/// Delivery time-out and retry schedule.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) timeout: Duration,
    /// The delay before each retry.
    pub(crate) retries: Vec<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(30), retries: [10, 60, 600, 3600].map(Duration::from_secs).to_vec() }
    }
}

#[derive(Debug)]
pub(crate) struct Dispatcher {
    settings: Settings,
    /// Number of events so far.
    events: u64,
    pub(crate) queue: Queue,
    pub(crate) faults: DeliveryFaults,
    /// The completed attempts. `None` if they are not recorded.
    pub(crate) record: Option<Vec<RecordedDelivery>>,
    /// Number of completed attempts.
    pub(crate) count: usize,
}

/// A delivery that is being sent.
#[derive(Debug)]
pub(crate) struct Attempt {
    delivery: Delivery,
    pub(crate) request: SignedRequest,
    pub(crate) destination: Destination,
    started: DateTime<Utc>,
    pub(crate) timeout: Duration,
}

impl Attempt {
    /// Returns the time at which the attempt times out; `None` if that is after the year 9999.
    pub(crate) fn deadline(&self) -> Option<DateTime<Utc>> {
        checked_later(self.started, self.timeout)
    }
}

impl Dispatcher {
    pub(crate) fn new(settings: Settings, record: bool) -> Self {
        let (queue, faults) = (Queue::default(), DeliveryFaults::default());
        Self { settings, events: 0, queue, faults, record: record.then(Vec::new), count: 0 }
    }

    /// Dispatches an event or a retry that is due.
    pub(crate) fn dispatch(&mut self, scheduled: Scheduled, at: DateTime<Utc>, organization: &Organization) {
        let deliveries = match scheduled {
            Scheduled::Run { position, event } => self.run_event(position, event, at, organization),
            Scheduled::Test { webhook } => {
                let data = json!({ "webhookId": &*webhook });
                self.event("webhook.test", at, vec![Target::Webhook(webhook)], || data)
            }
            Scheduled::Retry(delivery) => vec![delivery],
        };
        for delivery in deliveries {
            self.enqueue(delivery, organization);
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
        // The planned events of a cancelled run do not happen.
        if event != RunEvent::Cancelled && run.cancelled_at.is_some_and(|cancelled| cancelled <= at) {
            return Vec::new();
        }
        let kind = event.as_str();
        let webhooks = organization.webhooks.iter().filter(|webhook| webhook.is_subscribed_to(kind));
        let webhooks = webhooks.map(|webhook| Target::Webhook(Arc::clone(&webhook.id)));
        let targets = webhooks.chain(run.webhook_url.clone().map(Target::Url)).collect();
        self.event(kind, at, targets, || event.data(run, at))
    }

    fn event(
        &mut self,
        kind: &'static str,
        at: DateTime<Utc>,
        targets: Vec<Target>,
        data: impl FnOnce() -> Value,
    ) -> Vec<Delivery> {
        // An event without receivers has a number, too.
        self.events += 1;
        if targets.is_empty() {
            return Vec::new();
        }
        let event = Arc::new(Event::new(self.events, kind, at, &data()));
        let delivery = |target| Delivery { event: Arc::clone(&event), target, due: at, attempt: 1, duplicate: false };
        targets.into_iter().map(delivery).collect()
    }

    fn enqueue(&mut self, delivery: Delivery, organization: &Organization) {
        if let Some(held) = &mut self.faults.held {
            held.push(delivery);
        } else if self.faults.losses == 0 {
            self.queue.push(delivery);
        } else if let Some(request) = SignedRequest::new(&delivery, organization) {
            self.faults.losses -= 1;
            self.record(&delivery, request, DeliveryOutcome::Lost);
        }
    }

    /// Releases the held deliveries. They are due now.
    pub(crate) fn release(&mut self, order: DeliveryOrder, organization: &Organization, now: DateTime<Utc>) {
        for delivery in self.faults.release(order) {
            self.enqueue(Delivery { due: now, ..delivery }, organization);
        }
    }

    /// Takes the next delivery that can be sent to a target.
    pub(crate) fn next(&mut self, target: &Target, organization: &Organization, time: &Time) -> Option<Attempt> {
        while let Some(delivery) = self.queue.pop(target) {
            let Some(request) = SignedRequest::new(&delivery, organization) else { continue };
            let (started, timeout) = (time.effective(delivery.due), self.settings.timeout);
            match Destination::of(&request.uri) {
                Ok(destination) => return Some(Attempt { delivery, request, destination, started, timeout }),
                Err(reason) => self.record(&delivery, request, DeliveryOutcome::Undeliverable(reason.to_owned())),
            }
        }
        None
    }

    /// Records the outcome of an attempt, and schedules the retry of a failed one. On a manual clock, the attempt took
    /// `duration`.
    pub(crate) fn complete(
        &mut self,
        attempt: Attempt,
        outcome: DeliveryOutcome,
        duration: Duration,
        schedule: &mut Schedule,
        time: &Time,
    ) {
        let Attempt { delivery, request, started, .. } = attempt;
        let ended = time.effective(later(started, duration));
        if outcome.is_success() {
            for duplicate in self.faults.duplicates(&delivery).into_iter().rev() {
                self.queue.push_front(duplicate);
            }
        } else if !delivery.duplicate {
            self.retry(&delivery, schedule, ended);
        }
        self.record(&delivery, request, outcome);
    }

    fn retry(&self, delivery: &Delivery, schedule: &mut Schedule, failed: DateTime<Utc>) {
        let retries = usize::try_from(delivery.attempt - 1).unwrap_or(usize::MAX);
        let delay = self.settings.retries.get(retries);
        if let Some(due) = delay.and_then(|delay| checked_later(failed, *delay)) {
            let delivery = Delivery { due, attempt: delivery.attempt + 1, ..delivery.clone() };
            schedule.push(due, Scheduled::Retry(delivery));
        }
    }

    fn record(&mut self, delivery: &Delivery, request: SignedRequest, outcome: DeliveryOutcome) {
        self.count += 1;
        if let Some(record) = &mut self.record {
            record.push(RecordedDelivery::new(delivery, request, outcome));
        }
    }
}
