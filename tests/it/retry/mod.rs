//! Failed attempts: retries, deadlines, and reconciliation of submissions.

mod connecting;
mod deadline;
mod faults;
mod gateways;
mod network;
mod reconcile;
mod restart;
mod search;
mod tracked;
