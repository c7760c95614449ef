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
use crate::build::error::{SpecError, fail, refuse};
use crate::build::names::{is_reserved_operation, snake_case};

pub fn check(document: &Value) -> Result<(), SpecError> {
    let mut names = BTreeMap::new();
    for (path, item) in entries(document.get("paths")) {
        let place = format!("paths.{path}");
        refuse(!path.starts_with('/'), &place, "a path starts with `/`")?;
        if let Some(method) = ["options", "trace"].into_iter().find(|method| item.get(method).is_some()) {
            return fail(format!("{place}.{method}"), "this method is not supported; remove the operation");
        }
    }
    for operation in operations(document) {
        check_name(&operation, &mut names)?;
        check_documentation(&operation)?;
        check_parameters(document, &operation)?;
        check_tag(document, &operation)?;
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
    refuse(names.is_empty(), "paths", "there is no operation")?;
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
    if is_reserved_operation(&id.to_snake_case()) {
        return fail(format!("{place}.operationId"), format!("`{id}` is a name of the generated code; choose another"));
    }
    match names.insert(id.to_snake_case(), place.clone()) {
        Some(other) => fail(format!("{place}.operationId"), format!("`{id}` is already the name of {other}")),
        None => Ok(()),
    }
}

/// Checks that the root declares the tag, which becomes a public resource.
fn check_tag(document: &Value, operation: &Operation<'_>) -> Result<(), SpecError> {
    let declared: Vec<_> = items(document.get("tags")).filter_map(|tag| text(tag, "name")).collect();
    match items(operation.value.get("tags")).filter_map(Value::as_str).find(|tag| !declared.contains(tag)) {
        Some(tag) => {
            let known = declared.join(", ");
            let problem = format!("`{tag}` is not declared; write one of {known}, or add it to `tags` at the root");
            fail(format!("{}.tags", operation.place), problem)
        }
        None => Ok(()),
    }
}

fn check_documentation(operation: &Operation<'_>) -> Result<(), SpecError> {
    for key in ["summary", "description"] {
        refuse(text(operation.value, key).is_none_or(str::is_empty), &operation.place, format!("{key} is missing"))?;
    }
    Ok(())
}

fn check_header(name: &str, place: &str) -> Result<(), SpecError> {
    if name.eq_ignore_ascii_case("Idempotency-Key") {
        return Ok(()); // A setter of calls that are idempotent; the others send one by themselves.
    }
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
        refuse(!seen.insert(argument), &place, format!("parameter `{name}` is declared twice"))?;
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
        let schema = parameter.get("schema").unwrap_or(&Value::Null);
        if can_be_null(schema) {
            let problem = "a URL holds no null; remove it, and `required` if the parameter can be left out";
            return fail(format!("{place}.schema.nullable"), problem);
        }
        check_inline(schema, &format!("{place}.schema"))?;
    }

    let in_template: BTreeSet<&str> = operation.path.split('/').filter_map(path_parameter).collect();
    if operation.path.matches(['{', '}']).count() != 2 * in_template.len() {
        let problem =
            "a path parameter is a whole segment, or stands before a `:verb`: `/{id}/` or `/{id}:verb`, each name once";
        return fail(format!("paths.{}", operation.path), problem);
    }
    if let Some(missing) = in_template.difference(&in_path).next() {
        return fail(&operation.place, format!("path parameter `{missing}` is not declared under `parameters`"));
    }
    if let Some(extra) = in_path.difference(&in_template).next() {
        return fail(&operation.place, format!("path parameter `{extra}` is not in the path"));
    }
    Ok(())
}

/// Returns the name of the parameter in a segment such as `{id}` or `{id}:verb`.
fn path_parameter(segment: &str) -> Option<&str> {
    let (name, verb) = segment.strip_prefix('{')?.split_once('}')?;
    (verb.is_empty() || verb.starts_with(':') && verb.len() > 1).then_some(name)
}

/// Checks that a parameter has OpenAPI's default style, the only one that the client writes.
fn check_style(parameter: &Value, name: &str, place: &str) -> Result<(), SpecError> {
    let sent = if text(parameter, "in") == Some("path") { "simple" } else { "form" };
    let style = text(parameter, "style").unwrap_or(sent);
    let problem = format!("`{style}` is not supported here; remove it, so that it is `{sent}`");
    refuse(style != sent, format!("{place}.style"), problem)?;
    let is_joined = parameter.get("explode") == Some(&Value::Bool(false));
    let is_list = parameter.pointer("/schema/type").is_some_and(|kind| kind == "array");
    let problem = format!("the client sends `{name}=a&{name}=b`; remove it, or write `type: string` for joined items");
    refuse(is_joined && is_list, format!("{place}.explode"), problem)
}

fn check_request_body(document: &Value, operation: &Value, place: &str) -> Result<(), SpecError> {
    match operation.get("requestBody") {
        Some(body) => check_content(resolve(document, body), &format!("{place}.requestBody"), true),
        None => Ok(()),
    }
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
            let problem = if required {
                "write a $ref to a named object under components.schemas"
            } else {
                "write a $ref to a named object under components.schemas, or `type: array` with such a $ref in `items`"
            };
            match content.get("schema").and_then(reference) {
                Some(_) => Ok(()),
                None => fail(format!("{place}.application/json.schema"), problem),
            }
        }
        _ => fail(place, "exactly one media type is supported, application/json"),
    }
}
