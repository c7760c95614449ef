//! The simulator.

mod clock;
mod deliveries;
mod faults;
mod listener;
mod routes;
