//! Applies the events of webhooks: a delivery of the end of a run ends the waits for that run.

use super::broadcast::warn;
use super::run_update::RunUpdate;
use super::state::FollowState;
use super::watcher::Watcher;
use crate::webhook::Event;

impl Watcher {
    /// Applies an event of a webhook. If it is the end of a run, the waits for that run end at once.
    ///
    /// Events may come in any order, more than once, and for runs that are not awaited. The states of the last 10,000
    /// runs are kept, so a wait that begins after the delivery ends at once, too. Verify deliveries by a
    /// [`Verifier`](crate::webhook::Verifier) first.
    ///
    /// ```no_run
    /// # #[cfg(feature = "axum")]
    /// # mod example {
    /// use agentgate::follow::Watcher;
    /// use agentgate::webhook::Delivery;
    /// use axum::Extension;
    ///
    /// async fn receive(Extension(watcher): Extension<Watcher>, Delivery(event): Delivery) {
    ///     watcher.notify(&event);
    /// }
    /// # }
    /// ```
    pub fn notify(&self, event: &Event) {
        self.follower.state.apply_event(event);
    }
}

impl FollowState {
    /// Applies an event, and publishes it to the other replicas.
    fn apply_event(&self, event: &Event) {
        let Some(update) = RunUpdate::from_event(event) else { return };
        if self.lock().outbox.publish((&update).into()) {
            warn("too many deliveries wait to be shared with the other replicas", "the queue is full");
        }
        self.apply_delivery(update);
    }

    /// Applies the update of an event that was delivered to this replica or to another.
    pub(super) fn apply_delivery(&self, update: RunUpdate) {
        let now = self.now();
        self.update(|inner| {
            if update.is_final {
                let was_healthy = inner.health.is_healthy();
                let is_awaited = inner.registry.contains(&update.id);
                inner.health.delivered(&update.id, is_awaited);
                inner.has_changed |= was_healthy != inner.health.is_healthy();
            }
            inner.registry.apply_and_keep(update, now);
        });
    }
}
