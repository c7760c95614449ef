//! The generator as a whole: which texts it reads, and that it writes code or one line for any of them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::sample::{contract, error, generated, with};
use crate::build::{self, Generated};
use crate::contract_differences::{Changes, Contract};
use crate::contract_http::Class::Additive;
use crate::surface;

/// Returns the generated code.
fn code(text: &str) -> String {
    let Generated { types, endpoints, calls, operations, .. } =
        build::generate(text).map_err(|error| error.to_string()).unwrap();
    [types, endpoints, calls, operations].concat()
}

#[test]
fn line_endings_and_a_byte_order_mark_make_no_difference() {
    let unix = common::CONTRACT.replace("\r\n", "\n");
    assert!(code(&unix.replace('\n', "\r\n")) == code(&unix));
    assert!(code(&format!("\u{feff}{unix}")) == code(&unix));
}

#[test]
fn a_merge_key_adds_what_an_object_has_not() {
    let text = include_str!("sample.yaml").replace(
        "    Price:\n      type: object\n      description: A price.\n",
        "    Price:\n      <<: {type: object, description: Another price.}\n      description: A price.\n",
    );
    assert!(text.contains("<<"));
    assert!(code(&text) == code(include_str!("sample.yaml")));
}

/// Writes JSON with the keys of each object reversed.
fn with_keys_reversed(value: &Value) -> String {
    let list = |items: Vec<String>| items.join(",");
    match value {
        Value::Object(object) => {
            let entry = |(key, value): (&String, &Value)| format!("{}:{}", json!(key), with_keys_reversed(value));
            format!("{{{}}}", list(object.iter().rev().map(entry).collect()))
        }
        Value::Array(items) => format!("[{}]", list(items.iter().map(with_keys_reversed).collect())),
        scalar => scalar.to_string(),
    }
}

/// With `--features serde_json/preserve_order`, which another crate may enable, this compares two orders.
#[test]
fn only_the_order_of_properties_makes_a_difference() {
    let contract = contract();
    assert!(code(&contract.to_string()) == code(&with_keys_reversed(&contract)));
}

#[test]
fn arguments_have_the_order_of_the_path_then_of_the_properties() {
    let edits = json!({
        "/components/schemas/NewWidget/required": ["origin", "name", "id"],
        "/components/schemas/NewWidget/properties/id":
            {"x-rust-name": "part", "description": "It.", "allOf": [{"$ref": "#/components/schemas/WidgetId"}]},
        "/paths/~1v1~1{zone}~1{id}~1widgets": {"post": {
            "operationId": "copyWidget", "tags": ["widgets"], "summary": "It.", "description": "It.",
            "parameters": [
                {"name": "q", "in": "query", "required": true, "description": "It.", "schema": {"type": "boolean"}},
                {"$ref": "#/components/parameters/WidgetIdPath"},
                {"name": "zone", "in": "path", "required": true, "description": "It.", "schema": {"type": "integer"}},
            ],
            "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/NewWidget"}}}},
            "responses": {"204": {"description": "It."}},
        }},
    });
    let calls = generated(&with(&edits)).calls;
    let signature = calls.split("pub fn copy(").nth(1).unwrap().split(" -> ").next().unwrap();
    let names = ["zone: ", "id: ", "q: ", "part: ", "name: ", "origin: "].map(|name| signature.find(name).expect(name));
    assert!(names.is_sorted(), "{signature}");
}

#[test]
fn a_reference_cycle_is_one_line_in_any_section() {
    for section in ["callbacks", "examples", "headers", "links", "parameters", "requestBodies", "responses", "schemas"]
    {
        let reference = |name: &str| json!({"$ref": format!("#/components/{section}/{name}")});
        // Some of these are also keywords.
        for name in ["A", "default", "example", "examples", "enum", "value", "properties"] {
            let mut contract = contract();
            contract["components"][section][name] = reference("B");
            contract["components"][section]["B"] = reference(name);
            let line = error(&contract.to_string());
            assert!(line.starts_with(&format!("openapi.yaml: components.{section}.")), "{line}");
            assert!(line.contains("leads back to itself"), "{line}");
        }
    }
}

#[test]
fn a_name_that_is_like_a_reserved_one_is_accepted() {
    let names =
        ["type", "self", "async", "default", "example", "enum", "properties", "x-note", "value", "url", "extra"];
    let mut contract = contract();
    for name in names {
        let property = json!({"description": "It.", "allOf": [{"$ref": "#/components/schemas/PartId"}]});
        contract["components"]["schemas"]["Widget"]["properties"][name] = property;
    }
    for name in ["Error", "Value", "Secret", "Client", "Response"] {
        let object = json!({"type": "object", "description": "It.", "properties": {"id": {"type": "string", "description": "It."}}});
        contract["components"]["schemas"][name] = object;
        let property = json!({"$ref": format!("#/components/schemas/{name}")});
        contract["components"]["schemas"]["Widget"]["properties"][format!("of{name}")] = property;
    }
    let types = generated(&contract).types;
    for field in ["kind", "self_", "async_", "default", "value", "of_error", "of_secret"] {
        assert!(types.contains(&format!("pub {field}: ")), "{field}");
    }
}

/// Collects the JSON pointers of all values of a document.
fn pointers(value: &Value, pointer: &str, found: &mut Vec<String>) {
    found.push(pointer.to_owned());
    let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Object(object) => {
            object.iter().for_each(|(key, child)| pointers(child, &format!("{pointer}/{}", escaped(key)), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, child)| pointers(child, &format!("{pointer}/{index}"), found));
        }
        _ => {}
    }
}

/// Deletes, renames, duplicates or replaces a random value.
fn mutate(contract: &mut Value, random: &mut fastrand::Rng) {
    let mut places = Vec::new();
    pointers(contract, "", &mut places);
    let other = contract.pointer(&places[random.usize(..places.len())]).cloned().unwrap_or_default();
    let other_key = places[random.usize(..places.len())].rsplit('/').next().unwrap_or_default().replace("~1", "/");
    let place = &places[random.usize(1..places.len())];
    let (parent, key) = place.rsplit_once('/').unwrap();
    let key = key.replace("~1", "/").replace("~0", "~");
    match contract.pointer_mut(parent) {
        Some(Value::Object(object)) => match random.u8(..6) {
            0 => drop(object.remove(&key)),
            1 => {
                let value = object.remove(&key).unwrap_or_default();
                object.insert(other_key, value);
            }
            2 => {
                let value = object[&key].clone();
                object.insert(other_key, value);
            }
            3 => drop(object.insert(
                key,
                [Value::Null, json!(true), json!(-1), json!([]), json!({}), json!("object")][random.usize(..6)].clone(),
            )),
            4 => drop(object.insert(key, json!({"$ref": format!("#{place}")}))),
            _ => drop(object.insert(key, other)),
        },
        Some(Value::Array(items)) => match random.u8(..3) {
            0 => drop(items.remove(key.parse().unwrap())),
            1 => items.push(items[0].clone()),
            _ => items.push(other),
        },
        _ => {}
    }
}

/// The variable `CONTRACT_MUTATIONS` sets the number of mutations.
#[test]
fn a_random_mutation_generates_or_is_one_line() {
    let contract = contract();
    let before = Contract::read(&contract.to_string()).unwrap();
    let mut random = fastrand::Rng::with_seed(42);
    let rounds = std::env::var("CONTRACT_MUTATIONS").map_or(200, |rounds| rounds.parse().unwrap());
    let mut generated = 0;
    for _ in 0..rounds {
        let mut changed = contract.clone();
        for _ in 0..random.usize(1..=2) {
            mutate(&mut changed, &mut random);
        }
        match Contract::read(&changed.to_string()) {
            Ok(after) => {
                generated += 1;
                // What breaks in one direction is an addition in the other, or breaks as well.
                let (there, back) = (Changes::between(&before, &after), Changes::between(&after, &before));
                let is_addition = [&there, &back].iter().any(|it| it.rust() == Additive);
                assert_eq!(there.rust() == back.rust(), !is_addition, "{}", there.report());
            }
            Err(line) => assert!(line.starts_with("openapi.yaml: ") && line.lines().count() == 1, "{line}"),
        }
    }
    assert!(generated > 0);
}

#[test]
fn the_generated_surface_matches_the_snapshot() {
    let mut names = BTreeMap::<String, Vec<String>>::new();
    for (line, name) in surface::lines(common::CONTRACT).map_err(|error| error.to_string()).unwrap() {
        let detail = line[name.len()..].trim_start_matches([':', ' ']).to_owned();
        names.entry(name).or_default().push(detail);
    }
    let shown = names.into_iter().map(|(name, details)| format!("{name} {}", details.join("; ")).trim().to_owned());
    insta::assert_snapshot!(shown.collect::<Vec<_>>().join("\n"));
}
