//! Waiting for runs to end.

mod properties;
mod replicas;
mod scale;
mod waits;
