//! Fetches a run by the SDK, as often as it can: `peer <base URL> <seconds> <at a time>`. Prints how often, and ends with its input.

use std::env::args;
use std::error::Error;
use std::io::{read_to_string, stdin};
use std::time::{Duration, Instant};

use agentgate::Client;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = args().collect();
    let [_, base_url, seconds, at_a_time] = arguments.as_slice() else { return Err("three arguments".into()) };
    let end = Instant::now() + Duration::from_secs(seconds.parse()?);
    let client = Client::builder().base_url(base_url).api_key("org_live_xxxxxxxx").build()?;
    let tasks: Vec<_> = (0..at_a_time.parse()?)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                let mut calls = 0;
                while Instant::now() < end {
                    client.runs().get("run_3n9x2p").await?;
                    calls += 1;
                }
                Ok::<u32, agentgate::Error>(calls)
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
