//! One private function for each operation, generated from the contract. It builds the request.

#![allow(
    clippy::all,
    clippy::pedantic,
    dead_code,
    deprecated,
    missing_debug_implementations,
    missing_docs,
    unreachable_pub,
    reason = "generated code"
)]

include!(concat!(env!("OUT_DIR"), "/endpoints.rs"));
