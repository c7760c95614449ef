//! Reads the value of a successful response.

use std::any::TypeId;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::response::RawResponse;
use crate::types::{Misfit, fit_response, shapes};
use crate::{Error, Operation, json};

/// A value, and the paths of what was left out.
pub(super) type Decoded<T> = Result<(T, Vec<String>), Error>;

/// Reads the value of a body.
pub(super) fn decode<T: DeserializeOwned + 'static>(operation: Operation, response: &RawResponse) -> Decoded<T> {
    let (value, ignored) = fitted(TypeId::of::<T>(), operation, response)?;
    let value = json::convert(&value).map_err(|error| Error::decode(operation, "", error, response))?;
    Ok((value, ignored))
}

/// Returns the JSON of a body, without the members that do not fit the type.
fn fitted(id: TypeId, operation: Operation, response: &RawResponse) -> Decoded<Value> {
    let mut value = json::read(&response.body).map_err(|error| Error::decode(operation, "", error, response))?;
    let fit = shapes::of_type(id).map_or(Ok(Vec::new()), |shape| fit_response(shape, &mut value));
    let ignored = fit.map_err(|Misfit { path, problem }| {
        Error::decode(operation, &path, serde::de::Error::custom(problem), response)
    })?;
    Ok((value, ignored))
}

/// Reads the value of a body as a type that may be of another crate, which may be in an envelope, too. An empty body
/// counts as `null` then.
pub(super) fn decode_any<T: DeserializeOwned + 'static>(operation: Operation, response: &RawResponse) -> Decoded<T> {
    if shapes::of_type(TypeId::of::<T>()).is_some() {
        return decode(operation, response);
    }
    let is_empty = response.body.trim_ascii().is_empty();
    let value = if is_empty { Value::Null } else { fitted(TypeId::of::<T>(), operation, response)?.0 };
    let bare = serde_path_to_error::deserialize(&value);
    let read = match (bare, value.get("data")) {
        (Err(error), Some(inside)) if error.path().to_string() == "." => serde_path_to_error::deserialize(inside),
        (bare, _) => bare,
    };
    let value = read.map_err(|error| {
        let path = error.path().to_string();
        Error::decode(operation, &path, error.into_inner(), response)
    })?;
    Ok((value, Vec::new()))
}
