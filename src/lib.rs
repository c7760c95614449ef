// The README's links by name lead to docs.rs. The same names, defined before, lead to the items of this version.
#![cfg_attr(feature = "full", doc = include_str!("links.md"))]
#![cfg_attr(not(doctest), doc = include_str!("../README.md"))]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![allow(deprecated, reason = "the contract may deprecate what this crate still reads")]
#![cfg_attr(not(test), warn(clippy::expect_used, clippy::panic, clippy::unwrap_used))]

#[cfg(feature = "blocking")]
pub mod blocking;
#[cfg(feature = "client")]
mod client;
#[cfg(any(feature = "client", feature = "simulator"))]
mod clock;
#[cfg(feature = "client")]
mod endpoints;
#[cfg(feature = "client")]
pub mod error;
#[cfg(any(feature = "client", feature = "webhooks"))]
mod error_causes;
#[cfg(any(feature = "simulator", feature = "test-util"))]
mod examples;
/// Events during calls, for metrics and logs. See
/// [`ClientBuilder::on_event`](crate::ClientBuilder::on_event).
#[cfg(feature = "client")]
pub mod events {
    pub use crate::rate_limit::WaitReason;
    pub use crate::transport::{Attempt, AttemptEnd, CallEnd, CallEvent, CallOutcome, Duplicate, RateLimitWait, Retry};
}
#[cfg(feature = "client")]
pub mod follow;
#[cfg(any(feature = "client", feature = "webhooks"))]
mod json;
mod operation;
/// Custom code around each attempt of a call. See [`Middleware`](crate::middleware::Middleware).
#[cfg(feature = "client")]
pub mod middleware {
    pub use crate::transport::{AttemptRequest, AttemptResponse, Middleware, MiddlewareFuture, Refusal};
}
#[cfg(any(feature = "client", feature = "webhooks"))]
mod bounded_map;
#[cfg(feature = "client")]
mod platform;
#[cfg(feature = "client")]
mod rate_limit;
mod redact;
#[cfg(feature = "redis")]
mod redis_login;
#[cfg(feature = "client")]
pub mod resources;
#[cfg(feature = "client")]
mod response;
#[cfg(feature = "client")]
mod run_until;
mod secret;
/// A rate limit that several processes share. See
/// [`ClientBuilder::shared_rate_limit`](crate::ClientBuilder::shared_rate_limit).
#[cfg(feature = "client")]
pub mod shared_rate_limit {
    pub use crate::rate_limit::{Lease, LeaseFuture, LeaseReport, LeaseRequest, SharedRateLimit};
    #[cfg(feature = "redis")]
    pub use crate::rate_limit::{RedisRateLimit, RedisRateLimitError};
}
#[cfg(feature = "simulator")]
pub mod simulator;
#[cfg(feature = "test-util")]
pub mod test_util;
#[cfg(feature = "client")]
mod transport;
pub mod types;
#[cfg(feature = "webhooks")]
pub mod webhook;

#[cfg(feature = "client")]
pub use client::{Client, ClientBuilder};
#[cfg(any(feature = "client", feature = "simulator"))]
pub use clock::Clock;
#[cfg(feature = "client")]
pub use error::{Error, ErrorKind, Result};
pub use operation::{Operation, UnknownOperation};
#[cfg(feature = "client")]
pub use rate_limit::RateLimitMode;
#[cfg(feature = "client")]
pub use response::{RateLimit, Response};
pub use secret::Secret;
#[cfg(feature = "client")]
pub use transport::CallOptions;
pub use types::WorkspaceSource;

/// Re-exports of the crates whose types are part of this crate's public API.
#[cfg(any(feature = "client", feature = "axum", feature = "actix-web"))]
pub use bytes;
#[cfg(any(feature = "client", feature = "webhooks"))]
pub use http;
#[cfg(feature = "redis")]
pub use redis;
#[cfg(feature = "client")]
pub use reqwest;
pub use {chrono, serde_json};
