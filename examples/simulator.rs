//! Runs the simulator until it is stopped with Ctrl-C, for anything that speaks HTTP to be tried out against:
//!
//! ```text
//! cargo run -p agentgate --example simulator --features simulator -- [port]
//! ```
//!
//! Time is real time, and a run takes some six seconds.

use std::time::Duration;

use agentgate::simulator::{Builder, RunPlan, SimulatedClock, Simulator};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = match std::env::args().nth(1) {
        Some(port) => port.parse().map_err(|_| format!("`{port}` is not a port"))?,
        None => 0,
    };
    let simulator = builder(port).start().await?;
    println!("{}", instructions(&simulator));
    std::future::pending().await
}

/// It may run for days, and nobody looks at what was sent: so no request is kept.
pub(crate) fn builder(port: u16) -> Builder {
    Simulator::builder()
        .port(port)
        .clock(SimulatedClock::Scaled(1.0))
        .default_run(RunPlan::succeeds().pending(Duration::from_secs(1)).running(Duration::from_secs(5)))
        .record_requests(false)
}

pub(crate) fn instructions(simulator: &Simulator) -> String {
    let (url, key, secret) = (simulator.url(), simulator.api_key(), simulator.webhook_secret());
    format!(
        "AgentGate is simulated at {url}. Stop it with Ctrl-C.

Use it in another terminal:

export AGENTGATE_BASE_URL={url}
export AGENTGATE_API_KEY={key}

Deliveries to the `webhookUrl` of a work order are signed with this secret. A webhook has a secret of its own, in the response to its
creation:

export AGENTGATE_WEBHOOK_SECRET={secret}

{CURL}"
    )
}

const CURL: &str = r#"curl "$AGENTGATE_BASE_URL/v1/work-orders" \
  -H "Authorization: Bearer $AGENTGATE_API_KEY" -H "Content-Type: application/json" \
  -d '{"taskPrompt": "Add error handling to the API routes",
       "workspaceSource": {"type": "git", "repository": "https://github.com/your-org/your-repo"}}'

curl "$AGENTGATE_BASE_URL/v1/runs" -H "Authorization: Bearer $AGENTGATE_API_KEY""#;
