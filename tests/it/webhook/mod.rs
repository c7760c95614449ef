//! Receiving deliveries.

mod actix;
mod allocations;
mod axum;
mod dependencies;
mod errors;
mod examples;
mod forgeries;
mod http;
mod once;
mod properties;
mod python;
pub(crate) mod redis;
mod secrets;
mod vectors;
