//! The contract's examples of successful responses.

include!(concat!(env!("OUT_DIR"), "/examples.rs"));

/// Returns status and body of an operation's example.
pub(crate) fn of(operation_id: &str) -> Option<(u16, Option<&'static str>)> {
    EXAMPLES.iter().find(|(id, ..)| *id == operation_id).map(|(_, status, body, _)| (*status, *body))
}

/// Returns `false` for an id that is in none of the examples of the operation's resource, where these have ids.
#[cfg(feature = "simulator")]
pub(crate) fn may_exist(operation_id: &str, id: &str) -> bool {
    let ids = EXAMPLES.iter().find(|(operation, ..)| *operation == operation_id).map(|(.., ids)| *ids);
    ids.is_none_or(|ids| ids.is_empty() || ids.contains(&id))
}
