//! Waiting for runs to end.

mod programs;
mod properties;
mod replicas;
mod scale;
mod waits;
