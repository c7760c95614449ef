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

    /// A property of a request, used as the insertion point for others.
    pub(super) const GATE_PLAN: &str = "        gatePlan:\n          type: object\n";

    /// Returns the contract with one text replaced.
    pub(super) fn with(find: &str, replace: &str) -> String {
        assert!(CONTRACT.contains(find), "the contract has no {find:?}");
        CONTRACT.replacen(find, replace, 1)
    }
}
