//! Checks `x-eventData`, the table from types of events to the schemas of their data.

use serde_json::Value;

use crate::build::contract::{entries, named_schema, schemas, text, word_texts};
use crate::build::error::{SpecError, fail};
use crate::build::reachable_schemas::reachable_from_deliveries;
use crate::build::schema_types::{OTHER_DATA, data_variant};

pub fn check(document: &Value) -> Result<(), SpecError> {
    let tables = schemas(document).filter_map(|(name, schema)| Some((name, schema, schema.get("x-eventData")?)));
    let [(name, holder, table)] = tables.collect::<Vec<_>>()[..] else {
        let problem = "one set of words has the table x-eventData, which names the data of each type of event";
        return fail("components.schemas", problem);
    };
    let place = format!("components.schemas.{name}.x-eventData");
    if let Some(word) = word_texts(holder).find(|word| table.get(word).is_none()) {
        return fail(place, format!("`{word}` has no entry; name the schema of what such an event carries"));
    }
    let delivered = reachable_from_deliveries(document);
    for (word, schema) in entries(Some(table)) {
        let name = schema.as_str().unwrap_or_default();
        let schema = named_schema(document, name);
        let problem = if word_texts(holder).all(|known| known != word) {
            format!("`{word}` is not a word of the enum")
        } else if schema.is_none_or(|schema| text(schema, "type") != Some("object")) {
            format!("there is no object `{name}`")
        } else if data_variant(name).is_none() {
            format!("`{name}` makes no variant name; write one such as `RunEventData`, and not `{OTHER_DATA}EventData`")
        } else if !delivered.contains(name) {
            format!("no delivery has `{name}`; add it to the shapes of the event's data")
        } else {
            continue;
        };
        return fail(format!("{place}.{word}"), problem);
    }
    Ok(())
}
