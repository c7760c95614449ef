//! The simulator itself, over plain HTTP.

mod deliveries;
mod example;
mod faults;
mod listener;
mod routes;
