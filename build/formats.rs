//! The formats of strings.

use serde_json::Value;

use super::contract::text;
use super::error::{SpecError, fail};
use super::spelling::distance;

/// The formats of strings that have types of their own: all others are plain strings.
const TYPED_FORMATS: [&str; 2] = ["date-time", "password"];

/// Returns `true` for a schema whose values are strings in Rust, whatever their format.
pub fn is_plain_string(schema: &Value) -> bool {
    text(schema, "type") == Some("string") && text(schema, "format").is_none_or(|it| !TYPED_FORMATS.contains(&it))
}

/// Checks a format without a type of its own, which is documentation, for misspellings.
pub fn check_format(schema: &Value, place: &str) -> Result<(), SpecError> {
    let Some(format) = text(schema, "format").filter(|format| !TYPED_FORMATS.contains(format)) else {
        return Ok(());
    };
    let place = format!("{place}.format");
    if format == "binary" {
        return fail(place, "JSON holds text alone; write `byte` for bytes in Base64");
    }
    if let Some(meant) = TYPED_FORMATS.into_iter().find(|meant| distance(format, meant) <= 2) {
        return fail(place, format!("`{format}` is not known; did you mean `{meant}`?"));
    }
    if format.is_empty() || !format.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.:+/".contains(letter)) {
        return fail(place, "a format is one word, for example `uuid`");
    }
    Ok(())
}

/// Returns the description of a string, or of a container of strings, with the format as its last sentence.
pub fn description_with_format(description: &str, schema: &Value) -> String {
    let mut leaf = schema;
    while let Some(within) = leaf.get("items").or_else(|| leaf.get("additionalProperties")) {
        leaf = within;
    }
    let format = text(leaf, "format").filter(|format| !TYPED_FORMATS.contains(format));
    let Some(format) = format.filter(|_| text(leaf, "type") == Some("string")) else {
        return description.to_owned();
    };
    let description = description.trim_end();
    // The last of several lines may belong to a list.
    let space = if description.contains('\n') { "\n\n" } else { " " };
    let stop = if description.ends_with(|last: char| last.is_alphanumeric()) { "." } else { "" };
    format!("{description}{stop}{space}Format: `{format}`.").trim_start().to_owned()
}
