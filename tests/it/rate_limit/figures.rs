//! Measures the time of a call by the number of calls that wait with it:
//! `cargo test --release -p agentgate-tests --test it -- --ignored --nocapture figures`.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use agentgate::resources::CallFuture;
use agentgate::test_util::{Replay, Reply, TokioClock};
use agentgate::{Client, Clock as _, WorkspaceSource};
use serde_json::json;
use tokio::task::JoinSet;

const DAYS: Duration = Duration::from_secs(100 * 24 * 60 * 60);

/// Returns a client of a service that allows 100 requests in each minute.
fn client() -> Client {
    let clock = TokioClock::new();
    let start = clock.now();
    let mut window = (0, 0);
    let replay = Replay::with(move |request| {
        let minute = (clock.now() - start).num_minutes();
        window = if window.0 == minute { (minute, window.1 + 1) } else { (minute, 1) };
        let reply = match request.method().as_str() {
            "POST" => Reply::json(json!({ "workOrderId": "wo_1", "runId": "run_1", "status": "pending" })),
            _ => Reply::json(json!({ "includedCreditsCents": 1, "totalCreditsCents": 1 })),
        };
        let reset = start.timestamp() + 60 * (minute + 1);
        reply
            .header("x-ratelimit-limit", "100")
            .header("x-ratelimit-remaining", &(100_i64 - window.1).max(0).to_string())
            .header("x-ratelimit-reset", &reset.to_string())
    });
    Client::builder().replay(&replay).clock(clock).build().unwrap()
}

#[tokio::test(start_paused = true)]
#[ignore = "it measures"]
async fn the_time_of_a_call_hardly_grows_with_the_number_of_those_that_wait() {
    println!("    calls          waiting  with a deadline      submissions   (µs a call)");
    for count in [100, 1_000, 10_000, 30_000_u32] {
        let mut line = format!("{count:9}");
        for kind in 0..3 {
            let client = client();
            client.credits().balance().await.unwrap();
            let call = || -> CallFuture<()> {
                let client = client.clone();
                match kind {
                    0 => Box::pin(async move { client.credits().balance().await.map(drop) }),
                    1 => Box::pin(async move { client.credits().balance().deadline(DAYS).await.map(drop) }),
                    _ => Box::pin(async move {
                        client.work_orders().create("Fix it", WorkspaceSource::git("r")).await.map(drop)
                    }),
                }
            };
            let start = Instant::now();
            let calls: JoinSet<_> = (0..count).map(|_| call()).collect();
            assert!(calls.join_all().await.iter().all(Result::is_ok));
            let each = start.elapsed().as_secs_f64() * 1e6 / f64::from(count);
            write!(line, "{each:17.1}").unwrap();
        }
        println!("{line}");
    }
}
