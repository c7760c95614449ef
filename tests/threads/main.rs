//! The background thread of blocking clients. It is shared by the process, so this test has its own binary.

#![cfg(target_os = "linux")]

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use agentgate::blocking::{BlockingStream, Call, Client};
use agentgate::simulator::Simulator;
use tokio::runtime::Runtime;

/// Time limit. Only a test that hangs reaches it.
const GUARD: Duration = Duration::from_secs(300);

/// Returns the number of background threads of this process.
fn threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    // A thread may end before its name is read.
    let names = tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("comm")).ok());
    names.filter(|name| name.trim() == "agentgate").count()
}

fn wait_for_threads(expected: usize) {
    let began = Instant::now();
    while threads() != expected {
        assert!(began.elapsed() < GUARD, "{} threads in place of {expected}", threads());
        thread::yield_now();
    }
}

#[test]
fn one_thread_serves_all_blocking_clients_and_ends_with_the_last() {
    let runtime = Runtime::new().unwrap();
    let simulator = runtime.block_on(Simulator::start()).unwrap();
    let client = || Client::builder().base_url(simulator.url()).api_key(simulator.api_key()).build_blocking().unwrap();
    assert_eq!(threads(), 0);

    for _ in 0..3 {
        let clients = [client(), client()];
        let clone = clients[0].clone();
        thread::scope(|scope| {
            for client in &clients {
                scope.spawn(|| client.credits().balance().send().unwrap());
            }
        });
        wait_for_threads(1);
        drop(clients);
        clone.credits().balance().send().unwrap();
        wait_for_threads(1);
        drop(clone);
        wait_for_threads(0);
    }

    // A tokio runtime cannot be dropped here, but the client can.
    let client = client();
    runtime.block_on(async move { drop(client) });
    wait_for_threads(0);

    // A call can outlive its client, and an iterator keeps the thread until its end.
    let client = Client::builder().base_url(simulator.url()).api_key(simulator.api_key()).build_blocking().unwrap();
    let (call, changes) = (client.credits().balance(), client.runs().watch("run_0"));
    drop(client);
    wait_for_threads(0);
    call.send().unwrap();
    wait_for_threads(0);
    assert!(changes.blocking().last().unwrap().unwrap_err().is_not_found());
    wait_for_threads(0);
}
