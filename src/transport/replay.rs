//! Responses without a server: a function that responds to each request, and the result of a call to which there is one
//! response.

use std::sync::Arc;

use bytes::Bytes;
use chrono::Utc;
use serde::de::DeserializeOwned;

use super::KEY_IN_CODE;
use super::decode::decode_any;
use super::retry_after::requested_wait;
use super::submission_state::SentState;
use crate::response::RawResponse;
use crate::{Error, Operation, Response, Result};

/// Responds to each request in place of the service.
pub(crate) type ReplayFn = Arc<dyn Fn(&reqwest::Request) -> Result<reqwest::Response> + Send + Sync>;

/// Returns the response of a replay. The request counts as sent unless the replay refuses the connection.
pub(super) fn replayed(
    replay: &ReplayFn,
    request: &reqwest::Request,
    sent: Option<&Arc<SentState>>,
) -> Result<reqwest::Response> {
    let response = replay(request);
    if let Some(sent) = sent.filter(|_| !response.as_ref().is_err_and(Error::is_connect)) {
        sent.send();
    }
    response
}

/// Reads a response as the only one of a call to this operation.
pub(crate) fn result_of<T: DeserializeOwned + 'static>(
    operation: Operation,
    response: http::Response<Bytes>,
) -> Result<Response<T>> {
    if !response.status().is_success() {
        return Err(error_of(operation, response));
    }
    let (head, body) = response.into_parts();
    let raw = RawResponse { status: head.status, headers: head.headers, body };
    match decode_any(operation, &raw) {
        Ok((value, ignored)) => Ok(Response::new(value, raw, 1).with_ignored(ignored)),
        Err(error) => Err(error.with_operation(operation).with_attempts(1).without_secrets(&[])),
    }
}

/// Reads a response as a failure.
pub(crate) fn error_of(operation: Operation, response: http::Response<Bytes>) -> Error {
    let (head, body) = response.into_parts();
    let wait = requested_wait(head.status, &head.headers, Utc::now());
    let error = Error::from_response(operation, RawResponse { status: head.status, headers: head.headers, body });
    error.with_retry_after(wait).with_attempts(1).with_key_origin(KEY_IN_CODE).without_secrets(&[])
}
