//! The contract's example as a response.

use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, StatusCode};

use crate::simulator::model::error::ApiError;
use crate::simulator::model::response::{self, Response};
use crate::{Operation, examples};

/// Marks a response that does not depend on the state of the simulator.
const HEADER: HeaderName = HeaderName::from_static("x-simulator-example");

pub(crate) fn respond(operation: Operation) -> Result<Response, ApiError> {
    let Some((status, body)) = examples::of(operation.id()) else {
        let message =
            format!("The simulator does not implement {operation}, and the contract has no example of its response.");
        return Err(ApiError::new("NOT_IMPLEMENTED").with_message(message));
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let mut response = response::new(status, body.unwrap_or_default());
    if body.is_some() {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    response.headers_mut().insert(HEADER, HeaderValue::from_static("true"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_an_example() {
        for operation in Operation::ALL {
            assert!(examples::of(operation.id()).is_some(), "{operation:?}");
        }
    }
}
