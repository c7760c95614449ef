//! The parts of a contract: its operations, schemas and references.

use serde_json::Value;

use super::yaml::ORDER;

/// Methods that an OpenAPI path item can have.
pub const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// Follows `$ref`s within the document, from one to the next. Returns nothing for a circle, and for one that leads
/// nowhere.
pub fn follow<'a>(document: &'a Value, mut value: &'a Value) -> Option<&'a Value> {
    for _ in 0..16 {
        let Some(reference) = reference(value) else { return Some(value) };
        value = lookup(document, reference)?;
    }
    None
}

/// Returns the value that a `$ref` leads to, or the value itself. References are checked before anything calls this.
pub fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    follow(document, value).unwrap_or(value)
}

/// Returns the target of a value that is a `$ref`.
pub fn reference(value: &Value) -> Option<&str> {
    value.get("$ref")?.as_str()
}

/// Returns `true` if the value at a key is `true`.
pub fn is_true(value: &Value, key: &str) -> bool {
    value.get(key) == Some(&Value::Bool(true))
}

/// Returns `true` if a schema allows `null` where it is used.
pub fn can_be_null(schema: &Value) -> bool {
    is_true(schema, "nullable")
}

/// Returns the component's name, the last segment of a `$ref`.
pub fn component(reference: &str) -> &str {
    reference.rsplit('/').next().unwrap_or(reference)
}

/// Returns the target of a local reference such as `#/components/schemas/Run`.
pub fn lookup<'a>(document: &'a Value, reference: &str) -> Option<&'a Value> {
    document.pointer(reference.strip_prefix('#')?)
}

pub fn schemas(document: &Value) -> impl Iterator<Item = (&String, &Value)> {
    entries(document.pointer("/components/schemas"))
}

pub fn named_schema<'a>(document: &'a Value, name: &str) -> Option<&'a Value> {
    document.pointer("/components/schemas")?.get(name)
}

/// Returns the names of the properties that a schema requires.
pub fn required_names(schema: &Value) -> impl Iterator<Item = &str> {
    items(schema.get("required")).filter_map(Value::as_str)
}

/// Returns the entries of an object, or none for any other value.
pub fn entries(value: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    value.and_then(Value::as_object).into_iter().flatten()
}

/// Returns the items of an array, or none for any other value.
pub fn items(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

pub fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str()
}

/// Returns a schema and the schemas within it, outer ones first, each with its place. References are not followed.
pub fn schemas_within<'a>(schema: &'a Value, place: &str) -> Vec<(&'a Value, String)> {
    let mut found = vec![(schema, place.to_owned())];
    let mut next = 0;
    while let Some((schema, place)) = found.get(next).cloned() {
        let one = ["additionalProperties", "items", "not"].into_iter();
        let one = one.filter_map(|key| Some((schema.get(key)?, format!("{place}.{key}"))));
        let of_list = |key| items(schema.get(key)).enumerate().map(move |(index, part)| (key, index, part));
        let listed = ["allOf", "anyOf", "oneOf"].into_iter().flat_map(of_list);
        let listed = listed.map(|(key, index, part)| (part, format!("{place}.{key}[{index}]")));
        let named = entries(schema.get("properties")).map(|(name, part)| (part, format!("{place}.properties.{name}")));
        let within: Vec<_> = one.chain(listed).chain(named).filter(|(part, _)| part.is_object()).collect();
        found.extend(within);
        next += 1;
    }
    found
}

/// Returns the named schemas, those of parameters, and the schemas within them, each with its place.
pub fn all_schemas(document: &Value) -> impl Iterator<Item = (&Value, String)> {
    let named = schemas(document).map(|(name, schema)| (schema, format!("components.schemas.{name}")));
    let of_parameters = operations(document).flat_map(move |operation| {
        let parameters: Vec<_> = operation.parameters().collect();
        parameters.into_iter().filter_map(move |(parameter, place)| {
            Some((resolve(document, parameter).get("schema")?, format!("{place}.schema")))
        })
    });
    named.chain(of_parameters).flat_map(|(schema, place)| schemas_within(schema, &place))
}

/// Returns the names of an object's properties in the order of the contract's text.
pub fn property_names(schema: &Value) -> impl Iterator<Item = &str> {
    items(schema.get(ORDER)).filter_map(Value::as_str)
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
    /// Returns `x-idempotent`, or else the default of the method.
    pub fn is_idempotent(&self) -> bool {
        match self.value.get("x-idempotent") {
            Some(stated) => stated.as_bool().unwrap_or(false),
            None => self.method != "post",
        }
    }

    /// Returns `true` for the header that each call sends that is not idempotent: `Idempotency-Key`.
    pub fn is_idempotency_key(&self, parameter: &Value) -> bool {
        let name = text(parameter, "name").filter(|_| text(parameter, "in") == Some("header"));
        !self.is_idempotent() && name.is_some_and(|name| name.eq_ignore_ascii_case("Idempotency-Key"))
    }

    /// Returns the parameters of the path and of the operation, each with its place. References are not followed.
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

pub fn operations(document: &Value) -> impl Iterator<Item = Operation<'_>> {
    entries(document.get("paths")).filter(|(path, _)| !path.starts_with("x-")).flat_map(|(path, item)| {
        entries(Some(item)).filter(|(method, _)| METHODS.contains(&method.as_str())).map(move |(method, value)| {
            Operation { path, method, value, item, place: format!("paths.{path}.{method}") }
        })
    })
}

/// Returns the successful responses of an operation by status.
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

/// Returns the operations of callbacks, which the service sends, each with its place.
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

/// Returns the words of a closed set, which is an `enum`, or of an open set, which is `anyOf` of an enum and any
/// string. The second value is their place in the schema.
pub fn words(schema: &Value) -> Option<(&Vec<Value>, &'static str)> {
    if let Some(words) = schema.get("enum").filter(|_| text(schema, "type") == Some("string")) {
        return Some((words.as_array()?, "enum"));
    }
    let [known, any] = schema.get("anyOf")?.as_array()?.as_slice() else {
        return None;
    };
    let is_any_string =
        any.as_object().is_some_and(|any| any.keys().all(|key| ["description", "type"].contains(&key.as_str())));
    let are_strings = [known, any].into_iter().all(|schema| text(schema, "type") == Some("string"));
    (is_any_string && are_strings).then_some((known.get("enum")?.as_array()?, "anyOf[0].enum"))
}

/// Returns the words of a set as texts.
pub fn word_texts(schema: &Value) -> impl Iterator<Item = &str> {
    words(schema).into_iter().flat_map(|(words, _)| words).filter_map(Value::as_str)
}

/// Returns the reason of a deprecation.
pub fn deprecation_reason(value: &Value) -> Option<&str> {
    let is_deprecated = is_true(value, "deprecated");
    is_deprecated.then(|| text(value, "x-deprecated-reason").unwrap_or("The service has deprecated it."))
}
