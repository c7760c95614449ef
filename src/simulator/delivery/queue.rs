//! The deliveries that are due, in a queue for each receiver.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::simulator::model::event::Event;

/// A receiver of events.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    /// The webhook with this id.
    Webhook(Arc<str>),
    /// The `webhookUrl` of work orders.
    Url(Arc<str>),
}

/// The delivery of an event to a receiver.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) event: Arc<Event>,
    pub(crate) target: Target,
    pub(crate) due: DateTime<Utc>,
    /// The number of the attempt, from one.
    pub(crate) attempt: u32,
    /// `true` if the target has received the event before.
    pub(crate) duplicate: bool,
}

/// The queues of all targets. A target has a queue while deliveries are waiting or being sent.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    targets: HashMap<Target, VecDeque<Delivery>>,
    /// The targets whose queue has no task yet, in the order of their first delivery.
    unserved: Vec<Target>,
}

impl Queue {
    pub(crate) fn push(&mut self, delivery: Delivery) {
        match self.targets.entry(delivery.target.clone()) {
            Entry::Occupied(mut queue) => queue.get_mut().push_back(delivery),
            Entry::Vacant(vacant) => {
                self.unserved.push(delivery.target.clone());
                vacant.insert(VecDeque::from([delivery]));
            }
        }
    }

    /// Inserts a delivery at the front of the queue from which one is being sent.
    pub(crate) fn push_front(&mut self, delivery: Delivery) {
        if let Some(queue) = self.targets.get_mut(&delivery.target) {
            queue.push_front(delivery);
        }
    }

    /// Takes the next delivery to a target. If there is none, the queue is removed, and its task ends.
    pub(crate) fn pop(&mut self, target: &Target) -> Option<Delivery> {
        let delivery = self.targets.get_mut(target)?.pop_front();
        if delivery.is_none() {
            self.targets.remove(target);
        }
        delivery
    }

    pub(crate) fn has_unserved(&self) -> bool {
        !self.unserved.is_empty()
    }

    pub(crate) fn take_unserved(&mut self) -> Vec<Target> {
        std::mem::take(&mut self.unserved)
    }

    /// Returns `true` if no delivery is waiting or being sent.
    pub(crate) fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }
}
