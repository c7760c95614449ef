//! `cargo xtask contract-changes [each]`: compiles the library and the tests' calls with the changes of the contract
//! that have to work, in a copy of the repository, and fails on warnings. All changes are made at once; with `each`, one
//! after the other.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use serde_json::{Value, json};

use crate::build::contract::{METHODS, words};
use crate::build::parse::parse;
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
    for batch in CHANGES.chunks(if one_by_one { 1 } else { CHANGES.len() }) {
        let mut changed = contract.clone();
        batch.iter().for_each(|(_, change)| change(&mut changed));
        let names: Vec<_> = batch.iter().map(|(what, _)| *what).collect();
        println!("\n== {}", names.join(", "));
        let path = copy.join("openapi.yaml");
        fs::write(&path, changed.to_string()).map_err(|error| format!("{}: {error}", path.display()))?;
        if !compiles(&copy)? {
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

/// Calls a function with each operation, by its method and its path.
fn each_operation(contract: &mut Value, mut change: impl FnMut(&mut Value)) {
    for item in contract["paths"].as_object_mut().into_iter().flat_map(|paths| paths.values_mut()) {
        METHODS.iter().filter_map(|method| item.get_mut(*method).map(&mut change)).for_each(drop);
    }
}

fn push(list: &mut Value, item: Value) {
    if list.is_null() {
        *list = json!([]);
    }
    list.as_array_mut().into_iter().for_each(|list| list.push(item.clone()));
}

fn add_parameters(contract: &mut Value) {
    each_operation(contract, |operation| {
        for (name, within) in [("noSuchFilter", "query"), ("X-No-Such-Header", "header")] {
            let parameter =
                json!({"name": name, "in": within, "description": "It.", "example": "a", "schema": {"type": "string"}});
            push(&mut operation["parameters"], parameter);
        }
    });
}

fn add_properties(contract: &mut Value) {
    for schema in contract["components"]["schemas"].as_object_mut().into_iter().flat_map(|it| it.values_mut()) {
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            let property = json!({"type": "string", "description": "It.", "example": "a"});
            properties.insert("noSuchField".to_owned(), property);
        }
    }
}

fn add_words(contract: &mut Value) {
    const WORD: &str = "no.such-word";
    for schema in contract["components"]["schemas"].as_object_mut().into_iter().flat_map(|it| it.values_mut()) {
        if words(schema).is_none() {
            continue;
        }
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
    const SCHEMAS: &str = "#/components/schemas";
    let example = json!({"id": "thing_1", "name": "A thing"});
    let body = |schema: &str, example: &Value| json!({"application/json": {"schema": {"$ref": format!("{SCHEMAS}/{schema}")}, "example": example}});
    let operation = |verb: &str, noun: &str, status: &str, schema: Option<&str>, example: &Value| {
        let mut operation = json!({
            "operationId": format!("{verb}{noun}"), "tags": ["no-such-things"], "summary": "It.", "description": "It.",
            "x-required-scope": "things:write", "responses": {status: {"description": "It."}},
        });
        if let Some(schema) = schema {
            operation["responses"][status]["content"] = body(schema, example);
        }
        operation
    };
    let thing = Some("NoSuchThing");
    let mut list =
        operation("list", "NoSuchThings", "200", Some("NoSuchThingPage"), &json!({"data": [example], "total": 1}));
    let number = json!({"type": "integer", "format": "int32", "minimum": 0, "maximum": 100, "example": 1});
    for name in ["limit", "offset"] {
        push(&mut list["parameters"], json!({"name": name, "in": "query", "description": "It.", "schema": number}));
    }
    let mut create = operation("create", "NoSuchThing", "201", thing, &example);
    create["requestBody"] = json!({"required": true, "content": body("NewNoSuchThing", &example)});
    let mut update = operation("update", "NoSuchThing", "200", thing, &example);
    update["requestBody"] = json!({"required": true, "content": body("NewNoSuchThing", &example)});
    let id = json!({"name": "thingId", "in": "path", "required": true, "description": "It.", "schema": {"$ref": format!("{SCHEMAS}/NoSuchThingId")}});
    push(&mut contract["tags"], json!({"name": "no-such-things", "description": "Things."}));
    contract["paths"]["/v1/no-such-things"] = json!({"get": list, "post": create});
    contract["paths"]["/v1/no-such-things/{thingId}"] = json!({
        "parameters": [id], "get": operation("get", "NoSuchThing", "200", thing, &example), "put": update,
        "delete": operation("delete", "NoSuchThing", "204", None, &example),
    });
    let properties = json!({"id": {"$ref": format!("{SCHEMAS}/NoSuchThingId")}, "name": {"type": "string", "description": "It.", "example": "A"}});
    let schemas = &mut contract["components"]["schemas"];
    schemas["NoSuchThingId"] = json!({"type": "string", "description": "It."});
    schemas["NoSuchThing"] =
        json!({"type": "object", "description": "It.", "required": ["id"], "properties": properties});
    schemas["NewNoSuchThing"] =
        json!({"type": "object", "description": "It.", "required": ["name", "id"], "properties": properties});
    schemas["NoSuchThingPage"] = json!({
        "type": "object", "description": "It.", "required": ["data"], "properties": {
            "data": {"type": "array", "description": "It.", "items": {"$ref": format!("{SCHEMAS}/NoSuchThing")}},
            "total": {"type": "integer", "format": "int64", "minimum": 0, "description": "It."}}});
}

/// Renames `{id}` to `{idOfIt}`, in the paths and where parameters are declared.
fn rename_path_parameters(contract: &mut Value) {
    let rename = |parameter: &mut Value| {
        if parameter["in"] == "path" {
            parameter["name"] = json!(format!("{}OfIt", parameter["name"].as_str().unwrap_or_default()));
        }
    };
    each_operation(contract, |operation| {
        operation["parameters"].as_array_mut().into_iter().flatten().for_each(rename);
    });
    for section in ["/paths", "/components/parameters"] {
        let parts =
            contract.pointer_mut(section).and_then(Value::as_object_mut).into_iter().flat_map(|it| it.values_mut());
        for part in parts {
            part.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten().for_each(rename);
            rename(part);
        }
    }
    if let Some(paths) = contract["paths"].as_object_mut() {
        *paths = std::mem::take(paths).into_iter().map(|(path, item)| (path.replace('}', "OfIt}"), item)).collect();
    }
}

fn deprecate(contract: &mut Value) {
    each_operation(contract, |operation| operation["deprecated"] = json!(true));
    let parameters = contract["components"]["parameters"].as_object_mut().into_iter().flat_map(|it| it.values_mut());
    parameters.for_each(|parameter| parameter["deprecated"] = json!(true));
    for schema in contract["components"]["schemas"].as_object_mut().into_iter().flat_map(|it| it.values_mut()) {
        let properties = schema.get_mut("properties").and_then(Value::as_object_mut).into_iter();
        for property in properties.flat_map(|it| it.values_mut()).filter(|it| it.get("$ref").is_none()) {
            property["deprecated"] = json!(true);
        }
    }
}
