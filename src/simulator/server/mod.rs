//! The HTTP server.

pub(crate) mod connection;
pub(crate) mod listener;
pub(crate) mod record;
pub(crate) mod service;
