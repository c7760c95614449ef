//! The contract: the code generated from it, and the simulator's conformance to it.

mod changes;
mod conformance;
mod diff;
mod facts;
mod generator;
mod mapping;
mod outline;
mod requests;
mod schemas;

/// A fixed contract for the tests that modify one, independent of changes of the live contract.
mod fixture {
    pub(super) const CONTRACT: &str = include_str!("fixture.yaml");
}
