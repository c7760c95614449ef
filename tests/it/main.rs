//! The integration tests of `agentgate`, by topic: `cargo test -p agentgate-tests --test it rate_limit::` runs one of
//! them.

#![allow(deprecated, reason = "the contract may deprecate what is tested")]

mod blocking;
/// The modules of `build.rs`, which refer to themselves as `crate::build`.
#[path = "../../build/mod.rs"]
mod build;
mod client;
mod contract;
#[path = "../../xtask/src/contract_differences.rs"]
mod contract_differences;
#[path = "../../xtask/src/contract_http.rs"]
mod contract_http;
mod follow;
mod json;
mod lists;
mod rate_limit;
mod retry;
mod simulator;
#[path = "contract/surface.rs"]
mod surface;
mod test_util;
mod webhook;
