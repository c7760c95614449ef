//! Faults on demand: failures of the service, of a proxy or of the network.

pub(crate) mod fault;
pub(crate) mod script;
