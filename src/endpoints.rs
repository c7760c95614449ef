//! One private function for each operation, generated from the contract. It builds the request.

#![allow(
    clippy::all,
    clippy::pedantic,
    dead_code,
    deprecated,
    missing_debug_implementations,
    missing_docs,
    unreachable_pub,
    reason = "generated code"
)]

include!(concat!(env!("OUT_DIR"), "/endpoints.rs"));

/// Returns the request that a function has built.
pub(crate) fn built(result: Result<reqwest::Request, Error<()>>) -> crate::Result<reqwest::Request> {
    result.map_err(|error| match error {
        Error::CommunicationError(error) => crate::Error::from_network(error, None, false),
        _ => {
            let advice = "Look for unusual characters in its values.";
            crate::Error::invalid_request("the request could not be built", advice)
        }
    })
}
