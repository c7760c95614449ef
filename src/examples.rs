//! The contract's examples of successful responses.

include!(concat!(env!("OUT_DIR"), "/examples.rs"));

/// Returns status and body of an operation's example.
pub(crate) fn of(operation_id: &str) -> Option<(u16, Option<&'static str>)> {
    EXAMPLES.iter().find(|(id, ..)| *id == operation_id).map(|(_, status, body)| (*status, *body))
}
