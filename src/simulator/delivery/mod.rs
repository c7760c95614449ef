//! Webhooks: what happens, whom it is told, and how it gets there.
//!
//! Everything that decides is a value behind the simulator's one lock, and moves only when somebody looks at the clock:
//! the [`Agenda`] knows what is due when, [`Deliveries`] makes events of it and puts them into line for their targets. So
//! a test that submits, advances the clock and then asks finds everything decided, and only the sending left to be
//! waited for. That is the [`courier`]'s: a task in the background that serves each target from a task of its own.

mod agenda;
mod bells;
pub(super) mod courier;
mod destination;
mod dispatch;
mod event;
mod handle;
mod lanes;
mod mishap;
pub(super) mod parcel;
mod record;
mod send;
mod signature;

pub(super) use self::agenda::{Agenda, Due};
pub(super) use self::bells::Bells;
pub(super) use self::destination::is_loopback;
pub(super) use self::dispatch::{Deliveries, Settings};
pub(super) use self::event::RunEvent;
pub use self::mishap::DeliveryOrder;
pub use self::record::{DeliveryOutcome, RecordedDelivery};
