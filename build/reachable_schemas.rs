//! The schemas that requests, responses and deliveries refer to, directly or through others.

use std::collections::BTreeSet;

use serde_json::Value;

use super::contract::{component, deliveries, entries, operations, reference, resolve, schemas, successes, text};
use super::openapi::{MEDIA_TYPE, Object, PARAMETER, REQUEST_BODY, SCHEMA, nodes};

/// Returns the schemas that requests, successful responses and deliveries use.
pub fn reachable(document: &Value) -> BTreeSet<String> {
    let mut found = reachable_from_requests(document);
    found.append(&mut reachable_from_responses(document));
    found.append(&mut reachable_from_deliveries(document));
    found
}

/// Returns the schemas that callers send and never receive.
pub fn sent_alone(document: &Value) -> BTreeSet<String> {
    let (responses, deliveries) = (reachable_from_responses(document), reachable_from_deliveries(document));
    let mut sent = reachable_from_requests(document);
    sent.retain(|name| !responses.contains(name) && !deliveries.contains(name));
    sent
}

/// Returns the schemas that callers send.
pub fn reachable_from_requests(document: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for operation in operations(document) {
        for (parameter, _) in operation.parameters() {
            collect(document, &PARAMETER, resolve(document, parameter), &mut found);
        }
        if let Some(body) = operation.value.get("requestBody") {
            collect(document, &REQUEST_BODY, resolve(document, body), &mut found);
        }
    }
    found
}

/// Returns the schemas of successful responses.
pub fn reachable_from_responses(document: &Value) -> BTreeSet<String> {
    operations(document).flat_map(|operation| reachable_from_response(document, operation.value)).collect()
}

/// Returns the schemas of the successful responses to an operation.
pub fn reachable_from_response(document: &Value, operation: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (_, response) in successes(document, operation) {
        for (_, content) in entries(response.get("content")) {
            collect(document, &MEDIA_TYPE, content, &mut found);
        }
    }
    found
}

/// Returns the schemas within the events of deliveries. The event itself is handwritten in `webhook`, as its type
/// decides how its data is read.
pub fn reachable_from_deliveries(document: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (delivery, _) in deliveries(document) {
        let Some(body) = delivery.get("requestBody") else {
            continue;
        };
        for (_, content) in entries(resolve(document, body).get("content")) {
            let event = resolve(document, content.get("schema").unwrap_or(&Value::Null));
            for (_, property) in entries(event.get("properties")) {
                collect(document, &SCHEMA, property, &mut found);
            }
        }
    }
    found
}

/// Returns the schemas that a schema refers to. It is one of them only if it is part of a cycle.
pub fn reachable_from_schema(document: &Value, schema: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(document, &SCHEMA, schema, &mut found);
    found
}

fn collect(document: &Value, object: &'static Object, value: &Value, found: &mut BTreeSet<String>) {
    for node in nodes(object, value, "") {
        let name = match reference(node.value) {
            Some(target) if target.starts_with("#/components/schemas/") => Some(component(target)),
            Some(_) => None,
            None => text(node.value, "x-list-of"),
        };
        if let Some(name) = name
            && found.insert(name.to_owned())
            && let Some((_, schema)) = schemas(document).find(|(other, _)| *other == name)
        {
            collect(document, &SCHEMA, schema, found);
        }
    }
}
