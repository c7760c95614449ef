//! Calls that succeed and calls that fail: requests on the wire, decoded responses, errors, and what is traced.

mod compression;
mod decode;
mod errors;
mod extras;
mod observability;
mod operations;
mod raw_request;
mod secrets;
mod setup;
mod wire;
