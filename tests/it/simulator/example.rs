//! The simulator that stands alone: `examples/simulator.rs`.

#[path = "../../../examples/simulator.rs"]
#[allow(dead_code, reason = "it is not run as a program here")]
mod stand_alone;

use agentgate::Client;

#[tokio::test]
async fn the_stand_alone_simulator_keeps_no_request_and_no_delivery() {
    let simulator = stand_alone::builder(0).start().await.unwrap();
    let client = Client::builder().api_key(simulator.api_key()).base_url(simulator.url()).build().unwrap();
    client.runs().list().await.unwrap();
    assert_eq!(simulator.request_count(), 1);
    assert!(simulator.requests().is_empty() && simulator.deliveries().is_empty());
}

#[tokio::test]
async fn the_stand_alone_simulator_prints_all_that_a_program_needs() {
    let simulator = stand_alone::builder(0).start().await.unwrap();
    let printed = stand_alone::instructions(&simulator);
    for (variable, value) in [
        ("AGENTGATE_BASE_URL", simulator.url()),
        ("AGENTGATE_API_KEY", simulator.api_key()),
        ("AGENTGATE_WEBHOOK_SECRET", simulator.webhook_secret()),
    ] {
        assert!(printed.contains(&format!("export {variable}={value}\n")), "{variable} is not in {printed}");
    }
}
