//! Open unions: an object with a tag that this version of the crate does not know is kept as JSON.

/// Defines an enum of objects by their tag, with a catch-all variant.
macro_rules! open_union {
    (
        $(#[$doc:meta])*
        $name:ident by $tag:literal {
            $($(#[$variant_doc:meta])* $variant:ident($schema:ident) = $word:literal,)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, ::serde::Serialize)]
        #[cfg_attr(feature = "schemars", derive(::schemars::JsonSchema))]
        #[serde(tag = $tag)]
        #[non_exhaustive]
        pub enum $name {
            $(
                $(#[$variant_doc])*
                #[serde(rename = $word)]
                $variant($schema),
            )*
            /// The JSON of an object that this version of the crate does not know.
            #[serde(untagged)]
            Unknown(::serde_json::Value),
        }

        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                // A value has no duplicate keys.
                let value = ::serde_json::Value::deserialize(deserializer)?;
                let known = match value.get($tag).and_then(::serde_json::Value::as_str) {
                    $(Some($word) => $schema::deserialize(&value).ok().map(Self::$variant),)*
                    _ => None,
                };
                Ok(known.unwrap_or(Self::Unknown(value)))
            }
        }

        $(
            impl From<$schema> for $name {
                fn from(value: $schema) -> Self {
                    Self::$variant(value)
                }
            }
        )*
    };
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::types::WorkspaceSource;

    #[test]
    fn of_duplicate_keys_the_last_value_counts() {
        let text = r#"{"type": "url", "type": "git", "repository": "a", "repository": "b", "url": "c"}"#;
        let source: WorkspaceSource = serde_json::from_str(text).unwrap();
        assert_eq!(source, WorkspaceSource::git("b").into());
    }

    #[test]
    fn unknown_json_is_kept_and_written_unchanged() {
        for value in [
            json!({ "type": "image", "reference": "x" }),
            json!({ "type": "git" }),
            json!({ "type": "git", "repository": 7 }),
            json!({ "repository": "a" }),
            json!(7),
            json!(null),
        ] {
            let source: WorkspaceSource = serde_json::from_value(value.clone()).unwrap();
            assert_eq!(source, WorkspaceSource::Unknown(value.clone()));
            assert_eq!(serde_json::to_value(source).unwrap(), value);
        }
    }
}
