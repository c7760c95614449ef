//! [`List`]: a list with an undocumented wrapping.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The keys that an object may have its list under.
pub(crate) const KEYS: [&str; 4] = ["data", "items", "templates", "webhooks"];

/// A JSON list (`[..]`), or an object with one under a usual key (`{"data": [..]}`), possibly nested.
#[derive(Debug)]
pub(crate) struct List<T>(pub(crate) Vec<T>);

impl<T> From<List<T>> for Vec<T> {
    fn from(list: List<T>) -> Self {
        list.0
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
            type Value = List<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list, or an object that holds one under any of {KEYS:?}")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(List(items))
            }

            fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
                Ok(List(Vec::new()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut found: Option<(String, Self::Value)> = None;
                while let Some(key) = map.next_key::<String>()? {
                    // Of duplicate keys, the last value counts.
                    let is_list = KEYS.contains(&key.as_str());
                    if is_list && found.as_ref().is_none_or(|(earlier, _)| *earlier == key) {
                        found = Some((key, map.next_value()?));
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                let found = found.map(|(_, list)| list);
                found.ok_or_else(|| A::Error::custom(format_args!("there is no list under any of {KEYS:?}")))
            }
        }

        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::List;

    fn read(json: &str) -> Result<Vec<u8>, String> {
        serde_json::from_str::<List<u8>>(json).map(|list| list.0).map_err(|error| error.to_string())
    }

    #[test]
    fn a_bare_or_wrapped_list_is_read() {
        for json in [
            "[1, 2]",
            r#"{"data": [1, 2]}"#,
            r#"{"webhooks": [1, 2], "total": 2}"#,
            r#"{"total": 2, "templates": [1, 2]}"#,
            r#"{"data": {"webhooks": [1, 2]}}"#,
        ] {
            assert_eq!(read(json), Ok(vec![1, 2]), "{json}");
        }
    }

    #[test]
    fn of_duplicate_keys_the_last_list_counts() {
        assert_eq!(read(r#"{"data": [1], "total": 2, "data": [2]}"#), Ok(vec![2]));
        assert_eq!(read(r#"{"data": [1], "webhooks": [2]}"#), Ok(vec![1]));
    }

    #[test]
    fn null_is_an_empty_list() {
        assert_eq!(read("null"), Ok(vec![]));
        assert_eq!(read(r#"{"data": null}"#), Ok(vec![]));
    }

    #[test]
    fn the_error_for_an_object_without_a_list_names_the_keys() {
        let error = read(r#"{"total": 2}"#).unwrap_err();
        assert!(error.contains(r#"["data", "items", "templates", "webhooks"]"#), "{error}");
    }

    #[test]
    fn a_list_of_other_items_is_refused() {
        assert!(read(r#"["x"]"#).is_err());
        assert!(read("7").is_err());
    }
}
