//! Fetches a run with plain reqwest.

#[path = "../run.rs"]
mod run;

use std::error::Error;
use std::time::Duration;

use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "decoded as a program would decode them")]
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
#[expect(dead_code, reason = "decoded as a program would decode them")]
struct Timing {
    started_at: Option<String>,
    completed_at: Option<String>,
    duration_ms: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "decoded as a program would decode them")]
struct Cost {
    credits: Option<f64>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    run::run(
        |base_url| {
            let client = reqwest::Client::builder().timeout(Duration::from_secs(30)).build()?;
            Ok((client, format!("{base_url}/v1/runs/run_3n9x2p")))
        },
        |(client, url)| async move {
            let request = client.get(url).bearer_auth("org_live_xxxxxxxx");
            request.send().await?.error_for_status()?.json::<Run>().await.map(drop)
        },
    )
    .await
}
