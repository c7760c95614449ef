//! Checks operations: their names, parameters, bodies and responses.

#[path = "../../src/transport/reserved_headers.rs"]
mod reserved_headers;

use std::collections::{BTreeMap, BTreeSet};

use heck::ToSnakeCase;
use serde_json::Value;

use super::inline::check_inline;
use crate::build::contract::{
    Operation, can_be_null, deliveries, entries, is_true, items, operations, reference, resolve, successes, text,
};
use crate::build::error::{SpecError, fail};
use crate::build::names::snake_case;

pub fn check(document: &Value) -> Result<(), SpecError> {
    let mut names = BTreeMap::new();
    for (path, item) in entries(document.get("paths")) {
        let place = format!("paths.{path}");
        if !path.starts_with('/') {
            return fail(place, "a path starts with `/`");
        }
        if !path.chars().all(|letter| letter.is_ascii_alphanumeric() || "/{}-._~%:@!$&'()*+,;=".contains(letter)) {
            return fail(place, "a path holds a character that a URL cannot; encode it, as `%20`");
        }
        if let Some(method) = ["options", "trace"].into_iter().find(|method| item.get(method).is_some()) {
            return fail(format!("{place}.{method}"), "this method is not supported; remove the operation");
        }
    }
    for operation in operations(document) {
        check_name(&operation, &mut names)?;
        check_documentation(&operation)?;
        check_parameters(document, &operation)?;
        check_request_body(document, operation.value, &operation.place)?;
        if ["get", "head"].contains(&operation.method) && operation.value.get("requestBody").is_some() {
            let problem = "HTTP gives such a request no body; use parameters, or another method";
            return fail(format!("{}.requestBody", operation.place), problem);
        }
        check_responses(document, &operation)?;
    }
    for (delivery, place) in deliveries(document) {
        check_request_body(document, delivery, &place)?;
    }
    if names.is_empty() {
        return fail("paths", "there is no operation");
    }
    Ok(())
}

fn check_name(operation: &Operation<'_>, names: &mut BTreeMap<String, String>) -> Result<(), SpecError> {
    let place = &operation.place;
    let Some(id) = text(operation.value, "operationId") else {
        return fail(place, "operationId is missing");
    };
    let is_camel_case = id.starts_with(|first: char| first.is_ascii_lowercase())
        && id.chars().all(|letter| letter.is_ascii_alphanumeric());
    if !is_camel_case {
        return fail(
            format!("{place}.operationId"),
            format!("`{id}` is not a name; write it in camelCase, for example `listRuns`"),
        );
    }
    match names.insert(id.to_snake_case(), place.clone()) {
        Some(other) => fail(format!("{place}.operationId"), format!("`{id}` is already the name of {other}")),
        None => Ok(()),
    }
}

fn check_documentation(operation: &Operation<'_>) -> Result<(), SpecError> {
    for key in ["summary", "description", "x-required-scope"] {
        if text(operation.value, key).is_none_or(str::is_empty) {
            return fail(&operation.place, format!("{key} is missing"));
        }
    }
    for (index, sample) in items(operation.value.get("x-codeSamples")).enumerate() {
        let is_rust = text(sample, "lang") == Some("Rust");
        if is_rust && text(sample, "source").is_none_or(str::is_empty) {
            let place = format!("{}.x-codeSamples[{index}]", operation.place);
            return fail(place, "the source is missing; write `source: |` and the lines of the example");
        }
        if !is_rust && text(sample, "lang").is_none_or(|lang| lang.eq_ignore_ascii_case("rust")) {
            let place = format!("{}.x-codeSamples[{index}].lang", operation.place);
            return fail(place, "write `lang: Rust`");
        }
    }
    match operation.value.get("x-idempotent") {
        None | Some(Value::Bool(_)) => Ok(()),
        Some(_) => fail(format!("{}.x-idempotent", operation.place), "write `true` or `false`"),
    }
}

fn check_header(name: &str, place: &str) -> Result<(), SpecError> {
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return fail(place, format!("`{name}` is not the name of a header; write letters, digits and hyphens"));
    }
    if reserved_headers::RESERVED_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
        return fail(place, format!("the client sets the header `{name}` by itself; remove the parameter"));
    }
    Ok(())
}

fn check_parameters(document: &Value, operation: &Operation<'_>) -> Result<(), SpecError> {
    let mut seen = BTreeSet::new();
    let mut in_path = BTreeSet::new();
    for (parameter, place) in operation.parameters() {
        let parameter = resolve(document, parameter);
        let name = text(parameter, "name").unwrap_or_default();
        let Some(argument) = snake_case(name) else {
            return fail(place, format!("`{name}` does not make a Rust argument name; write it in camelCase"));
        };
        if !seen.insert(argument) {
            return fail(place, format!("parameter `{name}` is declared twice"));
        }
        if text(parameter, "description").is_none_or(str::is_empty) {
            return fail(place, format!("parameter `{name}` has no description"));
        }
        match text(parameter, "in") {
            Some("path") if !is_true(parameter, "required") => {
                return fail(place, "a path parameter needs `required: true`");
            }
            Some("path") => drop(in_path.insert(name)),
            Some("query") => {}
            Some("header") => check_header(name, &place)?,
            other => {
                let other = other.unwrap_or("nowhere");
                return fail(
                    place,
                    format!("a parameter in `{other}` is not supported; `path`, `query` and `header` are"),
                );
            }
        }
        check_style(parameter, name, &place)?;
        let Some(schema) = parameter.get("schema") else {
            return fail(place, format!("parameter `{name}` has no schema"));
        };
        if can_be_null(schema) {
            let problem = "a URL holds no null; remove it, and `required` if the parameter can be left out";
            return fail(format!("{place}.schema.nullable"), problem);
        }
        check_inline(schema, &format!("{place}.schema"))?;
    }

    let in_template: BTreeSet<&str> =
        operation.path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}')).collect();
    if operation.path.matches(['{', '}']).count() != 2 * in_template.len() {
        return fail(
            format!("paths.{}", operation.path),
            "a path parameter is a whole segment: `/{id}/`, each name once",
        );
    }
    if let Some(missing) = in_template.difference(&in_path).next() {
        return fail(&operation.place, format!("path parameter `{missing}` is not declared under `parameters`"));
    }
    if let Some(extra) = in_path.difference(&in_template).next() {
        return fail(&operation.place, format!("path parameter `{extra}` is not in the path"));
    }
    Ok(())
}

/// Checks that a parameter has OpenAPI's default style, the only one that the client writes.
fn check_style(parameter: &Value, name: &str, place: &str) -> Result<(), SpecError> {
    let sent = if text(parameter, "in") == Some("path") { "simple" } else { "form" };
    if let Some(style) = text(parameter, "style").filter(|style| *style != sent) {
        let problem = format!("`{style}` is not supported here; remove it, so that it is `{sent}`");
        return fail(format!("{place}.style"), problem);
    }
    let is_array = parameter.get("schema").and_then(|schema| text(schema, "type")) == Some("array");
    if is_array && parameter.get("explode") == Some(&Value::Bool(false)) {
        let problem = format!(
            "the client sends `{name}=a&{name}=b`; remove it if the service reads that, or write `type: string` and \
             describe how the items are joined"
        );
        return fail(format!("{place}.explode"), problem);
    }
    Ok(())
}

fn check_request_body(document: &Value, operation: &Value, place: &str) -> Result<(), SpecError> {
    let Some(body) = operation.get("requestBody") else {
        return Ok(());
    };
    let place = format!("{place}.requestBody");
    let body = resolve(document, body);
    if !is_true(body, "required") {
        return fail(place, "an optional body is not supported; add `required: true`");
    }
    check_content(body, &place, true)
}

fn check_responses(document: &Value, operation: &Operation<'_>) -> Result<(), SpecError> {
    let place = format!("{}.responses", operation.place);
    let mut first = None;
    for (status, response) in successes(document, operation.value) {
        let place = format!("{place}.{status}");
        check_content(response, &place, false)?;
        let is_bodiless = operation.method == "head" || ["204", "205"].contains(&status.as_str());
        if is_bodiless && entries(response.get("content")).next().is_some() {
            return fail(format!("{place}.content"), "HTTP gives this response no body; remove it");
        }
        for (_, content) in entries(response.get("content")) {
            let schema = content.get("schema");
            match first {
                Some((other, body)) if schema != body => {
                    let problem = format!(
                        "has another body than `{other}`, and a call returns one type; write one schema for both, for \
                         example with optional properties"
                    );
                    return fail(place, problem);
                }
                _ => first = Some((status, schema)),
            }
        }
    }
    match successes(document, operation.value).next() {
        Some(_) => Ok(()),
        None => fail(place, "a 2xx response is needed, and there is none"),
    }
}

/// Checks that a body is JSON of a named schema.
fn check_content(holder: &Value, place: &str, required: bool) -> Result<(), SpecError> {
    let place = format!("{place}.content");
    let types: Vec<_> = entries(holder.get("content")).collect();
    match types[..] {
        [] if !required => Ok(()),
        [(media_type, content)] if media_type == "application/json" => {
            let schema = content.get("schema").and_then(reference);
            if schema.is_some_and(|schema| schema.starts_with("#/components/schemas/")) {
                Ok(())
            } else {
                fail(
                    format!("{place}.application/json.schema"),
                    "write a $ref to a named schema under components.schemas",
                )
            }
        }
        _ => fail(place, "exactly one media type is supported, application/json"),
    }
}
