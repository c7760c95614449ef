//! Checks that each type fits where the contract uses it.
//!
//! A list whose wrapping is not documented can only be read, a secret is not serialized, and a type that holds itself
//! needs a pointer.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::build::contract::{
    can_be_null, component, entries, items, named_schema, operations, reference, resolve, schemas, text,
};
use crate::build::error::{SpecError, fail};
use crate::build::openapi::{DOCUMENT, SCHEMA, nodes};
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
            Some(Mapping::OpenUnion { .. }) => check_union(document, name, schema, mappings, &place)?,
            Some(Mapping::Id | Mapping::Secret) | None => {}
        }
    }
    check_secrets(document, mappings)?;
    check_secret_values(document)?;
    check_finite(document, mappings)?;
    operations(document).try_for_each(|operation| {
        for (parameter, place) in operation.parameters() {
            let parameter = resolve(document, parameter);
            let schema = parameter.get("schema").unwrap_or(&Value::Null);
            check_parameter(schema, text(parameter, "in") == Some("path"), mappings, &format!("{place}.schema"))?;
        }
        check_body(document, operation.value, mappings, &operation.place)
    })
}

fn check_fields(schema: &Value, mappings: &Mappings, place: &str) -> Result<(), SpecError> {
    nodes(&SCHEMA, schema, place).try_for_each(|node| check_no_list(node.value, mappings, &node.place))
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

fn check_union(
    document: &Value,
    name: &str,
    schema: &Value,
    mappings: &Mappings,
    place: &str,
) -> Result<(), SpecError> {
    for (index, variant) in items(schema.get("oneOf")).enumerate() {
        let place = format!("{place}.oneOf[{index}]");
        let Some((variant, Mapping::Struct)) = target(variant, mappings) else {
            return fail(place, "a variant is a $ref to an object with properties");
        };
        if let Some(place) = way_back(document, variant, name, mappings, &mut BTreeSet::new()) {
            return fail(place, format!("`{name}` would hold itself here; write an array of it"));
        }
    }
    Ok(())
}

/// Returns the property through which a struct holds the union that it is a variant of.
fn way_back(
    document: &Value,
    name: &str,
    union: &str,
    mappings: &Mappings,
    visited: &mut BTreeSet<String>,
) -> Option<String> {
    if !visited.insert(name.to_owned()) {
        return None;
    }
    let schema = named_schema(document, name).unwrap_or(&Value::Null);
    entries(schema.get("properties")).find_map(|(property, schema)| {
        let (next, mapping) = target(schema, mappings)?;
        match mapping {
            Mapping::OpenUnion { .. } if next == union => {
                Some(format!("components.schemas.{name}.properties.{property}"))
            }
            Mapping::Struct => way_back(document, next, union, mappings, visited),
            Mapping::OpenUnion { variants, .. } => {
                variants.iter().find_map(|variant| way_back(document, &variant.schema, union, mappings, visited))
            }
            _ => None,
        }
    })
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
    let is_map =
        |schema: &Value| schema.get("additionalProperties").and_then(|values| text(values, "type")) == Some("string");
    let maps: BTreeSet<_> = schemas(document)
        .flat_map(|(name, schema)| {
            entries(schema.get("properties")).map(move |(property, schema)| (name, property, schema))
        })
        .filter(|(.., schema)| is_map(schema) && !can_be_null(schema))
        .map(|(name, property, _)| format!("components.schemas.{name}.properties.{property}"))
        .collect();
    for node in nodes(&DOCUMENT, document, "") {
        let value = node.value.get("x-secret-values");
        if value.is_some_and(|value| value != &Value::Bool(true) || !maps.contains(&node.place)) {
            let problem = "write `true`, and only for a property that is a map of strings and not nullable";
            return fail(format!("{}.x-secret-values", node.place), problem);
        }
    }
    Ok(())
}

/// Checks that no object requires another of its own type.
fn check_finite(document: &Value, mappings: &Mappings) -> Result<(), SpecError> {
    let mut open: BTreeSet<&String> =
        mappings.iter().filter(|(_, mapping)| matches!(mapping, Mapping::Struct)).map(|(name, _)| name).collect();
    loop {
        let is_open = |name: &str| open.iter().any(|open| *open == name);
        let required = |name: &str| {
            let schema = named_schema(document, name).unwrap_or(&Value::Null);
            items(schema.get("required"))
                .filter_map(|property| schema.get("properties")?.get(property.as_str()?))
                .filter(|property| !can_be_null(property))
                .filter_map(|property| target(property, mappings))
        };
        let ends = |name: &str| {
            required(name).all(|(next, mapping)| match mapping {
                Mapping::OpenUnion { variants, .. } => variants.iter().any(|variant| !is_open(&variant.schema)),
                _ => !is_open(next),
            })
        };
        let finite: BTreeSet<&String> = open.iter().copied().filter(|name| ends(name)).collect();
        if finite.is_empty() {
            break;
        }
        open.retain(|name| !finite.contains(name));
    }
    match open.first() {
        Some(name) => fail(
            format!("components.schemas.{name}.required"),
            format!("each `{name}` would hold another, without an end; make a property on the way back optional"),
        ),
        None => Ok(()),
    }
}

/// Checks that a parameter can be written as text in a URL.
fn check_parameter(schema: &Value, in_path: bool, mappings: &Mappings, place: &str) -> Result<(), SpecError> {
    let is_text = match target(schema, mappings) {
        Some((_, mapping)) => matches!(mapping, Mapping::Id | Mapping::OpenEnum { .. }),
        None => match text(schema, "type") {
            Some("array") if !in_path => {
                let item = schema.get("items").unwrap_or(&Value::Null);
                // A list in a list has no place in a URL.
                return check_parameter(item, true, mappings, &format!("{place}.items"));
            }
            // The form of a time in a path is not defined.
            _ if can_be_null(schema) => false,
            Some("string") => !in_path || text(schema, "format") != Some("date-time"),
            Some("boolean" | "integer" | "number") => true,
            _ => false,
        },
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
