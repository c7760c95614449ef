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
pub mod gateway;
pub mod proxy;
pub mod script;
pub mod time;
pub mod told;

pub use calls::{Answered, Form, call, call_with, prepare};

/// The text of the contract.
pub const CONTRACT: &str = include_str!("../../openapi.yaml");

/// The path with this text in the place of each parameter, such as `{id}`.
#[must_use]
pub fn fill(path: &str, text: &str) -> String {
    let segments = path.split('/').map(|segment| if segment.starts_with('{') { text } else { segment });
    segments.collect::<Vec<_>>().join("/")
}
