//! The cost of a rate limit shared through Redis: the time of a call with and without it, and the round trips for 1,000
//! calls.
//!
//! ```sh
//! cargo bench -p agentgate-benches --bench shared_limit
//! ```
//!
//! It starts its own `redis-server`, and exits if there is none. The service is the simulator, in the same process.

#![allow(clippy::unwrap_used)]

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use agentgate::shared_rate_limit::{LeaseFuture, LeaseRequest, RedisRateLimit, SharedRateLimit};
use agentgate::simulator::Simulator;
use agentgate::{Client, ClientBuilder};
use tokio::task::JoinSet;

const CALLS: usize = 1_000;
const ROUNDS: usize = 20;

/// Counts the round trips.
#[derive(Clone, Debug)]
struct Counted {
    limit: RedisRateLimit,
    count: Arc<AtomicUsize>,
}

impl SharedRateLimit for Counted {
    fn lease(&self, request: LeaseRequest) -> LeaseFuture<'_> {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.limit.lease(request)
    }
}

/// A Redis server that is killed on drop.
struct Redis(Child);

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start_redis() -> Option<(Redis, String)> {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly", "no"]);
    let child = command.stdout(Stdio::null()).spawn().ok()?;
    Some((Redis(child), format!("redis://127.0.0.1:{port}/")))
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let Some((_redis, url)) = start_redis() else {
        println!("there is no redis-server");
        return;
    };
    let limit = loop {
        match RedisRateLimit::connect(&url).await {
            Ok(limit) => break limit,
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    let limit = Counted { limit, count: Arc::default() };
    let simulator = Simulator::builder().rate_limit(100_000_000).start().await.unwrap();
    let builder = || Client::builder().base_url(simulator.url()).api_key(simulator.api_key());
    let own = ClientBuilder::build(builder()).unwrap();
    let shared = builder().shared_rate_limit(limit.clone()).build().unwrap();
    println!("median of {ROUNDS} rounds of {CALLS} calls each, in turn");
    for tasks in [1, 10, 50] {
        let (mut own_times, mut shared_times) = (Vec::new(), Vec::new());
        limit.count.store(0, Ordering::Relaxed);
        for _ in 0..ROUNDS {
            own_times.push(time(&own, tasks).await);
            shared_times.push(time(&shared, tasks).await);
        }
        let round_trips = limit.count.load(Ordering::Relaxed) / ROUNDS;
        let (own_time, shared_time) = (median(own_times), median(shared_times));
        let ratio = shared_time.as_secs_f64() / own_time.as_secs_f64();
        println!(
            "{tasks:>2} tasks: own {own_time:>9.2?} a call, shared {shared_time:>9.2?}, {ratio:.3}; {round_trips} round trips"
        );
    }
}

/// Returns the mean time of a call, made by concurrent tasks.
async fn time(client: &Client, tasks: usize) -> Duration {
    let start = Instant::now();
    let mut running = JoinSet::new();
    for _ in 0..tasks {
        let client = client.clone();
        running.spawn(async move {
            for _ in 0..CALLS / tasks {
                client.credits().balance().await.unwrap();
            }
        });
    }
    running.join_all().await;
    start.elapsed() / u32::try_from(CALLS).unwrap()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
