//! Webhooks: what happens, whom it is told, and how it gets there.
//!
//! Everything that decides is a value behind the simulator's one lock, and moves only when somebody looks at the clock:
//! the [`Agenda`] knows what is due when, [`Deliveries`] makes events of it and puts them into line for their targets. So
//! a test that submits, advances the clock and then asks finds everything decided, and only the sending left to be
//! waited for. That is the [`courier`]'s: a task in the background that serves each target from a task of its own.

pub(crate) mod delivery_faults;
pub(crate) mod destination;
pub(crate) mod dispatcher;
pub(crate) mod queue;
pub(crate) mod record;
pub(crate) mod schedule;
pub(crate) mod sender;
pub(crate) mod signature;
pub(crate) mod signed_request;
pub(crate) mod wakeups;
pub(crate) mod worker;

pub use crate::simulator::delivery::delivery_faults::DeliveryOrder;
pub(crate) use crate::simulator::delivery::destination::is_loopback;
pub(crate) use crate::simulator::delivery::dispatcher::{Deliveries, Settings};
pub use crate::simulator::delivery::record::{DeliveryOutcome, RecordedDelivery};
pub(crate) use crate::simulator::delivery::schedule::{Agenda, Due};
pub(crate) use crate::simulator::delivery::wakeups::Bells;
pub(crate) use crate::simulator::model::event::RunEvent;
