//! Waiting for runs to end.

mod properties;
mod scale;
mod waits;
