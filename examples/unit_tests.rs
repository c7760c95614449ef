//! A function that uses AgentGate, and its unit tests against the simulator:
//!
//! ```text
//! cargo test -p agentgate --example unit_tests --features simulator
//! ```
//!
//! The function takes the client as an argument, so a test can pass one for a simulator. The tests need no network and
//! no key, and take no time: the client sleeps on the simulator's clock, which advances while everything sleeps.

use std::time::Duration;

use agentgate::follow::FinishedRun;
use agentgate::{Client, Error, ErrorKind, WorkspaceSource};

#[tokio::main]
async fn main() -> agentgate::Result<()> {
    match fix(&Client::from_env()?, "Fix the flaky test of the date parser").await? {
        Outcome::Done { pull_request } => println!("done: {}", pull_request.unwrap_or_default()),
        Outcome::Failed { reason } => println!("failed: {reason}"),
        Outcome::TooSlow => println!("cancelled after the timeout"),
        Outcome::NoCredits { missing } => println!("{missing} credits are missing"),
    }
    Ok(())
}

/// The outcome of a work order in the terms of this program.
#[derive(Debug, PartialEq)]
enum Outcome {
    Done { pull_request: Option<String> },
    Failed { reason: String },
    TooSlow,
    NoCredits { missing: f64 },
}

/// The function under test.
async fn fix(client: &Client, prompt: &str) -> Result<Outcome, Error> {
    let order = client.work_orders().create(prompt, WorkspaceSource::template("python-flask"));
    let finished = order.and_wait().timeout(Duration::from_secs(30 * 60)).cancel_on_timeout().await;
    let error = match finished.and_then(FinishedRun::succeeded) {
        Ok(run) => return Ok(Outcome::Done { pull_request: run.pr_url }),
        Err(error) => error,
    };
    match error.kind() {
        ErrorKind::RunFailed => {
            let reason = error.run().and_then(|run| run.error.as_ref()?.message.clone());
            Ok(Outcome::Failed { reason: reason.unwrap_or_default() })
        }
        ErrorKind::WaitTimeout => Ok(Outcome::TooSlow),
        ErrorKind::InsufficientCredits => {
            let missing = error.credits().map_or(0.0, |credits| credits.required - credits.available);
            Ok(Outcome::NoCredits { missing })
        }
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use agentgate::simulator::{Fault, RunPlan, Simulator};

    use super::*;

    async fn simulated() -> (Simulator, Client) {
        let simulator = Simulator::start().await.unwrap();
        let client = Client::builder().base_url(simulator.url()).api_key(simulator.api_key()).clock(simulator.clock());
        (simulator, client.build().unwrap())
    }

    #[tokio::test]
    async fn a_wait_for_a_run_of_twenty_minutes_returns_its_pull_request() {
        let (simulator, client) = simulated().await;
        let url = "https://github.com/your-org/your-repo/pull/7";
        simulator.next_run(RunPlan::succeeds().running(Duration::from_secs(20 * 60)).pull_request(url));

        let outcome = fix(&client, "Fix it").await.unwrap();
        assert_eq!(outcome, Outcome::Done { pull_request: Some(url.to_owned()) });
    }

    #[tokio::test]
    async fn a_failed_run_returns_its_reason() {
        let (simulator, client) = simulated().await;
        simulator.next_run(RunPlan::fails("TESTS_FAILED", "2 of 14 tests failed"));

        let outcome = fix(&client, "Fix it").await.unwrap();
        assert_eq!(outcome, Outcome::Failed { reason: "2 of 14 tests failed".to_owned() });
    }

    #[tokio::test]
    async fn a_run_that_exceeds_the_timeout_is_cancelled() {
        let (simulator, client) = simulated().await;
        simulator.next_run(RunPlan::succeeds().forever());

        assert_eq!(fix(&client, "Fix it").await.unwrap(), Outcome::TooSlow);
        let run = client.runs().get("run_000001").await.unwrap();
        assert_eq!(run.status.as_str(), "cancelled");
    }

    #[tokio::test]
    async fn nothing_is_submitted_without_enough_credits() {
        let (simulator, client) = simulated().await;
        simulator.set_credits(0);

        let outcome = fix(&client, "Fix it").await.unwrap();
        assert!(matches!(outcome, Outcome::NoCredits { missing } if missing > 0.0), "{outcome:?}");
        assert_eq!(simulator.work_order_count(), 0);
    }

    #[tokio::test]
    async fn a_lost_response_does_not_start_a_second_run() {
        let (simulator, client) = simulated().await;
        simulator.inject(Fault::close().after_acting());

        assert!(matches!(fix(&client, "Fix it").await.unwrap(), Outcome::Done { .. }));
        assert_eq!(simulator.work_order_count(), 1);
    }
}
