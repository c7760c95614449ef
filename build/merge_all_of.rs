//! Merges, in memory, `allOf` of a named schema into the one object that it describes.

use serde_json::{Map, Value, json};

use super::contract::{component, entries, items, reference, required_names, schemas, text};
use super::error::{SpecError, fail};
use super::openapi::SCHEMA;

/// Keywords of a part of `allOf`: each becomes a part of the whole, or documents the part alone.
const MERGED: [&str; 13] = [
    "additionalProperties", "allOf", "deprecated", "description", "example", "externalDocs", "maxProperties",
    "minProperties", "properties", "required", "title", "type", "x-deprecated-reason",
];

/// Keywords in which two declarations of one property can differ.
const DOCUMENTATION: [&str; 4] = ["description", "example", "externalDocs", "title"];

const WAY_OUT: &str = "write the properties out";

/// Replaces each named `allOf`.
pub fn merge(document: &mut Value) -> Result<(), SpecError> {
    let mut merged = Vec::new();
    for (name, schema) in schemas(document).filter(|(_, schema)| schema.get("allOf").is_some()) {
        let place = format!("components.schemas.{name}");
        check_part(schema, "the object", &place)?;
        let mut whole = Whole::default();
        whole.add_parts(document, schema, &place, &mut vec![name])?;
        merged.push((name.clone(), whole));
    }
    for (name, whole) in merged {
        whole.write_to(&mut document["components"]["schemas"][name]);
    }
    Ok(())
}

/// The object so far.
#[derive(Default)]
struct Whole {
    properties: Map<String, Value>,
    required: Vec<String>,
    additional: Option<Value>,
}

impl Whole {
    /// Adds the parts of a schema, and the keywords beside them.
    fn add_parts<'a>(
        &mut self,
        document: &'a Value,
        schema: &'a Value,
        place: &str,
        open: &mut Vec<&'a String>,
    ) -> Result<(), SpecError> {
        for (index, part) in items(schema.get("allOf")).enumerate() {
            self.add(document, part, &format!("{place}.allOf[{index}]"), open)?;
        }
        self.add_own(schema, place)
    }

    fn add<'a>(
        &mut self,
        document: &'a Value,
        part: &'a Value,
        place: &str,
        open: &mut Vec<&'a String>,
    ) -> Result<(), SpecError> {
        let Some(target) = reference(part) else {
            check_part(part, "the part", place)?;
            return self.add_parts(document, part, place, open);
        };
        let Some((name, schema)) = schemas(document).find(|(name, _)| *name == component(target)) else {
            return fail(place, format!("$ref `{target}` does not exist; add it, or correct the name"));
        };
        if open.contains(&name) {
            return fail(place, format!("`{name}` would be a part of itself; {WAY_OUT} in one place of the cycle"));
        }
        check_part(schema, &format!("`{name}`"), place)?;
        open.push(name);
        self.add_parts(document, schema, place, open)?;
        open.pop();
        Ok(())
    }

    fn add_own(&mut self, schema: &Value, place: &str) -> Result<(), SpecError> {
        for (name, property) in entries(schema.get("properties")) {
            if let Some(other) = self.properties.get(name)
                && undocumented(other) != undocumented(property)
            {
                let problem = format!(
                    "`{name}` is declared differently in an earlier part of allOf; make both alike, or {WAY_OUT}"
                );
                return fail(place, problem);
            }
            self.properties.insert(name.clone(), property.clone());
        }
        for name in required_names(schema) {
            if self.required.iter().all(|other| other != name) {
                self.required.push(name.to_owned());
            }
        }
        match (schema.get("additionalProperties"), &self.additional) {
            (None, _) => {}
            (Some(Value::Bool(false)), _) => {
                let problem = "forbids the properties of the other parts of allOf; remove it";
                return fail(place, format!("`additionalProperties: false` {problem}"));
            }
            (Some(open), Some(other)) if open != other => {
                return fail(
                    place,
                    format!("`additionalProperties` is another in an earlier part of allOf; {WAY_OUT}"),
                );
            }
            (Some(open), _) => self.additional = Some(open.clone()),
        }
        Ok(())
    }

    fn write_to(self, schema: &mut Value) {
        let Some(object) = schema.as_object_mut() else {
            return;
        };
        object.remove("allOf");
        object.insert("type".to_owned(), json!("object"));
        object.insert("properties".to_owned(), Value::Object(self.properties));
        if !self.required.is_empty() {
            object.insert("required".to_owned(), json!(self.required));
        }
        object.extend(self.additional.map(|open| ("additionalProperties".to_owned(), open)));
    }
}

/// Checks that a part is an object, and that all its keywords can be merged.
fn check_part(part: &Value, what: &str, place: &str) -> Result<(), SpecError> {
    if text(part, "type").is_some_and(|kind| kind != "object") {
        return fail(place, format!("{what} is not an object, and allOf merges only objects; {WAY_OUT}"));
    }
    let is_read = |key: &str| !key.starts_with("x-") || SCHEMA.extensions.contains(&key);
    let lost = entries(Some(part)).map(|(key, _)| key.as_str()).find(|key| !MERGED.contains(key) && is_read(key));
    match lost {
        Some(key) => fail(place, format!("{what} has `{key}`, which allOf does not merge; {WAY_OUT}")),
        None => Ok(()),
    }
}

/// Returns a property without its documentation.
fn undocumented(property: &Value) -> Value {
    let mut property = property.clone();
    if let Some(object) = property.as_object_mut() {
        object.retain(|key, _| !DOCUMENTATION.contains(&key.as_str()));
    }
    property
}
