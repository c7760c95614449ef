//! The HTTP server.

pub(crate) mod connection;
pub(crate) mod listener;
pub(crate) mod record;
pub(crate) mod service;
pub(crate) mod tally;
pub(crate) mod wire;
