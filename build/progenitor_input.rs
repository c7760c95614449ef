//! Reshapes the document, in memory, into one that progenitor maps well.
//!
//! - Error responses are removed. Progenitor fails on several error types, and loses the status and the headers of an
//!   error whose body is not the documented JSON. The SDK reads errors itself.
//! - The successful responses become one, `2XX`, as the service does not document which code it uses.
//! - Named schemas are placeholders, as the types are this crate's.
//! - Other schemas keep only the keywords that types are made of. Progenitor would send every default, and refuse
//!   values that exceed a bound. An integer with a minimum of 0 or more becomes unsigned.

use serde_json::{Map, Value, json};

use super::contract::{Operation, entries, operations, reference, resolve, successes, text};
use super::kinds::Kind;
use super::schema_types::Mappings;

/// Returns the document for progenitor.
pub fn prepare(document: &Value, mappings: &Mappings) -> Value {
    let mut paths = Map::new();
    for operation in operations(document) {
        let item = paths.entry(operation.path).or_insert_with(|| json!({}));
        item[operation.method] = prepare_operation(document, mappings, &operation);
    }
    let types: Map<_, _> = mappings.keys().map(|name| (name.clone(), json!({"type": "string"}))).collect();
    let mut prepared = json!({
        "openapi": document["openapi"],
        "info": {"title": "AgentGate", "version": document["info"]["version"]},
        "paths": paths,
        "components": {"schemas": types},
    });
    prepared.sort_all_objects();
    prepared
}

fn prepare_operation(document: &Value, mappings: &Mappings, operation: &Operation<'_>) -> Value {
    let parameters: Vec<Value> = operation
        .parameters()
        .map(|(parameter, _)| resolve(document, parameter))
        .filter(|parameter| !operation.is_idempotency_key(parameter))
        .map(|parameter| {
            let schema = parameter.get("schema").unwrap_or(&Value::Null);
            json!({
                "name": parameter["name"],
                "in": parameter["in"],
                "required": parameter.get("required").unwrap_or(&Value::Bool(false)),
                "schema": simplified(schema, mappings),
            })
        })
        .collect();
    let operation = operation.value;
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

/// Returns the schema of a parameter with the type alone.
fn simplified(schema: &Value, mappings: &Mappings) -> Value {
    if let Some(target) = reference(schema) {
        return json!({ "$ref": target });
    }
    match Kind::without_null(schema, mappings) {
        Kind::Integer(kind) => {
            let format = kind.replace('i', "int").replace('u', "uint");
            json!({"type": "integer", "format": format})
        }
        Kind::Time => json!({"type": "string", "format": "date-time"}),
        Kind::List(_) => json!({"type": "array", "items": simplified(&schema["items"], mappings)}),
        Kind::Float(_) => json!({"type": "number", "format": text(schema, "format").unwrap_or("double")}),
        _ => json!({"type": schema["type"]}),
    }
}
