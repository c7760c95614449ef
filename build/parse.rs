//! Parses the text of a contract.

use openapiv3::OpenAPI;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::check::keywords;
use super::contract::operations;
use super::error::{SpecError, fail};
use super::yaml;

/// Parses YAML into a document that has the shape of OpenAPI 3.0.
pub fn parse(text: &str) -> Result<Value, SpecError> {
    let mut document = yaml::read(text).map_err(|error| SpecError::at("", format!("not valid YAML: {error}")))?;
    // The order of keys is that of the text where another crate enables `serde_json/preserve_order`.
    document.sort_all_objects();
    match document.get("openapi").and_then(Value::as_str) {
        Some(version) if version.starts_with("3.0.") => {}
        Some(version) => {
            return fail(
                "openapi",
                format!("version {version} is not supported; write the contract in OpenAPI 3.0, for example 3.0.3"),
            );
        }
        None => return fail("openapi", "the version is missing; add `openapi: 3.0.3`"),
    }
    keywords::check(&document)?;
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

#[cfg(test)]
mod tests {
    use super::parse;

    fn error(text: &str) -> String {
        parse(text).expect_err("the contract is broken").to_string()
    }

    #[test]
    fn bad_yaml_names_line_and_column() {
        let line = error("openapi: 3.0.3\npaths: [\n");
        assert!(line.starts_with("openapi.yaml: not valid YAML: "), "{line}");
        assert!(line.contains("line"), "{line}");
        assert!(!line.contains('\n'), "{line}");
    }

    #[test]
    fn a_duplicate_key_is_an_error() {
        let line = error("openapi: 3.0.3\ninfo: {title: a, version: b}\npaths: {}\npaths: {}\n");
        assert!(line.contains("duplicate"), "{line}");
    }

    #[test]
    fn openapi_3_1_is_refused_by_name() {
        assert_eq!(
            error("openapi: 3.1.0\npaths: {}\n"),
            "openapi.yaml: openapi: version 3.1.0 is not supported; write the contract in OpenAPI 3.0, for example 3.0.3"
        );
    }

    #[test]
    fn a_misshapen_document_names_the_place() {
        let line = error("openapi: 3.0.3\ninfo: {title: [], version: b}\npaths: {}\n");
        assert_eq!(line, "openapi.yaml: info.title: write a string here, not a list");
    }
}
