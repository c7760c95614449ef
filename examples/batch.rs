//! Submits a work order for each line of a file or of the standard input, waits for all runs, and prints a table:
//!
//! ```text
//! cargo run -p agentgate --example batch -- https://github.com/your-org/your-repo prompts.txt
//! ```
//!
//! The exit code is 0 if all runs have succeeded, 1 if any has not, and 2 if nothing could be submitted. The client
//! respects the rate limit, and the waits share their polls, so only your credits limit the number of lines.

use std::io;
use std::process::ExitCode;
use std::time::Duration;
use std::{env, fs};

use agentgate::types::{GitWorkspaceSource, Run, RunTiming};
use agentgate::{Client, Error, WorkspaceSource};
use tokio::task::JoinSet;

/// Time limit for each run.
const TIMEOUT: Duration = Duration::from_secs(2 * 60 * 60);

const USAGE: &str = "usage: batch <repository> [<file of prompts>]";

#[tokio::main]
async fn main() -> ExitCode {
    match batch(env::args().skip(1)).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("batch: {error}");
            ExitCode::from(2)
        }
    }
}

/// Returns `true` if all runs have succeeded.
async fn batch(mut arguments: impl Iterator<Item = String>) -> Result<bool, Box<dyn std::error::Error>> {
    let source = WorkspaceSource::git(arguments.next().ok_or(USAGE)?);
    let text = match arguments.next() {
        Some(file) => fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"))?,
        None => io::read_to_string(io::stdin().lock())?,
    };
    let prompts: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();

    let client = Client::builder().user_agent("batch/1.0").from_env()?.build()?;
    client.ping().await?; // one error for an invalid key, instead of one per line

    let mut runs = JoinSet::new();
    for (index, prompt) in prompts.iter().cloned().enumerate() {
        let (client, source) = (client.clone(), source.clone());
        runs.spawn(async move { (index, run(&client, prompt, source).await) });
    }
    let mut results = Vec::new();
    while let Some(ended) = runs.join_next().await {
        results.push(ended?);
        eprintln!("{} of {} runs have ended", results.len(), prompts.len());
    }
    results.sort_by_key(|(index, _)| *index);

    println!("{:<32} {:<10} {:>8} {:>8}  result", "prompt", "status", "seconds", "credits");
    for (index, result) in &results {
        print_row(&prompts[*index], result);
    }
    Ok(results.iter().all(|(_, result)| result.is_ok()))
}

/// Submits a work order, and waits until its run has succeeded. A failed run is an error that holds the run.
async fn run(client: &Client, prompt: String, source: GitWorkspaceSource) -> Result<Run, Error> {
    let order = client.work_orders().create(prompt, source).metadata("submitted-by", "batch");
    order.and_wait().timeout(TIMEOUT).await?.succeeded()
}

fn print_row(prompt: &str, result: &Result<Run, Error>) {
    let run = result.as_ref().map_or_else(Error::run, Some);
    let status = match result {
        Ok(run) => run.status.as_str(),
        Err(error) => error.run_status().map_or("no run", |status| status.as_str()),
    };
    let seconds = run.and_then(|run| run.timing.as_ref()).and_then(RunTiming::duration).map(|time| time.as_secs());
    let credits = run.and_then(|run| run.cost.as_ref()).and_then(|cost| cost.credits);
    let text = match result {
        Ok(run) => run.pr_url.clone().unwrap_or_default(),
        Err(error) => error.to_string(),
    };
    println!("{prompt:<32.32} {status:<10} {:>8} {:>8}  {text}", or_dash(seconds), or_dash(credits));
}

fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}
