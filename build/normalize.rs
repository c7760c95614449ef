//! Rewrites, in memory, the longer forms of OpenAPI to the shorter ones that the other modules read.

use serde_json::Value;

use super::contract::reference;
use super::error::SpecError;
use super::merge_all_of::merge;
use super::openapi::{DOCUMENT, Kind, Object, PARAMETER, SCHEMA};

/// Keywords that can stand beside `allOf` of one `$ref`, which is how OpenAPI 3.0 describes a reference.
const BESIDE: [&str; 10] = [
    "allOf", "default", "deprecated", "description", "example", "externalDocs", "nullable", "readOnly", "title",
    "writeOnly",
];

/// Replaces wrapped references by plain ones, and each named `allOf` by one object.
pub fn normalize(document: &mut Value) -> Result<(), SpecError> {
    each(&DOCUMENT, document, &mut |object, value| {
        if std::ptr::eq(object, &raw const SCHEMA) {
            for key in ["items", "additionalProperties"] {
                value.get_mut(key).map(unwrap_reference);
            }
            value.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten().for_each(
                |(_, property)| {
                    unwrap_reference(property);
                },
            );
        } else if std::ptr::eq(object, &raw const PARAMETER)
            && let Some(schema) = value.get_mut("schema")
        {
            unwrap_reference(schema);
        }
    });
    merge(document)
}

/// Replaces `allOf: [{$ref: …}]` by the `$ref`, and keeps the keywords beside it.
fn unwrap_reference(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    if let Some(Value::Array(parts)) = object.get("allOf")
        && let [part] = parts.as_slice()
        && let Some(target) = reference(part).map(str::to_owned)
        && object.keys().all(|key| BESIDE.contains(&key.as_str()) || key.starts_with("x-"))
    {
        object.remove("allOf");
        object.insert("$ref".to_owned(), Value::String(target));
    }
}

/// Calls a function with an object and the objects within it. References are not followed, and data is left out.
fn each(object: &'static Object, value: &mut Value, change: &mut impl FnMut(&'static Object, &mut Value)) {
    if reference(value).is_some() || !value.is_object() {
        return;
    }
    change(object, value);
    for (key, child) in value.as_object_mut().into_iter().flatten() {
        match object.kind(key) {
            Some(Kind::One(object) | Kind::FlagOr(object)) => each(object, child, change),
            Some(Kind::List(object)) => {
                child.as_array_mut().into_iter().flatten().for_each(|child| each(object, child, change));
            }
            Some(Kind::Map(object)) => {
                child.as_object_mut().into_iter().flatten().for_each(|(_, child)| each(object, child, change));
            }
            _ => {}
        }
    }
}
