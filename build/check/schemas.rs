//! Checks that named schemas are documented and have names that are free in Rust.

use std::collections::BTreeMap;

use heck::ToUpperCamelCase;
use serde_json::Value;

use super::inline::check_inline;
use crate::build::contract::{component, entries, items, operations, reference, required_names, schemas, text};
use crate::build::error::{SpecError, fail, refuse};
use crate::build::names::{field_name, is_reserved_type};
use crate::build::reachable_schemas::reachable;
use crate::build::structs::EXTRA;

pub fn check(document: &Value) -> Result<(), SpecError> {
    let reachable = reachable(document);
    let of_calls = types_of_calls(document);
    // The variants of a union are known by its discriminator.
    for (name, union) in schemas(document).filter(|(name, _)| reachable.contains(*name)) {
        let is_told = union.get("x-list-of").is_some() || union.pointer("/discriminator/propertyName").is_some();
        if union.get("oneOf").is_some() && !is_told {
            let problem = "oneOf needs a discriminator with propertyName, which tells the variants apart; for other \
                           values, write `x-any-json: true` beside it where it is used";
            return fail(format!("components.schemas.{name}"), problem);
        }
    }
    for (name, schema) in schemas(document) {
        let place = format!("components.schemas.{name}");
        if *name != name.to_upper_camel_case() {
            return fail(place, format!("write the name in PascalCase: `{}`", name.to_upper_camel_case()));
        }
        refuse(is_reserved_type(name), &place, format!("`{name}` is a name of Rust or of this crate; choose another"))?;
        if let Some(other) = of_calls.get(name) {
            let problem = format!("`{name}` is already the Rust type of {other}; give the schema a noun of its own");
            return fail(place, problem);
        }
        refuse(reference(schema).is_some(), &place, "a second name for a schema is not supported; use the first one")?;
        refuse(text(schema, "description").is_none_or(str::is_empty), &place, "description is missing")?;
        if schema.get("nullable").is_some() {
            return fail(format!("{place}.nullable"), "a named schema can't be null; leave it out where it is used");
        }
        check_required(schema, &place)?;
        if reachable.contains(name) {
            check_properties(schema, &tags_of(document, name), &place)?;
        }
    }
    Ok(())
}

/// Returns the Rust types of operations and of resources, each with its place.
fn types_of_calls(document: &Value) -> BTreeMap<String, String> {
    let mut types = BTreeMap::new();
    for operation in operations(document) {
        for tag in items(operation.value.get("tags")).filter_map(Value::as_str) {
            types.insert(tag.to_upper_camel_case(), format!("tags.{tag}"));
        }
        if let Some(id) = text(operation.value, "operationId") {
            types.insert(id.to_upper_camel_case(), operation.place);
        }
    }
    types
}

fn check_required(schema: &Value, place: &str) -> Result<(), SpecError> {
    for name in required_names(schema) {
        if schema.get("properties").and_then(|properties| properties.get(name)).is_none() {
            return fail(format!("{place}.required"), format!("`{name}` is not among the properties"));
        }
    }
    Ok(())
}

/// Returns the discriminators of the unions that have this variant.
fn tags_of<'a>(document: &'a Value, variant: &str) -> Vec<&'a str> {
    schemas(document)
        .filter(|(_, union)| items(union.get("oneOf")).filter_map(reference).any(|target| component(target) == variant))
        .filter_map(|(_, union)| union.pointer("/discriminator/propertyName")?.as_str())
        .collect()
}

fn check_properties(schema: &Value, tags: &[&str], place: &str) -> Result<(), SpecError> {
    let mut fields = BTreeMap::new();
    for (name, property) in entries(schema.get("properties")) {
        let place = format!("{place}.properties.{name}");
        let Some(field) = field_name(name) else {
            return fail(place, format!("`{name}` does not make a Rust field name; write it in camelCase"));
        };
        if field == EXTRA && schema.get("additionalProperties").is_some_and(|open| open != &Value::Bool(false)) {
            return fail(
                place,
                format!(
                    "the field `{EXTRA}` holds what an open object has no property for; rename the property, or remove \
                     `additionalProperties`"
                ),
            );
        }
        if let Some(other) = fields.insert(field, name) {
            return fail(place, format!("`{name}` and `{other}` would be the same field in Rust"));
        }
        if reference(property).is_none() && text(property, "description").is_none_or(str::is_empty) {
            return fail(place, "description is missing");
        }
        if !tags.contains(&name.as_str()) {
            check_inline(property, &place)?;
        }
    }
    Ok(())
}
