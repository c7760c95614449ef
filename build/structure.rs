//! Checks what the generator reads without asking again: the kinds of values, references, and characters.
//!
//! It finds no misspelt keyword. `cargo xtask lint` does, by validators of OpenAPI that others keep.

use serde_json::Value;

use super::contract::{follow, lookup, reference};
use super::error::{SpecError, fail, refuse};

/// Keywords whose value is data, and no part of the contract.
pub const DATA: [&str; 5] = ["default", "enum", "example", "mapping", "value"];

/// Keywords whose value is an object by names that the contract gives. None of its keys is a keyword.
pub const MAPS: [&str; 14] = [
    "callbacks", "content", "examples", "headers", "links", "parameters", "paths", "properties", "requestBodies",
    "responses", "schemas", "scopes", "securitySchemes", "variables",
];

/// Returns the section of `components` that a `$ref` below this key leads to.
fn section_of(key: &str) -> Option<&str> {
    match key {
        "additionalProperties" | "allOf" | "anyOf" | "items" | "not" | "oneOf" | "properties" | "schema" => {
            Some("schemas")
        }
        "requestBody" => Some("requestBodies"),
        "callbacks" | "examples" | "headers" | "links" | "parameters" | "requestBodies" | "responses" | "schemas"
        | "securitySchemes" => Some(key),
        _ => None,
    }
}

/// Returns the kind of value that a keyword has which the generator reads, and whether this value is of it.
fn kind(key: &str, value: &Value) -> (&'static str, bool) {
    match key {
        "description"
        | "format"
        | "in"
        | "name"
        | "operationId"
        | "summary"
        | "type"
        | "x-deprecated-reason"
        | "x-list-of"
        | "x-required-scope"
        | "x-rust-name" => ("a string", value.is_string()),
        "deprecated" | "explode" | "nullable" | "readOnly" | "writeOnly" | "x-any-json" | "x-idempotent"
        | "x-rust-setter" | "x-secret-values" => ("`true` or `false`", value.is_boolean()),
        "allOf" | "anyOf" | "enum" | "oneOf" | "security" | "servers" | "tags" | "x-terminal" => {
            ("a list", value.is_array())
        }
        "content" | "discriminator" | "items" | "mapping" | "properties" | "responses" | "schema" | "x-advice"
        | "x-aliases" | "x-enumDescriptions" | "x-errors" | "x-eventData" => ("an object", value.is_object()),
        "maximum" | "minimum" => ("a number", value.is_number()),
        "required" => {
            let mut names = value.as_array().into_iter().flatten();
            (
                "`true`, `false` or a list of names",
                value.is_boolean() || value.is_array() && names.all(Value::is_string),
            )
        }
        _ => ("", true),
    }
}

pub fn check(document: &Value) -> Result<(), SpecError> {
    Check { document }.object(document, "", "", false)
}

struct Check<'a> {
    document: &'a Value,
}

impl Check<'_> {
    /// Checks an object. `section` is the key above it, and `is_map` tells that its keys are names.
    fn object(&self, value: &Value, place: &str, section: &str, is_map: bool) -> Result<(), SpecError> {
        if !is_map && value.get("$ref").is_some() {
            return self.reference(value, place, section);
        }
        if !is_map && section == "parameters" && value.get("schema").is_none() {
            return fail(place, "a parameter needs a `schema`; its content as a media type is not supported");
        }
        for (key, child) in value.as_object().into_iter().flatten() {
            let place = if place.is_empty() { key.clone() } else { format!("{place}.{key}") };
            check_characters(key, &place)?;
            if is_map {
                // A path item, and a callback, hold operations by method.
                self.part(child, &place, section, false)?;
                continue;
            }
            let (expected, is_of_kind) = kind(key, child);
            refuse(!is_of_kind, &place, format!("write {expected} here, not {child:.40}"))?;
            if !DATA.contains(&key.as_str()) && !key.starts_with("x-") {
                self.part(child, &place, key, child.is_object() && MAPS.contains(&key.as_str()))?;
            }
        }
        Ok(())
    }

    fn part(&self, value: &Value, place: &str, section: &str, is_map: bool) -> Result<(), SpecError> {
        match value {
            Value::Object(_) => self.object(value, place, section, is_map),
            Value::Array(items) => {
                let mut items = items.iter().enumerate();
                items.try_for_each(|(index, item)| self.part(item, &format!("{place}[{index}]"), section, false))
            }
            Value::String(text) => check_characters(text, place),
            _ => Ok(()),
        }
    }

    fn reference(&self, value: &Value, place: &str, key: &str) -> Result<(), SpecError> {
        let Some(section) = section_of(key) else {
            return fail(place, "a $ref is not supported here; write out what it leads to");
        };
        let target = reference(value).unwrap_or_default();
        let name = target.strip_prefix("#/components/").and_then(|path| path.strip_prefix(section)?.strip_prefix('/'));
        if name.is_none_or(|name| name.is_empty() || name.contains('/')) {
            return fail(place, format!("$ref `{target}` is not supported here; write `#/components/{section}/…`"));
        }
        if let Some((key, _)) = value.as_object().into_iter().flatten().find(|(key, _)| *key != "$ref") {
            let way_out =
                if section == "schemas" { "; write `allOf: [{$ref: …}]` and keep it beside that" } else { "" };
            return fail(place, format!("`{key}` has no effect beside a $ref{way_out}"));
        }
        let exists = lookup(self.document, target).is_some();
        let problem = if exists { "leads back to itself, or to nothing" } else { "does not exist" };
        let is_broken = follow(self.document, value).is_none();
        refuse(is_broken, place, format!("$ref `{target}` {problem}; add what it leads to, or correct the name"))
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
