//! Holds a contract against the rules that the generator and the SDK rely on.
//!
//! Each rule ends in a sentence that says what to write instead, because whoever meets it is editing YAML,
//! not this code.

mod effects;
pub mod errors;
mod events;
mod inline;
mod operations;
mod schemas;
pub mod shape;
mod uses;

use serde_json::Value;

use super::error::SpecError;
use super::mapping::Mappings;

/// The first mistake of a document, if there is one.
pub fn check(document: &Value) -> Result<(), SpecError> {
    operations::check(document)?;
    schemas::check(document)?;
    errors::check(document)?;
    events::check(document)
}

/// The first mistake in how a document uses its types, if there is one.
pub fn types(document: &Value, mappings: &Mappings) -> Result<(), SpecError> {
    uses::check(document, mappings)?;
    effects::check(document, mappings)
}
