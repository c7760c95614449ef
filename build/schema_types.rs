//! The Rust type of each named schema.
//!
//! Objects become structs. Sets of words become open enums, as a closed one would fail a whole response over one new
//! word.

use std::collections::{BTreeMap, BTreeSet};

use heck::ToUpperCamelCase;
use serde_json::Value;

use super::contract::{component, entries, items, lookup, named_schema, reference, schemas, text, words};
use super::error::{SpecError, fail, refuse};

/// The catch-all of open enums and open unions.
pub const CATCH_ALL: &str = "Unknown";

/// The catch-all of event data.
pub const OTHER_DATA: &str = "Other";

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
    /// Listed in `x-terminal`: what has this state keeps it.
    pub is_terminal: bool,
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
    /// The Rust type.
    pub fn replacement(&self, name: &str) -> String {
        match self {
            Self::Secret => "crate::secret::Secret".to_owned(),
            Self::List { item } => format!("crate::types::List<crate::types::{item}>"),
            _ => format!("crate::types::{name}"),
        }
    }
}

/// Returns the mappings of the named schemas that operations use, and of all sets of words.
pub fn of_document(document: &Value) -> Result<Mappings, SpecError> {
    let reachable = super::reachable_schemas::reachable(document);
    schemas(document)
        .filter(|(name, schema)| reachable.contains(*name) || words(schema).is_some())
        .map(|(name, schema)| Ok((name.clone(), of_schema(document, name, schema)?)))
        .collect()
}

fn of_schema(document: &Value, name: &str, schema: &Value) -> Result<Mapping, SpecError> {
    let place = format!("components.schemas.{name}");
    if schema.get("x-list-of").is_some() {
        return list(document, schema, &place);
    }
    if words(schema).is_some() {
        return open_enum(document, schema, &place);
    }
    if let Some(keyword) = ["allOf", "anyOf", "enum", "not"].into_iter().find(|keyword| schema.get(keyword).is_some()) {
        return fail(
            format!("{place}.{keyword}"),
            match keyword {
                "allOf" => "is not supported; write out the properties of all parts",
                "anyOf" => {
                    "maps to no Rust type, unless it is `[{type: string, enum: […]}, {type: string}]`, an open set of \
                     words; for objects, use oneOf with a discriminator"
                }
                "enum" => {
                    "only strings can be a set of words; write the type where it is used, and describe its values"
                }
                _ => "maps to no Rust type; write out what is allowed",
            },
        );
    }
    if schema.get("oneOf").is_some() {
        return open_union(document, schema, &place);
    }
    match text(schema, "type") {
        Some("object") if schema.get("properties").is_some() => Ok(Mapping::Struct),
        Some("object") => fail(place, "a named object needs properties; write a free-form object where it is used"),
        Some("string") => match text(schema, "format") {
            Some("password") => Ok(Mapping::Secret),
            Some("date-time") => fail(
                format!("{place}.format"),
                "a time has no name; write `type: string` and `format: date-time` where it is used",
            ),
            _ => Ok(Mapping::Id),
        },
        Some("array") => {
            fail(place, "a named list holds named objects: write a $ref in `items`, or write the list where it is used")
        }
        Some(other @ ("integer" | "number" | "boolean")) => {
            fail(place, format!("write `{other}` where it is used; only objects and strings have names"))
        }
        Some(other) => fail(format!("{place}.type"), format!("`{other}` is not a type")),
        None => fail(place, "type is missing; any JSON has no name, so write `x-any-json: true` where it is used"),
    }
}

fn list(document: &Value, schema: &Value, place: &str) -> Result<Mapping, SpecError> {
    let item = text(schema, "x-list-of").unwrap_or_default();
    if named_schema(document, item).is_none() {
        return fail(format!("{place}.x-list-of"), format!("there is no schema `{item}`"));
    }
    Ok(Mapping::List { item: item.to_owned() })
}

fn open_enum(document: &Value, schema: &Value, place: &str) -> Result<Mapping, SpecError> {
    let (listed, words_place) = words(schema).ok_or_else(|| SpecError::at(place, "there is no word"))?;
    let aliases = schema.get("x-aliases");
    let mut seen = BTreeSet::from([CATCH_ALL.to_owned()]);
    let mut words = Vec::new();
    for (index, word) in listed.iter().enumerate() {
        let place = format!("{place}.{words_place}[{index}]");
        let Some(word) = word.as_str() else {
            return fail(place, format!("{word} is not a string; put it in quotes"));
        };
        let description = schema.get("x-enumDescriptions").and_then(|texts| text(texts, word));
        let Some(description) = description.filter(|text| !text.is_empty()) else {
            return fail(place, format!("`{word}` has no entry in x-enumDescriptions"));
        };
        if aliases.is_some_and(|aliases| aliases.get(word).is_some()) {
            continue;
        }
        let variant = variant_name(word, &place)?;
        if !seen.insert(variant.clone()) {
            return fail(place, format!("`{word}` would be the variant `{variant}`, which exists already"));
        }
        let aliases = entries(aliases)
            .filter(|(_, target)| target.as_str() == Some(word))
            .map(|(alias, _)| alias.clone())
            .collect();
        let is_terminal = items(schema.get("x-terminal")).any(|terminal| terminal.as_str() == Some(word));
        words.push(Word { variant, text: word.to_owned(), description: description.to_owned(), aliases, is_terminal });
    }
    refuse(words.is_empty(), format!("{place}.{words_place}"), "there is no word")?;
    for (alias, target) in entries(aliases) {
        let place = format!("{place}.x-aliases.{alias}");
        if !words.iter().any(|word| target.as_str() == Some(&word.text)) {
            return fail(place, format!("{target} is not a word of the enum"));
        }
        // Clients that know nothing of `x-aliases` know the words of the enum.
        if !listed.iter().any(|word| word.as_str() == Some(alias)) {
            return fail(place, format!("`{alias}` is not a word of the enum; list it there too"));
        }
    }
    for (index, word) in items(schema.get("x-terminal")).enumerate() {
        if !words.iter().any(|known| word.as_str() == Some(&known.text)) {
            return fail(format!("{place}.x-terminal[{index}]"), format!("{word} is not a word of the enum"));
        }
    }
    for (word, _) in entries(schema.get("x-enumDescriptions")) {
        if !listed.iter().any(|listed| listed.as_str() == Some(word)) {
            let place = format!("{place}.x-enumDescriptions.{word}");
            return fail(place, format!("`{word}` is not a word of the enum"));
        }
    }
    let data = event_data(document, schema, &words);
    Ok(Mapping::OpenEnum { words, data })
}

/// Inverts `x-eventData`: returns the words of each schema.
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
            let described = named_schema(document, schema)?;
            Some(Data {
                variant: data_variant(schema)?.to_owned(),
                schema: schema.to_owned(),
                description: text(described, "description")?.to_owned(),
                words,
            })
        })
        .collect()
}

/// Shortens `RunEventData` to `Run`, if that is a free name.
pub fn data_variant(schema: &str) -> Option<&str> {
    schema.strip_suffix("EventData").filter(|variant| !["", "Self", OTHER_DATA].contains(variant))
}

fn open_union(document: &Value, schema: &Value, place: &str) -> Result<Mapping, SpecError> {
    let discriminator = schema.get("discriminator");
    let tag = discriminator.and_then(|discriminator| text(discriminator, "propertyName")).unwrap_or_default();
    let mut variants: Vec<Variant> = Vec::new();
    for (word, target) in entries(discriminator.and_then(|discriminator| discriminator.get("mapping"))) {
        let place = format!("{place}.discriminator.mapping.{word}");
        let target = target.as_str().unwrap_or_default();
        let in_one_of = items(schema.get("oneOf")).filter_map(reference).any(|variant| variant == target);
        let Some(variant) = lookup(document, target).filter(|_| in_one_of) else {
            return fail(place, format!("`{target}` is not among the $refs of oneOf"));
        };
        if variant.pointer(&format!("/properties/{tag}")).is_none() {
            return fail(place, format!("`{target}` has no property `{tag}`"));
        }
        let name = variant_name(word, &place)?;
        refuse(name == CATCH_ALL, &place, format!("`{word}` is taken: it is the catch-all"))?;
        if variants.iter().any(|other| other.name == name) {
            return fail(place, format!("`{word}` would be the variant `{name}`, which exists already"));
        }
        if variants.iter().any(|other| other.schema == component(target)) {
            return fail(place, format!("`{target}` has an entry already; give each word a schema of its own"));
        }
        variants.push(Variant {
            name,
            word: word.clone(),
            schema: component(target).to_owned(),
            description: text(variant, "description").unwrap_or_default().to_owned(),
        });
    }
    if variants.len() != items(schema.get("oneOf")).count() {
        return fail(format!("{place}.discriminator.mapping"), "each $ref of oneOf needs one entry");
    }
    Ok(Mapping::OpenUnion { tag: tag.to_owned(), variants })
}

/// Converts `run.completed` to `RunCompleted`, if that is an identifier.
fn variant_name(word: &str, place: &str) -> Result<String, SpecError> {
    let name = word.replace('.', "_").to_upper_camel_case();
    if name.starts_with(|first: char| first.is_ascii_alphabetic()) && name.is_ascii() && name != "Self" {
        Ok(name)
    } else {
        fail(place, format!("`{word}` does not make a Rust variant name"))
    }
}
