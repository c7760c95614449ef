//! Calls that succeed and calls that fail: sent requests, decoded responses, errors, and traces.

mod compression;
mod decode;
mod errors;
mod events;
mod extras;
mod foreign;
mod middleware;
mod observability;
mod operations;
mod options;
mod raw_request;
mod secrets;
mod serialized;
mod setup;
mod wire;

use agentgate::Client;
use agentgate::simulator::Simulator;
use common::clock::InstantClock;

/// Starts a simulator, and creates a client for it whose delays take no time.
async fn start() -> (Simulator, Client) {
    let simulator = Simulator::start().await.unwrap();
    let client =
        Client::builder().base_url(simulator.url()).api_key(simulator.api_key()).clock(InstantClock::default());
    let client = client.build().unwrap();
    (simulator, client)
}
