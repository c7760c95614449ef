//! Generates Rust from `openapi.yaml`:
//!
//! ```text
//! text ──parse───▶ document ─normalize─▶ document ─check─▶ document ─mapping─▶ the type of each schema
//!                                                              │                       │
//!                                                              ├─▶ structs, emit ──────┴─▶ types.rs
//!                                                              ├─▶ prepare ─▶ progenitor ▶ endpoints.rs
//!                                                              ├─▶ calls ────────────────▶ calls.rs
//!                                                              ├─▶ emit ─────────────────▶ operations.rs
//!                                                              └─▶ examples ─────────────▶ examples.rs
//! ```
//!
//! An error in the contract becomes one [`SpecError`] that names its place. No contract causes a panic.

#![allow(unreachable_pub, reason = "a build script exports nothing; `pub` says what the other modules may use")]
#![allow(dead_code, reason = "the library's build and the tests' use different parts")]

pub mod calls;
mod check;
pub mod contract;
pub mod emit;
pub mod error;
pub mod examples;
mod generate;
mod handwritten_methods;
pub mod kinds;
pub mod names;
pub mod normalize;
pub mod parse;
pub mod postprocess;
mod progenitor_input;
pub mod reachable_schemas;
pub mod schema_types;
mod shapes;
pub mod structs;
mod structure;
pub mod yaml;

use calls::endpoint::Context;
use error::SpecError;
use handwritten_methods::HandwrittenMethods;

/// The generated sources, one for each file in `OUT_DIR`.
pub struct Generated {
    /// The public types: structs, ids, open enums, open unions, the data of events.
    pub types: String,
    /// One private function for each operation.
    pub endpoints: String,
    /// The public calls: a handle for each resource, a method for each operation.
    pub calls: String,
    /// The table of operations: name, method, path, scope.
    pub operations: String,
    /// The examples of responses, for the simulator.
    pub examples: String,
}

/// Generates all sources from the text of a contract.
pub fn generate(text: &str) -> Result<Generated, SpecError> {
    with_context(text, |context| {
        Ok(Generated {
            types: postprocess::render(&types(context)?),
            endpoints: postprocess::render(context.endpoints),
            calls: postprocess::render(&calls::calls(context)?),
            operations: postprocess::render(&emit::operations(context.document)?),
            examples: postprocess::render(&examples::responses(context.document)?),
        })
    })
}

/// Generates the public code: the types, the calls, and the table of operations.
pub fn public_code(text: &str) -> Result<[syn::File; 3], SpecError> {
    with_context(text, |context| Ok([types(context)?, calls::calls(context)?, emit::operations(context.document)?]))
}

/// Reads a contract, and calls a function with its context.
pub fn with_context<T>(text: &str, write: impl FnOnce(&Context<'_>) -> Result<T, SpecError>) -> Result<T, SpecError> {
    let mut document = parse::parse(text)?;
    normalize::normalize(&mut document);
    check::check(&document)?;
    let mappings = schema_types::of_document(&document)?;
    check::types(&document, &mappings)?;
    let prepared = progenitor_input::prepare(&document, &mappings);
    let code = generate::generate(&prepared, &mappings)?;
    let endpoints = postprocess::functions(code)?;
    let handwritten = HandwrittenMethods::read();
    write(&Context { document: &document, mappings: &mappings, endpoints: &endpoints, handwritten })
}

fn types(context: &Context<'_>) -> Result<syn::File, SpecError> {
    let (document, mappings) = (context.document, context.mappings);
    let mut tokens = shapes::shapes(document, mappings);
    tokens.extend(structs::structs(document, mappings));
    tokens.extend(emit::types(document, mappings));
    syn::parse2(tokens).map_err(|error| SpecError::at("components.schemas", format!("the types are not Rust: {error}")))
}
