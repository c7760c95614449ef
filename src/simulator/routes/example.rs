//! The response of an operation that the simulator has no behaviour for: the contract's example.

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue};

use crate::examples;
use crate::simulator::model::error::ApiError;
use crate::simulator::model::organization::Organization;
use crate::simulator::model::response::Answer;
use crate::simulator::routes::{Call, OPERATIONS, Operation, is_parameter};

/// Marks a response that is an example, and tells nothing of the simulator's state.
const HEADER: HeaderName = HeaderName::from_static("x-simulator-example");

/// Responds with the example. The thing that the path names has to exist, where the simulator can tell.
pub(crate) fn respond(
    operation: &Operation,
    organization: &mut Organization,
    call: &mut Call<'_>,
) -> Result<Answer, ApiError> {
    if let Some(get) = owner(operation.path) {
        get.carry_out(organization, call)?;
    }
    if !call.body.is_empty() {
        call.json()?;
    }
    let Some((status, body)) = examples::of(operation.id) else {
        let message = format!(
            "The simulator has no behaviour for {}, and the contract no example of its response.",
            operation.id
        );
        let mut error = ApiError::new("NOT_IMPLEMENTED").with_message(message);
        error.status = StatusCode::NOT_IMPLEMENTED;
        return Err(error);
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let mut answer = Answer::raw(status, body.unwrap_or_default().into());
    if body.is_some() {
        answer.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    answer.headers.insert(HEADER, HeaderValue::from_static("true"));
    Ok(answer)
}

/// The operation that fetches the thing that a path names: `/v1/runs/{id}` for `/v1/runs/{id}/retry`.
fn owner(path: &str) -> Option<&'static Operation> {
    let (thing, _) = path.split_at(path.rfind('}')? + 1);
    OPERATIONS.iter().find(|other| other.method == "GET" && other.handle.is_some() && is_same_path(other.path, thing))
}

/// Returns `true` if two paths are the same but for the names of their parameters.
fn is_same_path(one: &str, other: &str) -> bool {
    let is_same = |(one, other): (&str, &str)| one == other || is_parameter(one) && is_parameter(other);
    one.split('/').count() == other.split('/').count() && one.split('/').zip(other.split('/')).all(is_same)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_an_example() {
        for operation in OPERATIONS.iter() {
            assert!(examples::of(operation.id).is_some(), "{operation:?}");
        }
    }

    #[test]
    fn a_path_is_about_the_thing_that_is_fetched_there() {
        assert_eq!(owner("/v1/runs/{runId}/no-such-action").unwrap().id, "getRun");
        assert!(owner("/v1/no-such-things/{id}/archive").is_none());
        assert!(owner("/v1/runs").is_none());
    }
}
