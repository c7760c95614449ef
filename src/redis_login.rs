//! Connections to Redis, and the advice for a server that asks for a password.

use std::error::Error;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, ErrorKind, RedisError};

/// Connects to a Redis server, and fails if the server refuses the login.
pub(crate) async fn connect(url: &str) -> Result<ConnectionManager, Box<dyn Error + Send + Sync>> {
    let client = Client::open(url)?;
    let mut connection = client.get_connection_manager_with_config(config()).await.map_err(refusal)?;
    // Connecting sends no command whose failure counts: a server that asks for a password says so to the first that
    // does.
    match redis::cmd("PING").exec_async(&mut connection).await {
        // The user may be allowed no more than what the program needs.
        Err(error) if error.code() != Some("NOPERM") => Err(refusal(error)),
        _ => Ok(connection),
    }
}

/// A command waits for the connection. Were it tried several times, with delays, commands would pile up for ten seconds
/// and more, only to fail; the next command is the next attempt.
pub(crate) fn config() -> ConnectionManagerConfig {
    ConnectionManagerConfig::new().set_number_of_retries(0)
}

/// Returns why a server cannot be connected to, with what to do about it if it is the password.
pub(crate) fn refusal(error: RedisError) -> Box<dyn Error + Send + Sync> {
    let is_password = error.code() == Some("NOAUTH") || error.kind() == ErrorKind::AuthenticationFailed;
    if !is_password {
        return error.into();
    }
    let advice =
        "give the right one in the address, such as redis://:password@127.0.0.1/ or redis://user:password@127.0.0.1/";
    format!("Redis asks for a password; {advice} ({error})").into()
}
