//! Submits a work order, watches its run, and prints an error:
//!
//! ```text
//! cargo run -p agentgate --example quickstart --features simulator -- [repository]
//! ```
//!
//! With `AGENTGATE_API_KEY` set it uses the service, and the run costs credits. Without, it starts the simulator.

use std::error::Error;
use std::time::Duration;

use agentgate::simulator::{RunPlan, SimulatedClock, Simulator};
use agentgate::types::Run;
use agentgate::{Client, WorkspaceSource};

const PROMPT: &str = "Add error handling to the API routes";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let repository = std::env::args().nth(1).unwrap_or_else(|| "https://github.com/your-org/your-repo".to_owned());
    let (client, _simulator) = connect().await?;
    let source = WorkspaceSource::git(repository).branch("main");

    println!("Submitting: {PROMPT}");
    let order = client
        .work_orders()
        .create(PROMPT, source.clone())
        .max_iterations(5)
        .tenant("acme-corp", "user_123")
        .metadata("ticket", "API-42")
        .await?;
    println!("Work order {} started run {}", order.work_order_id, order.run_id);

    let mut changes = client.runs().watch(&order.run_id);
    while let Some(run) = changes.next().await {
        let run = run?;
        println!("  {}, {} iterations", run.status, run.iterations.unwrap_or(0));
        if run.is_terminal() {
            report(&run);
        }
    }

    println!();
    println!("The error for an empty prompt:");
    match client.work_orders().create("", source).await {
        Ok(order) => println!("The service accepted it, as {}", order.work_order_id),
        Err(error) => {
            println!("  {error}");
            for fault in error.field_errors() {
                println!("  error.field_errors(): {} — {}", fault.field, fault.message);
            }
        }
    }
    Ok(())
}

/// Creates a client for the service, or for a simulator, which runs until it is dropped.
async fn connect() -> Result<(Client, Option<Simulator>), Box<dyn Error>> {
    if std::env::var_os("AGENTGATE_API_KEY").is_some_and(|key| !key.is_empty()) {
        let client = Client::from_env()?;
        println!("Using {}; the run costs credits.", client.base_url());
        return Ok((client, None));
    }
    let simulator = Simulator::builder()
        .clock(SimulatedClock::Scaled(1.0))
        .default_run(RunPlan::succeeds().pending(Duration::from_secs(1)).running(Duration::from_secs(3)))
        .start()
        .await?;
    println!("AGENTGATE_API_KEY is not set: AgentGate is simulated at {}.", simulator.url());
    let client = Client::builder().base_url(simulator.url()).api_key(simulator.api_key()).build()?;
    Ok((client, Some(simulator)))
}

fn report(run: &Run) {
    println!("Run {} {}", run.id, run.status);
    if let Some(milliseconds) = run.timing.as_ref().and_then(|timing| timing.duration_ms) {
        println!("  it took {milliseconds} ms");
    }
    if let Some(credits) = run.cost.as_ref().and_then(|cost| cost.credits) {
        println!("  it cost {credits} credits");
    }
    if let Some(url) = &run.pr_url {
        println!("  pull request: {url}");
    }
    if let Some(error) = &run.error {
        println!("  it failed: {} {}", error.code.as_deref().unwrap_or("?"), error.message.as_deref().unwrap_or(""));
    }
}
