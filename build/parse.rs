//! Parses the text of a contract.

use openapiv3::OpenAPI;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::contract::{operations, text};
use super::error::{SpecError, fail};
use super::{structure, yaml};

/// Parses YAML into a document that has the shape of OpenAPI 3.0.
pub fn parse(source: &str) -> Result<Value, SpecError> {
    let document = yaml::read(source).map_err(|error| SpecError::at("", format!("not valid YAML: {error}")))?;
    match text(&document, "openapi") {
        Some(version) if version.starts_with("3.0.") => {}
        Some(version) => {
            let problem = "is not supported; write the contract in OpenAPI 3.0, for example 3.0.3";
            return fail("openapi", format!("version {version} {problem}"));
        }
        None => return fail("openapi", "the version is missing; add `openapi: 3.0.3`"),
    }
    structure::check(&document)?;
    // `openapiv3` loses the place inside of an operation, so these come first, one by one.
    for operation in operations(&document) {
        fit::<openapiv3::Operation>(operation.value, &operation.place)?;
    }
    typed(&document)?;
    Ok(document)
}

/// Converts a document to the types of `openapiv3`.
pub fn typed(document: &Value) -> Result<OpenAPI, SpecError> {
    fit(document, "")
}

fn fit<T: DeserializeOwned>(value: &Value, place: &str) -> Result<T, SpecError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let inner = error.path().to_string();
        let place = match (place, inner.as_str()) {
            (place, ".") => place.to_owned(),
            ("", inner) => inner.to_owned(),
            (place, inner) => format!("{place}.{inner}"),
        };
        SpecError::at(place, format!("does not fit OpenAPI 3.0: {}", error.inner()))
    })
}
