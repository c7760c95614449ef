//! Reads the value of a successful response.

use std::any::TypeId;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::response::RawResponse;
use crate::types::{Misfit, fit_response, shapes};
use crate::{Error, Operation, json};

/// Reads the value of a body. Returns the paths of the members that do not fit and were left out, too.
pub(super) fn decode<T: DeserializeOwned + 'static>(
    operation: Operation,
    response: &RawResponse,
) -> Result<(T, Vec<String>), Error> {
    let (value, ignored) = fitted(TypeId::of::<T>(), operation, response)?;
    let value = serde_json::from_value(value).map_err(|error| Error::decode(operation, "", error, response))?;
    Ok((value, ignored))
}

/// Returns the JSON of a body, without the members that do not fit. That of a type of another crate is returned whole.
fn fitted(id: TypeId, operation: Operation, response: &RawResponse) -> Result<(Value, Vec<String>), Error> {
    let mut value = json::read(&response.body).map_err(|error| Error::decode(operation, "", error, response))?;
    let ignored = match shapes::of_type(id) {
        Some(shape) => fit_response(shape, &mut value).map_err(|Misfit { path, problem }| {
            Error::decode(operation, &path, serde::de::Error::custom(problem), response)
        })?,
        None => Vec::new(),
    };
    Ok((value, ignored))
}

/// Reads the value of a body as a type that may be of another crate, which may be in an envelope, too.
pub(super) fn decode_any<T: DeserializeOwned + 'static>(
    operation: Operation,
    response: &RawResponse,
) -> Result<(T, Vec<String>), Error> {
    if shapes::of_type(TypeId::of::<T>()).is_some() {
        return decode(operation, response);
    }
    let (value, ignored) = fitted(TypeId::of::<T>(), operation, response)?;
    let bare = match serde_path_to_error::deserialize(&value) {
        Ok(value) => return Ok((value, ignored)),
        Err(error) => error,
    };
    let inside = value.get("data").map(serde_path_to_error::deserialize::<_, T>);
    let (path, error) = match inside {
        Some(Ok(value)) => return Ok((value, ignored)),
        Some(Err(error)) if bare.path().to_string() == "." => (format!("data.{}", error.path()), error.into_inner()),
        _ => (bare.path().to_string(), bare.into_inner()),
    };
    Err(Error::decode(operation, path.trim_end_matches('.'), error, response))
}
