//! A check for cron: compares the credits with a minimum, and lists the runs that failed during the last day.
//!
//! ```text
//! 0 7 * * *  daily_check 50000 || mail-the-team
//! ```
//!
//! It prints one line of JSON. The exit code is 0 without findings, 1 with findings, and 2 if the check itself has
//! failed. It does not need `async`, so it uses the blocking client.

use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use agentgate::blocking::{BlockingStream as _, Call as _, Client};
use agentgate::chrono::{DateTime, TimeDelta, Utc};
use agentgate::serde_json::json;
use agentgate::types::{RunId, RunStatus, RunSummary};

/// Time limit for each call, including retries.
const DEADLINE: Duration = Duration::from_secs(5 * 60);

fn main() -> ExitCode {
    match check() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("{}", json!({"check": "failed", "error": error.to_string()}));
            ExitCode::from(2)
        }
    }
}

/// Returns `true` without findings.
fn check() -> Result<bool, Box<dyn Error>> {
    let minimum: i64 = match env::args().nth(1) {
        Some(cents) => cents.parse().map_err(|_| format!("`{cents}` is not a number of cents"))?,
        None => 0,
    };
    let now = Utc::now();
    let client = Client::builder().deadline(DEADLINE).from_env()?.build_blocking()?;
    let credits = client.credits().balance().send()?.total_credits_cents.ok_or("the balance has no total")?;
    let failed = failed_since(&client, now - TimeDelta::days(1))?;

    let is_ok = credits >= minimum && failed.is_empty();
    let check = if is_ok { "ok" } else { "alert" };
    println!("{}", json!({"time": now, "check": check, "credits_cents": credits, "failed_runs": failed}));
    Ok(is_ok)
}

/// Returns the runs that have failed since a time. Lists have neither a time filter nor a documented order, so this
/// reads all failed runs.
fn failed_since(client: &Client, since: DateTime<Utc>) -> agentgate::Result<Vec<RunId>> {
    let is_recent = |run: &RunSummary| run.completed_at.or(run.created_at).is_none_or(|ended| ended >= since);
    let mut failed = Vec::new();
    for run in client.runs().list().status(RunStatus::Failed).items().blocking() {
        let run = run?;
        if is_recent(&run) {
            failed.push(run.id);
        }
    }
    Ok(failed)
}
