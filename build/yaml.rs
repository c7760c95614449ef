//! Reads YAML.

use serde_json::{Number, Value};
use yaml_rust2::{Yaml, YamlLoader};

/// Reads a text that holds one YAML document. An error is one line that ends in the place.
pub fn read(text: &str) -> Result<Value, String> {
    let mut documents = YamlLoader::load_from_str(text).map_err(|error| {
        let place = error.marker();
        format!("{} at line {}, column {}", plain(error.info()), place.line(), place.col() + 1)
    })?;
    let document = documents.pop().unwrap_or(Yaml::Null);
    if documents.is_empty() { value(document) } else { Err("it holds more than one document".to_owned()) }
}

/// The library prints a duplicate key as its own Rust type.
fn plain(error: &str) -> String {
    let key = error.strip_prefix("String(").and_then(|rest| rest.strip_suffix("): duplicated key in mapping"));
    key.map_or_else(|| error.to_owned(), |key| format!("duplicate key {key}"))
}

fn value(yaml: Yaml) -> Result<Value, String> {
    Ok(match yaml {
        Yaml::Null => Value::Null,
        Yaml::Boolean(boolean) => boolean.into(),
        Yaml::Integer(integer) => integer.into(),
        Yaml::Real(text) => number(&text)?.into(),
        Yaml::String(text) => text.into(),
        Yaml::Array(items) => items.into_iter().map(value).collect::<Result<Vec<_>, _>>()?.into(),
        Yaml::Hash(entries) => {
            let entry = |(name, content)| Ok::<_, String>((key(name)?, value(content)?));
            Value::Object(entries.into_iter().map(entry).collect::<Result<_, _>>()?)
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::read;

    #[test]
    fn scalars_have_the_types_of_json() {
        let text = "{a: 1, b: -1.5, c: yes, d: 'true', e: true, f: ~, 200: [18446744073709551615], g: 2026-01-01}";
        let expected = json!({
            "a": 1, "b": -1.5, "c": "yes", "d": "true", "e": true, "f": null, "200": [u64::MAX], "g": "2026-01-01",
        });
        assert_eq!(read(text), Ok(expected));
    }

    #[test]
    fn what_json_cannot_hold_is_refused() {
        for (text, error) in [
            ("a: .inf", "the number .inf cannot be written in JSON"),
            ("? [a]\n: b", "a key is a list or an object; a key has to be text"),
            ("a\n---\nb", "it holds more than one document"),
        ] {
            assert_eq!(read(text), Err(error.to_owned()), "{text}");
        }
        assert!(read("a: *b").is_err());
    }
}
