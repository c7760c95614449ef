//! The impact of a change of the contract on programs that speak HTTP, and on callers of the Rust API.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use crate::build::contract::{component, entries, items, lookup, operations, reference, resolve, success_bodies, text};
use crate::build::formats::is_plain_string;
use crate::build::normalize::normalize;
use crate::build::openapi::{self, DOCUMENT, Kind, Object, nodes};

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
        f.write_str(match self {
            Documentation => "documentation",
            Additive => "additive",
            Breaking => "breaking",
        })
    }
}

/// One difference between two contracts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Difference {
    /// A place such as `paths./v1/runs.get.parameters.limit`.
    pub(crate) place: String,
    /// The change, as a clause of plain English.
    pub(crate) change: String,
    /// The impact on programs that speak HTTP.
    pub(crate) http: Class,
    /// The impact on callers of the Rust API.
    pub(crate) rust: Class,
}

impl Difference {
    /// The stronger of both classes.
    pub(crate) fn class(&self) -> Class {
        self.http.max(self.rust)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Added,
    /// Added, and it has to be sent.
    AddedRequired,
    Removed,
    Changed,
    /// Fewer values are valid.
    Tightened,
    /// More values are valid.
    Loosened,
    Renamed,
}

use Change::{Added, AddedRequired, Changed, Loosened, Removed, Renamed, Tightened};

/// The places that a rule applies to.
#[derive(Clone, Copy)]
enum Used {
    Anywhere,
    /// In what callers send, perhaps among other places.
    Sent,
    /// In what callers receive, perhaps among other places.
    Received,
}

use Used::{Anywhere, Received, Sent};

/// The impact of a change: the subjects, the changes (all where none is named), the places, and the classes for HTTP
/// and for Rust.
type Rule = (&'static [&'static str], &'static [Change], Used, Class, Class);

/// The first rule that fits decides. A `*` in a subject stands for any text.
const RULES: &[Rule] = &[
    // The names and types of the Rust API.
    (&["operation.tags", "returned value"], &[], Anywhere, Documentation, Breaking),
    (&["x-any-json", "x-list-of", "x-rust-name", "x-rust-setter"], &[], Anywhere, Documentation, Breaking),
    // Words for people.
    (&["*.description", "*.summary", "*.title", "*.deprecated", "*.tags"], &[], Anywhere, Documentation, Documentation),
    (&["*.externalDocs", "*.example", "*.examples", "example*"], &[], Anywhere, Documentation, Documentation),
    (&["info object.*", "contact*", "license*", "tag*", "link*"], &[], Anywhere, Documentation, Documentation),
    (&["extension"], &[], Anywhere, Documentation, Documentation),
    // Names that requests and responses do not hold.
    (&["operation.operationId"], &[], Anywhere, Documentation, Breaking),
    (&["components.schemas"], &[Renamed, Removed], Anywhere, Documentation, Breaking),
    (&["components.schemas"], &[], Anywhere, Additive, Additive),
    // Changes of these are reported where they are used.
    (&["components.*"], &[], Anywhere, Documentation, Documentation),
    // Sets, all of which are open.
    (&["word", "event type", "discriminator value"], &[Added], Anywhere, Additive, Additive),
    (&["member of `oneOf`", "member of `anyOf`"], &[Added], Anywhere, Additive, Additive),
    (&["schema.enum"], &[Removed], Anywhere, Additive, Breaking),
    // Required parts.
    (&["*.required"], &[Tightened], Sent, Breaking, Breaking),
    (&["*.required"], &[Loosened], Received, Breaking, Breaking),
    (&["*.required"], &[], Anywhere, Additive, Breaking),
    (&["schema.nullable"], &[Tightened], Sent, Breaking, Breaking),
    (&["schema.nullable"], &[Loosened], Received, Breaking, Breaking),
    (&["schema.nullable"], &[], Anywhere, Additive, Breaking),
    // Which values are valid.
    (&["format of a text"], &[], Sent, Breaking, Documentation),
    (&["format of a text"], &[], Anywhere, Documentation, Documentation),
    (&["sign"], &[], Anywhere, Documentation, Breaking),
    (&[LIMIT], &[Tightened], Sent, Breaking, Documentation),
    (&[LIMIT], &[], Anywhere, Additive, Documentation),
    (&["schema.default"], &[], Sent, Breaking, Documentation),
    (&["schema.default"], &[], Anywhere, Additive, Documentation),
    (&["schema.additionalProperties"], &[Tightened, Changed], Sent, Breaking, Breaking),
    (&["schema.additionalProperties"], &[], Anywhere, Additive, Breaking),
    // Parts.
    (&["*"], &[AddedRequired], Sent, Breaking, Breaking),
    (&["*"], &[AddedRequired], Anywhere, Additive, Additive),
    (&["path item", "operation", "parameter", "request body", "response"], &[Added], Anywhere, Additive, Additive),
    (&["media type", "header", "property", "callback"], &[Added], Anywhere, Additive, Additive),
    // Types, formats, styles, security, servers, scopes, and all that is removed.
    (&["*"], &[], Anywhere, Breaking, Breaking),
];

/// The subject of each keyword that bounds values.
const LIMIT: &str = "limit";

/// The sender of a value: the caller, the service, or both.
#[derive(Clone, Copy)]
struct Way {
    sent: bool,
    received: bool,
}

impl Way {
    const REQUEST: Self = Self { sent: true, received: false };

    fn back(self) -> Self {
        Self { sent: self.received, received: self.sent }
    }
}

/// Returns all differences between two documents, by place.
pub(crate) fn compare(old: &Value, new: &Value) -> Vec<Difference> {
    let (old, new) = (&rewritten(old), &rewritten(new));
    let mut walk = Walk { old, new, renamed: renamed(old, new), uses: Uses::default(), open: vec![], found: vec![] };
    walk.uses.collect(old);
    walk.uses.collect(new);
    walk.object(&DOCUMENT, old, new, "", Way::REQUEST);
    walk.found.sort();
    walk.found.dedup();
    walk.found
}

/// Returns the contract as the generator reads it, or as it is written if that fails.
fn rewritten(contract: &Value) -> Value {
    let mut document = contract.clone();
    match normalize(&mut document) {
        Ok(()) => document,
        Err(_) => contract.clone(),
    }
}

/// Returns `true` if users have to change anything.
pub(crate) fn is_breaking(differences: &[Difference]) -> bool {
    differences.iter().any(|difference| difference.class() == Breaking)
}

/// Returns a line for each difference, in groups, and the lines for the changelog.
pub(crate) fn report(differences: &[Difference]) -> String {
    let mut lines = Vec::new();
    let mut log = Vec::new();
    for (class, title, mark) in
        [(Breaking, "Breaking:", "**Breaking:** "), (Additive, "Additive:", ""), (Documentation, "Documentation:", "")]
    {
        let group: Vec<_> = differences.iter().filter(|difference| difference.class() == class).collect();
        if group.is_empty() {
            continue;
        }
        // A key may hold anything.
        let place = |it: &Difference| it.place.replace(char::is_control, "?");
        lines.push(title.to_owned());
        lines.extend(
            group.iter().map(|it| format!("    {}: {} (HTTP: {}, Rust: {})", place(it), it.change, it.http, it.rust)),
        );
        let changes = group.iter().map(|it| format!("`{}`: {}", place(it), it.change));
        match class {
            Documentation => log.push("- The documentation of the contract changed.".to_owned()),
            _ => log.push(format!("- {mark}{}.", changes.collect::<Vec<_>>().join("; "))),
        }
    }
    if lines.is_empty() {
        return String::new();
    }
    lines.push(format!("\nFor CHANGELOG.md:\n{}\n", log.join("\n")));
    lines.join("\n")
}

/// Schemas that have another name and are otherwise the same, by their old names.
fn renamed(old: &Value, new: &Value) -> BTreeMap<String, String> {
    let schemas = |document: &Value| -> BTreeMap<String, Value> {
        entries(document.pointer("/components/schemas")).map(|(name, it)| (name.clone(), it.clone())).collect()
    };
    let (before, after) = (schemas(old), schemas(new));
    let mut free: Vec<_> = after.iter().filter(|(name, _)| !before.contains_key(*name)).collect();
    let mut pairs = BTreeMap::new();
    for (name, schema) in before.iter().filter(|(name, _)| !after.contains_key(*name)) {
        if let Some(index) = free.iter().position(|(_, other)| *other == schema) {
            pairs.insert(name.clone(), free.remove(index).0.clone());
        }
    }
    pairs
}

/// References that lead to what callers send and to what they receive.
#[derive(Default)]
struct Uses {
    sent: BTreeSet<String>,
    received: BTreeSet<String>,
}

impl Uses {
    fn collect(&mut self, document: &Value) {
        for operation in operations(document) {
            for (parameter, _) in operation.parameters() {
                reach(document, &openapi::PARAMETER, parameter, &mut self.sent);
            }
            self.operation(document, operation.value, false);
            for (_, callback) in entries(operation.value.get("callbacks")) {
                for (_, item) in entries(Some(resolve(document, callback))) {
                    for (_, delivery) in entries(Some(item)).filter(|(_, it)| it.get("responses").is_some()) {
                        for parameter in items(item.get("parameters")).chain(items(delivery.get("parameters"))) {
                            reach(document, &openapi::PARAMETER, parameter, &mut self.received);
                        }
                        self.operation(document, delivery, true);
                    }
                }
            }
        }
    }

    fn operation(&mut self, document: &Value, operation: &Value, is_delivery: bool) {
        let (mut sent, mut received) = (&mut self.sent, &mut self.received);
        if is_delivery {
            std::mem::swap(&mut sent, &mut received);
        }
        if let Some(body) = operation.get("requestBody") {
            reach(document, &openapi::REQUEST_BODY, body, sent);
        }
        if let Some(responses) = operation.get("responses") {
            reach(document, &openapi::RESPONSES, responses, received);
        }
    }

    fn of(&self, reference: &str) -> Way {
        let way = Way { sent: self.sent.contains(reference), received: self.received.contains(reference) };
        // A component that nothing refers to may be meant for either.
        if way.sent || way.received { way } else { Way { sent: true, received: true } }
    }
}

fn reach(document: &Value, object: &'static Object, value: &Value, found: &mut BTreeSet<String>) {
    for node in nodes(object, value, "") {
        if let Some(target) = reference(node.value)
            && found.insert(target.to_owned())
            && let Some(value) = lookup(document, target)
        {
            reach(document, node.object, value, found);
        }
    }
}

struct Walk<'a> {
    old: &'a Value,
    new: &'a Value,
    renamed: BTreeMap<String, String>,
    uses: Uses,
    /// Pairs of different references that are being compared.
    open: Vec<(String, String)>,
    found: Vec<Difference>,
}

impl Walk<'_> {
    fn push(&mut self, place: &str, way: Way, subject: &str, change: Change, words: impl Into<String>) {
        let rule = RULES.iter().find(|(subjects, changes, used, ..)| {
            subjects.iter().any(|pattern| fits(pattern, subject))
                && (changes.is_empty() || changes.contains(&change))
                && match used {
                    Anywhere => true,
                    Sent => way.sent,
                    Received => way.received,
                }
        });
        let (http, rust) = rule.map_or((Breaking, Breaking), |(.., http, rust)| (*http, *rust));
        self.found.push(Difference { place: place.to_owned(), change: words.into(), http, rust });
    }

    /// Compares the objects at one place, or the targets of the references there.
    fn object(&mut self, object: &'static Object, old: &Value, new: &Value, place: &str, way: Way) {
        let (before, after) = (reference(old), reference(new));
        if before.is_none() && after.is_none() {
            return self.keywords(object, old, new, place, way);
        }
        if before.is_some() && self.current(before) == after.map(ToOwned::to_owned) {
            // Keywords beside the references, such as a description.
            return self.keywords(object, &without_reference(old), &without_reference(new), place, way);
        }
        let pair = (old.to_string(), new.to_string());
        if self.open.contains(&pair) {
            return;
        }
        self.open.push(pair);
        let first = self.found.len();
        self.keywords(object, resolve(self.old, old), resolve(self.new, new), place, way);
        self.open.pop();
        if object.name == "schema" {
            // The type has another name, so that the details matter to HTTP alone.
            let http = self.found.drain(first..).map(|it| it.http).max().unwrap_or(Documentation);
            let name = |reference: Option<&str>| {
                reference.map_or_else(|| "a schema of its own".to_owned(), |it| format!("`{}`", component(it)))
            };
            let change = format!("the schema changes from {} to {}", name(before), name(after));
            self.found.push(Difference { place: place.to_owned(), change, http, rust: Breaking });
        }
    }

    /// The name in the new document of a reference of the old one.
    fn current(&self, reference: Option<&str>) -> Option<String> {
        let reference = reference?;
        let renamed = reference.strip_prefix("#/components/schemas/").and_then(|name| self.renamed.get(name));
        Some(renamed.map_or_else(|| reference.to_owned(), |name| format!("#/components/schemas/{name}")))
    }

    fn keywords(&mut self, object: &'static Object, old: &Value, new: &Value, place: &str, way: Way) {
        if object.name == "operation" {
            self.returned(old, new, place, way);
        }
        let keys: BTreeSet<_> = entries(Some(old)).chain(entries(Some(new))).map(|(key, _)| key.as_str()).collect();
        for key in keys {
            let (before, after) = (old.get(key), new.get(key));
            let inner = if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") };
            let way =
                if object.name == "operation" && matches!(key, "responses" | "callbacks") { way.back() } else { way };
            match object.kind(key) {
                None => self.extension(key, before, after, &inner, way),
                // They are compared within each operation.
                Some(_) if object.name == "path item" && key == "parameters" => {}
                Some(Kind::One(child)) if child.name == "operation" => {
                    let with_shared = |item: &Value, operation: Option<&Value>, document: &Value| {
                        operation.map(|operation| with_shared_parameters(document, item, operation))
                    };
                    let (before, after) = (with_shared(old, before, self.old), with_shared(new, after, self.new));
                    self.one("operation", child, before.as_ref(), after.as_ref(), &inner, way);
                }
                Some(Kind::One(child)) => {
                    let own = matches!(child.name, "request body" | "path item" | "response");
                    let subject = if own { child.name.to_owned() } else { format!("{}.{key}", object.name) };
                    self.one(&subject, child, before, after, &inner, way);
                }
                Some(Kind::FlagOr(child)) => self.flag_or(object, child, key, (before, after), &inner, way),
                Some(Kind::Map(child)) => self.map(object, child, key, before, after, &inner, way),
                Some(Kind::List(child)) => self.list(object, child, key, before, after, &inner, way),
                Some(Kind::Texts | Kind::DataList) => self.set(object, key, (old, new), place, way),
                Some(Kind::TextMap) => {
                    let subject = if key == "mapping" { "discriminator value" } else { "entry" };
                    self.text_map(subject, before, after, &inner, way);
                }
                Some(_) => self.scalar(object, key, (old, new), place, way),
            }
        }
    }

    /// Compares whether a call returns a value, none, or one or the other.
    fn returned(&mut self, old: &Value, new: &Value, place: &str, way: Way) {
        let (before, after) = (success_bodies(self.old, old), success_bodies(self.new, new));
        if before != after && [before, after].into_iter().all(|bodies| bodies != (false, false)) {
            let returned = |bodies| match bodies {
                (true, true) => "a value or nothing",
                (true, false) => "a value",
                _ => "nothing",
            };
            let change = format!("the call returns {} in place of {}", returned(after), returned(before));
            self.push(&format!("{place}.responses"), way, "returned value", Changed, change);
        }
    }

    fn extension(&mut self, key: &str, old: Option<&Value>, new: Option<&Value>, place: &str, way: Way) {
        match key {
            "x-eventData" => self.text_map("event type", old, new, place, way),
            "x-idempotent" => {
                let by_method = Value::Bool(!place.ends_with(".post.x-idempotent"));
                if old.unwrap_or(&by_method) == new.unwrap_or(&by_method) {
                    self.value("extension", key, old, new, place, way);
                } else {
                    self.value(key, key, old, new, place, way);
                }
            }
            "x-required-scope" | "x-any-json" | "x-list-of" | "x-rust-name" | "x-rust-setter" => {
                self.value(key, key, old, new, place, way);
            }
            "x-errors" => {
                // The words are compared in the enum.
                for (code, before) in entries(old) {
                    let (before, after) = (before.get("status"), new.and_then(|table| table.get(code)?.get("status")));
                    if after.is_some() {
                        self.value("error status", "status", before, after, &format!("{place}.{code}"), way);
                    }
                }
                let advice = |table: Option<&Value>| -> Value {
                    entries(table).map(|(code, entry)| (code.clone(), entry["advice"].clone())).collect()
                };
                self.value("extension", key, Some(&advice(old)), Some(&advice(new)), place, way);
            }
            _ => self.value("extension", key, old, new, place, way),
        }
    }

    /// Compares an object that may be missing on one side.
    fn one(
        &mut self,
        subject: &str,
        object: &'static Object,
        old: Option<&Value>,
        new: Option<&Value>,
        place: &str,
        way: Way,
    ) {
        match (old, new) {
            (Some(old), Some(new)) => self.object(object, old, new, place, way),
            (None, Some(new)) => {
                let can_be_required = matches!(object.name, "parameter" | "request body" | "header");
                let is_required = can_be_required && resolve(self.new, new).get("required") == Some(&Value::Bool(true));
                self.added(subject, is_required, place, way);
            }
            (Some(_), None) => self.push(place, way, subject, Removed, format!("{} is removed", noun(subject))),
            (None, None) => {}
        }
    }

    fn added(&mut self, subject: &str, is_required: bool, place: &str, way: Way) {
        let change = if is_required { AddedRequired } else { Added };
        let suffix = if is_required { ", and required" } else { "" };
        self.push(place, way, subject, change, format!("{} is new{suffix}", noun(subject)));
    }

    #[allow(clippy::too_many_arguments, reason = "an object and its key, both sides, and where they are")]
    fn map(
        &mut self,
        object: &'static Object,
        child: &'static Object,
        key: &str,
        old: Option<&Value>,
        new: Option<&Value>,
        place: &str,
        way: Way,
    ) {
        let is_components = object.name == "components object";
        let subject = match (object.name, key) {
            ("components object", _) => format!("components.{key}"),
            ("schema", "properties") => "property".to_owned(),
            _ => child.name.to_owned(),
        };
        let names: BTreeSet<_> = entries(old).chain(entries(new)).map(|(name, _)| name.clone()).collect();
        for name in names {
            let inner = format!("{place}.{name}");
            let way = if is_components { self.uses.of(&format!("#/components/{key}/{name}")) } else { way };
            let (before, after) = (old.and_then(|it| it.get(&name)), new.and_then(|it| it.get(&name)));
            if key == "schemas" && is_components {
                if let Some(other) = self.renamed.get(&name).cloned() {
                    self.push(&inner, way, &subject, Renamed, format!("the schema is now called `{other}`"));
                    continue;
                }
                if self.renamed.values().any(|other| *other == name) {
                    continue;
                }
            }
            // `required` stands beside the properties.
            self.one(&subject, child, before, after, &inner, way);
        }
    }

    #[allow(clippy::too_many_arguments, reason = "an object and its key, both sides, and where they are")]
    fn list(
        &mut self,
        object: &'static Object,
        child: &'static Object,
        key: &str,
        old: Option<&Value>,
        new: Option<&Value>,
        place: &str,
        way: Way,
    ) {
        if child.name == "security requirement" {
            return self.value(&format!("{}.{key}", object.name), key, old, new, place, way);
        }
        let subject = if child.name == "schema" { format!("member of `{key}`") } else { child.name.to_owned() };
        let before = named(self.old, child, old, |reference| self.current(Some(reference)).unwrap_or_default());
        let after = named(self.new, child, new, ToOwned::to_owned);
        let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
        for name in names {
            // Two parameters of the same name are rare, so that the place has the name alone.
            let shown = name.rsplit(['\n', '/']).next().unwrap_or(name);
            let shown = if child.name == "server" { name } else { shown };
            let inner = if shown.starts_with('[') { format!("{place}{shown}") } else { format!("{place}.{shown}") };
            let (before, after) = (before.get(name).copied(), after.get(name).copied());
            if child.name == "schema" && name.starts_with('#') && before.is_some() && after.is_some() {
                continue;
            }
            self.one(&subject, child, before, after, &inner, way);
        }
    }

    /// Compares lists without regard to their order.
    fn set(&mut self, object: &Object, key: &str, (old, new): (&Value, &Value), place: &str, way: Way) {
        let (before, after) = (old.get(key), new.get(key));
        let is_new = |item: &Value, other: Option<&Value>| !items(other).any(|it| it == item);
        if object.name == "schema" && key == "required" {
            for name in items(after).filter(|name| is_new(name, before)).filter_map(Value::as_str) {
                self.requirement(old, new, name, place, way, true);
            }
            for name in items(before).filter(|name| is_new(name, after)).filter_map(Value::as_str) {
                self.requirement(old, new, name, place, way, false);
            }
            return;
        }
        let inner = if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") };
        if key != "enum" || before.is_none() || after.is_none() {
            let is_same = items(before).all(|it| !is_new(it, after)) && items(after).all(|it| !is_new(it, before));
            if !is_same || before.is_some() != after.is_some() {
                self.value(&format!("{}.{key}", object.name), key, before, after, &inner, way);
            }
            return;
        }
        for word in items(after).filter(|word| is_new(word, before)) {
            self.push(&inner, way, "word", Added, format!("the word {} is new", show(word)));
        }
        for word in items(before).filter(|word| is_new(word, after)) {
            self.push(&inner, way, "word", Removed, format!("the word {} is removed", show(word)));
        }
    }

    fn requirement(&mut self, old: &Value, new: &Value, name: &str, place: &str, way: Way, is_required: bool) {
        let has = |schema: &Value| schema.get("properties").is_some_and(|it| it.get(name).is_some());
        let inner = format!("{place}.properties.{name}");
        match (is_required, has(old), has(new)) {
            (true, false, true) => {
                // It replaces the line about the new property.
                self.found.retain(|it| it.place != inner);
                self.added("property", true, &inner, way);
            }
            (true, ..) => self.push(&inner, way, "schema.required", Tightened, "the property becomes required"),
            (false, _, true) => {
                self.push(&inner, way, "schema.required", Loosened, "the property is no longer required");
            }
            (false, ..) => {}
        }
    }

    fn flag_or(
        &mut self,
        object: &Object,
        child: &'static Object,
        key: &str,
        (old, new): (Option<&Value>, Option<&Value>),
        place: &str,
        way: Way,
    ) {
        if let (Some(old), Some(new)) = (old, new)
            && old.is_object()
            && new.is_object()
        {
            return self.object(child, old, new, place, way);
        }
        if old == new {
            return;
        }
        // Without the keyword, every value is valid.
        let is_free = |it: Option<&Value>| it.is_none_or(|it| *it == Value::Bool(true));
        let change = match (is_free(old), is_free(new)) {
            (true, true) => Changed,
            (_, true) => Loosened,
            _ => Tightened,
        };
        self.push(place, way, &format!("{}.{key}", object.name), change, clause(key, old, new));
    }

    fn text_map(&mut self, subject: &str, old: Option<&Value>, new: Option<&Value>, place: &str, way: Way) {
        let names: BTreeSet<_> = entries(old).chain(entries(new)).map(|(name, _)| name).collect();
        for name in names {
            let (before, after) = (old.and_then(|it| it.get(name)), new.and_then(|it| it.get(name)));
            let inner = format!("{place}.{name}");
            if subject == "discriminator value"
                && before.is_some()
                && self.current(before.and_then(Value::as_str)).as_deref() == after.and_then(Value::as_str)
            {
                continue;
            }
            match (before, after) {
                (Some(_), None) => self.push(&inner, way, subject, Removed, format!("the {subject} is removed")),
                (None, _) => self.push(&inner, way, subject, Added, format!("the {subject} is new")),
                _ => self.value(subject, name, before, after, &inner, way),
            }
        }
    }

    fn scalar(&mut self, object: &Object, key: &str, (old, new): (&Value, &Value), place: &str, way: Way) {
        let (before, after) = (old.get(key), new.get(key));
        let inner = if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") };
        let subject = format!("{}.{key}", object.name);
        let number = |it: Option<&Value>| it.and_then(Value::as_f64);
        let flag = |it: Option<&Value>| it.and_then(Value::as_bool).unwrap_or(false);
        match key {
            "maximum" | "maxLength" | "maxItems" | "maxProperties" | "minimum" | "minLength" | "minItems"
            | "minProperties"
                if number(before) != number(after) =>
            {
                let is_maximum = key.starts_with("max");
                let free = if is_maximum { f64::INFINITY } else { f64::NEG_INFINITY };
                let (from, to) = (number(before).unwrap_or(free), number(after).unwrap_or(free));
                let change = if is_maximum == (to < from) { Tightened } else { Loosened };
                self.push(&inner, way, LIMIT, change, clause(key, before, after));
                let is_unsigned = |it: f64| it >= 0.0;
                if key == "minimum" && text(new, "type") == Some("integer") && is_unsigned(from) != is_unsigned(to) {
                    let kind = if is_unsigned(to) { "unsigned" } else { "signed" };
                    self.push(&inner, way, "sign", Changed, format!("the integer becomes {kind}"));
                }
            }
            "pattern" | "multipleOf" if before != after => {
                let change = if after.is_none() { Loosened } else { Tightened };
                self.push(&inner, way, LIMIT, change, clause(key, before, after));
            }
            "uniqueItems" | "exclusiveMaximum" | "exclusiveMinimum" if flag(before) != flag(after) => {
                let change = if flag(after) { Tightened } else { Loosened };
                self.push(&inner, way, LIMIT, change, clause(key, before, after));
            }
            "required" if flag(before) != flag(after) => {
                let (change, verb) = if flag(after) { (Tightened, "becomes") } else { (Loosened, "is no longer") };
                self.push(place, way, &subject, change, format!("the {} {verb} required", object.name));
            }
            "nullable" if flag(before) != flag(after) => {
                let (change, verb) = if flag(after) { (Loosened, "can be") } else { (Tightened, "can no longer be") };
                self.push(place, way, &subject, change, format!("the value {verb} null"));
            }
            "format" if before != after && is_plain_string(old) && is_plain_string(new) => {
                self.value("format of a text", key, before, after, &inner, way);
            }
            "required" | "nullable" | "uniqueItems" | "exclusiveMaximum" | "exclusiveMinimum" => {}
            "deprecated" | "readOnly" | "writeOnly" | "allowEmptyValue" | "allowReserved"
                if flag(before) == flag(after) => {}
            _ => self.value(&subject, key, before, after, &inner, way),
        }
    }

    fn value(&mut self, subject: &str, key: &str, old: Option<&Value>, new: Option<&Value>, place: &str, way: Way) {
        let change = match (old, new) {
            _ if old == new => return,
            (None, _) => Added,
            (_, None) => Removed,
            _ => Changed,
        };
        self.push(place, way, subject, change, clause(key, old, new));
    }
}

fn without_reference(value: &Value) -> Value {
    let mut value = value.clone();
    value.as_object_mut().map(|object| object.remove("$ref"));
    value
}

/// An operation with the parameters of its path that it does not replace.
fn with_shared_parameters(document: &Value, item: &Value, operation: &Value) -> Value {
    let own: Vec<_> = items(operation.get("parameters")).collect();
    let identity = |it: &Value| parameter_identity(resolve(document, it));
    let shared = items(item.get("parameters")).filter(|it| !own.iter().any(|other| identity(other) == identity(it)));
    let all: Vec<Value> = shared.chain(own.iter().copied()).cloned().collect();
    let mut operation = operation.clone();
    if let Some(operation) = operation.as_object_mut() {
        operation.insert("parameters".to_owned(), all.into());
    }
    operation
}

fn parameter_identity(parameter: &Value) -> String {
    format!("{}\n{}", text(parameter, "in").unwrap_or_default(), text(parameter, "name").unwrap_or_default())
}

/// Returns the items of a list by their identities.
fn named<'a>(
    document: &'a Value,
    object: &Object,
    list: Option<&'a Value>,
    current: impl Fn(&str) -> String,
) -> BTreeMap<String, &'a Value> {
    let mut unnamed = 0;
    let name = |item: &'a Value| match object.name {
        "parameter" => parameter_identity(resolve(document, item)),
        "tag" => text(item, "name").unwrap_or_default().to_owned(),
        "server" => text(item, "url").unwrap_or_default().to_owned(),
        _ => reference(item).map_or_else(
            || {
                unnamed += 1;
                format!("[{}]", unnamed - 1)
            },
            &current,
        ),
    };
    let names: Vec<_> = items(list).map(name).collect();
    names.into_iter().zip(items(list)).collect()
}

/// Returns `true` if a text matches a pattern with at most one `*`.
fn fits(pattern: &str, text: &str) -> bool {
    pattern.split_once('*').map_or(pattern == text, |(start, end)| {
        text.len() >= start.len() + end.len() && text.starts_with(start) && text.ends_with(end)
    })
}

fn noun(subject: &str) -> String {
    match subject.rsplit_once('.') {
        Some(("components", section)) => format!("the component of `{section}`"),
        Some((_, keyword)) => format!("`{keyword}`"),
        None => format!("the {}", if subject == "path item" { "path" } else { subject }),
    }
}

/// The change of a keyword's value, as a clause.
fn clause(key: &str, old: Option<&Value>, new: Option<&Value>) -> String {
    match (old, new) {
        (Some(old), Some(new)) if is_short(old) && is_short(new) => {
            format!("`{key}` changes from {} to {}", show(old), show(new))
        }
        (None, Some(new)) if is_short(new) => format!("`{key}` is new: {}", show(new)),
        (None, _) => format!("`{key}` is new"),
        (Some(_), None) => format!("`{key}` is removed"),
        _ => format!("`{key}` changes"),
    }
}

fn is_short(value: &Value) -> bool {
    show(value).len() <= 60
}

fn show(value: &Value) -> String {
    value.to_string()
}
