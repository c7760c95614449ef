//! The examples of deliveries in the contract, as a receiver reads them.

use agentgate::types::EventData;
use agentgate::webhook::Event;
use serde_json::{Value, to_value, to_vec};

use crate::build::yaml;

/// Every example, and the event that is read from it.
fn examples() -> Vec<(Value, Event)> {
    let contract: Value = yaml::read(common::CONTRACT).unwrap();
    let examples = &contract["components"]["requestBodies"]["Delivery"]["content"]["application/json"]["examples"];
    let values = examples.as_object().unwrap().values().map(|example| example["value"].clone());
    values.map(|value| (value.clone(), Event::parse_unverified(&to_vec(&value).unwrap()).unwrap())).collect()
}

#[test]
fn every_example_of_the_contract_is_an_event_with_all_of_its_json() {
    for (example, event) in examples() {
        assert_eq!(event.json(), &example);
        assert_eq!(event.created_at.is_some(), example.get("createdAt").is_some());
    }
}

#[test]
fn every_example_of_the_contract_is_read_and_written_without_loss() {
    let with_data: Vec<_> = examples().into_iter().filter(|(example, _)| example.get("data").is_some()).collect();
    assert!(!with_data.is_empty());
    for (example, event) in with_data {
        assert!(!matches!(event.data, EventData::Other(_)), "{example}");
        assert_eq!(to_value(event.data).unwrap(), example["data"]);
    }
}
