//! The Rust type of each named schema.
//!
//! Objects become structs, which progenitor writes. Everything else that has a name becomes a type of ours, because
//! the service may say a word tomorrow that the contract does not know today, and a closed enum would fail the
//! whole answer over it.

use std::collections::{BTreeMap, BTreeSet};

use heck::ToUpperCamelCase;
use serde_json::Value;

use super::check::shape::distance;
use super::contract::{component, entries, items, lookup, reference, schemas, text};
use super::mistake::Mistake;

/// The catch-all of open enums and open unions.
pub const CATCH_ALL: &str = "Unknown";

/// The catch-all of event data.
pub const OTHER_DATA: &str = "Other";

/// The formats of strings that have types of their own: all others are plain strings.
const TYPED_FORMATS: [&str; 2] = ["date-time", "password"];

/// The mappings of all named schemas.
pub type Mappings = BTreeMap<String, Mapping>;

/// The Rust type of a named schema.
#[derive(Debug)]
pub enum Mapping {
    /// An object with properties: a struct.
    Struct,
    /// A string without an enum, whatever its format: a newtype.
    Id,
    /// A string with `format: password`: a redacted secret.
    Secret,
    /// A string with an enum: an enum with a catch-all.
    OpenEnum { words: Vec<Word>, data: Vec<Data> },
    /// `oneOf` with a discriminator: a tagged enum with a catch-all.
    OpenUnion { tag: String, variants: Vec<Variant> },
    /// `x-list-of`: a list whose wrapping is not documented.
    List { item: String },
}

/// A word of an open enum.
#[derive(Debug)]
pub struct Word {
    pub variant: String,
    pub text: String,
    pub description: String,
    /// Other spellings that mean the same.
    pub aliases: Vec<String>,
}

/// The data of events of some types.
#[derive(Debug)]
pub struct Data {
    pub variant: String,
    pub schema: String,
    pub description: String,
    /// The types, as variants of the open enum.
    pub words: Vec<String>,
}

/// A variant of an open union.
#[derive(Debug)]
pub struct Variant {
    pub name: String,
    pub word: String,
    pub schema: String,
    pub description: String,
}

impl Mapping {
    /// The Rust type that takes the place of the generated one; none for structs, which are generated.
    pub fn replacement(&self, name: &str) -> Option<String> {
        match self {
            Self::Struct => None,
            Self::Secret => Some("crate::secret::Secret".to_owned()),
            Self::List { item } => Some(format!("crate::types::List<crate::types::{item}>")),
            Self::Id | Self::OpenEnum { .. } | Self::OpenUnion { .. } => Some(format!("crate::types::{name}")),
        }
    }
}

/// The set of words that a string is one of, with its place in the schema: `enum`, or an open set, which is written as
/// `anyOf` of an enum and any string.
pub fn words(schema: &Value) -> Option<(&Vec<Value>, &'static str)> {
    if let Some(words) = schema.get("enum").filter(|_| text(schema, "type") == Some("string")) {
        return Some((words.as_array()?, "enum"));
    }
    let [known, any] = schema.get("anyOf")?.as_array()?.as_slice() else {
        return None;
    };
    let is_any_string =
        any.as_object().is_some_and(|any| any.keys().all(|key| ["description", "type"].contains(&key.as_str())));
    let are_strings = [known, any].into_iter().all(|schema| text(schema, "type") == Some("string"));
    (is_any_string && are_strings).then_some((known.get("enum")?.as_array()?, "anyOf[0].enum"))
}

/// The mapping of every named schema that operations use, and of every set of words.
pub fn of_document(document: &Value) -> Result<Mappings, Mistake> {
    let reachable = super::prepare::reachable(document);
    schemas(document)
        .filter(|(name, schema)| reachable.contains(*name) || words(schema).is_some())
        .map(|(name, schema)| Ok((name.clone(), of_schema(document, name, schema)?)))
        .collect()
}

fn of_schema(document: &Value, name: &str, schema: &Value) -> Result<Mapping, Mistake> {
    let place = format!("components.schemas.{name}");
    if schema.get("x-list-of").is_some() {
        return list(document, schema, &place);
    }
    if words(schema).is_some() {
        check_alone(schema, &["anyOf", "enum"], &place)?;
        return open_enum(document, schema, &place);
    }
    if let Some(keyword) = ["anyOf", "enum", "not"].into_iter().find(|keyword| schema.get(keyword).is_some()) {
        return Err(Mistake::at(
            format!("{place}.{keyword}"),
            match keyword {
                "anyOf" => {
                    "maps to no Rust type, unless it is `[{type: string, enum: […]}, {type: string}]`, an open set of \
                     words; for objects, use oneOf with a discriminator"
                }
                "enum" => {
                    "only strings can be a set of words; write the type where it is used, and describe its values"
                }
                _ => "maps to no Rust type; write out what is allowed",
            },
        ));
    }
    if schema.get("oneOf").is_some() {
        check_alone(schema, &["discriminator", "oneOf"], &place)?;
        return open_union(document, schema, &place);
    }
    check_alone(schema, &["additionalProperties", "properties"], &place)?;
    match text(schema, "type") {
        Some("object") if schema.get("properties").is_some() => Ok(Mapping::Struct),
        Some("object") => {
            Err(Mistake::at(place, "a named object needs properties; write a free-form object where it is used"))
        }
        Some("string") => match text(schema, "format") {
            Some("password") => Ok(Mapping::Secret),
            Some("date-time") => Err(Mistake::at(
                format!("{place}.format"),
                "a time has no name; write `type: string` and `format: date-time` where it is used",
            )),
            _ => check_format(schema, &place).map(|()| Mapping::Id),
        },
        Some(other @ ("integer" | "number" | "boolean" | "array")) => {
            Err(Mistake::at(place, format!("write `{other}` where it is used; only objects and strings have names")))
        }
        Some(other) => Err(Mistake::at(format!("{place}.type"), format!("`{other}` is not a type"))),
        None => Err(Mistake::at(
            place,
            "type is missing; any JSON has no name, so write `x-any-json: true` where it is used",
        )),
    }
}

/// Of the keywords that each say what a schema is, others than these would have no effect.
fn check_alone(schema: &Value, kept: &[&str], place: &str) -> Result<(), Mistake> {
    const KEYWORDS: [&str; 7] =
        ["additionalProperties", "anyOf", "discriminator", "enum", "not", "oneOf", "properties"];
    match KEYWORDS.into_iter().find(|keyword| schema.get(keyword).is_some() && !kept.contains(keyword)) {
        Some(keyword) => {
            let problem = "has no effect beside what else the schema says; remove it, or describe it";
            Err(Mistake::at(format!("{place}.{keyword}"), problem))
        }
        None => Ok(()),
    }
}

fn list(document: &Value, schema: &Value, place: &str) -> Result<Mapping, Mistake> {
    let item = text(schema, "x-list-of").unwrap_or_default();
    if lookup(document, &format!("#/components/schemas/{item}")).is_none() {
        return Err(Mistake::at(format!("{place}.x-list-of"), format!("there is no schema `{item}`")));
    }
    Ok(Mapping::List { item: item.to_owned() })
}

fn open_enum(document: &Value, schema: &Value, place: &str) -> Result<Mapping, Mistake> {
    let (listed, words_place) = words(schema).ok_or_else(|| Mistake::at(place, "there is no word"))?;
    let aliases = schema.get("x-aliases");
    let mut seen = BTreeSet::from([CATCH_ALL.to_owned()]);
    let mut words = Vec::new();
    for (index, word) in listed.iter().enumerate() {
        let place = format!("{place}.{words_place}[{index}]");
        let Some(word) = word.as_str() else {
            return Err(Mistake::at(place, format!("{word} is not a string; put it in quotes")));
        };
        let description = schema.get("x-enumDescriptions").and_then(|texts| text(texts, word));
        let Some(description) = description.filter(|text| !text.is_empty()) else {
            return Err(Mistake::at(place, format!("`{word}` has no entry in x-enumDescriptions")));
        };
        if aliases.is_some_and(|aliases| aliases.get(word).is_some()) {
            continue;
        }
        let variant = variant_name(word, &place)?;
        if !seen.insert(variant.clone()) {
            return Err(Mistake::at(place, format!("`{word}` would be the variant `{variant}`, which exists already")));
        }
        let aliases = entries(aliases)
            .filter(|(_, target)| target.as_str() == Some(word))
            .map(|(alias, _)| alias.clone())
            .collect();
        words.push(Word { variant, text: word.to_owned(), description: description.to_owned(), aliases });
    }
    if words.is_empty() {
        return Err(Mistake::at(format!("{place}.{words_place}"), "there is no word"));
    }
    for (alias, target) in entries(aliases) {
        let place = format!("{place}.x-aliases.{alias}");
        if !words.iter().any(|word| target.as_str() == Some(&word.text)) {
            return Err(Mistake::at(place, format!("{target} is not a word of the enum")));
        }
        // Clients that know nothing of `x-aliases` know the words of the enum.
        if !listed.iter().any(|word| word.as_str() == Some(alias)) {
            return Err(Mistake::at(place, format!("`{alias}` is not a word of the enum; list it there too")));
        }
    }
    for (word, _) in entries(schema.get("x-enumDescriptions")) {
        if !listed.iter().any(|listed| listed.as_str() == Some(word)) {
            let place = format!("{place}.x-enumDescriptions.{word}");
            return Err(Mistake::at(place, format!("`{word}` is not a word of the enum")));
        }
    }
    let data = event_data(document, schema, &words);
    Ok(Mapping::OpenEnum { words, data })
}

/// `x-eventData` the other way round: for each schema, the words that it comes with.
fn event_data(document: &Value, schema: &Value, words: &[Word]) -> Vec<Data> {
    let mut by_schema = BTreeMap::<&str, Vec<String>>::new();
    let table = schema.get("x-eventData");
    for word in words {
        if let Some(target) = table.and_then(|table| text(table, &word.text)) {
            by_schema.entry(target).or_default().push(word.variant.clone());
        }
    }
    by_schema
        .into_iter()
        .filter_map(|(schema, words)| {
            let described = lookup(document, &format!("#/components/schemas/{schema}"))?;
            Some(Data {
                variant: data_variant(schema)?.to_owned(),
                schema: schema.to_owned(),
                description: text(described, "description")?.to_owned(),
                words,
            })
        })
        .collect()
}

/// `RunEventData` → `Run`, if that leaves a name that is free.
pub fn data_variant(schema: &str) -> Option<&str> {
    schema.strip_suffix("EventData").filter(|variant| !["", "Self", OTHER_DATA].contains(variant))
}

fn open_union(document: &Value, schema: &Value, place: &str) -> Result<Mapping, Mistake> {
    let discriminator = schema.get("discriminator");
    let tag = discriminator.and_then(|discriminator| text(discriminator, "propertyName"));
    let Some(tag) = tag else {
        return Err(Mistake::at(
            place,
            "oneOf needs a discriminator with propertyName, so that answers can be told apart; for other values, write \
             `x-any-json: true` beside it where it is used",
        ));
    };
    let mut variants: Vec<Variant> = Vec::new();
    for (word, target) in entries(discriminator.and_then(|discriminator| discriminator.get("mapping"))) {
        let place = format!("{place}.discriminator.mapping.{word}");
        let target = target.as_str().unwrap_or_default();
        let in_one_of = items(schema.get("oneOf")).filter_map(reference).any(|variant| variant == target);
        let Some(variant) = lookup(document, target).filter(|_| in_one_of) else {
            return Err(Mistake::at(place, format!("`{target}` is not among the $refs of oneOf")));
        };
        if variant.pointer(&format!("/properties/{tag}")).is_none() {
            return Err(Mistake::at(place, format!("`{target}` has no property `{tag}`")));
        }
        let name = variant_name(word, &place)?;
        if name == CATCH_ALL {
            return Err(Mistake::at(place, format!("`{word}` is taken: it is the catch-all")));
        }
        if variants.iter().any(|other| other.name == name) {
            return Err(Mistake::at(place, format!("`{word}` would be the variant `{name}`, which exists already")));
        }
        if variants.iter().any(|other| other.schema == component(target)) {
            return Err(Mistake::at(
                place,
                format!("`{target}` has an entry already; give each word a schema of its own"),
            ));
        }
        variants.push(Variant {
            name,
            word: word.clone(),
            schema: component(target).to_owned(),
            description: text(variant, "description").unwrap_or_default().to_owned(),
        });
    }
    if variants.len() != items(schema.get("oneOf")).count() {
        return Err(Mistake::at(format!("{place}.discriminator.mapping"), "each $ref of oneOf needs one entry"));
    }
    Ok(Mapping::OpenUnion { tag: tag.to_owned(), variants })
}

/// `run.completed` → `RunCompleted`, if that is an identifier.
fn variant_name(word: &str, place: &str) -> Result<String, Mistake> {
    let name = word.replace('.', "_").to_upper_camel_case();
    if name.starts_with(|first: char| first.is_ascii_alphabetic()) && name.is_ascii() && name != "Self" {
        Ok(name)
    } else {
        Err(Mistake::at(place, format!("`{word}` makes no Rust variant name")))
    }
}

/// A format of strings that has no type of its own is a word of the documentation, unless something else is meant.
fn check_format(schema: &Value, place: &str) -> Result<(), Mistake> {
    let Some(format) = text(schema, "format").filter(|format| !TYPED_FORMATS.contains(format)) else {
        return Ok(());
    };
    let place = format!("{place}.format");
    if format == "binary" {
        return Err(Mistake::at(place, "JSON holds text alone; write `byte` for bytes in Base64"));
    }
    if let Some(meant) = TYPED_FORMATS.into_iter().find(|meant| distance(format, meant) <= 2) {
        return Err(Mistake::at(place, format!("`{format}` is not known; did you mean `{meant}`?")));
    }
    if format.is_empty() || !format.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.:+/".contains(letter)) {
        return Err(Mistake::at(place, "a format is one word, for example `uuid`"));
    }
    Ok(())
}

/// The reason why something is deprecated, if it is.
pub fn deprecation_reason(value: &Value) -> Option<&str> {
    let is_deprecated = value.get("deprecated") == Some(&Value::Bool(true));
    is_deprecated.then(|| text(value, "x-deprecated-reason").unwrap_or("The service has deprecated it."))
}

/// The description of a string, or of what holds strings, with their format in the last sentence.
pub fn description_with_format(description: &str, schema: &Value) -> String {
    let mut leaf = schema;
    while let Some(within) = leaf.get("items").or_else(|| leaf.get("additionalProperties")) {
        leaf = within;
    }
    let format = text(leaf, "format").filter(|format| !TYPED_FORMATS.contains(format));
    let Some(format) = format.filter(|_| text(leaf, "type") == Some("string")) else {
        return description.to_owned();
    };
    let description = description.trim_end();
    // The last of several lines may belong to a list.
    let space = if description.contains('\n') { "\n\n" } else { " " };
    let stop = if description.ends_with(|last: char| last.is_alphanumeric()) { "." } else { "" };
    format!("{description}{stop}{space}Format: `{format}`.").trim_start().to_owned()
}

/// Holds a schema that is written where it is used against what maps well there.
pub fn check_inline(schema: &Value, place: &str) -> Result<(), Mistake> {
    if reference(schema).is_some() {
        return Ok(());
    }
    if let Some(any) = schema.get("x-any-json") {
        return check_any(schema, any, place);
    }
    let composed = ["enum", "oneOf", "allOf", "anyOf", "not", "discriminator"];
    if let Some(keyword) = composed.into_iter().find(|key| schema.get(key).is_some()) {
        let problem = match keyword {
            "enum" | "anyOf" if words(schema).is_some() => {
                "give the enum a name under components.schemas, so that it stays open to new words"
            }
            "enum" => "only strings can be a set of words; describe the values, and remove it",
            "allOf" => {
                "is supported here with one $ref, and with a description, `deprecated` or `nullable` beside it; give \
                 anything else a name under components.schemas"
            }
            "oneOf" | "anyOf" => {
                "has no name; for objects, write it under components.schemas as `oneOf` with a discriminator, and for \
                 other values add `x-any-json: true`"
            }
            _ => "is not supported here; remove it, and describe what is allowed",
        };
        return Err(Mistake::at(format!("{place}.{keyword}"), problem));
    }
    match text(schema, "type") {
        Some("string") => match text(schema, "format") {
            Some("password") => Err(Mistake::at(
                format!("{place}.format"),
                "give the secret a name under components.schemas, so that it is redacted",
            )),
            _ => check_format(schema, place),
        },
        Some(kind @ ("integer" | "number")) => match (kind, text(schema, "format")) {
            (_, None) | ("integer", Some("int32" | "int64")) | ("number", Some("float" | "double")) => Ok(()),
            (_, Some(format)) => Err(Mistake::at(
                format!("{place}.format"),
                format!(
                    "`{format}` is no format of the type `{kind}`: integers have `int32` and \
                     `int64`, numbers `float` and `double`"
                ),
            )),
        },
        Some("boolean") => Ok(()),
        Some("array") => match schema.get("items") {
            Some(items) => check_inline(items, &format!("{place}.items")),
            None => Err(Mistake::at(place, "an array needs items")),
        },
        Some("object") if schema.get("properties").or_else(|| schema.get("required")).is_some() => {
            Err(Mistake::at(place, "give the object a name under components.schemas, so that its Rust type has one"))
        }
        Some("object") => match schema.get("additionalProperties") {
            Some(values @ Value::Object(_)) => check_inline(values, &format!("{place}.additionalProperties")),
            _ => Ok(()),
        },
        Some(other) => Err(Mistake::at(format!("{place}.type"), format!("`{other}` is not a type"))),
        None => Err(Mistake::at(place, "type is missing; for any JSON at all, say `x-any-json: true`")),
    }
}

/// Any JSON has no type; a description of what it may be is for readers, and for other generators.
fn check_any(schema: &Value, any: &Value, place: &str) -> Result<(), Mistake> {
    const TYPED: [&str; 9] =
        ["additionalProperties", "allOf", "discriminator", "enum", "format", "items", "not", "properties", "type"];
    if any != &Value::Bool(true) {
        return Err(Mistake::at(format!("{place}.x-any-json"), "write `true`, or leave it out"));
    }
    match TYPED.into_iter().find(|keyword| schema.get(keyword).is_some()) {
        Some(keyword) => {
            let problem = "has no effect beside `x-any-json`; remove the one or the other";
            Err(Mistake::at(format!("{place}.{keyword}"), problem))
        }
        None => Ok(()),
    }
}
