//! Checks that each object has no other keywords than those of OpenAPI 3.0.3, and that each `$ref` leads to an object
//! of the right kind.
//!
//! Parsers ignore unknown keywords, so that `requried` would silently make a required property optional.

use serde_json::{Map, Value};

use crate::build::contract::{BrokenReference, follow, is_true, reference, text};
use crate::build::error::{SpecError, fail};
use crate::build::openapi::{DOCUMENT, Kind, Node, SCHEMA, extensions, nodes};
use crate::build::spelling::is_close;

/// Deeper documents would overflow the stack of what reads them.
const MAX_DEPTH: usize = 64;

/// Keywords of a schema that mean something for some types alone.
const BY_TYPE: [(&[&str], &[&str]); 5] = [
    (&["array"], &["items", "maxItems", "minItems", "uniqueItems"]),
    (&["integer", "number"], &["exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf"]),
    (&["object"], &["additionalProperties", "maxProperties", "minProperties", "properties", "required"]),
    (&["string"], &["maxLength", "minLength", "pattern"]),
    (&["integer", "number", "string"], &["format"]),
];

pub fn check(document: &Value) -> Result<(), SpecError> {
    if !document.is_object() {
        return fail("", "write an object with `openapi`, `info` and `paths`");
    }
    nodes(&DOCUMENT, document, "").try_for_each(|node| check_node(document, &node))
}

fn check_node(document: &Value, node: &Node<'_>) -> Result<(), SpecError> {
    if node.depth > MAX_DEPTH {
        return fail(&node.place, format!("nested deeper than {MAX_DEPTH} objects; give the parts names"));
    }
    let keywords = node.value.as_object().into_iter().flatten();
    if node.value.get("$ref").is_some() {
        return check_reference(document, node, keywords);
    }
    for (key, value) in keywords {
        let place = if node.place.is_empty() { key.clone() } else { format!("{}.{key}", node.place) };
        match node.object.kind(key) {
            Some(kind) => check_value(kind, value, &place)?,
            None => check_extension(node, key, &place)?,
        }
        if key == "x-deprecated-reason" {
            check_reason(node.value, value, &place)?;
        }
        if std::ptr::eq(node.object, &raw const SCHEMA) {
            check_type(node.value, key, &place)?;
        }
    }
    Ok(())
}

fn check_reference<'a>(
    document: &Value,
    node: &Node<'_>,
    keywords: impl Iterator<Item = (&'a String, &'a Value)>,
) -> Result<(), SpecError> {
    let name = node.object.name;
    let Some(section) = node.object.section else {
        return fail(&node.place, format!("write the {name} here; a $ref to one is not supported"));
    };
    let Some(target) = reference(node.value) else {
        return fail(format!("{}.$ref", node.place), format!("write `#/components/{section}/…`"));
    };
    if let Some((key, _)) = keywords.into_iter().find(|(key, _)| *key != "$ref") {
        return fail(&node.place, format!("`{key}` has no effect beside a $ref; write it where the {name} is defined"));
    }
    let problem = match follow(document, node.value) {
        _ if !target.starts_with("#/") => format!("$ref `{target}` is not local; write `#/components/{section}/…`"),
        _ if !target.starts_with(&format!("#/components/{section}/")) => {
            format!("$ref `{target}` is not {}; write `#/components/{section}/…`", with_article(name))
        }
        _ if target.matches('/').count() > 3 => {
            format!("$ref `{target}` leads into the {name}; give what is there a name under components.{section}")
        }
        Err(BrokenReference::Missing(missing)) => {
            format!("$ref `{missing}` does not exist; add it, or correct the name")
        }
        Err(BrokenReference::Circular(circular)) => {
            format!("$ref `{circular}` leads back to itself; write the {name} in one place of the cycle")
        }
        Ok(_) => return Ok(()),
    };
    fail(&node.place, problem)
}

fn check_value(kind: &Kind, value: &Value, place: &str) -> Result<(), SpecError> {
    let expected = match kind {
        Kind::Text => return check_text(value, place),
        Kind::Data => return Ok(()),
        Kind::Texts => return check_texts(value, place),
        Kind::TextMap => match value {
            Value::Object(map) => {
                return map.iter().try_for_each(|(key, value)| check_text(value, &format!("{place}.{key}")));
            }
            _ => "an object of strings".to_owned(),
        },
        Kind::Flag if value.is_boolean() => return Ok(()),
        Kind::Flag => "`true` or `false`".to_owned(),
        Kind::Number if value.is_number() => return Ok(()),
        Kind::Number => "a number".to_owned(),
        Kind::Count if value.is_u64() => return Ok(()),
        Kind::Count => "a whole number that is not negative".to_owned(),
        Kind::DataList if value.is_array() => return Ok(()),
        Kind::DataList => "a list".to_owned(),
        Kind::FlagOr(_) if value.is_boolean() || value.is_object() => return Ok(()),
        Kind::FlagOr(object) => format!("`true`, `false` or {}", with_article(object.name)),
        Kind::One(_) if value.is_object() => return Ok(()),
        Kind::One(object) => with_article(object.name),
        Kind::List(object) => match value {
            Value::Array(items) => return each_is_object(items.iter().enumerate(), object.name, place),
            _ => format!("a list, each item {}", with_article(object.name)),
        },
        Kind::Map(object) => match value {
            Value::Object(map) => return check_map(map, object.name, place),
            _ => format!("an object, each value {}", with_article(object.name)),
        },
    };
    fail(place, format!("write {expected} here, not {}", described(value)))
}

fn check_map(map: &Map<String, Value>, name: &str, place: &str) -> Result<(), SpecError> {
    for (key, value) in map {
        let place = format!("{place}.{key}");
        check_characters(key, &place)?;
        if !value.is_object() {
            return fail(place, format!("write {} here, not {}", with_article(name), described(value)));
        }
    }
    Ok(())
}

fn each_is_object<'a>(
    items: impl Iterator<Item = (usize, &'a Value)>,
    name: &str,
    place: &str,
) -> Result<(), SpecError> {
    for (index, value) in items {
        if !value.is_object() {
            let problem = format!("write {} here, not {}", with_article(name), described(value));
            return fail(format!("{place}[{index}]"), problem);
        }
    }
    Ok(())
}

fn check_texts(value: &Value, place: &str) -> Result<(), SpecError> {
    let Some(items) = value.as_array() else {
        return fail(place, format!("write a list of strings here, not {}", described(value)));
    };
    for (index, item) in items.iter().enumerate() {
        let place = format!("{place}[{index}]");
        check_text(item, &place)?;
        if items.iter().take(index).any(|other| other == item) {
            return fail(place, format!("{item} is declared twice; remove one"));
        }
    }
    Ok(())
}

fn check_text(value: &Value, place: &str) -> Result<(), SpecError> {
    match value {
        Value::String(text) => check_characters(text, place),
        Value::Bool(_) | Value::Number(_) => {
            fail(place, format!("write a string here, not {}; put it in quotes", described(value)))
        }
        _ => fail(place, format!("write a string here, not {}", described(value))),
    }
}

/// The Rust compiler refuses these in documentation: some of them make code read as what it is not.
fn check_characters(text: &str, place: &str) -> Result<(), SpecError> {
    let is_hidden = |letter: char| {
        letter.is_control() && !matches!(letter, '\n' | '\t')
            || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    match text.chars().find(|letter| is_hidden(*letter)) {
        Some(letter) => fail(place, format!("holds the control character {}; remove it", letter.escape_unicode())),
        None => Ok(()),
    }
}

/// An extension may be anything, except for a known one that is misspelt or misplaced.
fn check_extension(node: &Node<'_>, key: &str, place: &str) -> Result<(), SpecError> {
    let name = with_article(node.object.name);
    if key.starts_with("x-") {
        if node.object.extensions.contains(&key) {
            return Ok(());
        }
        return match extensions().find(|known| is_close(key, known)) {
            Some(known) if known == key => fail(place, format!("`{key}` has no meaning for {name}; remove it")),
            Some(known) => fail(place, format!("`{key}` is not known; did you mean `{known}`?")),
            None => Ok(()),
        };
    }
    let similar = node.object.keywords().find(|keyword| is_close(key, keyword));
    let advice = match similar {
        Some(keyword) => format!("did you mean `{keyword}`?"),
        None => "remove it, or write `x-` before an extension".to_owned(),
    };
    fail(place, format!("`{key}` is not a keyword of {name} in OpenAPI 3.0; {advice}"))
}

/// A reason is text, and without `deprecated: true` there is nothing that it is for.
fn check_reason(holder: &Value, reason: &Value, place: &str) -> Result<(), SpecError> {
    check_text(reason, place)?;
    if !is_true(holder, "deprecated") {
        return fail(place, "a reason has no effect without `deprecated: true`; add it");
    }
    Ok(())
}

fn check_type(schema: &Value, key: &str, place: &str) -> Result<(), SpecError> {
    let Some(kind) = text(schema, "type") else {
        return Ok(());
    };
    match BY_TYPE.iter().find(|(_, keywords)| keywords.contains(&key)) {
        Some((types, _)) if !types.contains(&kind) => {
            fail(place, format!("`{key}` has no meaning for the type `{kind}`; remove it, or correct the type"))
        }
        _ => Ok(()),
    }
}

fn described(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        other => format!("{:.60}", other.to_string()),
    }
}

fn with_article(name: &str) -> String {
    let article = if name.starts_with(['a', 'e', 'i', 'o', 'u', 'O']) { "an" } else { "a" };
    format!("{article} {name}")
}

#[cfg(test)]
mod tests {
    use super::check;
    use serde_json::json;

    #[test]
    fn a_reference_in_data_is_data() {
        let example = json!({"$ref": "#/nowhere"});
        let schema = json!({"example": example, "default": example, "enum": [example], "x-note": example});
        assert!(check(&json!({"components": {"schemas": {"A": schema}}})).is_ok());
    }
}
