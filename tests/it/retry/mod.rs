//! Failed attempts: retries, deadlines, and reconciliation of submissions.

mod balancers;
mod connecting;
mod deadline;
mod faults;
mod gateways;
mod network;
mod reconcile;
mod restart;
mod search;
mod tracked;

use agentgate::simulator::Simulator;
use agentgate::{Client, ClientBuilder};

/// Returns a builder of a client of this simulator.
async fn connect(simulator: &Simulator) -> ClientBuilder {
    Client::builder().base_url(simulator.url()).api_key(simulator.api_key())
}
