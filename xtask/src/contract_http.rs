//! What a change of the contract means to programs that speak HTTP.
//!
//! Both contracts are read as facts: one for each thing that is sent or received, with its keywords. A table says what
//! it means that a fact came, is gone, or has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use crate::build::contract::{METHODS, component, entries, is_true, items, operations, reference, resolve, text};

/// The impact of a difference on users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    Documentation,
    Additive,
    Breaking,
}

use Class::{Additive, Breaking, Documentation};

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("{self:?}").to_lowercase())
    }
}

/// Differences between two contracts: the class of each, by its place and its change, a clause of plain English.
pub(crate) type Differences = BTreeMap<(String, String), Class>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Added,
    Removed,
    Changed,
    /// Fewer values are valid.
    Tightened,
    /// More values are valid.
    Loosened,
}

use Change::{Added, Changed, Loosened, Removed, Tightened};

/// The class of each change: where callers send the value, and where they receive it. The first row that fits counts,
/// and what none fits is breaking.
const RULES: &[(&[&str], Change, Class, Class)] = &[
    (&["required parameter", "required request body", "required property"], Added, Breaking, Additive),
    (&[], Added, Additive, Additive),
    (&["documentation"], Changed, Documentation, Documentation),
    (&["required", "null", "kind"], Loosened, Additive, Breaking),
    (&["required", "null"], Tightened, Breaking, Additive),
    (&["limit", "set of words", "further properties"], Tightened, Breaking, Additive),
    (&["limit", "set of words", "further properties", "security", "scope"], Loosened, Additive, Additive),
    (&["default"], Changed, Breaking, Additive),
    (&["format of a text"], Changed, Breaking, Documentation),
];

/// The sender of a value.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Sent,
    Received,
}

/// Something that is sent or received.
struct Fact<'a> {
    subject: &'static str,
    way: Way,
    /// The place as people write it: `Widget.name`.
    place: String,
    is_required: bool,
    keywords: BTreeMap<&'a str, Value>,
}

/// Keywords whose value has facts of its own.
const STRUCTURE: [&str; 20] = [
    "$ref", "allOf", "anyOf", "callbacks", "components", "content", "headers", "items", "name", "oneOf", "parameters",
    "paths", "properties", "requestBody", "required", "responses", "schema", "security", "servers", "x-property-order",
];

struct Facts<'a> {
    document: &'a Value,
    /// By paths that do not depend on the names of schemas and of path parameters.
    found: BTreeMap<String, Fact<'a>>,
    /// The schemas around the present place.
    open: Vec<&'a Value>,
}

impl<'a> Facts<'a> {
    fn of(document: &'a Value) -> BTreeMap<String, Fact<'a>> {
        let mut facts = Self { document, found: BTreeMap::new(), open: Vec::new() };
        facts.add("", "the document", ("document", Way::Sent, false), document);
        for server in items(document.get("servers")) {
            let url = text(server, "url").unwrap_or_default();
            facts.add(&format!("server {url}"), url, ("server", Way::Sent, false), &Value::Null);
        }
        for operation in operations(document) {
            let path = format!("{} {}", operation.method.to_uppercase(), unnamed(operation.path));
            let parameters: Vec<_> = operation.parameters().map(|(parameter, _)| parameter).collect();
            facts.operation(operation.value, &parameters, operation.path, &path, Way::Sent);
        }
        facts.found
    }

    fn add(&mut self, path: &str, place: &str, what: (&'static str, Way, bool), object: &'a Value) {
        let (subject, way, is_required) = what;
        let keywords = entries(Some(object)).filter(|(key, _)| !STRUCTURE.contains(&key.as_str()));
        // The schema of further properties has a fact of its own.
        let value = |key: &str, value: &Value| match key {
            "additionalProperties" if value.is_object() => Value::Bool(false),
            _ => value.clone(),
        };
        let keywords = keywords.map(|(key, it)| (key.as_str(), value(key, it))).collect();
        self.found.insert(path.to_owned(), Fact { subject, way, place: place.to_owned(), is_required, keywords });
    }

    fn operation(&mut self, operation: &'a Value, parameters: &[&'a Value], template: &str, path: &str, way: Way) {
        let back = if way == Way::Sent { Way::Received } else { Way::Sent };
        self.add(path, path, ("operation", way, false), operation);
        if let Some(fact) = self.found.get_mut(path) {
            let security = operation.get("security").or(self.document.get("security"));
            // What is sent is in the scheme, whatever it is called.
            let scheme = |(name, scopes): (&String, &Value)| {
                let scheme = self.document.pointer(&format!("/components/securitySchemes/{name}"));
                let sent = ["type", "scheme", "in", "name", "flows", "openIdConnectUrl"];
                let sent = sent.map(|key| scheme.and_then(|scheme| scheme.get(key)).cloned().unwrap_or_default());
                (Value::from(sent.to_vec()).to_string(), scopes.clone())
            };
            let ways = items(security).map(|way| entries(Some(way)).map(scheme).collect::<Value>());
            fact.keywords.insert("security", ways.collect());
        }
        for parameter in parameters.iter().map(|parameter| resolve(self.document, parameter)) {
            let (within, name) =
                (text(parameter, "in").unwrap_or_default(), text(parameter, "name").unwrap_or_default());
            let before = template.split(&format!("{{{name}}}")).next().filter(|_| within == "path");
            let name = before.map_or_else(|| name.to_owned(), |before| before.matches('{').count().to_string());
            self.holder("parameter", parameter, &format!("{path} {within} {name}"), way);
        }
        if let Some(body) = operation.get("requestBody") {
            self.holder("request body", resolve(self.document, body), &format!("{path} body"), way);
        }
        for (status, response) in entries(operation.get("responses")) {
            let (path, response) = (format!("{path} #{status}"), resolve(self.document, response));
            self.holder("response", response, &path, back);
            for (name, header) in entries(response.get("headers")) {
                let path = format!("{path} {}", name.to_ascii_lowercase());
                self.holder("header", resolve(self.document, header), &path, back);
            }
        }
        let callbacks =
            entries(operation.get("callbacks")).flat_map(|(_, it)| entries(Some(resolve(self.document, it))));
        for (address, item) in callbacks.collect::<Vec<_>>() {
            for (method, request) in entries(Some(item)).filter(|(method, _)| METHODS.contains(&method.as_str())) {
                let parameters: Vec<_> = items(request.get("parameters")).collect();
                self.operation(request, &parameters, "", &format!("{path} {method} {address}"), back);
            }
        }
    }

    /// A parameter, a header, a body or a response, with its schema.
    fn holder(&mut self, subject: &'static str, holder: &'a Value, path: &str, way: Way) {
        self.add(path, path, (subject, way, is_true(holder, "required")), holder);
        if let Some(schema) = holder.get("schema") {
            self.schema(schema, path, path, way);
        }
        for (media_type, content) in entries(holder.get("content")) {
            let path = format!("{path} {media_type}");
            self.add(&path, &path, ("media type", way, false), content);
            if let Some(schema) = content.get("schema") {
                self.schema(schema, &path, &path, way);
            }
        }
    }

    fn schema(&mut self, schema: &'a Value, path: &str, place: &str, way: Way) {
        self.part("schema", (schema, false), &format!("{path} "), place, way);
    }

    /// A schema, and those within it. A property is known by where it stands.
    fn part(&mut self, subject: &'static str, part: (&'a Value, bool), path: &str, place: &str, way: Way) {
        let (site, is_required) = part;
        let schema = resolve(self.document, site);
        let of_type = reference(site).map_or_else(|| place.to_owned(), |name| component(name).to_owned());
        self.add(path, if subject == "schema" { &of_type } else { place }, (subject, way, is_required), schema);
        if let (Some(_), Some(fact)) = (reference(site), self.found.get_mut(path)) {
            // Keywords beside a reference are those of the place, and the others those of the type.
            fact.keywords.retain(|key, _| *key != "description");
            fact.keywords
                .extend(["description", "nullable"].into_iter().filter_map(|key| Some((key, site.get(key)?.clone()))));
        }
        if self.open.iter().any(|open| std::ptr::eq(*open, schema)) {
            return;
        }
        self.open.push(schema);
        for (name, property) in entries(schema.get("properties")) {
            let is_required = items(schema.get("required")).any(|required| required == name.as_str());
            let place = format!("{of_type}.{name}");
            self.part("property", (property, is_required), &format!("{path}.{name}"), &place, way);
        }
        for key in ["items", "additionalProperties"] {
            if let Some(within) = schema.get(key).filter(|within| within.is_object()) {
                self.part(key, (within, false), &format!("{path}[{key}]"), &of_type, way);
            }
        }
        for key in ["allOf", "anyOf", "oneOf"] {
            for (index, member) in items(schema.get(key)).enumerate() {
                let mut words = entries(schema.pointer("/discriminator/mapping"));
                let word = words.find(|(_, target)| target.as_str() == reference(member)).map(|(word, _)| word.clone());
                let name = word.unwrap_or_else(|| reference(member).map_or_else(|| index.to_string(), str::to_owned));
                self.part("member", (member, false), &format!("{path}|{name}"), &of_type, way);
            }
        }
        self.open.pop();
    }
}

/// Returns all differences between two documents.
pub(crate) fn compare(old: &Value, new: &Value) -> Differences {
    let (old, new) = (Facts::of(old), Facts::of(new));
    let mut found = Differences::new();
    let mut add = |fact: &Fact<'_>, subject: &str, change: Change, clause: String| {
        let rule = RULES
            .iter()
            .find(|(subjects, on, ..)| *on == change && (subjects.is_empty() || subjects.contains(&subject)));
        let class = rule.map_or(Breaking, |(.., sent, received)| if fact.way == Way::Sent { *sent } else { *received });
        // A key may hold anything.
        let place = found.entry((fact.place.replace(char::is_control, "?"), clause)).or_insert(class);
        *place = class.max(*place);
    };
    // Of what is new or gone, the outermost alone counts.
    let is_outermost = |path: &str, other: &BTreeMap<String, Fact<'_>>, own: &BTreeMap<String, Fact<'_>>| {
        let outer = path.char_indices().filter(|(_, letter)| " .[|".contains(*letter)).map(|(index, _)| &path[..index]);
        let mut outer = outer
            .flat_map(|outer| [outer.to_owned(), format!("{outer} ")])
            .filter(|it| own.contains_key(it) && it != path);
        outer.all(|outer| counterpart(&outer, other).is_some())
    };
    for (path, fact) in &new {
        match counterpart(path, &old) {
            Some(before) => differences(before, fact)
                .into_iter()
                .for_each(|(subject, change, clause)| add(fact, subject, change, clause)),
            None if is_outermost(path, &old, &new) => {
                let required = format!("required {}", fact.subject);
                let subject = if fact.is_required { &required } else { fact.subject };
                add(fact, subject, Added, format!("the {subject} is new"));
            }
            None => {}
        }
    }
    for (path, fact) in old.iter().filter(|(path, _)| counterpart(path, &new).is_none()) {
        if is_outermost(path, &new, &old) {
            add(fact, fact.subject, Removed, format!("the {} is removed", fact.subject));
        }
    }
    found
}

/// Returns the fact at a path. A response of `400` may be one of `4XX`.
fn counterpart<'f, 'a>(path: &str, facts: &'f BTreeMap<String, Fact<'a>>) -> Option<&'f Fact<'a>> {
    let range = || {
        let (before, status) = path.split_once('#')?;
        Some(format!("{before}#{}XX{}", status.get(..1)?, status.get(3..)?))
    };
    facts.get(path).or_else(|| facts.get(&range()?))
}

/// Returns what differs between two facts at one place: the subject, the change, and a clause.
fn differences(old: &Fact<'_>, new: &Fact<'_>) -> Vec<(&'static str, Change, String)> {
    let mut found = Vec::new();
    match (old.is_required, new.is_required) {
        (false, true) => found.push(("required", Tightened, "it becomes required".to_owned())),
        (true, false) => found.push(("required", Loosened, "it is no longer required".to_owned())),
        _ => {}
    }
    let is_text = |fact: &Fact<'_>| {
        let keyword = |key| fact.keywords.get(key).and_then(Value::as_str);
        keyword("type") == Some("string") && keyword("format") != Some("date-time")
    };
    let keys: BTreeSet<_> = old.keywords.keys().chain(new.keywords.keys()).copied().collect();
    for key in keys {
        let (before, after) = (old.keywords.get(key), new.keywords.get(key));
        if before == after {
            continue;
        }
        let (subject, change) = match key {
            "enum" | "x-eventData" | "x-errors" => {
                found.extend(words(key, before, after));
                continue;
            }
            "discriminator" if tag(before) == tag(after) => continue,
            "security" => ("security", if allows_more(before, after) { Loosened } else { Tightened }),
            "x-required-scope" => ("scope", if after.is_none() { Loosened } else { Changed }),
            "nullable" if is_set(before) == is_set(after) => continue,
            "nullable" => ("null", if is_set(after) { Loosened } else { Tightened }),
            "additionalProperties" if is_free(before) && is_free(after) => ("documentation", Changed),
            "additionalProperties" => ("further properties", if is_free(after) { Loosened } else { Tightened }),
            "format" if is_text(old) && is_text(new) => ("format of a text", Changed),
            // Any value is allowed.
            "type" | "format" if after.is_none() => ("kind", Loosened),
            "default" => ("default", Changed),
            "pattern" | "multipleOf" => ("limit", if after.is_none() { Loosened } else { Tightened }),
            "uniqueItems" | "exclusiveMaximum" | "exclusiveMinimum" => {
                ("limit", if is_set(after) { Tightened } else { Loosened })
            }
            _ if key.starts_with("max") || key.starts_with("min") => {
                let is_maximum = key.starts_with("max");
                let free = if is_maximum { f64::INFINITY } else { f64::NEG_INFINITY };
                let number = |it: Option<&Value>| it.and_then(Value::as_f64).unwrap_or(free);
                ("limit", if is_maximum == (number(after) > number(before)) { Loosened } else { Tightened })
            }
            "explode" | "format" | "in" | "not" | "readOnly" | "style" | "type" | "writeOnly" | "discriminator" => {
                ("keyword", Changed)
            }
            _ => ("documentation", Changed),
        };
        found.push((subject, change, clause(key, before, after)));
    }
    found
}

/// Compares words, event types and error codes, which stand in lists and in tables. The codes are compared as words.
fn words(key: &str, old: Option<&Value>, new: Option<&Value>) -> Vec<(&'static str, Change, String)> {
    let (old, new) = match (old, new) {
        (Some(old), Some(new)) => (old, new),
        (None, _) => return vec![("set of words", Tightened, format!("`{key}` is new"))],
        _ => return vec![("set of words", Loosened, format!("`{key}` is removed"))],
    };
    let table = |it: &Value| -> BTreeMap<String, Value> {
        let listed = items(Some(it)).map(|word| (word.to_string(), Value::Null));
        let entry = |(word, it): (&String, &Value)| (word.clone(), it.get("status").unwrap_or(it).clone());
        listed.chain(entries(Some(it)).map(entry)).collect()
    };
    let (before, after) = (table(old), table(new));
    let all: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let change = |word: &String| match (before.get(word), after.get(word)) {
        (Some(old), Some(new)) if old == new => None,
        (Some(old), Some(new)) => Some(("word", Changed, format!("{word} changes from {old} to {new}"))),
        _ if key == "x-errors" => None,
        (None, _) => Some(("word", Added, format!("the word {word} is new"))),
        _ => Some(("word", Removed, format!("the word {word} is removed"))),
    };
    let found: Vec<_> = all.into_iter().filter_map(change).collect();
    let advice = key == "x-errors" && found.is_empty();
    if advice { vec![("documentation", Changed, "the advice changes".to_owned())] } else { found }
}

/// Returns `true` if each way to authenticate is still one. An empty list asks for no key.
fn allows_more(old: Option<&Value>, new: Option<&Value>) -> bool {
    let is_open = |it: Option<&Value>| items(it).next().is_none();
    let is_kept = |way: &Value| items(new).any(|other| other == way);
    is_open(new) || !is_open(old) && items(old).all(is_kept)
}

fn tag(discriminator: Option<&Value>) -> Option<&str> {
    text(discriminator?, "propertyName")
}

fn is_set(flag: Option<&Value>) -> bool {
    flag == Some(&Value::Bool(true))
}

/// Without the keyword, every value is valid.
fn is_free(additional: Option<&Value>) -> bool {
    additional.is_none_or(|it| *it == Value::Bool(true))
}

/// Returns a path without the names of its parameters.
fn unnamed(path: &str) -> String {
    let mut parts = path.split('{');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |path, part| path + "{}" + part.split_once('}').map_or(part, |(_, rest)| rest))
}

/// The change of a keyword's value, as a clause.
fn clause(key: &str, old: Option<&Value>, new: Option<&Value>) -> String {
    let short = |it: Option<&Value>| it.map(Value::to_string).filter(|text| text.len() <= 60);
    match (old, new, short(old), short(new)) {
        (Some(_), None, ..) => format!("`{key}` is removed"),
        (None, _, _, Some(new)) => format!("`{key}` is new: {new}"),
        (None, ..) => format!("`{key}` is new"),
        (_, _, Some(old), Some(new)) => format!("`{key}` changes from {old} to {new}"),
        _ => format!("`{key}` changes"),
    }
}
