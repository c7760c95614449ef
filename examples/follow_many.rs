//! Submits 25 work orders for three tenants, follows their runs in the terminal, and ends in a table of what came of them:
//!
//! ```text
//! cargo run -p agentgate --example follow_many --features simulator
//! ```
//!
//! The service is the simulator: 25 runs of the real one cost credits. All are followed by one watcher; the last line tells
//! what that took. One request for each run fetches what lists leave out.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use agentgate::simulator::{RunPlan, SimulatedClock, Simulator};
use agentgate::types::{Run, RunId, RunStatus};
use agentgate::{Client, WorkspaceSource};
use tokio::task::JoinSet;

const TENANTS: [&str; 3] = ["acme-corp", "globex", "initech"];
const WORK_ORDERS: usize = 25;

/// Iterations that a run takes at most.
const ITERATIONS: u32 = 5;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // The hosted service takes 20 work orders a minute and runs 10 at a time, for which nobody wants to wait here.
    let simulator = Simulator::builder()
        .clock(SimulatedClock::Scaled(1.0))
        .submission_limit(100)
        .concurrent_runs(100)
        .start()
        .await?;
    let client =
        Client::builder().base_url(simulator.url()).api_key(simulator.api_key()).submissions_per_minute(100).build()?;

    let mut runs = JoinSet::new();
    for number in 0..WORK_ORDERS {
        simulator.next_run(plan(number));
        let tenant = TENANTS[number % TENANTS.len()];
        let order = client
            .work_orders()
            .create("Add error handling to the API routes", WorkspaceSource::template("node-typescript-api"))
            .max_iterations(ITERATIONS)
            .tenant(tenant, "user_123")
            .await?;
        runs.spawn(follow(client.clone(), order.run_id, tenant));
    }

    let mut totals = BTreeMap::<_, Total>::new();
    while let Some(followed) = runs.join_next().await {
        let (tenant, run) = followed?.map_err(|error| error.to_string())?;
        totals.entry(tenant).or_default().add(&run);
    }
    print(&totals);
    println!("{} requests for {WORK_ORDERS} submissions and their runs.", simulator.request_count());
    Ok(())
}

/// Follows a run to its end, and shows its changes.
async fn follow(
    client: Client,
    id: RunId,
    tenant: &'static str,
) -> Result<(&'static str, Run), Box<dyn Error + Send + Sync>> {
    let mut changes = client.runs().watch(&id);
    while let Some(run) = changes.next().await {
        let run = run?;
        println!("{id} {tenant:<10} {:>2} iterations, {}", run.iterations.unwrap_or(0), run.status);
        if run.is_terminal() {
            return Ok((tenant, run));
        }
    }
    Err("the changes of a run end with its end".into())
}

/// Some runs are quick and some are slow, and every seventh fails.
fn plan(number: usize) -> RunPlan {
    let plan = match number % 7 {
        3 => RunPlan::fails("TESTS_FAILED", "2 of 14 tests have failed"),
        _ => RunPlan::succeeds(),
    };
    let seconds = 3 + (number as u64 * 5) % 11;
    plan.pending(Duration::from_secs(1)).running(Duration::from_secs(seconds)).iterations(ITERATIONS)
}

/// What came of a tenant's runs.
#[derive(Default)]
struct Total {
    succeeded: u32,
    failed: u32,
    longest: Duration,
    all: Duration,
    credits: f64,
}

impl Total {
    fn add(&mut self, run: &Run) {
        match run.status {
            RunStatus::Succeeded => self.succeeded += 1,
            _ => self.failed += 1,
        }
        let took = run.timing.as_ref().and_then(|timing| timing.duration_ms).map(Duration::from_millis);
        self.all += took.unwrap_or_default();
        self.longest = self.longest.max(took.unwrap_or_default());
        self.credits += run.cost.as_ref().and_then(|cost| cost.credits).unwrap_or_default();
    }

    fn runs(&self) -> u32 {
        self.succeeded + self.failed
    }
}

fn print(totals: &BTreeMap<&str, Total>) {
    println!(
        "{:<12} {:>5} {:>10} {:>7} {:>8} {:>8} {:>8}",
        "tenant", "runs", "succeeded", "failed", "average", "longest", "credits"
    );
    for (tenant, total) in totals {
        println!(
            "{tenant:<12} {:>5} {:>10} {:>7} {:>7.1}s {:>7.1}s {:>8.2}",
            total.runs(),
            total.succeeded,
            total.failed,
            (total.all / total.runs().max(1)).as_secs_f64(),
            total.longest.as_secs_f64(),
            total.credits,
        );
    }
}
