//! The contract: the code generated from it, and the simulator's conformance to it.

mod changes;
mod conformance;
mod facts;
mod generator;
mod mapping;
mod mistakes;
mod requests;
mod schemas;

/// A small contract for tests that edit one, independent of changes of `openapi.yaml`.
mod sample {
    use serde_json::Value;

    use crate::build::{Generated, generate, yaml};

    pub(super) fn contract() -> Value {
        yaml::read(include_str!("sample.yaml")).unwrap()
    }

    /// Returns the rows of a table in YAML.
    pub(super) fn rows(table: &str) -> Vec<Vec<Value>> {
        let table = yaml::read(table).unwrap();
        table.as_array().unwrap().iter().map(|row| row.as_array().unwrap().clone()).collect()
    }

    /// Returns the contract with edits: each a JSON pointer and its new value, null to remove it. `-` appends.
    pub(super) fn with(edits: &Value) -> Value {
        let mut contract = contract();
        for (pointer, value) in edits.as_object().unwrap() {
            let (parent, key) = pointer.rsplit_once('/').unwrap_or_else(|| panic!("{pointer}"));
            let key = key.replace("~1", "/");
            let parent = contract.pointer_mut(parent).unwrap_or_else(|| panic!("nothing at {parent}"));
            match parent {
                Value::Array(list) if key == "-" => list.push(value.clone()),
                Value::Array(list) if value.is_null() => drop(list.remove(key.parse().unwrap())),
                Value::Array(list) => list[key.parse::<usize>().unwrap()] = value.clone(),
                Value::Object(object) if value.is_null() => drop(object.remove(&key).expect(pointer)),
                Value::Object(object) => drop(object.insert(key, value.clone())),
                _ => panic!("{pointer}"),
            }
        }
        contract
    }

    /// Generates a contract that has to be valid, without line breaks and indentation in the code.
    pub(super) fn generated(contract: &Value) -> Generated {
        let mut generated = generate(&contract.to_string()).map_err(|error| error.to_string()).unwrap();
        for part in [&mut generated.types, &mut generated.endpoints, &mut generated.calls] {
            syn::parse_file(part).unwrap();
            *part = part.split_whitespace().collect::<Vec<_>>().join(" ");
        }
        generated
    }

    /// Returns the error of an invalid contract.
    pub(super) fn error(text: &str) -> String {
        let line = generate(text).err().map_or_else(|| "it generates".to_owned(), |error| error.to_string());
        assert_eq!(line.lines().count(), 1, "{line}");
        line
    }
}
