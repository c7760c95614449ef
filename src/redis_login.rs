//! The advice for a Redis server that asks for a password.

use redis::{ErrorKind, RedisError};

/// Returns what to do about an error if it is the password.
pub(crate) fn password_advice(error: &RedisError) -> Option<String> {
    let is_refused = error.code() == Some("NOAUTH") || error.kind() == ErrorKind::AuthenticationFailed;
    let advice =
        "give the right one in the address, such as redis://:password@127.0.0.1/ or redis://user:password@127.0.0.1/";
    is_refused.then(|| format!("Redis asks for a password; {advice} ({error})"))
}
