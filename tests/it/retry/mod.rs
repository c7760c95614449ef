//! Attempts that fail: what is retried, what is not, and what a call costs in time.

mod connecting;
mod deadline;
mod faults;
mod gateways;
mod network;
mod reconcile;
mod restart;
mod tracked;
