//! Checks that each type fits where the contract uses it.
//!
//! A list whose wrapping is not documented can only be read, a secret is not serialized, and a type that holds itself
//! needs a pointer.

use serde_json::Value;

use crate::build::contract::{
    all_schemas, can_be_null, component, entries, items, operations, reference, resolve, schemas, schemas_within, text,
};
use crate::build::error::{SpecError, fail};
use crate::build::kinds::Kind;
use crate::build::reachable_schemas::{
    reachable_from_deliveries, reachable_from_requests, reachable_from_schema, sent_alone,
};
use crate::build::schema_types::{Mapping, Mappings};

pub fn check(document: &Value, mappings: &Mappings) -> Result<(), SpecError> {
    for (name, schema) in schemas(document) {
        let place = format!("components.schemas.{name}");
        match mappings.get(name) {
            Some(Mapping::Struct) => check_fields(schema, mappings, &place)?,
            Some(Mapping::List { item }) => check_item(item, mappings, &place)?,
            Some(Mapping::OpenEnum { .. }) => check_open(document, name, schema, mappings, &place)?,
            Some(Mapping::OpenUnion { .. }) => check_union(schema, mappings, &place)?,
            Some(Mapping::Id | Mapping::Secret) | None => {}
        }
    }
    check_secrets(document, mappings)?;
    check_secret_values(document)?;
    operations(document).try_for_each(|operation| {
        for (parameter, place) in operation.parameters() {
            let parameter = resolve(document, parameter);
            let schema = parameter.get("schema").unwrap_or(&Value::Null);
            let kind = Kind::of(schema, mappings);
            check_parameter(&kind, text(parameter, "in") == Some("path"), mappings, &format!("{place}.schema"))?;
        }
        check_body(document, operation.value, mappings, &operation.place)
    })
}

fn check_fields(schema: &Value, mappings: &Mappings, place: &str) -> Result<(), SpecError> {
    schemas_within(schema, place).iter().try_for_each(|(schema, place)| check_no_list(schema, mappings, place))
}

fn check_no_list(schema: &Value, mappings: &Mappings, place: &str) -> Result<(), SpecError> {
    match target(schema, mappings) {
        Some((name, Mapping::List { item })) => {
            fail(place, format!("`{name}` can only be the response of an operation; write an array of `{item}`"))
        }
        _ => Ok(()),
    }
}

fn check_item(item: &str, mappings: &Mappings, place: &str) -> Result<(), SpecError> {
    match mappings.get(item) {
        Some(Mapping::List { .. }) => {
            fail(format!("{place}.x-list-of"), format!("`{item}` is such a list itself; name what it holds"))
        }
        Some(Mapping::Secret) => {
            fail(format!("{place}.x-list-of"), format!("`{item}` is a secret; put it into an object, and name that"))
        }
        _ => Ok(()),
    }
}

/// Checks that a set of words that the service sends is open, for the clients of other generators.
fn check_open(document: &Value, name: &str, schema: &Value, mappings: &Mappings, place: &str) -> Result<(), SpecError> {
    if schema.get("enum").is_some() && !sent_alone(document).contains(name) {
        let problem = "the service may send other words one day; write \
                       `anyOf: [{type: string, enum: […]}, {type: string}]`";
        return fail(format!("{place}.enum"), problem);
    }
    if let Some(Mapping::OpenEnum { data, .. }) = mappings.get(name) {
        for data in data {
            if !matches!(mappings.get(&data.schema), Some(Mapping::Struct)) {
                let problem = format!("`{}` is not an object with properties", data.schema);
                return fail(format!("{place}.x-eventData"), problem);
            }
        }
    }
    Ok(())
}

fn check_union(schema: &Value, mappings: &Mappings, place: &str) -> Result<(), SpecError> {
    for (index, variant) in items(schema.get("oneOf")).enumerate() {
        let place = format!("{place}.oneOf[{index}]");
        let Some((_, Mapping::Struct)) = target(variant, mappings) else {
            return fail(place, "a variant is a $ref to an object with properties");
        };
    }
    Ok(())
}

/// Checks that requests, events and unions hold no secret, as they are serialized and compared.
fn check_secrets(document: &Value, mappings: &Mappings) -> Result<(), SpecError> {
    let mut compared = reachable_from_requests(document);
    compared.append(&mut reachable_from_deliveries(document));
    for (name, schema) in schemas(document) {
        if matches!(mappings.get(name), Some(Mapping::OpenUnion { .. })) {
            compared.append(&mut reachable_from_schema(document, schema));
        }
    }
    for (name, mapping) in mappings {
        if matches!(mapping, Mapping::Secret) && compared.contains(name) {
            return fail(
                format!("components.schemas.{name}.format"),
                "a secret can only be a property of a response; use a plain string in requests, events and unions",
            );
        }
    }
    Ok(())
}

/// Checks that `x-secret-values` is at a map of strings.
fn check_secret_values(document: &Value) -> Result<(), SpecError> {
    for (schema, place) in all_schemas(document) {
        let is_property = place.rsplit('.').nth(1) == Some("properties");
        let is_map = schema.get("additionalProperties").and_then(|values| text(values, "type")) == Some("string");
        let is_hidden = schema.get("x-secret-values");
        let can_be_hidden = is_property && is_map && !can_be_null(schema);
        if is_hidden.is_some_and(|value| value != &Value::Bool(true) || !can_be_hidden) {
            let problem = "write `true`, and only for a property that is a map of strings and not nullable";
            return fail(format!("{place}.x-secret-values"), problem);
        }
    }
    Ok(())
}

/// Checks that a parameter can be written as text in a URL.
fn check_parameter(kind: &Kind, in_path: bool, mappings: &Mappings, place: &str) -> Result<(), SpecError> {
    let is_text = match kind {
        Kind::Text | Kind::Flag | Kind::Float(_) | Kind::Integer(_) => true,
        // The form of a time in a path is not defined.
        Kind::Time => !in_path,
        Kind::Named(name) => matches!(mappings.get(name), Some(Mapping::Id | Mapping::OpenEnum { .. })),
        // A list in a list has no place in a URL.
        Kind::List(item) if !in_path => return check_parameter(item, true, mappings, &format!("{place}.items")),
        _ => false,
    };
    if is_text {
        return Ok(());
    }
    let also = if in_path { "" } else { ", or an array of these" };
    fail(place, format!("a parameter here is a string, a number, a boolean, an id or a word of a set{also}"))
}

fn check_body(document: &Value, operation: &Value, mappings: &Mappings, place: &str) -> Result<(), SpecError> {
    let body = resolve(document, operation.get("requestBody").unwrap_or(&Value::Null));
    for (media_type, content) in entries(body.get("content")) {
        let place = format!("{place}.requestBody.content.{media_type}.schema");
        check_no_list(content.get("schema").unwrap_or(&Value::Null), mappings, &place)?;
    }
    Ok(())
}

/// Returns the named schema that a `$ref` leads to.
fn target<'a>(schema: &'a Value, mappings: &'a Mappings) -> Option<(&'a str, &'a Mapping)> {
    let name = component(reference(schema)?);
    Some((name, mappings.get(name)?))
}
