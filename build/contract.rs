//! Reads the text of a contract, and walks it.

use std::collections::BTreeSet;

use openapiv3::OpenAPI;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::check::shape;
use super::mistake::Mistake;
use super::yaml;

/// Methods that an OpenAPI path item can have.
pub const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// Parses YAML into a document that has the shape of OpenAPI 3.0.
pub fn parse(text: &str) -> Result<Value, Mistake> {
    let mut document = yaml::read(text).map_err(|error| Mistake::at("", format!("not valid YAML: {error}")))?;
    // The order of keys is that of the text where another crate enables `serde_json/preserve_order`.
    document.sort_all_objects();
    match document.get("openapi").and_then(Value::as_str) {
        Some(version) if version.starts_with("3.0.") => {}
        Some(version) => {
            return Err(Mistake::at(
                "openapi",
                format!("version {version} is not supported; write the contract in OpenAPI 3.0, for example 3.0.3"),
            ));
        }
        None => return Err(Mistake::at("openapi", "the version is missing; add `openapi: 3.0.3`")),
    }
    shape::check(&document)?;
    // `openapiv3` loses the place inside of an operation, so these come first, one by one.
    for operation in operations(&document) {
        fit::<openapiv3::Operation>(operation.value, &operation.place)?;
    }
    typed(&document)?;
    Ok(document)
}

/// The document as `openapiv3` sees it.
pub fn typed(document: &Value) -> Result<OpenAPI, Mistake> {
    fit(document, "")
}

fn fit<T: DeserializeOwned>(value: &Value, place: &str) -> Result<T, Mistake> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let inner = error.path().to_string();
        let place = match (place, inner.as_str()) {
            (place, ".") => place.to_owned(),
            ("", inner) => inner.to_owned(),
            (place, inner) => format!("{place}.{inner}"),
        };
        Mistake::at(place, format!("does not fit OpenAPI 3.0: {}", error.inner()))
    })
}

/// A reference that leads to nothing.
pub enum BrokenReference<'a> {
    Missing(&'a str),
    Circular(&'a str),
}

/// Follows `$ref`s within the document, from one to the next.
pub fn follow<'a>(document: &'a Value, mut value: &'a Value) -> Result<&'a Value, BrokenReference<'a>> {
    let mut visited = BTreeSet::new();
    while let Some(reference) = reference(value) {
        if !visited.insert(reference) {
            return Err(BrokenReference::Circular(reference));
        }
        value = lookup(document, reference).ok_or(BrokenReference::Missing(reference))?;
    }
    Ok(value)
}

/// Returns the value that a `$ref` leads to, or the value itself. References are checked before anything calls this.
pub fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    follow(document, value).unwrap_or(value)
}

/// The `$ref` of a value that is one.
pub fn reference(value: &Value) -> Option<&str> {
    value.get("$ref")?.as_str()
}

/// Returns `true` if a schema allows `null` where it is used.
pub fn can_be_null(schema: &Value) -> bool {
    schema.get("nullable") == Some(&Value::Bool(true))
}

/// The last segment of a `$ref`: the component's name.
pub fn component(reference: &str) -> &str {
    reference.rsplit('/').next().unwrap_or(reference)
}

/// Returns the target of a local reference such as `#/components/schemas/Run`.
pub fn lookup<'a>(document: &'a Value, reference: &str) -> Option<&'a Value> {
    document.pointer(reference.strip_prefix('#')?)
}

/// The named schemas.
pub fn schemas(document: &Value) -> impl Iterator<Item = (&String, &Value)> {
    entries(document.pointer("/components/schemas"))
}

/// The entries of an object; none when it is missing or something else.
pub fn entries(value: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    value.and_then(Value::as_object).into_iter().flatten()
}

/// The items of an array; none when it is missing or something else.
pub fn items(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

/// The text at a key.
pub fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str()
}

/// One operation of the contract with its place.
pub struct Operation<'a> {
    pub path: &'a str,
    pub method: &'a str,
    pub value: &'a Value,
    /// The path item, whose parameters the operation shares.
    pub item: &'a Value,
    pub place: String,
}

impl<'a> Operation<'a> {
    /// Returns `true` if a repetition has no further effect: as the contract states, or else as the method implies.
    pub fn is_idempotent(&self) -> bool {
        match self.value.get("x-idempotent") {
            Some(stated) => stated.as_bool().unwrap_or(false),
            None => self.method != "post",
        }
    }

    /// Parameters of the operation and of its path, each with its place, references not yet followed.
    pub fn parameters(&self) -> impl Iterator<Item = (&'a Value, String)> + use<'a> {
        let item_place = format!("paths.{}", self.path);
        let own_place = self.place.clone();
        let of_item = items(self.item.get("parameters"))
            .enumerate()
            .map(move |(index, value)| (value, format!("{item_place}.parameters[{index}]")));
        let own = items(self.value.get("parameters"))
            .enumerate()
            .map(move |(index, value)| (value, format!("{own_place}.parameters[{index}]")));
        of_item.chain(own)
    }
}

/// Every operation of the contract.
pub fn operations(document: &Value) -> impl Iterator<Item = Operation<'_>> {
    entries(document.get("paths")).filter(|(path, _)| !path.starts_with("x-")).flat_map(|(path, item)| {
        entries(Some(item)).filter(|(method, _)| METHODS.contains(&method.as_str())).map(move |(method, value)| {
            Operation { path, method, value, item, place: format!("paths.{path}.{method}") }
        })
    })
}

/// The successful responses of an operation by their statuses, references followed.
pub fn successes<'a>(document: &'a Value, operation: &'a Value) -> impl Iterator<Item = (&'a String, &'a Value)> {
    entries(operation.get("responses"))
        .filter(|(status, _)| status.starts_with('2'))
        .map(|(status, response)| (status, resolve(document, response)))
}

/// Returns two flags: a successful response of the operation may have a body, and one may have none.
pub fn success_bodies(document: &Value, operation: &Value) -> (bool, bool) {
    let has_body = |response: &Value| entries(response.get("content")).next().is_some();
    let responses = || successes(document, operation).map(|(_, response)| response);
    (responses().any(has_body), responses().any(|response| !has_body(response)))
}

/// Every request that the service makes by itself, each with its place: the operations of callbacks.
pub fn deliveries(document: &Value) -> impl Iterator<Item = (&Value, String)> {
    operations(document).flat_map(|operation| {
        entries(operation.value.get("callbacks")).flat_map(move |(name, callback)| {
            let place = format!("{}.callbacks.{name}", operation.place);
            entries(Some(callback)).flat_map(move |(address, item)| {
                let place = format!("{place}.{address}");
                entries(Some(item))
                    .filter(|(method, _)| METHODS.contains(&method.as_str()))
                    .map(move |(method, delivery)| (delivery, format!("{place}.{method}")))
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::parse;

    fn mistake(text: &str) -> String {
        parse(text).expect_err("the contract is broken").to_string()
    }

    #[test]
    fn bad_yaml_names_line_and_column() {
        let line = mistake("openapi: 3.0.3\npaths: [\n");
        assert!(line.starts_with("openapi.yaml: not valid YAML: "), "{line}");
        assert!(line.contains("line"), "{line}");
        assert!(!line.contains('\n'), "{line}");
    }

    #[test]
    fn a_doubled_key_is_a_mistake() {
        let line = mistake("openapi: 3.0.3\ninfo: {title: a, version: b}\npaths: {}\npaths: {}\n");
        assert!(line.contains("duplicate"), "{line}");
    }

    #[test]
    fn openapi_3_1_is_refused_by_name() {
        assert_eq!(
            mistake("openapi: 3.1.0\npaths: {}\n"),
            "openapi.yaml: openapi: version 3.1.0 is not supported; write the contract in OpenAPI 3.0, for example 3.0.3"
        );
    }

    #[test]
    fn a_misshapen_document_names_the_place() {
        let line = mistake("openapi: 3.0.3\ninfo: {title: [], version: b}\npaths: {}\n");
        assert_eq!(line, "openapi.yaml: info.title: write a string here, not a list");
    }
}
