//! The contract: what is generated from it, and what the simulator makes of it.

mod changes;
mod conformance;
mod diff;
mod facts;
mod generator;
mod mapping;
mod outline;
mod requests;
mod schemas;

/// A contract for the tests that change one: the live contract may change without a change of theirs.
mod fixture {
    pub(super) const CONTRACT: &str = include_str!("fixture.yaml");
}
