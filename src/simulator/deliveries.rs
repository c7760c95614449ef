//! What a test can see and order of deliveries.

use crate::simulator::Simulator;

use crate::simulator::delivery::delivery_faults::DeliveryOrder;
use crate::simulator::delivery::record::RecordedDelivery;

impl Simulator {
    /// The secret that signs deliveries to the `webhookUrl` of work orders.
    ///
    /// The documentation of AgentGate does not say which secret signs these. A secret of the organization's is one
    /// plausible choice. [`Builder::webhook_secret`](crate::simulator::Builder::webhook_secret) sets it.
    #[must_use]
    pub fn webhook_secret(&self) -> &str {
        &self.webhook_secret
    }

    /// Waits until everything that is due by the simulator's clock has been delivered, or has failed to be.
    ///
    /// So a test never has to sleep: it submits, [advances](Self::advance) the clock, lets the simulator settle, and looks
    /// at what came. Whatever was ordered before is seen, down to the request that was answered right before.
    ///
    /// Retries that are due later are not waited for, nor is what is [held](Self::hold_deliveries). A receiver that hangs is
    /// waited for until it times out by the simulator's clock, see
    /// [`Builder::delivery_timeout`](crate::simulator::Builder::delivery_timeout): on a manual clock, only when somebody advances it
    /// in the meantime.
    ///
    /// ```
    /// use std::time::Duration;
    /// use agentgate::simulator::Simulator;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let simulator = Simulator::start().await?;
    /// // ... create a webhook and submit a work order here ...
    /// simulator.advance(Duration::from_secs(60));
    /// simulator.settle().await;
    /// // ... and the webhook's receiver has heard that the run is completed.
    /// # assert_eq!(simulator.delivery_count(), 0);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn settle(&self) {
        loop {
            // Listening begins before looking, lest the last delivery ends in between.
            let served = self.shared.bells.served.notified();
            if self.shared.act(|state| state.deliveries.lanes.is_empty()) {
                return;
            }
            served.await;
        }
    }

    /// Delivers everything that arrives so many times more, right after the first time, with the same event id and the same
    /// body. This holds until it is changed; 0, the default, ends it.
    ///
    /// A duplicate that fails is not tried again.
    pub fn duplicate_deliveries(&self, copies: u32) {
        self.shared.act(|state| state.deliveries.mishaps.copies = copies);
    }

    /// Loses the next so many deliveries: they are never sent, and never tried again. 0 loses no more of them.
    ///
    /// Each receiver of an event has a delivery of its own, and so has each retry. What is due already is not lost any
    /// more.
    pub fn lose_deliveries(&self, count: u32) {
        self.shared.act(|state| state.deliveries.mishaps.losses = count);
    }

    /// Holds everything that becomes due from now on, retries included, until it is
    /// [released](Self::release_deliveries). [`settle`](Self::settle) does not wait for it.
    pub fn hold_deliveries(&self) {
        self.shared.act(|state| state.deliveries.mishaps.hold());
    }

    /// Lets go what was [held](Self::hold_deliveries), in this order, and holds nothing more.
    ///
    /// ```
    /// use std::time::Duration;
    /// use agentgate::simulator::{DeliveryOrder, Simulator};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let simulator = Simulator::start().await?;
    /// // ... create a webhook and submit a work order here ...
    /// simulator.hold_deliveries();
    /// simulator.advance(Duration::from_secs(60));
    /// simulator.release_deliveries(DeliveryOrder::Reversed);
    /// simulator.settle().await;
    /// // ... and the webhook's receiver has heard of the run's end before its start.
    /// # Ok(())
    /// # }
    /// ```
    pub fn release_deliveries(&self, order: DeliveryOrder) {
        self.shared.act(|state| state.deliveries.release(order, &state.organization, state.time.now()));
    }

    /// The attempts to deliver an event since the start or the last [`clear_requests`](Self::clear_requests), in the order
    /// in which they ended. They are kept in memory with their bodies, unless
    /// [`Builder::record_requests`](crate::simulator::Builder::record_requests) says no.
    ///
    /// ```
    /// # fn print_what_failed(simulator: &agentgate::simulator::Simulator) {
    /// for delivery in simulator.deliveries() {
    ///     if !delivery.outcome.is_success() {
    ///         println!("{} of {}: {:?}", delivery.event_kind, delivery.event_id, delivery.outcome);
    ///     }
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn deliveries(&self) -> Vec<RecordedDelivery> {
        self.shared.lock().deliveries.record.clone().unwrap_or_default()
    }

    /// How many attempts to deliver an event have ended since the start or the last
    /// [`clear_requests`](Self::clear_requests), recorded or not.
    #[must_use]
    pub fn delivery_count(&self) -> usize {
        self.shared.lock().deliveries.count
    }
}
