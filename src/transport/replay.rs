//! Responses without a server: those of a replay, and the result of a call from a single one.

use std::sync::Arc;

use bytes::Bytes;
use chrono::Utc;
use serde::de::DeserializeOwned;

use super::sent::SentState;
use super::{KEY_IN_CODE, answer, server_wait};
use crate::response::Answer;
use crate::test_util::Replay;
use crate::{Error, Operation, Response, Result};

/// The response of a replay, to a request that counts as sent unless there is no connection.
pub(super) fn replayed(
    replay: &Replay,
    request: &reqwest::Request,
    sent: Option<&Arc<SentState>>,
) -> Result<reqwest::Response> {
    let response = replay.respond(request);
    if let Some(sent) = sent.filter(|_| !response.as_ref().is_err_and(Error::is_connect)) {
        sent.send();
    }
    response
}

/// Reads a response as the only one of a call to this operation.
pub(crate) fn result_of<T: DeserializeOwned>(
    operation: Operation,
    response: http::Response<Bytes>,
) -> Result<Response<T>> {
    if !response.status().is_success() {
        return Err(error_of(operation, response));
    }
    let (head, body) = response.into_parts();
    let body = if body.trim_ascii().is_empty() { Bytes::from_static(b"null") } else { body };
    let answer = Answer { status: head.status, headers: head.headers, body, attempts: 1 };
    match answer::reread(operation, &answer) {
        Ok(value) => Ok(Response::new(value, answer)),
        Err(error) => Err(error.with_operation(operation).with_attempts(1).without_secrets(&[])),
    }
}

/// Reads a response as a failure.
pub(crate) fn error_of(operation: Operation, response: http::Response<Bytes>) -> Error {
    let (head, body) = response.into_parts();
    let wait = server_wait::asked(head.status, &head.headers, Utc::now());
    let error = Error::from_answer(operation, head.status, head.headers, &body);
    error.with_retry_after(wait).with_attempts(1).with_key_origin(KEY_IN_CODE).without_secrets(&[])
}
