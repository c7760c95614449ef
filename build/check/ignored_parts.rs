//! Refuses the parts of a contract that the generator would ignore.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::build::contract::{all_schemas, entries, is_true, items, operations, resolve, schemas, text};
use crate::build::error::{SpecError, fail};
use crate::build::reachable_schemas::{reachable_from_deliveries, reachable_from_requests, reachable_from_responses};
use crate::build::schema_types::Mappings;
use crate::build::structs::schema_name;

pub fn check(document: &Value, mappings: &Mappings) -> Result<(), SpecError> {
    check_servers(document)?;
    check_security(document)?;
    check_directions(document)?;
    check_extensions(document, mappings)
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
        .filter_map(|operation| schema_name(resolve(document, operation.value.get("requestBody")?)))
        .collect();
    for (schema, place) in all_schemas(document) {
        let within: Vec<_> = place.splitn(5, '.').collect();
        let (is_named, is_field) = match within[..] {
            ["components", "schemas", name, ..] if !mappings.contains_key(name) => continue, // It is documentation.
            ["components", "schemas", name, "properties", property] if !property.contains('.') => {
                (false, bodies.contains(name))
            }
            ["components", "schemas", _] => (true, false),
            _ => (false, false),
        };
        if schema.get("x-rust-setter").is_some_and(|setter| setter != &Value::Bool(false)) {
            return fail(format!("{place}.x-rust-setter"), "write `false`, or leave it out");
        }
        for (extension, is_read, meant) in [
            ("x-aliases", is_named, "a named set of words"),
            ("x-enumDescriptions", is_named, "a named set of words"),
            ("x-terminal", is_named, "a named set of words"),
            ("x-list-of", is_named, "a named schema"),
            ("x-any-json", !is_named, "a property, where the schema is used"),
            ("x-rust-name", is_field, "a property of a request body"),
            ("x-rust-setter", is_field, "a property of a request body"),
        ] {
            if schema.get(extension).is_some() && !is_read {
                let problem = format!("has no effect here; write it at {meant}, or remove it");
                return fail(format!("{place}.{extension}"), problem);
            }
        }
    }
    Ok(())
}
