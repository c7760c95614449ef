//! The lines in which deliveries wait for their targets.
//!
//! A target gets its deliveries one after the other, so it has a line of its own. There is a lane for a target exactly
//! while it has deliveries waiting or under way: when no lane is left, nothing is left to be waited for.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::simulator::model::event::Event;

/// Whom events are told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    /// The webhook of this number.
    Webhook(usize),
    /// The `webhookUrl` of work orders.
    Url(Arc<str>),
}

/// An event on its way to one of its targets.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) event: Arc<Event>,
    pub(crate) target: Target,
    /// When it is to be made.
    pub(crate) due: DateTime<Utc>,
    /// Which attempt this is, from one.
    pub(crate) attempt: u32,
    /// Whether the target has it already.
    pub(crate) duplicate: bool,
}

/// A lane for each target.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    lanes: HashMap<Target, VecDeque<Delivery>>,
    /// Those that nobody serves yet, in the order they came.
    unserved: Vec<Target>,
}

impl Lanes {
    /// Puts a delivery at the end of its target's line.
    pub(crate) fn push(&mut self, delivery: Delivery) {
        match self.lanes.entry(delivery.target.clone()) {
            Entry::Occupied(mut lane) => lane.get_mut().push_back(delivery),
            Entry::Vacant(vacant) => {
                self.unserved.push(delivery.target.clone());
                vacant.insert(VecDeque::from([delivery]));
            }
        }
    }

    /// Puts a delivery at the head of the line that is being served.
    pub(crate) fn push_front(&mut self, delivery: Delivery) {
        if let Some(lane) = self.lanes.get_mut(&delivery.target) {
            lane.push_front(delivery);
        }
    }

    /// Takes the next delivery for a target. If there is none, its lane is gone, and with it whoever serves it.
    pub(crate) fn next(&mut self, target: &Target) -> Option<Delivery> {
        let delivery = self.lanes.get_mut(target)?.pop_front();
        if delivery.is_none() {
            self.lanes.remove(target);
        }
        delivery
    }

    pub(crate) fn has_unserved(&self) -> bool {
        !self.unserved.is_empty()
    }

    /// Takes the targets that need somebody to serve them.
    pub(crate) fn take_unserved(&mut self) -> Vec<Target> {
        std::mem::take(&mut self.unserved)
    }

    /// Whether no delivery waits or is under way.
    pub(crate) fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn delivery(target: usize, number: u64) -> Delivery {
        let event = Arc::new(Event::new(number, "run.created", DateTime::UNIX_EPOCH, &Value::Null));
        let (target, due) = (Target::Webhook(target), DateTime::UNIX_EPOCH);
        Delivery { event, target, due, attempt: 1, duplicate: false }
    }

    #[test]
    fn each_target_has_a_line_of_its_own_that_needs_one_to_serve_it() {
        let mut lanes = Lanes::default();
        for (target, number) in [(1, 1), (2, 2), (1, 3)] {
            lanes.push(delivery(target, number));
        }
        assert_eq!(lanes.take_unserved(), [Target::Webhook(1), Target::Webhook(2)]);
        assert!(!lanes.has_unserved());
        let mut next = || lanes.next(&Target::Webhook(1)).map(|delivery| delivery.event.id.clone());
        assert_eq!([next(), next()], [Some("evt_000001".to_owned()), Some("evt_000003".to_owned())]);
    }

    #[test]
    fn a_lane_lasts_until_its_last_delivery_has_ended() {
        let mut lanes = Lanes::default();
        let target = Target::Webhook(1);
        lanes.push(delivery(1, 1));
        assert!(lanes.next(&target).is_some());
        assert!(!lanes.is_empty(), "it is under way");
        assert!(lanes.next(&target).is_none());
        assert!(lanes.is_empty());
        lanes.take_unserved();
        lanes.push(delivery(1, 2));
        assert_eq!(lanes.take_unserved(), [target]);
    }
}
