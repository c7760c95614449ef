//! A contract as one readable text: a block for each operation and each schema, a line for each thing that users
//! notice.
//!
//! A snapshot of it shows what a change of the contract changes. Left out are examples and code samples.

use std::fmt::Write as _;

use serde_json::Value;

use crate::build::contract::{METHODS, component, entries, items, operations, reference, resolve, text};

/// Keywords that are shown in a place of their own, or not at all.
const LEFT_OUT: &[&str] = &["description", "example", "examples", "externalDocs", "x-codeSamples"];

/// The outline of a contract.
pub(in crate::contract) fn outline(document: &Value) -> String {
    let mut out = Outline { document, text: String::new() };
    out.service();
    for operation in operations(document) {
        out.heading(&format!("{} {}", operation.method.to_uppercase(), operation.path));
        let shared: Vec<_> = operation.parameters().map(|(parameter, _)| parameter).collect();
        out.operation(operation.value, &shared);
        out.rest(operation.item, &["parameters"], &METHODS);
    }
    for section in ["schemas", "responses", "requestBodies", "parameters", "headers", "securitySchemes", "callbacks"] {
        for (name, value) in entries(document.pointer(&format!("/components/{section}"))) {
            out.heading(&format!("{section}.{name}"));
            out.component(section, value);
        }
    }
    out.text
}

struct Outline<'a> {
    document: &'a Value,
    text: String,
}

impl Outline<'_> {
    fn heading(&mut self, name: &str) {
        let _ = writeln!(self.text, "\n{name}");
    }

    /// A line of a block, with a description where there is one.
    fn line(&mut self, line: &str, described: &Value) {
        let description = match text(described, "description") {
            Some(description) => format!(" # {}", one_line(description)),
            None => String::new(),
        };
        let _ = writeln!(self.text, "    {line}{description}");
    }

    fn service(&mut self) {
        let document = self.document;
        for (name, value) in entries(document.get("info")) {
            let _ = writeln!(self.text, "{name}: {}", plain(value));
        }
        for server in items(document.get("servers")) {
            let _ = writeln!(self.text, "server: {}", plain(server));
        }
        for tag in items(document.get("tags")) {
            let _ = writeln!(self.text, "tag: {}", plain(tag));
        }
        let shown = ["info", "servers", "tags", "paths", "components"];
        for (name, value) in entries(Some(document)).filter(|(name, _)| !shown.contains(&name.as_str())) {
            let _ = writeln!(self.text, "{name}: {}", plain(value));
        }
    }

    /// An operation, or a delivery: a request that the service makes.
    fn operation(&mut self, operation: &Value, parameters: &[&Value]) {
        if let Some(description) = text(operation, "description") {
            self.line(&format!("description: {}", one_line(description)), &Value::Null);
        }
        self.rest(operation, &["parameters", "requestBody", "responses", "callbacks"], &[]);
        for parameter in parameters {
            self.parameter(resolve(self.document, parameter));
        }
        if let Some(body) = operation.get("requestBody") {
            let body = resolve(self.document, body);
            self.body("body", body);
        }
        for (status, response) in entries(operation.get("responses")) {
            match reference(response) {
                Some(reference) => self.line(&format!("{status}: {}", component(reference)), &Value::Null),
                None => self.body(status, response),
            }
        }
        for (name, callback) in entries(operation.get("callbacks")) {
            for (address, item) in entries(Some(callback)) {
                for (method, delivery) in entries(Some(item)).filter(|(key, _)| METHODS.contains(&key.as_str())) {
                    self.line(&format!("callback {name}: {} {address}", method.to_uppercase()), &Value::Null);
                    let parameters: Vec<_> =
                        items(item.get("parameters")).chain(items(delivery.get("parameters"))).collect();
                    self.operation(delivery, &parameters);
                }
            }
        }
    }

    fn parameter(&mut self, parameter: &Value) {
        let (place, name) = (text(parameter, "in").unwrap_or_default(), text(parameter, "name").unwrap_or_default());
        let schema = parameter.get("schema").map(schema).unwrap_or_default();
        let more = keywords(parameter, &["in", "name", "schema"]);
        self.line(&format!("{place} {name}: {schema}{more}"), parameter);
    }

    /// A request body or a response: its content, then its headers.
    fn body(&mut self, name: &str, body: &Value) {
        let content: Vec<_> = entries(body.get("content"))
            .map(|(media_type, content)| {
                let schema = content.get("schema").map(schema).unwrap_or_default();
                format!("{schema} as {media_type}{}", keywords(content, &["schema"]))
            })
            .collect();
        let more = keywords(body, &["content", "headers"]);
        self.line(&format!("{name}: {}{more}", content.join(", ")), body);
        for (name, header) in entries(body.get("headers")) {
            if let Some(reference) = reference(header) {
                self.line(&format!("  header {name}: {}", component(reference)), &Value::Null);
            } else {
                let schema = header.get("schema").map(schema).unwrap_or_default();
                self.line(&format!("  header {name}: {schema}{}", keywords(header, &["schema"])), header);
            }
        }
    }

    fn component(&mut self, section: &str, value: &Value) {
        match section {
            "schemas" => self.schema(value),
            "responses" | "requestBodies" => self.body("body", value),
            "parameters" => self.parameter(value),
            _ => {
                let schema = value.get("schema").map(|value| format!("{}, ", schema(value))).unwrap_or_default();
                self.line(&format!("{schema}{}", keywords(value, &["schema"]).trim_start_matches(", ")), value);
            }
        }
    }

    /// A named schema: its keywords, then a line for each property and each word.
    fn schema(&mut self, value: &Value) {
        let tables = ["properties", "x-enumDescriptions", "x-errors", "x-eventData", "x-aliases"];
        self.line(&inline(value, &[&tables[..], &["required"]].concat()), value);
        let required: Vec<_> = items(value.get("required")).filter_map(Value::as_str).collect();
        for (name, property) in entries(value.get("properties")) {
            let required = if required.contains(&name.as_str()) { " (required)" } else { "" };
            self.line(&format!("{name}{required}: {}", schema(property)), property);
        }
        for table in &tables[1..] {
            for (name, entry) in entries(value.get(table)) {
                self.line(&format!("{table}.{name}: {}", plain(entry)), &Value::Null);
            }
        }
    }

    /// The keywords of an object that have no line of their own.
    fn rest(&mut self, object: &Value, shown: &[&str], also_shown: &[&str]) {
        for (name, value) in entries(Some(object)) {
            let name = name.as_str();
            if !LEFT_OUT.contains(&name) && !shown.contains(&name) && !also_shown.contains(&name) {
                self.line(&format!("{name}: {}", plain(value)), &Value::Null);
            }
        }
    }
}

/// A schema on one line: the name of a component, or the type and its keywords.
fn schema(value: &Value) -> String {
    inline(value, &[])
}

fn inline(value: &Value, left_out: &[&str]) -> String {
    if let Some(reference) = reference(value) {
        return component(reference).to_owned();
    }
    let of = |key: &str| items(value.get(key)).map(described_schema).collect::<Vec<_>>().join(" | ");
    let (kind, shown) = match text(value, "type") {
        _ if value.get("oneOf").is_some() => (of("oneOf"), "oneOf"),
        _ if value.get("anyOf").is_some() => (of("anyOf"), "anyOf"),
        _ if value.get("allOf").is_some() => (of("allOf").replace(" | ", " & "), "allOf"),
        Some("array") => (format!("list of {}", value.get("items").map(described_schema).unwrap_or_default()), "items"),
        Some(kind) => (kind.to_owned(), "type"),
        None => ("any".to_owned(), "type"),
    };
    let properties: Vec<_> = entries(value.get("properties"))
        .filter(|_| !left_out.contains(&"properties"))
        .map(|(name, property)| format!("{name}: {}", described_schema(property)))
        .collect();
    let properties = if properties.is_empty() { String::new() } else { format!(" {{{}}}", properties.join("; ")) };
    format!("{kind}{properties}{}", keywords(value, &[left_out, &[shown, "properties"]].concat()))
}

/// A schema within another, with its description.
fn described_schema(value: &Value) -> String {
    match text(value, "description") {
        Some(description) => format!("{} ({})", schema(value), one_line(description)),
        None => schema(value),
    }
}

/// The other keywords of an object, as `, name value`.
fn keywords(object: &Value, shown: &[&str]) -> String {
    let mut line = String::new();
    for (name, value) in entries(Some(object)) {
        let name = name.as_str();
        if LEFT_OUT.contains(&name) || shown.contains(&name) {
            continue;
        }
        let _ = match value {
            Value::Bool(true) => write!(line, ", {name}"),
            value => write!(line, ", {name} {}", plain(value)),
        };
    }
    line
}

/// A value without quotation marks where it is plain without.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => one_line(text),
        Value::Array(list) => list.iter().map(plain).collect::<Vec<_>>().join(" "),
        Value::Object(map) => {
            map.iter().map(|(name, value)| format!("{name} {}", plain(value))).collect::<Vec<_>>().join(", ")
        }
        value => value.to_string(),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
