//! `cargo xtask contract-changes [each]`: compiles the library and the tests' calls with the changes of the contract
//! that have to work, in a copy of the repository, and fails on warnings. All changes are made at once; with `each`,
//! one after the other.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use serde_json::{Value, json};

use crate::build::contract::{METHODS, words};
use crate::build::parse::parse;
use crate::build::yaml;
use crate::repository_copy::copy_repository;
use crate::{Outcome, cargo_path, root};

/// What changes, and how.
type Change = (&'static str, fn(&mut Value));

const CHANGES: [Change; 6] = [
    ("an optional parameter of each operation", add_parameters),
    ("an optional property of each object", add_properties),
    ("a new word of each set", add_words),
    ("a new resource with five operations", add_resource),
    ("another name of each path parameter", rename_path_parameters),
    ("everything is deprecated", deprecate),
];

pub(crate) fn run() -> Outcome {
    let one_by_one = env::args().nth(2).as_deref() == Some("each");
    let text = fs::read_to_string(root().join("openapi.yaml")).map_err(|error| format!("openapi.yaml: {error}"))?;
    let contract = parse(&text).map_err(|error| error.to_string())?;
    let copy = root().join("target/contract-changes");
    copy_repository(&copy, |_, content| content)?;
    let outcome = compile_each(&contract, &copy, one_by_one);
    // Cargo takes what was built in the copy for its own, unless the contract is newer.
    fs::write(root().join("openapi.yaml"), text).map_err(|error| format!("openapi.yaml: {error}"))?;
    outcome
}

fn compile_each(contract: &Value, copy: &Path, one_by_one: bool) -> Outcome {
    for batch in CHANGES.chunks(if one_by_one { 1 } else { CHANGES.len() }) {
        let mut changed = contract.clone();
        for (_, change) in batch {
            change(&mut changed);
        }
        let names: Vec<_> = batch.iter().map(|(what, _)| *what).collect();
        println!("\n== {}", names.join(", "));
        let path = copy.join("openapi.yaml");
        fs::write(&path, changed.to_string()).map_err(|error| format!("{}: {error}", path.display()))?;
        if !compiles(copy)? {
            let hint = if one_by_one { "" } else { "; find which with `cargo xtask contract-changes each`" };
            return Err(format!("the library does not compile with {}{hint}", names.join(", ")));
        }
    }
    Ok(())
}

/// Returns `true` if the copy compiles without a warning.
fn compiles(copy: &Path) -> Result<bool, String> {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let output = Command::new(cargo_path())
        .args(["check", "--quiet", "--package", "agentgate", "--package", "agentgate-tests", "--lib"])
        .current_dir(copy)
        .env("CARGO_TARGET_DIR", target)
        .output()
        .map_err(|error| format!("cargo cannot be run: {error}"))?;
    let messages = String::from_utf8_lossy(&output.stderr);
    eprint!("{messages}");
    Ok(output.status.success() && !messages.contains("warning:"))
}

/// A resource with five operations.
const RESOURCE: &str = include_str!("contract_changes.yaml");

/// Returns the values of an object in the contract.
fn each<'a>(contract: &'a mut Value, pointer: &str) -> impl Iterator<Item = &'a mut Value> {
    contract.pointer_mut(pointer).and_then(Value::as_object_mut).into_iter().flat_map(|it| it.values_mut())
}

fn operations(contract: &mut Value) -> impl Iterator<Item = &mut Value> {
    let items = each(contract, "/paths").filter_map(Value::as_object_mut).flatten();
    items.filter(|(method, _)| METHODS.contains(&method.as_str())).map(|(_, operation)| operation)
}

fn push(list: &mut Value, item: Value) {
    let mut items = list.as_array().cloned().unwrap_or_default();
    items.push(item);
    *list = items.into();
}

fn add_parameters(contract: &mut Value) {
    for operation in operations(contract) {
        for (name, within) in [("noSuchFilter", "query"), ("X-No-Such-Header", "header")] {
            let parameter =
                json!({"name": name, "in": within, "description": "It.", "example": "a", "schema": {"type": "string"}});
            push(&mut operation["parameters"], parameter);
        }
    }
}

fn add_properties(contract: &mut Value) {
    for schema in each(contract, "/components/schemas").filter(|schema| schema.get("properties").is_some()) {
        schema["properties"]["noSuchField"] = json!({"type": "string", "description": "It.", "example": "a"});
    }
}

fn add_words(contract: &mut Value) {
    const WORD: &str = "no.such-word";
    for schema in each(contract, "/components/schemas").filter(|schema| words(schema).is_some()) {
        let of_set = if schema.get("enum").is_some() { "/enum" } else { "/anyOf/0/enum" };
        schema.pointer_mut(of_set).into_iter().for_each(|words| push(words, json!(WORD)));
        schema["x-enumDescriptions"][WORD] = json!("It.");
        if schema.get("x-terminal").is_some() {
            push(&mut schema["x-terminal"], json!(WORD));
        }
        if schema.get("x-errors").is_some() {
            schema["x-errors"][WORD] = json!({"status": 403, "advice": "Ask for more."});
        }
        let data = schema.get("x-eventData").and_then(|table| table.as_object()?.values().next().cloned());
        if let Some(data) = data {
            schema["x-eventData"][WORD] = data;
        }
    }
}

fn add_resource(contract: &mut Value) {
    let resource = yaml::read(RESOURCE).unwrap_or_default();
    push(&mut contract["tags"], resource["tags"].clone());
    contract["paths"]["/v1/no-such-things"] = resource["list"].clone();
    contract["paths"]["/v1/no-such-things/{thingId}"] = resource["one"].clone();
    for (name, schema) in resource["schemas"].as_object().into_iter().flatten() {
        contract["components"]["schemas"][name] = schema.clone();
    }
}

/// Renames `{id}` to `{idOfIt}`, in the paths and where parameters are declared.
fn rename_path_parameters(contract: &mut Value) {
    fn rename(value: &mut Value) {
        if value.get("in").is_some_and(|within| within == "path") {
            value["name"] = json!(format!("{}OfIt", value["name"].as_str().unwrap_or_default()));
        }
        value.as_array_mut().into_iter().flatten().for_each(rename);
        value.as_object_mut().into_iter().flatten().for_each(|(_, within)| rename(within));
    }
    for section in ["paths", "components"] {
        rename(&mut contract[section]);
    }
    if let Some(paths) = contract["paths"].as_object_mut() {
        *paths = std::mem::take(paths).into_iter().map(|(path, item)| (path.replace('}', "OfIt}"), item)).collect();
    }
}

fn deprecate(contract: &mut Value) {
    operations(contract).for_each(|operation| operation["deprecated"] = json!(true));
    each(contract, "/components/parameters").for_each(|parameter| parameter["deprecated"] = json!(true));
    for schema in each(contract, "/components/schemas") {
        each(schema, "/properties").filter(|it| it.get("$ref").is_none()).for_each(|it| it["deprecated"] = json!(true));
    }
}
