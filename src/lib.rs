#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(not(test), warn(clippy::expect_used, clippy::panic, clippy::unwrap_used))]

#[cfg(feature = "client")]
mod client;
#[cfg(feature = "client")]
mod clock;
#[cfg(feature = "client")]
mod endpoints;
#[cfg(feature = "client")]
pub mod error;
mod operation;
#[cfg(feature = "client")]
mod rate_limit;
#[cfg(feature = "client")]
pub mod resources;
#[cfg(feature = "client")]
mod response;
mod secret;
#[cfg(feature = "simulator")]
pub mod simulator;
#[cfg(feature = "client")]
mod transport;
pub mod types;

#[cfg(feature = "client")]
pub use client::{Client, ClientBuilder};
#[cfg(feature = "client")]
pub use clock::Clock;
#[cfg(feature = "client")]
pub use error::{Error, ErrorKind, Result};
pub use operation::Operation;
#[cfg(feature = "client")]
pub use rate_limit::RateLimit;
#[cfg(feature = "client")]
pub use response::Response;
pub use secret::Secret;
pub use types::WorkspaceSource;

pub use chrono;
