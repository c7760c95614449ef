//! What a test can see and order of deliveries.

use crate::simulator::Simulator;

use super::parcel::ORGANIZATION_SECRET;
use super::record::RecordedDelivery;

impl Simulator {
    /// The secret that signs deliveries to the `webhookUrl` of work orders.
    ///
    /// The documentation of AgentGate does not say which secret signs these. A secret of the organization's is one
    /// plausible choice.
    #[must_use]
    // It is the simulator's, even if all have the same.
    #[allow(clippy::unused_self)]
    pub fn webhook_secret(&self) -> &str {
        ORGANIZATION_SECRET
    }

    /// Waits until everything that is due by the simulator's clock has been delivered, or has failed to be.
    ///
    /// So a test never has to sleep: it submits, [advances](Self::advance) the clock, lets the simulator settle, and looks
    /// at what came. Whatever was ordered before is seen, down to the request that was answered right before.
    ///
    /// Retries that are due later are not waited for. A receiver that hangs is, until it times out: see
    /// [`Builder::delivery_timeout`](crate::simulator::Builder::delivery_timeout).
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

    /// The attempts to deliver an event since the start or the last [`clear_requests`](Self::clear_requests), in the order
    /// in which they ended. They are kept in memory with their bodies, unless
    /// [`Builder::record_requests`](crate::simulator::Builder::record_requests) says no.
    ///
    /// ```
    /// # fn print_what_failed(simulator: &agentgate::simulator::Simulator) {
    /// for delivery in simulator.deliveries() {
    ///     if !delivery.outcome.is_success() {
    ///         println!("{} of {}: {:?}", delivery.event_type, delivery.event_id, delivery.outcome);
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
