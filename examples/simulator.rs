//! Runs the simulator until it is stopped with Ctrl-C, for anything that speaks HTTP to be tried out against:
//!
//! ```text
//! cargo run -p agentgate --example simulator --features simulator -- [port]
//! ```
//!
//! Time is real time, and a run takes some six seconds.

use std::time::Duration;

use agentgate::simulator::{RunPlan, SimulatedClock, Simulator};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = match std::env::args().nth(1) {
        Some(port) => port.parse().map_err(|_| format!("`{port}` is not a port"))?,
        None => 0,
    };
    let simulator = Simulator::builder()
        .port(port)
        .clock(SimulatedClock::Scaled(1.0))
        .default_run(RunPlan::succeeds().pending(Duration::from_secs(1)).running(Duration::from_secs(5)))
        .start()
        .await?;

    println!("AgentGate is simulated at {}. Stop it with Ctrl-C.", simulator.url());
    println!();
    println!("Use it in another terminal:");
    println!();
    println!("export AGENTGATE_BASE_URL={}", simulator.url());
    println!("export AGENTGATE_API_KEY={}", simulator.api_key());
    println!();
    println!("{CURL}");

    std::future::pending().await
}

const CURL: &str = r#"curl "$AGENTGATE_BASE_URL/v1/work-orders" \
  -H "Authorization: Bearer $AGENTGATE_API_KEY" -H "Content-Type: application/json" \
  -d '{"taskPrompt": "Add error handling to the API routes",
       "workspaceSource": {"type": "git", "repository": "https://github.com/your-org/your-repo"}}'

curl "$AGENTGATE_BASE_URL/v1/runs" -H "Authorization: Bearer $AGENTGATE_API_KEY""#;
