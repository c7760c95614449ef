//! Checks schemas without a name, which are written where they are used.

use serde_json::Value;

use crate::build::contract::{reference, text, words};
use crate::build::error::{SpecError, fail, refuse};

/// Checks that a schema without a name has a Rust type.
pub fn check_inline(schema: &Value, place: &str) -> Result<(), SpecError> {
    if reference(schema).is_some() {
        return Ok(());
    }
    if let Some(any) = schema.get("x-any-json") {
        return check_any(schema, any, place);
    }
    let composed = ["enum", "oneOf", "allOf", "anyOf", "not", "discriminator"];
    if let Some(keyword) = composed.into_iter().find(|key| schema.get(key).is_some()) {
        let problem = match keyword {
            "enum" | "anyOf" if words(schema).is_some() => {
                "give the enum a name under components.schemas, so that it stays open to new words"
            }
            "enum" => "only strings can be a set of words; describe the values, and remove it",
            "allOf" => {
                "is supported here with one $ref, and with a description, `deprecated` or `nullable` beside it; give \
                 anything else a name under components.schemas"
            }
            "oneOf" | "anyOf" => {
                "has no name; for objects, write it under components.schemas as `oneOf` with a discriminator, and for \
                 other values add `x-any-json: true`"
            }
            _ => "is not supported here; remove it, and describe what is allowed",
        };
        return fail(format!("{place}.{keyword}"), problem);
    }
    match text(schema, "type") {
        Some("string") => match text(schema, "format") {
            Some("password") => fail(
                format!("{place}.format"),
                "give the secret a name under components.schemas, so that it is redacted",
            ),
            _ => Ok(()),
        },
        Some(kind @ ("integer" | "number")) => match (kind, text(schema, "format")) {
            (_, None) | ("integer", Some("int32" | "int64")) | ("number", Some("float" | "double")) => Ok(()),
            (_, Some(format)) => fail(
                format!("{place}.format"),
                format!(
                    "`{format}` is not a format of the type `{kind}`: integers have `int32` and \
                     `int64`, numbers `float` and `double`"
                ),
            ),
        },
        Some("boolean") => Ok(()),
        Some("array") => match schema.get("items") {
            Some(items) => check_inline(items, &format!("{place}.items")),
            None => fail(place, "an array needs items"),
        },
        Some("object") if schema.get("properties").or_else(|| schema.get("required")).is_some() => {
            fail(place, "give the object a name under components.schemas, so that its Rust type has one")
        }
        Some("object") => match schema.get("additionalProperties") {
            Some(values @ Value::Object(_)) => check_inline(values, &format!("{place}.additionalProperties")),
            _ => Ok(()),
        },
        Some(other) => fail(format!("{place}.type"), format!("`{other}` is not a type")),
        None => fail(place, "type is missing; for any JSON, write `x-any-json: true`"),
    }
}

/// Checks that `x-any-json` has no type beside it.
fn check_any(schema: &Value, any: &Value, place: &str) -> Result<(), SpecError> {
    const TYPED: [&str; 5] = ["additionalProperties", "format", "items", "properties", "type"];
    refuse(any != &Value::Bool(true), format!("{place}.x-any-json"), "write `true`, or leave it out")?;
    match TYPED.into_iter().find(|keyword| schema.get(keyword).is_some()) {
        Some(keyword) => fail(format!("{place}.{keyword}"), "has no effect beside `x-any-json`; remove one of them"),
        None => Ok(()),
    }
}
