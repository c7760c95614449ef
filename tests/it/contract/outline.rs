//! The outline of the contract: every difference that users notice changes it.

mod writer;

use serde_json::{Value, json};

pub(super) use writer::outline;

use crate::build::yaml;

/// Keywords that the outline omits.
const LEFT_OUT: [&str; 4] = ["example", "examples", "externalDocs", "x-codeSamples"];

fn contract() -> Value {
    let mut document = yaml::read(common::CONTRACT).unwrap();
    document.sort_all_objects();
    document
}

#[test]
fn the_contract_outline_matches_the_snapshot() {
    insta::assert_snapshot!(outline(&contract()));
}

/// Collects the pointers of all values that are neither objects nor lists.
fn leaves(value: &Value, pointer: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map.iter().filter(|(key, _)| !LEFT_OUT.contains(&key.as_str())) {
                leaves(value, &format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                leaves(value, &format!("{pointer}/{index}"), found);
            }
        }
        _ => found.push(pointer.to_owned()),
    }
}

#[test]
fn every_changed_value_of_the_contract_changes_the_outline() {
    let document = contract();
    let before = outline(&document);
    let mut places = Vec::new();
    leaves(&document, "", &mut places);
    assert!(places.len() > 500, "{}", places.len());
    let mut hidden = Vec::new();
    for place in places {
        let mut changed = document.clone();
        let value = changed.pointer_mut(&place).unwrap();
        *value = match &*value {
            Value::String(text) => json!(format!("{text}x")),
            Value::Bool(flag) => json!(!*flag),
            Value::Number(number) => json!(number.as_f64().unwrap() + 1.0),
            _ => json!("x"),
        };
        if outline(&changed) == before {
            hidden.push(place);
        }
    }
    assert_eq!(hidden, [""; 0]);
}

#[test]
fn every_added_keyword_changes_the_outline() {
    let document = contract();
    let before = outline(&document);
    for (place, key, value) in [
        ("/paths/~1v1~1runs/get", "deprecated", json!(true)),
        ("/components/schemas/Run/properties/prUrl", "deprecated", json!(true)),
        ("/components/schemas/Run/properties/prUrl", "nullable", json!(true)),
        ("/components/schemas/Run/properties", "zone", json!({ "type": "string" })),
        ("/components/schemas/WebhookUpdate/properties/description", "nullable", json!(true)),
        ("/components/parameters/Offset", "style", json!("form")),
        ("/components/parameters/Offset", "explode", json!(false)),
        ("/components/securitySchemes/bearerAuth", "bearerFormat", json!("JWT")),
        ("/paths/~1v1~1runs/get/responses", "299", json!({ "description": "Odd." })),
        ("", "security", json!([])),
    ] {
        let mut changed = document.clone();
        let object = changed.pointer_mut(place).unwrap().as_object_mut().unwrap();
        object.insert(key.to_owned(), value);
        assert_ne!(outline(&changed), before, "{place}/{key}");
    }
}
