//! The parts of the library's generator that read a contract, so that tasks over it work while the library does not
//! compile. They name this module `crate::build`.

#![allow(dead_code, unreachable_pub, reason = "the generator uses more of these modules than the tasks here do")]

#[path = "../../build/contract.rs"]
pub mod contract;
#[path = "../../build/error.rs"]
mod error;
#[path = "../../build/formats.rs"]
pub mod formats;
#[path = "../../build/check/keywords.rs"]
pub mod keywords;
#[path = "../../build/merge_all_of.rs"]
mod merge_all_of;
#[path = "../../build/normalize.rs"]
pub mod normalize;
#[path = "../../build/openapi.rs"]
pub mod openapi;
#[path = "../../build/parse.rs"]
mod parse;
#[path = "../../build/spelling.rs"]
mod spelling;
#[path = "../../build/yaml.rs"]
mod yaml;

mod check {
    pub use super::keywords;
}

pub use parse::parse;
