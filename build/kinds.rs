//! The Rust type of a value of the contract, and how a method accepts one.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use serde_json::Value;

use super::contract::{can_be_null, component, named_schema, reference, text};
use super::schema_types::{Mapping, Mappings};

/// The formats of strings that have types of their own: all others are plain strings.
const TYPED_FORMATS: [&str; 2] = ["date-time", "password"];

/// A Rust type.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    Text,
    Flag,
    /// `f32` or `f64`.
    Float(&'static str),
    /// One of the integers of 32 and 64 bits.
    Integer(&'static str),
    Time,
    /// Any JSON.
    Json,
    /// An object of any JSON.
    Object,
    Secret,
    /// A type of `crate::types`.
    Named(String),
    List(Box<Kind>),
    /// A map from strings.
    Table(Box<Kind>),
    Option(Box<Kind>),
    Boxed(Box<Kind>),
}

impl Kind {
    /// Returns the type of a value that is there. `null` makes it an `Option`.
    pub fn of(schema: &Value, mappings: &Mappings) -> Self {
        let kind = Self::without_null(schema, mappings);
        if can_be_null(schema) { kind.optional() } else { kind }
    }

    /// Returns the type of a value that is there, and not `null`.
    pub fn without_null(schema: &Value, mappings: &Mappings) -> Self {
        let within = |key| schema.get(key).filter(|within| within.is_object());
        let is_unsigned = schema.get("minimum").and_then(Value::as_i64).is_some_and(|minimum| minimum >= 0);
        match (reference(schema).map(component), text(schema, "type"), text(schema, "format")) {
            (Some(name), ..) if matches!(mappings.get(name), Some(Mapping::Secret)) => Self::Secret,
            (Some(name), ..) => Self::Named(name.to_owned()),
            (_, Some("string"), Some("date-time")) => Self::Time,
            (_, Some("string"), _) => Self::Text,
            (_, Some("boolean"), _) => Self::Flag,
            (_, Some("number"), format) => Self::Float(if format == Some("float") { "f32" } else { "f64" }),
            (_, Some("integer"), format) => Self::Integer(match (is_unsigned, format == Some("int32")) {
                (true, true) => "u32",
                (true, false) => "u64",
                (false, true) => "i32",
                (false, false) => "i64",
            }),
            (_, Some("array"), _) => {
                Self::List(Box::new(within("items").map_or(Self::Json, |item| Self::of(item, mappings))))
            }
            (_, Some("object"), _) => within("additionalProperties")
                .map_or(Self::Object, |values| Self::Table(Box::new(Self::of(values, mappings)))),
            _ => Self::Json,
        }
    }

    pub fn optional(self) -> Self {
        Self::Option(Box::new(self))
    }

    /// Returns the type within an `Option`.
    pub fn option(&self) -> Option<&Self> {
        if let Self::Option(inner) = self { Some(inner) } else { None }
    }

    /// Returns the type within an `Option`, or the type itself.
    pub fn inner(&self) -> &Self {
        self.option().unwrap_or(self)
    }

    pub fn is_collection(&self) -> bool {
        matches!(self, Self::List(_) | Self::Table(_) | Self::Object)
    }

    pub fn tokens(&self) -> TokenStream {
        parsed(&self.rust())
    }

    fn rust(&self) -> String {
        match self {
            Self::Text => "::std::string::String".to_owned(),
            Self::Flag => "bool".to_owned(),
            Self::Float(name) | Self::Integer(name) => (*name).to_owned(),
            Self::Time => "::chrono::DateTime<::chrono::offset::Utc>".to_owned(),
            Self::Json => "::serde_json::Value".to_owned(),
            Self::Object => "::serde_json::Map<::std::string::String, ::serde_json::Value>".to_owned(),
            Self::Secret => "crate::secret::Secret".to_owned(),
            Self::Named(name) => format!("crate::types::{name}"),
            Self::List(item) => format!("::std::vec::Vec<{}>", item.rust()),
            Self::Table(value) => format!("::std::collections::BTreeMap<::std::string::String, {}>", value.rust()),
            Self::Option(inner) => format!("::std::option::Option<{}>", inner.rust()),
            Self::Boxed(inner) => format!("::std::boxed::Box<{}>", inner.rust()),
        }
    }

    /// Returns the shape by which JSON is made to fit. See `src/types/shape.rs`.
    pub fn shape(&self, mappings: &Mappings) -> TokenStream {
        parsed(&self.shape_of(mappings))
    }

    fn shape_of(&self, mappings: &Mappings) -> String {
        let plain = match self {
            Self::Named(name) => match mappings.get(name) {
                Some(Mapping::Struct | Mapping::OpenUnion { .. }) => return format!("&{name}"),
                Some(Mapping::OpenEnum { .. }) => "Word",
                _ => "Text",
            },
            Self::List(item) => return format!("&Shape::List({})", item.shape_of(mappings)),
            Self::Table(value) => return format!("&Shape::Map({})", value.shape_of(mappings)),
            Self::Option(inner) => return format!("&Shape::Nullable({})", inner.shape_of(mappings)),
            Self::Boxed(inner) => return inner.shape_of(mappings),
            Self::Text | Self::Secret => "Text",
            Self::Flag => "Flag",
            Self::Float(_) => "Number",
            Self::Integer("u32") => "Integer(0, u32::MAX as u64)",
            Self::Integer("u64") => "Integer(0, u64::MAX)",
            Self::Integer("i32") => "Integer(i32::MIN as i64, i32::MAX as u64)",
            Self::Integer(_) => "Integer(i64::MIN, i64::MAX as u64)",
            Self::Time => "Time",
            Self::Json => "Any",
            Self::Object => "Map(&Shape::Any)",
        };
        format!("&Shape::{plain}")
    }

    /// Returns the argument type of a method that takes a value of this type.
    pub fn accepted(&self) -> TokenStream {
        parsed(&self.accepted_as())
    }

    fn accepted_as(&self) -> String {
        match self {
            Self::List(item) => format!("impl IntoIterator<Item = {}>", item.accepted_as()),
            Self::Table(value) => format!("impl IntoIterator<Item = (impl Into<String>, {})>", value.accepted_as()),
            Self::Option(inner) => format!("::std::option::Option<{}>", inner.accepted_as()),
            Self::Boxed(inner) => inner.accepted_as(),
            Self::Text | Self::Json | Self::Named(_) => format!("impl Into<{}>", self.rust()),
            _ => self.rust(),
        }
    }

    /// Converts an argument to a value of this type.
    pub fn converted(&self, value: &Ident) -> TokenStream {
        parsed(&self.converted_from(&value.to_string()))
    }

    fn converted_from(&self, value: &str) -> String {
        let each = |kind: &Self| kind.converted_from("value");
        match self {
            Self::List(item) => {
                format!("{value}.into_iter().map(|value| {}).collect::<::std::vec::Vec<_>>()", each(item))
            }
            Self::Table(item) => format!(
                "{value}.into_iter().map(|(name, value)| (name.into(), {}))\
                 .collect::<::std::collections::BTreeMap<_, _>>()",
                each(item)
            ),
            Self::Option(inner) => format!("{value}.map(|value| {})", each(inner)),
            Self::Boxed(inner) => format!("::std::boxed::Box::new({})", inner.converted_from(value)),
            Self::Text | Self::Json | Self::Named(_) => format!("{value}.into()"),
            _ => value.to_owned(),
        }
    }
}

/// Returns the tokens of an expression or a type, whose names are checked.
fn parsed(text: &str) -> TokenStream {
    text.parse().unwrap_or_else(|_| quote! { compile_error!(#text) })
}

/// Returns the description of a value or of what it refers to. The format of a string is its last sentence.
pub fn described(schema: &Value, document: &Value) -> String {
    let referred = || named_schema(document, component(reference(schema)?));
    let own = text(schema, "description").filter(|own| !own.trim().is_empty());
    let description = own.or_else(|| text(referred()?, "description")).unwrap_or_default().trim_end();
    let mut leaf = schema;
    while let Some(within) = leaf.get("items").or_else(|| leaf.get("additionalProperties")) {
        leaf = within;
    }
    let format = text(leaf, "format").filter(|format| !TYPED_FORMATS.contains(format));
    let Some(format) = format.filter(|_| text(leaf, "type") == Some("string")) else {
        return description.to_owned();
    };
    // The last of several lines may belong to a list.
    let space = if description.contains('\n') { "\n\n" } else { " " };
    let stop = if description.ends_with(|last: char| last.is_alphanumeric()) { "." } else { "" };
    format!("{description}{stop}{space}Format: `{format}`.").trim_start().to_owned()
}
