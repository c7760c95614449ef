//! Refuses the parts of a contract that the generator would ignore.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::build::contract::{
    component, entries, is_true, items, operations, reference, resolve, schemas, text, words,
};
use crate::build::error::{SpecError, fail};
use crate::build::openapi::{DOCUMENT, Node, SCHEMA, nodes};
use crate::build::reachable_schemas::{reachable_from_deliveries, reachable_from_requests, reachable_from_responses};
use crate::build::schema_types::{Mapping, Mappings};

pub fn check(document: &Value, mappings: &Mappings) -> Result<(), SpecError> {
    check_servers(document)?;
    check_security(document)?;
    check_directions(document)?;
    check_extensions(document, mappings)?;
    check_deprecated(document, mappings)
}

/// Checks that there is one server, as all requests go to the client's base URL.
fn check_servers(document: &Value) -> Result<(), SpecError> {
    let server = items(document.get("servers")).next().and_then(|server| text(server, "url"));
    if server.is_none_or(|url| !url.starts_with("https://") || url.contains('{')) {
        return fail("servers", "the first server has to be the service's own; write `- url: https://…`");
    }
    let paths = entries(document.get("paths")).map(|(path, item)| (format!("paths.{path}"), item));
    let operations = operations(document).map(|operation| (operation.place, operation.value));
    match paths.chain(operations).find(|(_, value)| value.get("servers").is_some()) {
        Some((place, _)) => fail(
            format!("{place}.servers"),
            "all operations are sent to one base URL; write `servers` at the top of the contract",
        ),
        None => Ok(()),
    }
}

/// Checks that all operations accept the API key as a bearer token.
fn check_security(document: &Value) -> Result<(), SpecError> {
    let of_operations = operations(document)
        .filter_map(|operation| Some((operation.place, operation.value.get("security")?)))
        .chain(document.get("security").map(|security| (String::new(), security)));
    for (place, security) in of_operations {
        let place = if place.is_empty() { "security".to_owned() } else { format!("{place}.security") };
        let mut is_met = items(Some(security)).next().is_none();
        for requirement in items(Some(security)) {
            let mut schemes = Vec::new();
            for (name, _) in entries(Some(requirement)) {
                let Some(scheme) = document.pointer(&format!("/components/securitySchemes/{name}")) else {
                    return fail(place, format!("there is no security scheme `{name}`"));
                };
                schemes.push(resolve(document, scheme));
            }
            is_met |= schemes
                .iter()
                .all(|scheme| text(scheme, "type") == Some("http") && text(scheme, "scheme") == Some("bearer"));
        }
        if !is_met {
            let problem =
                "the client sends its API key as a bearer token; name a scheme with `type: http` and `scheme: bearer`";
            return fail(place, problem);
        }
    }
    Ok(())
}

/// Checks that requests have no `readOnly` property, and responses no `writeOnly` one.
fn check_directions(document: &Value) -> Result<(), SpecError> {
    let sent = reachable_from_requests(document);
    let mut received = reachable_from_responses(document);
    received.append(&mut reachable_from_deliveries(document));
    for (names, keyword, holder) in [(sent, "readOnly", "request"), (received, "writeOnly", "response")] {
        for (name, schema) in schemas(document).filter(|(name, _)| names.contains(*name)) {
            let mut properties = entries(schema.get("properties"));
            if let Some((property, _)) = properties.find(|(_, it)| is_true(it, keyword)) {
                let place = format!("components.schemas.{name}.properties.{property}.{keyword}");
                let problem = format!("a {holder} holds `{name}`; give the {holder} an object of its own without it");
                return fail(place, problem);
            }
        }
    }
    Ok(())
}

/// Checks that each extension is where the generator reads it.
fn check_extensions(document: &Value, mappings: &Mappings) -> Result<(), SpecError> {
    let bodies: BTreeSet<&str> = operations(document)
        .filter_map(|operation| operation.value.get("requestBody"))
        .flat_map(|body| entries(resolve(document, body).get("content")))
        .filter_map(|(_, content)| Some(component(reference(content.get("schema")?)?)))
        .collect();
    let (mut named, mut fields) = (BTreeSet::new(), BTreeSet::new());
    for (name, schema) in schemas(document).filter(|(name, _)| mappings.contains_key(*name)) {
        let place = format!("components.schemas.{name}");
        if bodies.contains(name.as_str()) {
            fields.extend(entries(schema.get("properties")).map(|(name, _)| format!("{place}.properties.{name}")));
        }
        named.insert(place);
    }
    for node in nodes(&DOCUMENT, document, "").filter(is_schema) {
        let is_part = node.place.split('.').nth(2).is_some_and(|name| !mappings.contains_key(name));
        if node.place.starts_with("components.schemas.") && is_part {
            continue; // It is documentation, or has become a part of another schema.
        }
        if node.value.get("x-rust-setter").is_some_and(|setter| setter != &Value::Bool(false)) {
            return fail(format!("{}.x-rust-setter", node.place), "write `false`, or leave it out");
        }
        let is_named = named.contains(&node.place);
        let (is_set, is_field) = (is_named && words(node.value).is_some(), fields.contains(&node.place));
        for (extension, is_read, meant) in [
            ("x-aliases", is_set, "a named set of words"),
            ("x-enumDescriptions", is_set, "a named set of words"),
            ("x-terminal", is_set, "a named set of words"),
            ("x-list-of", is_named, "a named schema"),
            ("x-any-json", !is_named, "a property, where the schema is used"),
            ("x-rust-name", is_field, "a property of a request body"),
            ("x-rust-setter", is_field, "a property of a request body"),
        ] {
            if node.value.get(extension).is_some() && !is_read {
                let problem = format!("has no effect here; write it at {meant}, or remove it");
                return fail(format!("{}.{extension}", node.place), problem);
            }
        }
    }
    Ok(())
}

fn is_schema(node: &Node<'_>) -> bool {
    std::ptr::eq(node.object, &raw const SCHEMA)
}

/// Checks that `deprecated` is at a schema or a property that has a Rust item.
fn check_deprecated(document: &Value, mappings: &Mappings) -> Result<(), SpecError> {
    let mut honoured = BTreeSet::new();
    for (name, schema) in schemas(document) {
        let place = format!("components.schemas.{name}");
        honoured.extend(entries(schema.get("properties")).map(|(name, _)| format!("{place}.properties.{name}")));
        if !matches!(mappings.get(name), Some(Mapping::List { .. } | Mapping::Secret)) {
            honoured.insert(place);
        }
    }
    let is_deprecated = |node: &Node<'_>| is_true(node.value, "deprecated");
    let ignored = nodes(&DOCUMENT, document, "")
        .find(|node| is_schema(node) && is_deprecated(node) && !honoured.contains(&node.place));
    match ignored {
        Some(node) => fail(
            format!("{}.deprecated", node.place),
            "has no effect here; write it at an operation, a parameter, a property, or a named object, string or union",
        ),
        None => Ok(()),
    }
}
