//! The integration tests of `agentgate`, by topic: `cargo test -p agentgate-tests --test it rate_limit::` runs one of them.

#![allow(deprecated, reason = "the contract may deprecate what is tested")]

mod blocking;
/// What `build.rs` is made of. It names itself `crate::build`.
#[path = "../../build/mod.rs"]
mod build;
mod client;
mod contract;
#[path = "../../xtask/src/differences.rs"]
mod differences;
mod follow;
mod json;
mod lists;
mod rate_limit;
mod retry;
mod simulator;
mod test_util;
mod webhook;
