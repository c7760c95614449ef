//! What a test lets go wrong on the way: deliveries that come twice, not at all, or out of order.

use crate::simulator::delivery::queue::Delivery;

/// The order in which deliveries that were held go out.
///
/// Each receiver gets its deliveries in this order. Between receivers there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeliveryOrder {
    /// As they would have gone out had they not been held.
    AsHappened,
    /// The last first.
    Reversed,
    /// In an order that looks random, and is the same for the same deliveries and the same seed.
    Shuffled(u64),
}

impl DeliveryOrder {
    fn arrange(self, deliveries: &mut [Delivery]) {
        match self {
            Self::AsHappened => {}
            Self::Reversed => deliveries.reverse(),
            Self::Shuffled(seed) => fastrand::Rng::with_seed(seed).shuffle(deliveries),
        }
    }
}

/// The mishaps that were ordered.
#[derive(Debug, Default)]
pub(crate) struct Mishaps {
    /// How often each delivery comes again.
    pub(crate) copies: u32,
    /// How many deliveries are still to be lost.
    pub(crate) losses: u32,
    /// What is held, in the order in which it was due; `None` if nothing is to be.
    held: Option<Vec<Delivery>>,
}

impl Mishaps {
    /// Holds what becomes due from now on.
    pub(crate) fn hold(&mut self) {
        self.held.get_or_insert_default();
    }

    /// Ends that, and gives out what was held.
    pub(crate) fn release(&mut self, order: DeliveryOrder) -> Vec<Delivery> {
        let mut held = self.held.take().unwrap_or_default();
        order.arrange(&mut held);
        held
    }

    /// Gives the delivery back, unless it is held.
    pub(crate) fn pass(&mut self, delivery: Delivery) -> Option<Delivery> {
        match &mut self.held {
            None => Some(delivery),
            Some(held) => {
                held.push(delivery);
                None
            }
        }
    }

    /// The duplicates of a delivery that has arrived. They have none themselves.
    pub(crate) fn duplicates(&self, delivery: &Delivery) -> Vec<Delivery> {
        let copies = if delivery.duplicate { 0 } else { self.copies };
        let attempts = (1..=copies).map(|copy| delivery.attempt.saturating_add(copy));
        attempts.map(|attempt| Delivery { attempt, duplicate: true, ..delivery.clone() }).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chrono::DateTime;
    use serde_json::Value;

    use super::*;
    use crate::simulator::delivery::queue::Target;
    use crate::simulator::model::event::Event;

    fn delivery(number: u64) -> Delivery {
        let event = Arc::new(Event::new(number, "run.created", DateTime::UNIX_EPOCH, &Value::Null));
        let due = DateTime::UNIX_EPOCH;
        Delivery { event, target: Target::Webhook(1), due, attempt: 3, duplicate: false }
    }

    fn released(order: DeliveryOrder) -> Vec<String> {
        let mut mishaps = Mishaps::default();
        mishaps.hold();
        for number in 1..=9 {
            assert!(mishaps.pass(delivery(number)).is_none());
        }
        mishaps.hold();
        let ids = mishaps.release(order).iter().map(|delivery| delivery.event.id.clone()).collect();
        assert!(mishaps.pass(delivery(10)).is_some(), "nothing is held any more");
        ids
    }

    #[test]
    fn what_was_held_goes_out_in_the_order_that_was_asked_for() {
        let in_order: Vec<_> = (1..=9).map(|number| format!("evt_{number:06}")).collect();
        assert_eq!(released(DeliveryOrder::AsHappened), in_order);
        assert!(released(DeliveryOrder::Reversed).iter().eq(in_order.iter().rev()));
        let shuffled = released(DeliveryOrder::Shuffled(7));
        assert_eq!(shuffled, released(DeliveryOrder::Shuffled(7)));
        assert_ne!(shuffled, released(DeliveryOrder::Shuffled(8)));
        let mut sorted = shuffled.clone();
        sorted.sort();
        assert_eq!((sorted == in_order, shuffled == in_order), (true, false));
    }

    #[test]
    fn duplicates_count_as_attempts_and_have_no_duplicates() {
        let mishaps = Mishaps { copies: 2, ..Mishaps::default() };
        let copies = mishaps.duplicates(&delivery(1));
        assert_eq!(copies.iter().map(|copy| copy.attempt).collect::<Vec<_>>(), [4, 5]);
        assert!(copies.iter().all(|copy| mishaps.duplicates(copy).is_empty()));
    }
}
