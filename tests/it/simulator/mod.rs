//! The simulator itself, over plain HTTP.

mod deliveries;
mod faults;
mod listener;
mod routes;
