//! Checks `x-eventData`, the table from types of events to the schemas of their data.

use serde_json::Value;

use crate::build::contract::{entries, named_schema, schemas, text, word_texts, words};
use crate::build::error::{SpecError, fail};
use crate::build::reachable_schemas::reachable_from_deliveries;
use crate::build::schema_types::{OTHER_DATA, data_variant};

pub fn check(document: &Value) -> Result<(), SpecError> {
    let mut holders = Vec::new();
    for (name, schema) in schemas(document) {
        let Some(table) = schema.get("x-eventData") else {
            continue;
        };
        let place = format!("components.schemas.{name}.x-eventData");
        if words(schema).is_none() {
            return fail(place, "only the enum of the event types has this table");
        }
        if let Some(other) = holders.first() {
            return fail(place, format!("`{other}` has this table already; events have one set of types"));
        }
        holders.push(name);
        check_table(document, schema, table, &place)?;
    }
    match holders[..] {
        [name] => check_complete(document, name),
        _ => fail("components.schemas", "no enum has the table x-eventData, which names the data of events"),
    }
}

/// Checks that every type of event has its data.
fn check_complete(document: &Value, name: &str) -> Result<(), SpecError> {
    let holder = named_schema(document, name).unwrap_or(&Value::Null);
    for word in word_texts(holder) {
        if holder["x-eventData"].get(word).is_none() {
            let problem = format!("`{word}` has no entry; name the schema of what such an event carries");
            return fail(format!("components.schemas.{name}.x-eventData"), problem);
        }
    }
    Ok(())
}

fn check_table(document: &Value, holder: &Value, table: &Value, place: &str) -> Result<(), SpecError> {
    if entries(Some(table)).next().is_none() {
        return fail(place, "write one entry for each type of event: `run.created: RunEventData`");
    }
    let delivered = reachable_from_deliveries(document);
    for (word, schema) in entries(Some(table)) {
        let place = format!("{place}.{word}");
        if word_texts(holder).all(|known| known != word) {
            return fail(place, format!("`{word}` is not a word of the enum"));
        }
        let name = schema.as_str().unwrap_or_default();
        let Some(schema) = named_schema(document, name) else {
            return fail(place, format!("there is no schema `{name}`"));
        };
        if text(schema, "type") != Some("object") {
            return fail(place, format!("`{name}` is not an object"));
        }
        if data_variant(name).is_none() {
            return fail(
                place,
                format!(
                    "`{name}` does not make a variant name; write a name such as `RunEventData`, and not `{OTHER_DATA}EventData`"
                ),
            );
        }
        if !delivered.contains(name) {
            return fail(place, format!("no delivery has `{name}`; add it to the shapes of the event's data"));
        }
    }
    Ok(())
}
