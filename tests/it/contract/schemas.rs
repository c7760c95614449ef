//! The JSON Schemas of the public types, compared with those of the contract.

use std::collections::BTreeSet;

use agentgate::types;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::Value;

use super::conformance::Contract;

include!(concat!(env!("OUT_DIR"), "/schemas.rs"));

fn add<T: JsonSchema>(generator: &mut SchemaGenerator) {
    generator.subschema_for::<T>();
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str> {
    names.collect()
}

fn texts(list: &Value) -> BTreeSet<&str> {
    names(list.as_array().into_iter().flatten().filter_map(Value::as_str))
}

#[test]
fn the_json_schema_of_each_object_has_the_properties_of_the_contract() {
    let contract = Contract::read();
    let mut generator = SchemaGenerator::default();
    add_all(&mut generator);
    let definitions = generator.take_definitions(true);
    let mut compared = 0;
    for (name, definition) in &definitions {
        let schema = &contract.document["components"]["schemas"][name];
        let Some(properties) = schema["properties"].as_object().filter(|_| definition.get("properties").is_some())
        else {
            continue;
        };
        compared += 1;
        let written = definition["properties"].as_object().unwrap();
        // A union writes the discriminator, and a required value that can be null is not required of a JSON Schema.
        let tag = |property: &str| property == "type" && properties["type"].get("enum").is_some();
        assert_eq!(
            names(properties.keys().map(String::as_str).filter(|property| !tag(property))),
            names(written.keys().map(String::as_str)),
            "{name}"
        );
        let required = texts(&schema["required"]).into_iter().filter(|property| !tag(property));
        assert_eq!(required.collect::<BTreeSet<_>>(), texts(&definition["required"]), "{name}");
        for (property, written) in written {
            let kind = contract.resolve(&properties[property])["type"].as_str();
            let is_of_kind = |written: &Value| {
                written == kind.unwrap_or_default() || texts(written).contains(kind.unwrap_or_default())
            };
            assert!(kind.is_none() || written.get("type").is_none_or(is_of_kind), "{name}.{property}: {written}");
        }
    }
    assert!(compared > 20, "{compared}");
}
