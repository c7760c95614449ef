//! Tagged unions that stay open: a variant that nobody knew when this crate was built is kept as JSON.

/// Defines an enum over objects that a tag tells apart, with a catch-all.
macro_rules! open_union {
    (
        $(#[$doc:meta])*
        $name:ident by $tag:literal {
            $($(#[$variant_doc:meta])* $variant:ident($schema:ident) = $word:literal,)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, ::serde::Serialize, ::serde::Deserialize)]
        #[cfg_attr(feature = "schemars", derive(::schemars::JsonSchema))]
        #[serde(tag = $tag)]
        #[non_exhaustive]
        pub enum $name {
            $(
                $(#[$variant_doc])*
                #[serde(rename = $word)]
                $variant($schema),
            )*
            /// Something that this version of the crate does not know, as the service wrote it.
            #[serde(untagged)]
            Unknown(::serde_json::Value),
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
