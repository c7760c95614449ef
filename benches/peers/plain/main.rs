//! Fetches a run by plain reqwest, as often as it can: `peer <base URL> <seconds> <at a time>`. Prints how often, and ends with its input.

use std::env::args;
use std::error::Error;
use std::io::{read_to_string, stdin};
use std::time::{Duration, Instant};

use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "they are read as a program would read them")]
struct Run {
    id: String,
    work_order_id: String,
    status: String,
    iterations: Option<u32>,
    pr_url: Option<String>,
    timing: Option<Timing>,
    cost: Option<Cost>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "they are read as a program would read them")]
struct Timing {
    started_at: Option<String>,
    completed_at: Option<String>,
    duration_ms: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "they are read as a program would read them")]
struct Cost {
    credits: Option<f64>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = args().collect();
    let [_, base_url, seconds, at_a_time] = arguments.as_slice() else { return Err("three arguments".into()) };
    let end = Instant::now() + Duration::from_secs(seconds.parse()?);
    let client = reqwest::Client::builder().timeout(Duration::from_secs(30)).build()?;
    let tasks: Vec<_> = (0..at_a_time.parse()?)
        .map(|_| {
            let client = client.clone();
            let url = format!("{base_url}/v1/runs/run_3n9x2p");
            tokio::spawn(async move {
                let mut calls = 0;
                while Instant::now() < end {
                    let request = client.get(&url).bearer_auth("org_live_xxxxxxxx");
                    request.send().await?.error_for_status()?.json::<Run>().await?;
                    calls += 1;
                }
                Ok::<u32, reqwest::Error>(calls)
            })
        })
        .collect();
    let mut calls = 0;
    for task in tasks {
        calls += task.await??;
    }
    println!("{calls}");
    read_to_string(stdin())?;
    Ok(())
}
