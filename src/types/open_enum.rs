//! Open enums: a word that this version of the crate does not know is kept, and not refused.

/// Defines an enum of words with a catch-all variant.
macro_rules! open_enum {
    (
        $(#[$doc:meta])*
        $name:ident {
            $($(#[$variant_doc:meta])* $variant:ident = $word:literal $(| $alias:literal)*,)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
            /// A word that this version of the crate does not know, as the service wrote it.
            Unknown(String),
        }

        impl $name {
            /// The words that the contract documents, as the service writes them.
            pub const KNOWN: &'static [&'static str] = &[$($word),*];

            /// Returns the word as the service writes it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)*
                    Self::Unknown(word) => word,
                }
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                Self::from(word.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                $(
                    if [$word $(, $alias)*].into_iter().any(|known| word.eq_ignore_ascii_case(known)) {
                        return Self::$variant;
                    }
                )*
                Self::Unknown(word)
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = ::std::convert::Infallible;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                Ok(Self::from(word))
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl ::std::convert::AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                *self == Self::from(other)
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                *self == Self::from(*other)
            }
        }

        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <String as ::serde::Deserialize>::deserialize(deserializer).map(Self::from)
            }
        }

        #[cfg(feature = "schemars")]
        impl ::schemars::JsonSchema for $name {
            fn schema_name() -> ::std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut ::schemars::SchemaGenerator) -> ::schemars::Schema {
                ::schemars::json_schema!({
                    "description": "An open set: expect other words than these.",
                    "anyOf": [{ "enum": [$($word),*] }, { "type": "string" }],
                })
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use crate::types::RunStatus;

    #[test]
    fn two_spellings_are_one_word() {
        assert_eq!(RunStatus::from("canceled"), RunStatus::Cancelled);
        assert_eq!(RunStatus::Cancelled, "canceled");
        assert_eq!(RunStatus::from("canceled").to_string(), "cancelled");
    }

    #[test]
    fn an_unknown_word_survives_a_round_trip() {
        let status: RunStatus = serde_json::from_str("\"no-such-status\"").unwrap();
        assert_eq!(status, RunStatus::Unknown("no-such-status".to_owned()));
        assert_eq!(status, "no-such-status");
        assert_ne!(status, "running");
        assert_eq!(serde_json::to_string(&status).unwrap(), "\"no-such-status\"");
    }

    #[test]
    fn known_words_are_listed_and_read_as_themselves() {
        assert_eq!(RunStatus::KNOWN, ["pending", "running", "succeeded", "failed", "cancelled"]);
        for word in RunStatus::KNOWN {
            assert_eq!(RunStatus::from(*word).as_str(), *word);
            assert!(!matches!(RunStatus::from(*word), RunStatus::Unknown(_)));
        }
    }
}
