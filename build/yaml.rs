//! Reads YAML.

use serde_json::{Map, Number, Value};
use yaml_rust2::{Yaml, YamlLoader};

/// The names of an object's properties in the order of the text, which JSON does not keep. Added to each named schema.
pub const ORDER: &str = "x-property-order";

/// Deeper documents would overflow the stack of what reads them.
const MAX_DEPTH: usize = 96;

/// Reads a text that holds one YAML document. An error is one line that ends in the place.
pub fn read(text: &str) -> Result<Value, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut documents = YamlLoader::load_from_str(text).map_err(|error| {
        let place = error.marker();
        format!("{} at line {}, column {}", plain(error.info()), place.line(), place.col() + 1)
    })?;
    let yaml = documents.pop().unwrap_or(Yaml::Null);
    if !documents.is_empty() {
        return Err("it holds more than one document".to_owned());
    }
    let schemas = match &yaml["components"]["schemas"] {
        Yaml::Hash(schemas) => {
            schemas.iter().filter_map(|(name, schema)| Some((key(name.clone()).ok()?, order(schema)))).collect()
        }
        _ => Vec::new(),
    };
    let mut document = value(yaml, 0)?;
    for (name, order) in schemas.into_iter().filter(|(_, order)| !order.is_empty()) {
        if let Some(Value::Object(schema)) = document.pointer_mut("/components/schemas").and_then(|it| it.get_mut(name))
        {
            schema.insert(ORDER.to_owned(), order.into());
        }
    }
    // The order of keys is that of the text where another crate enables `serde_json/preserve_order`.
    document.sort_all_objects();
    Ok(document)
}

/// Returns the names of a schema's properties, in the order that an earlier reading found, or else in that of the text.
fn order(schema: &Yaml) -> Vec<String> {
    let known = schema[ORDER].as_vec().into_iter().flatten().filter_map(Yaml::as_str);
    let written = schema["properties"].as_hash().into_iter().flatten().filter_map(|(name, _)| name.as_str());
    let mut names: Vec<String> = Vec::new();
    for name in known.chain(written) {
        if !schema["properties"][name].is_badvalue() && names.iter().all(|other| other != name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// The library prints a duplicate key as its own Rust type.
fn plain(error: &str) -> String {
    let key = error.strip_prefix("String(").and_then(|rest| rest.strip_suffix("): duplicated key in mapping"));
    key.map_or_else(|| error.to_owned(), |key| format!("duplicate key {key}"))
}

fn value(yaml: Yaml, depth: usize) -> Result<Value, String> {
    if depth > MAX_DEPTH {
        return Err(format!("it is nested deeper than {MAX_DEPTH} objects; give the parts names"));
    }
    let within = |yaml| value(yaml, depth + 1);
    Ok(match yaml {
        Yaml::Null => Value::Null,
        Yaml::Boolean(boolean) => boolean.into(),
        Yaml::Integer(integer) => integer.into(),
        Yaml::Real(text) => number(&text)?.into(),
        Yaml::String(text) => text.into(),
        Yaml::Array(items) => items.into_iter().map(within).collect::<Result<Vec<_>, _>>()?.into(),
        Yaml::Hash(entries) => {
            let (mut object, mut merged) = (Map::new(), Vec::new());
            for (name, content) in entries {
                match (key(name)?, within(content)?) {
                    (name, Value::Array(parts)) if name == "<<" => merged.extend(parts),
                    (name, part) if name == "<<" => merged.push(part),
                    (name, content) => drop(object.insert(name, content)),
                }
            }
            // A merge key, `<<: *name`: what the object has itself wins, then the first part.
            for part in merged {
                let Value::Object(part) = part else { return Err("`<<` merges an object into another".to_owned()) };
                for (name, content) in part {
                    object.entry(name).or_insert(content);
                }
            }
            Value::Object(object)
        }
        Yaml::Alias(_) | Yaml::BadValue => return Err("an alias refers to itself, or to nothing".to_owned()),
    })
}

/// JSON has neither infinity nor NaN.
fn number(text: &str) -> Result<Number, String> {
    let integer = text.parse::<u64>().ok().map(Number::from);
    let number = integer.or_else(|| text.parse().ok().and_then(Number::from_f64));
    number.ok_or_else(|| format!("the number {text} cannot be written in JSON"))
}

fn key(yaml: Yaml) -> Result<String, String> {
    match yaml {
        Yaml::String(text) | Yaml::Real(text) => Ok(text),
        Yaml::Integer(integer) => Ok(integer.to_string()),
        Yaml::Boolean(boolean) => Ok(boolean.to_string()),
        Yaml::Null => Ok("null".to_owned()),
        _ => Err("a key is a list or an object; a key has to be text".to_owned()),
    }
}
