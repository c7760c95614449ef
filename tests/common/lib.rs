//! What the integration tests share: clocks, servers that follow a script, deliveries, and a call of each operation.

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
pub mod proxy;
pub mod script;
pub mod time;
pub mod told;

pub use calls::{Answered, Form, call, call_with, prepare};
pub use faults::wire_faults;

/// The text of the contract.
pub const CONTRACT: &str = include_str!("../../openapi.yaml");

/// Checks that an error and what is behind it say nothing twice, as a report prints the whole chain.
pub fn assert_says_nothing_twice(error: &(dyn std::error::Error + 'static)) {
    let chain: Vec<String> =
        std::iter::successors(Some(error), |&error| error.source()).map(ToString::to_string).collect();
    for (place, above) in chain.iter().enumerate() {
        for below in &chain[place + 1..] {
            assert!(!above.contains(below.trim_end_matches('.')), "{chain:#?}");
        }
    }
}

/// The path with this text in the place of each parameter, such as `{id}`.
#[must_use]
pub fn fill(path: &str, text: &str) -> String {
    let segments = path.split('/').map(|segment| if segment.starts_with('{') { text } else { segment });
    segments.collect::<Vec<_>>().join("/")
}
