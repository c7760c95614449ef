//! Shared helpers of the integration tests: clocks, scripted servers, deliveries, and a call of each operation.

#![allow(
    deprecated,
    missing_docs,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::return_self_not_must_use,
    reason = "for this repository's tests alone"
)]

pub mod calls;
pub mod clock;
pub mod deliver;
pub mod delivery;
mod faults;
pub mod gateway;
pub mod logs;
pub mod proxy;
pub mod script;
pub mod time;
pub mod tls;

pub use calls::{Form, Outcome, call, call_with, example_id, prepare};
pub use faults::wire_faults;

use serde_json::{Value, json};

/// The text of the contract.
pub const CONTRACT: &str = include_str!("../../openapi.yaml");

/// Checks that no message in an error's source chain repeats another, as reports print the whole chain.
pub fn assert_chain_repeats_nothing(error: &(dyn std::error::Error + 'static)) {
    let chain: Vec<String> =
        std::iter::successors(Some(error), |&error| error.source()).map(ToString::to_string).collect();
    for (place, above) in chain.iter().enumerate() {
        for below in &chain[place + 1..] {
            assert!(!above.contains(below.trim_end_matches('.')), "{chain:#?}");
        }
    }
}

/// Replaces each parameter of a path, such as `{id}`, with this text.
#[must_use]
pub fn fill(path: &str, text: &str) -> String {
    // `{id}`, or `{id}:verb`.
    let segments = path.split('/').map(|segment| match segment.split_once('}') {
        Some((_, verb)) => format!("{text}{verb}"),
        None => segment.to_owned(),
    });
    segments.collect::<Vec<_>>().join("/")
}

/// A field that the contract does not have.
pub const UNKNOWN_FIELD: &str = "unknownField";

/// Normalizes a value for comparison: no empty values, no unknown fields, and all numbers as floating-point numbers.
#[must_use]
pub fn normalized(value: &Value) -> Value {
    let is_significant = |value: &Value| match value {
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    };
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(items) => items.iter().map(normalized).collect(),
        Value::Object(fields) => {
            let fields =
                fields.iter().filter(|(name, _)| *name != UNKNOWN_FIELD).map(|(name, value)| (name, normalized(value)));
            Value::Object(
                fields.filter(|(_, value)| is_significant(value)).map(|(name, value)| (name.clone(), value)).collect(),
            )
        }
        value => value.clone(),
    }
}
