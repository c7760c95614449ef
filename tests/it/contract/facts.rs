//! Facts of the contract that the crate and its documentation repeat.

use agentgate::simulator::{Fault, Simulator};
use agentgate::{Client, Operation};
use common::call;
use serde_json::Value;

use crate::build::yaml;

fn contract() -> Value {
    yaml::read(common::CONTRACT).unwrap()
}

/// Returns the name of a header component and its example.
fn header(contract: &Value, name: &str) -> (String, String) {
    let header = contract.pointer(&format!("/components/headers/{name}")).unwrap();
    let responses = contract["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values());
    let reference = format!("#/components/headers/{name}");
    let of_response = |response: &Value| {
        let response = match response["$ref"].as_str() {
            Some(reference) => contract.pointer(reference.trim_start_matches('#')).unwrap(),
            None => response,
        };
        let headers = response["headers"].as_object()?;
        headers.iter().find(|(_, value)| value["$ref"] == *reference).map(|(name, _)| name.clone())
    };
    let found = responses
        .filter_map(|operation| operation["responses"].as_object())
        .find_map(|responses| responses.values().find_map(of_response));
    let example = &header["example"];
    (found.unwrap(), example.as_str().map_or_else(|| example.to_string(), str::to_owned))
}

#[tokio::test]
async fn the_client_reads_the_headers_of_the_contract() {
    let contract = contract();
    let names = ["RateLimitLimit", "RateLimitRemaining", "RateLimitReset", "RequestId", "RetryAfter"];
    let headers = names.map(|name| header(&contract, name));
    let simulator = Simulator::start().await.unwrap();
    let client =
        Client::builder().base_url(simulator.url()).api_key(simulator.api_key()).max_retries(0).build().unwrap();
    let fault = Fault::response(429, "application/json", r#"{"error": {"code": "RATE_LIMITED", "message": "m"}}"#);
    simulator.inject(headers.iter().fold(fault, |fault, (name, value)| fault.header(name, value)));
    let error = call(&client, Operation::GET_CREDITS.id(), "").await.unwrap_err();
    let limit = error.rate_limit().unwrap();
    let read = [
        limit.limit.unwrap().to_string(),
        limit.remaining.unwrap().to_string(),
        limit.reset_at.unwrap().timestamp().to_string(),
        error.request_id().unwrap().to_owned(),
        error.retry_after().unwrap().as_secs().to_string(),
    ];
    assert_eq!(read, headers.map(|(_, value)| value));
}

#[test]
fn the_verifier_reads_the_signature_header_of_the_contract() {
    let contract = contract();
    let name = contract["components"]["parameters"]["Signature"]["name"].as_str().unwrap();
    assert_eq!(agentgate::webhook::SIGNATURE_HEADER, name.to_ascii_lowercase());
}

#[test]
fn the_readme_names_the_server_url_of_the_contract() {
    let contract = contract();
    let address = contract["servers"][0]["url"].as_str().unwrap();
    let readme = include_str!("../../../README.md");
    assert!(readme.contains(&format!("`{address}`")), "{address}");
}
