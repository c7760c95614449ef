//! The parts of the library's generator that read a contract, so that tasks over it work while the library does not compile.
//! They name this module `crate::build`.

#![allow(dead_code, unreachable_pub, reason = "the generator uses more of these modules than the tasks here do")]

#[path = "../../build/contract.rs"]
mod contract;
#[path = "../../build/diff.rs"]
pub mod diff;
#[path = "../../build/merge.rs"]
mod merge;
#[path = "../../build/mistake.rs"]
mod mistake;
#[path = "../../build/openapi.rs"]
mod openapi;
#[path = "../../build/rewrite.rs"]
mod rewrite;
#[path = "../../build/check/shape.rs"]
pub mod shape;
#[path = "../../build/yaml.rs"]
mod yaml;

mod check {
    pub use super::shape;
}

pub use contract::parse;
