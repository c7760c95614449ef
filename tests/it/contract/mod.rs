//! The contract: what is generated from it, and what the simulator makes of it.

mod conformance;
mod diff;
mod facts;
mod generator;
mod mapping;
mod outline;
mod requests;
mod schemas;
