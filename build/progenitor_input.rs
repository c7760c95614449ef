//! Reshapes the document, in memory, into one that progenitor maps well.
//!
//! - Error responses are removed. Progenitor fails on several error types, and loses the status and the headers of an
//!   error whose body is not the documented JSON. The SDK reads errors itself.
//! - The successful responses become one, `2XX`, as the service does not document which code it uses.
//! - Schemas keep only the keywords that types are made of. Progenitor would send every default, and refuse responses
//!   that exceed a bound. An integer with a minimum of 0 or more becomes unsigned.
//! - Schemas that no successful response, request or delivery uses are removed.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::contract::{can_be_null, entries, operations, reference, required_names, resolve, schemas, successes, text};
use super::formats::description_with_format;
use super::reachable_schemas::sent_alone;
use super::schema_types::{Mapping, Mappings};

/// Keywords of a schema that Rust types are made of.
const KEPT: [&str; 9] =
    ["$ref", "additionalProperties", "description", "format", "items", "nullable", "properties", "required", "type"];

/// Returns the document for progenitor.
pub fn prepare(document: &Value, mappings: &Mappings) -> Value {
    let mut paths = Map::new();
    for operation in operations(document) {
        let item = paths.entry(operation.path).or_insert_with(|| json!({}));
        item[operation.method] = prepare_operation(document, operation.value, operation.parameters());
    }

    let sent_alone = sent_alone(document);
    let mut types = Map::new();
    for (name, schema) in schemas(document) {
        match mappings.get(name) {
            Some(Mapping::Struct) => {
                let mut schema = simplified(schema);
                remove_tags(name, &mut schema, mappings);
                keep_further_fields(&mut schema);
                if sent_alone.contains(name) {
                    tell_empty_from_missing(&mut schema);
                }
                types.insert(name.clone(), schema);
            }
            // A placeholder: the type is replaced by one of this crate.
            Some(_) => drop(types.insert(name.clone(), json!({"type": "string"}))),
            None => {}
        }
    }

    let mut prepared = json!({
        "openapi": document["openapi"],
        "info": {"title": "AgentGate", "version": document["info"]["version"]},
        "paths": paths,
        "components": {"schemas": types},
    });
    prepared.sort_all_objects();
    prepared
}

fn prepare_operation<'a>(
    document: &Value,
    operation: &Value,
    parameters: impl Iterator<Item = (&'a Value, String)>,
) -> Value {
    let parameters: Vec<Value> = parameters
        .map(|(parameter, _)| {
            let mut parameter = resolve(document, parameter).clone();
            if let Some(schema) = parameter.get_mut("schema") {
                let simple = simplified(schema);
                let schema = std::mem::replace(schema, simple);
                let description = text(&parameter, "description").unwrap_or_default();
                parameter["description"] = json!(description_with_format(description, &schema));
            }
            retain(&mut parameter, &["description", "in", "name", "required", "schema"]);
            parameter
        })
        .collect();
    // All that have a body have the same.
    let success = successes(document, operation).map(|(_, response)| response).find(|it| it.get("content").is_some());
    let mut prepared = json!({
        "operationId": operation["operationId"],
        "parameters": parameters,
        "responses": {"2XX": body(success, "The response.")},
    });
    if let Some(request) = operation.get("requestBody") {
        prepared["requestBody"] = body(Some(resolve(document, request)), "The body.");
        prepared["requestBody"]["required"] = json!(true);
    }
    prepared
}

/// Returns a request or response body with its schema alone.
fn body(holder: Option<&Value>, description: &str) -> Value {
    let mut body = json!({ "description": description });
    for (media_type, content) in entries(holder.and_then(|holder| holder.get("content"))) {
        body["content"][media_type] = json!({ "schema": content["schema"] });
    }
    body
}

/// Removes the discriminator from the variants of a union, which writes it.
fn remove_tags(name: &str, schema: &mut Value, mappings: &Mappings) {
    for mapping in mappings.values() {
        let Mapping::OpenUnion { tag, variants } = mapping else {
            continue;
        };
        if variants.iter().all(|variant| variant.schema != name) {
            continue;
        }
        if let Some(properties) = schema["properties"].as_object_mut() {
            properties.remove(tag);
        }
        if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
            required.retain(|required| required.as_str() != Some(tag));
        }
    }
}

/// Keeps the unnamed fields of an open object.
fn keep_further_fields(schema: &mut Value) {
    if schema.get("additionalProperties") == Some(&json!(true)) {
        schema["additionalProperties"] = json!({});
    }
}

/// Makes an empty list and a missing list two values: in an update, an empty list removes all, and a missing one
/// changes nothing.
fn tell_empty_from_missing(schema: &mut Value) {
    let required: BTreeSet<String> = required_names(schema).map(str::to_owned).collect();
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else {
        return;
    };
    for (name, property) in properties {
        let can_be_empty = matches!(text(property, "type"), Some("array" | "object"));
        if can_be_empty && !required.contains(name) {
            property["nullable"] = json!(true);
        }
    }
}

/// Returns a schema without bounds and defaults, with plain integers.
fn simplified(schema: &Value) -> Value {
    if let Some(target) = reference(schema) {
        // Keywords beside a `$ref` are ignored.
        let target = json!({ "$ref": target });
        return if can_be_null(schema) { json!({"nullable": true, "allOf": [target]}) } else { target };
    }
    let mut simple = schema.clone();
    if text(&simple, "type") == Some("integer") {
        let unsigned = simple.get("minimum").and_then(Value::as_i64).is_some_and(|minimum| minimum >= 0);
        let narrow = text(&simple, "format") == Some("int32");
        simple["format"] = json!(match (unsigned, narrow) {
            (true, true) => "uint32",
            (true, false) => "uint64",
            (false, true) => "int32",
            (false, false) => "int64",
        });
    }
    let description = description_with_format(text(schema, "description").unwrap_or_default(), schema);
    if !description.is_empty() {
        simple["description"] = json!(description);
    }
    if text(&simple, "type") == Some("string") && text(&simple, "format") != Some("date-time") {
        // The generator of types would read some as types of other crates, and refuse what does not fit.
        simple.as_object_mut().map(|simple| simple.remove("format"));
    }
    retain(&mut simple, &KEPT);
    if simple.get("additionalProperties") == Some(&json!(false)) {
        // A field that the service adds would fail the whole object.
        simple.as_object_mut().map(|simple| simple.remove("additionalProperties"));
    }
    for key in ["items", "additionalProperties"] {
        if let Some(child) = simple.get_mut(key).filter(|child| child.is_object()) {
            *child = simplified(child);
        }
    }
    if let Some(properties) = simple.get_mut("properties").and_then(Value::as_object_mut) {
        for property in properties.values_mut() {
            *property = simplified(property);
        }
    }
    simple
}

fn retain(value: &mut Value, keys: &[&str]) {
    if let Some(object) = value.as_object_mut() {
        object.retain(|key, _| keys.contains(&key.as_str()));
    }
}

#[cfg(test)]
mod tests {
    use super::simplified;
    use serde_json::json;

    #[test]
    fn a_bound_that_forbids_negatives_leaves_an_unsigned_integer() {
        let schema = json!({"type": "integer", "format": "int32", "minimum": 1, "maximum": 100, "default": 20});
        assert_eq!(simplified(&schema), json!({"type": "integer", "format": "uint32"}));
    }

    #[test]
    fn an_unbounded_integer_is_signed_and_wide() {
        assert_eq!(simplified(&json!({"type": "integer"})), json!({"type": "integer", "format": "int64"}));
    }

    #[test]
    fn a_property_that_is_called_default_stays() {
        let schema = json!({"type": "object", "properties": {"default": {"type": "string", "default": "x"}}});
        assert_eq!(simplified(&schema), json!({"type": "object", "properties": {"default": {"type": "string"}}}));
    }
}
