//! Functions that use AgentGate, and their unit tests against the simulator:
//!
//! ```text
//! cargo test -p agentgate --example unit_tests --features simulator
//! ```
//!
//! The functions take the client as an argument, so that a test hands over one for a simulator. The tests need no network, no key and
//! no time: simulated time passes when a test says so.

use agentgate::types::{RunId, RunStatus};
use agentgate::{Client, Error, ErrorKind, WorkspaceSource};

#[tokio::main]
async fn main() -> agentgate::Result<()> {
    let client = Client::from_env()?;
    match submit(&client, "Fix the flaky test of the date parser").await? {
        Submission::Accepted(run) => println!("{run}: {:?}", progress(&client, &run).await?),
        Submission::NoCredits { missing } => println!("{missing} credits are missing"),
    }
    Ok(())
}

/// The result of a submission, as this program sees it.
#[derive(Debug, PartialEq)]
enum Submission {
    Accepted(RunId),
    NoCredits { missing: f64 },
}

/// The progress of a run, as this program sees it.
#[derive(Debug, PartialEq)]
enum Progress {
    Working,
    Done { pull_request: Option<String> },
    Failed { reason: String },
}

async fn submit(client: &Client, prompt: &str) -> Result<Submission, Error> {
    let order = client.work_orders().create(prompt, WorkspaceSource::template("python-flask"));
    match order.await {
        Ok(order) => Ok(Submission::Accepted(order.run_id)),
        Err(error) if error.kind() == ErrorKind::InsufficientCredits => {
            let missing = error.credits().map_or(0.0, |credits| credits.required - credits.available);
            Ok(Submission::NoCredits { missing })
        }
        Err(error) => Err(error),
    }
}

async fn progress(client: &Client, run: &RunId) -> Result<Progress, Error> {
    let run = client.runs().get(run).await?;
    Ok(match run.status {
        RunStatus::Succeeded => Progress::Done { pull_request: run.pr_url },
        RunStatus::Failed | RunStatus::Cancelled => {
            let reason = run.error.and_then(|error| error.message);
            Progress::Failed { reason: reason.unwrap_or_else(|| run.status.to_string()) }
        }
        _ => Progress::Working, // also statuses that do not exist today
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use agentgate::simulator::{Fault, RunPlan, Simulator};

    use super::*;

    async fn simulated() -> (Simulator, Client) {
        let simulator = Simulator::start().await.unwrap();
        let client = Client::builder().base_url(simulator.url()).api_key(simulator.api_key()).build().unwrap();
        (simulator, client)
    }

    async fn submitted(client: &Client) -> RunId {
        match submit(client, "Fix it").await.unwrap() {
            Submission::Accepted(run) => run,
            Submission::NoCredits { missing } => panic!("{missing} credits are missing"),
        }
    }

    #[tokio::test]
    async fn a_run_works_until_it_is_done() {
        let (simulator, client) = simulated().await;
        let url = "https://github.com/your-org/your-repo/pull/7";
        simulator.next_run(RunPlan::succeeds().running(Duration::from_secs(60)).pull_request(url));

        let run = submitted(&client).await;
        assert_eq!(progress(&client, &run).await.unwrap(), Progress::Working);
        simulator.advance(Duration::from_secs(120));
        assert_eq!(progress(&client, &run).await.unwrap(), Progress::Done { pull_request: Some(url.to_owned()) });
    }

    #[tokio::test]
    async fn a_failed_run_gives_its_reason() {
        let (simulator, client) = simulated().await;
        simulator.next_run(RunPlan::fails("TESTS_FAILED", "2 of 14 tests failed"));

        let run = submitted(&client).await;
        simulator.advance(Duration::from_secs(3600));
        assert_eq!(
            progress(&client, &run).await.unwrap(),
            Progress::Failed { reason: "2 of 14 tests failed".to_owned() }
        );
    }

    #[tokio::test]
    async fn missing_credits_are_counted_and_nothing_is_submitted() {
        let (simulator, client) = simulated().await;
        simulator.set_credits(0);

        let refused = submit(&client, "Fix it").await.unwrap();
        assert!(matches!(refused, Submission::NoCredits { missing } if missing > 0.0), "{refused:?}");
        assert_eq!(simulator.work_order_count(), 0);
    }

    #[tokio::test]
    async fn a_key_that_is_refused_is_an_error() {
        let (simulator, client) = simulated().await;
        simulator.inject(Fault::error("INVALID_API_KEY"));

        assert!(submit(&client, "Fix it").await.unwrap_err().is_authentication());
    }
}
