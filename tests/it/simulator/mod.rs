//! The simulator itself, over plain HTTP.

mod clock;
mod deliveries;
mod faults;
mod listener;
mod routes;
