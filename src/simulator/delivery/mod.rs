//! Deliveries of events to webhooks.
//!
//! All decisions are made under the lock of the [state](state::SharedState) whenever the clock is read: the [schedule]
//! says which events are due, and the [dispatcher] turns them into deliveries in the [queue] of their receivers. So a
//! test that advances the clock finds everything decided, and only has to wait for the requests. These are sent by the
//! [worker], a background task.

pub(crate) mod delivery_faults;
pub(crate) mod destination;
pub(crate) mod dispatcher;
pub(crate) mod queue;
pub(crate) mod record;
pub(crate) mod schedule;
mod sender;
pub(crate) mod signed_request;
pub(crate) mod state;
pub(crate) mod worker;
