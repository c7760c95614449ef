//! An exchange: one attempt with its permit.

use std::time::Duration;

use reqwest::Request;

use super::attempt::Received;
use super::{Transport, server_wait};
use crate::Result;
use crate::rate_limit::Permit;

/// Runs one attempt, and tells its permit how it ended. Returns the response and the wait that it asks for.
pub(super) async fn exchange(
    transport: &Transport,
    permit: Permit,
    request: Request,
) -> Result<(Received, Option<Duration>)> {
    match transport.attempt(request).await {
        Ok(received) => {
            let wait = server_wait::asked(received.status, &received.headers, transport.clock.now());
            permit.answered(received.status, &received.headers, wait);
            Ok((received, wait))
        }
        Err(error) => {
            if error.is_connect() {
                permit.unsent();
            }
            Err(error)
        }
    }
}
