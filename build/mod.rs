//! From `openapi.yaml` to Rust, in one direction:
//!
//! ```text
//! text ─contract─▶ document ─rewrite─▶ document ─check─▶ document ─mapping─▶ what each schema becomes
//!                                                            │                       │
//!                                                            ▼                       ▼
//!                                                         prepare ───▶ generate ───▶ polish ──▶ types.rs
//!                                                      (for progenitor)    ├──────────────────▶ endpoints.rs
//!                                                                          └─▶ calls ─────────▶ calls.rs
//!                                                                          emit ──────────────▶ operations.rs
//!                                                                          examples ──────────▶ examples.rs
//! ```
//!
//! A mistake in the contract becomes one [`Mistake`] that names its place; nothing here panics on a contract's account.

#![allow(unreachable_pub, reason = "a build script exports nothing; `pub` says what the other modules may use")]
#![allow(dead_code, reason = "the library's build and the tests' use different parts")]

mod calls;
mod check;
mod contract;
#[cfg(test)]
pub mod diff;
mod emit;
mod examples;
mod generate;
mod mapping;
mod merge;
mod mistake;
mod names;
mod openapi;
#[cfg(test)]
pub mod outline;
mod polish;
mod prepare;
mod refinements;
mod rewrite;
pub mod yaml;

use calls::Context;
pub use mistake::Mistake;
use refinements::Refinements;

/// The generated sources, each the text of a file in `OUT_DIR`.
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

/// Everything that is generated from the text of a contract.
pub fn generate(text: &str) -> Result<Generated, Mistake> {
    with_context(text, |context| {
        Ok(Generated {
            types: polish::render(context.types),
            endpoints: polish::render(context.endpoints),
            calls: polish::render(&calls::calls(context)?),
            operations: polish::render(&emit::operations(context.document)?),
            examples: polish::render(&examples::responses(context.document)?),
        })
    })
}

/// The source of a call of each operation, made of the contract's examples, for the tests.
pub fn example_calls(text: &str) -> Result<String, Mistake> {
    with_context(text, |context| Ok(polish::render(&examples::calls(context)?)))
}

fn with_context<T>(text: &str, write: impl FnOnce(&Context<'_>) -> Result<T, Mistake>) -> Result<T, Mistake> {
    let mut document = contract::parse(text)?;
    rewrite::rewrite(&mut document)?;
    check::check(&document)?;
    let mappings = mapping::of_document(&document)?;
    check::types(&document, &mappings)?;
    let prepared = prepare::prepare(&document, &mappings);
    let code = generate::generate(&prepared, &mappings)?;
    names::check_endpoints(&document, &code)?;
    let (types, endpoints) = polish::split(code)?;
    let types = polish::types(types, &mappings, &document)?;
    let refinements = Refinements::read()?;
    write(&Context { document: &document, mappings: &mappings, endpoints: &endpoints, types: &types, refinements })
}
