//! Fetches a run with the SDK.

#[path = "../run.rs"]
mod run;

use std::error::Error;

use agentgate::Client;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    run::run(
        |base_url| Client::builder().base_url(base_url).api_key("org_live_xxxxxxxx").build(),
        |client| async move { client.runs().get("run_3n9x2p").await.map(drop) },
    )
    .await
}
