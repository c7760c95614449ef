//! Faults of deliveries: duplicates, losses, and changes of the order.

use crate::simulator::delivery::queue::Delivery;

/// The order in which held deliveries are released. Used with
/// [`Simulator::release_deliveries`](crate::simulator::Simulator::release_deliveries).
///
/// It applies to the deliveries to one receiver. The order between receivers is not defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeliveryOrder {
    /// The order without the hold.
    AsHappened,
    /// The reverse order.
    Reversed,
    /// A random order, determined by the seed.
    Shuffled(u64),
}

#[derive(Debug, Default)]
pub(crate) struct DeliveryFaults {
    /// Number of duplicates of each delivery.
    pub(crate) duplicates: u32,
    /// Number of deliveries still to lose.
    pub(crate) losses: u32,
    /// The held deliveries in the order in which they were due. `None` if deliveries are not held.
    pub(crate) held: Option<Vec<Delivery>>,
}

impl DeliveryFaults {
    /// Ends the hold and returns the held deliveries.
    pub(crate) fn release(&mut self, order: DeliveryOrder) -> Vec<Delivery> {
        let mut held = self.held.take().unwrap_or_default();
        match order {
            DeliveryOrder::AsHappened => {}
            DeliveryOrder::Reversed => held.reverse(),
            DeliveryOrder::Shuffled(seed) => fastrand::Rng::with_seed(seed).shuffle(&mut held),
        }
        held
    }

    /// Returns the duplicates of a successful delivery. A duplicate has none.
    pub(crate) fn duplicates(&self, delivery: &Delivery) -> Vec<Delivery> {
        let count = if delivery.duplicate { 0 } else { self.duplicates };
        let attempts = (1..=count).map(|number| delivery.attempt.saturating_add(number));
        attempts.map(|attempt| Delivery { attempt, duplicate: true, ..delivery.clone() }).collect()
    }
}
