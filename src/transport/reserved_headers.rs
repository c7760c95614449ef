//! The headers that callers and the contract cannot set. The build script includes this file.

/// Headers that the client sets, and those that belong to the connection, in lower case.
pub(crate) const RESERVED_HEADERS: [&str; 10] = [
    "accept", "accept-encoding", "authorization", "connection", "content-length", "content-type", "host",
    "idempotency-key", "transfer-encoding", "user-agent",
];
