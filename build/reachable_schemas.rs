//! The schemas that requests, responses and deliveries refer to, directly or through others.

use std::collections::BTreeSet;

use serde_json::Value;

use super::contract::{
    component, deliveries, entries, named_schema, operations, reference, resolve, schemas_within, successes, text,
};

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
            collect(document, resolve(document, parameter).get("schema"), &mut found);
        }
        let body = operation.value.get("requestBody").map(|body| resolve(document, body));
        for (_, content) in entries(body.and_then(|body| body.get("content"))) {
            collect(document, content.get("schema"), &mut found);
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
            collect(document, content.get("schema"), &mut found);
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
                collect(document, Some(property), &mut found);
            }
        }
    }
    found
}

/// Returns the schemas that a schema refers to. It is one of them only if it is part of a cycle.
pub fn reachable_from_schema(document: &Value, schema: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(document, Some(schema), &mut found);
    found
}

fn collect(document: &Value, schema: Option<&Value>, found: &mut BTreeSet<String>) {
    for (schema, _) in schema.into_iter().flat_map(|schema| schemas_within(schema, "")) {
        let name = reference(schema).map(component).or_else(|| text(schema, "x-list-of"));
        if let Some(name) = name
            && let Some(target) = named_schema(document, name)
            && found.insert(name.to_owned())
        {
            collect(document, Some(target), found);
        }
    }
}
