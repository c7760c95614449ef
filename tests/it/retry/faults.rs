//! Every fault on every operation: the outcome is as documented, nothing is sent too often, and nothing hangs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use agentgate::simulator::{Fault, Simulator};
use agentgate::{Client, Operation};
use common::clock::InstantClock;
use common::{call, prepare, wire_faults};
use tokio::task::JoinSet;

/// Maximum number of attempts: one and three retries.
const ATTEMPTS: usize = 4;

/// Time limit for a call. The runtime's time is paused and advances only when idle, so an attempt times out on a server
/// that stalls, but never on a busy machine.
const TIME_LIMIT: Duration = Duration::from_secs(1_000);

/// Faults that prove that the service did nothing.
const REFUSALS: [&str; 2] = ["rate_limited", "service_unavailable"];

/// Returns the outcome of a call with a fault.
async fn outcome(operation: Operation, fault: Fault) -> String {
    let simulator = Simulator::start().await.unwrap();
    let client = Client::builder()
        .base_url(simulator.url())
        .api_key(simulator.api_key())
        .clock(InstantClock::default())
        .build()
        .unwrap();
    let id = prepare(&client, operation).await;
    let before = simulator.work_order_count();
    simulator.clear_requests();
    simulator.inject(fault.on(operation.id()));

    let result = tokio::time::timeout(TIME_LIMIT, call(&client, operation.id(), &id)).await;
    let result = result.unwrap_or_else(|_| panic!("{operation} hangs"));

    // A submission with an unknown outcome is searched for by other operations.
    let requests = simulator.requests();
    let sent = requests.iter().filter(|request| request.method == operation.method()).count();
    let (text, attempts) = match result {
        Ok(outcome) => ("done".to_owned(), outcome.attempts),
        Err(error) => {
            let reached = if error.may_have_reached_server() { ", may have been done" } else { "" };
            (format!("{}{reached}", error.kind()), error.attempts())
        }
    };
    // A 429 takes no retry, up to a bound of its own.
    let most = if text.starts_with("rate_limited") { 31 } else { ATTEMPTS };
    assert!(sent <= most, "{operation}: {sent} requests");
    let repeats = sent > 1 && text.contains("may have been done");
    assert!(operation.is_idempotent() || !repeats, "{operation} was repeated although it may have been done");
    let made = simulator.work_order_count() - before;
    assert!(made <= 1, "{operation} made {made} work orders");
    if operation == Operation::CREATE_WORK_ORDER && text == "done" {
        assert_eq!(made, 1, "{operation} is done");
    }
    format!("{text}, attempts: {attempts}")
}

/// Returns the outcomes of each fault, with the operations that share them.
async fn table(change: fn(Fault) -> Fault) -> String {
    let mut table = String::new();
    for (name, fault) in Fault::catalogue().into_iter().chain(wire_faults()) {
        let fault = change(fault);
        if fault.is_after_acting() && REFUSALS.contains(&name) {
            continue;
        }
        let mut cells = JoinSet::new();
        for operation in Operation::ALL {
            let fault = fault.clone();
            cells.spawn(async move { (*operation, outcome(*operation, fault).await) });
        }
        let mut outcomes: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (operation, outcome) in cells.join_all().await {
            outcomes.entry(outcome).or_default().push(operation.id());
        }
        assert_eq!(outcomes.values().map(Vec::len).sum::<usize>(), Operation::ALL.len());
        writeln!(table, "{name}").unwrap();
        for (outcome, mut operations) in outcomes {
            operations.sort_unstable();
            writeln!(table, "    {outcome}\n        {}", operations.join(" ")).unwrap();
        }
    }
    table
}

#[tokio::test(start_paused = true)]
async fn every_transient_fault_has_the_documented_outcome_on_every_operation() {
    assert!(Fault::catalogue().len() >= 14);
    insta::assert_snapshot!(table(|fault| fault).await);
}

#[tokio::test(start_paused = true)]
async fn every_permanent_fault_has_the_documented_outcome_on_every_operation() {
    insta::assert_snapshot!(table(|fault| fault.times(100)).await);
}

#[tokio::test(start_paused = true)]
async fn every_fault_after_acting_has_the_documented_outcome_on_every_operation() {
    insta::assert_snapshot!(table(Fault::after_acting).await);
}
