//! Rewrites, in memory, the longer forms of OpenAPI to the shorter ones that the other modules read.

use heck::ToPascalCase;
use serde_json::{Map, Value, json};

use super::contract::{METHODS, component, entries, reference, text};
use super::structure::{DATA, MAPS};

/// Keywords that can stand beside `allOf` of one `$ref`, which is how OpenAPI 3.0 describes a reference.
const BESIDE: [&str; 10] = [
    "allOf", "default", "deprecated", "description", "example", "externalDocs", "nullable", "readOnly", "title",
    "writeOnly",
];

/// Replaces wrapped references by plain ones, and gives each list that is a whole response a name.
pub fn normalize(document: &mut Value) {
    unwrap_references(document);
    name_lists(document);
    // Where another crate enables `serde_json/preserve_order`.
    document.sort_all_objects();
}

/// Replaces each `allOf: [{$ref: …}]` by the `$ref`, and keeps the keywords beside it.
pub fn unwrap_references(document: &mut Value) {
    if let Some(schemas) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut) {
        // A schema that is nothing but a reference stays as it is, and is refused.
        let parts = schemas.values_mut().filter_map(Value::as_object_mut).flatten();
        parts.for_each(|(key, part)| unwrap(part, MAPS.contains(&key.as_str())));
    }
    for section in ["/paths", "/components/parameters", "/components/requestBodies", "/components/responses"] {
        document.pointer_mut(section).into_iter().for_each(|section| unwrap(section, true));
    }
}

fn unwrap(value: &mut Value, is_map: bool) {
    value.as_array_mut().into_iter().flatten().for_each(|item| unwrap(item, false));
    let Some(object) = value.as_object_mut() else { return };
    for (key, child) in object.iter_mut().filter(|(key, _)| is_map || !DATA.contains(&key.as_str())) {
        let is_map = !is_map && child.is_object() && MAPS.contains(&key.as_str());
        unwrap(child, is_map);
    }
    if let Some(target) = described_reference(object).filter(|_| !is_map) {
        object.remove("allOf");
        object.insert("$ref".to_owned(), Value::String(target));
    }
}

fn described_reference(object: &Map<String, Value>) -> Option<String> {
    let [part] = object.get("allOf")?.as_array()?.as_slice() else { return None };
    let is_alone = object.keys().all(|key| BESIDE.contains(&key.as_str()) || key.starts_with("x-"));
    reference(part).filter(|_| is_alone).map(str::to_owned)
}

/// Gives each `type: array` of named objects that is a whole response a name, and the form of `x-list-of`.
fn name_lists(document: &mut Value) {
    let mut lists = Map::new();
    for (name, schema) in entries(document.pointer("/components/schemas")) {
        lists.extend(list_of(schema).map(|list| (name.clone(), list)));
    }
    let mut name_in = |response: &mut Value, name: &str| {
        let schema = response.pointer_mut("/content/application~1json/schema");
        if let Some(schema) = schema
            && let Some(list) = list_of(schema)
        {
            let name = format!("{}Response", name.to_pascal_case());
            *schema = json!({"$ref": format!("#/components/schemas/{name}")});
            lists.insert(name, list);
        }
    };
    for (name, response) in object(document.pointer_mut("/components/responses")).flatten() {
        name_in(response, name);
    }
    for item in object(document.get_mut("paths")).flat_map(Map::values_mut) {
        for method in METHODS {
            let Some(operation) = item.get_mut(method) else { continue };
            let id = text(operation, "operationId").unwrap_or_default().to_owned();
            object(operation.get_mut("responses")).flatten().for_each(|(_, response)| name_in(response, &id));
        }
    }
    object(document.pointer_mut("/components/schemas")).for_each(|schemas| schemas.extend(std::mem::take(&mut lists)));
}

fn object(value: Option<&mut Value>) -> impl Iterator<Item = &mut Map<String, Value>> {
    value.and_then(Value::as_object_mut).into_iter()
}

/// Returns the form with `x-list-of` of a list of named objects.
fn list_of(schema: &Value) -> Option<Value> {
    let item = reference(schema.get("items").filter(|_| text(schema, "type") == Some("array"))?).map(component)?;
    Some(json!({"description": text(schema, "description").unwrap_or("A list."), "x-list-of": item}))
}
