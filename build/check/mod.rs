//! Checks a contract for the rules that the generator and the SDK rely on.
//!
//! Each error says what to write instead, as its reader edits YAML, not this code.

pub mod errors;
mod events;
mod ignored_parts;
mod inline;
mod operations;
mod schemas;
mod uses;

use serde_json::Value;

use super::error::SpecError;
use super::schema_types::Mappings;

/// Returns the first error of a document.
pub fn check(document: &Value) -> Result<(), SpecError> {
    operations::check(document)?;
    schemas::check(document)?;
    errors::check(document)?;
    events::check(document)
}

/// Returns the first error in the use of types.
pub fn types(document: &Value, mappings: &Mappings) -> Result<(), SpecError> {
    uses::check(document, mappings)?;
    ignored_parts::check(document, mappings)
}
