//! Writes the structs: one for each object of the contract.

use std::collections::BTreeSet;

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use serde_json::Value;

use super::contract::{
    can_be_null, deprecation_reason, entries, named_schema, operations, property_names, reference, required_names,
    resolve, schemas, successes,
};
use super::emit::deprecation;
use super::kinds::{Kind, described};
use super::names::{field_name, identifier};
use super::reachable_schemas::{reachable_from_requests, sent_alone};
use super::schema_types::{Mapping, Mappings};

/// The field of an open object that holds what no property is for.
pub const EXTRA: &str = "extra";

/// A field of a struct.
pub struct Field<'a> {
    pub property: &'a str,
    pub schema: &'a Value,
    pub ident: Ident,
    pub kind: Kind,
    /// It is not left out.
    pub is_required: bool,
}

impl Field<'_> {
    /// Returns `true` if the value is an argument of constructors. A required value that may be null begins as null.
    pub fn is_argument(&self) -> bool {
        self.is_required && self.kind.option().is_none()
    }

    /// Returns `true` if it can be sent as `null`, and also be left out.
    pub fn can_be_cleared(&self) -> bool {
        self.kind.option().and_then(Kind::option).is_some()
    }

    fn serde(&self) -> Option<TokenStream> {
        let mut parts = Vec::new();
        if self.ident != self.property {
            let property = self.property;
            parts.push(quote! { rename = #property });
        }
        let skip = match &self.kind {
            _ if self.is_required => None,
            Kind::Option(_) => Some("::std::option::Option::is_none"),
            Kind::List(_) => Some("::std::vec::Vec::is_empty"),
            Kind::Table(_) => Some("::std::collections::BTreeMap::is_empty"),
            _ => Some("::serde_json::Map::is_empty"),
        };
        match (&self.kind, skip) {
            (Kind::Option(_), None) => parts.push(quote! { deserialize_with = "::std::option::Option::deserialize" }),
            (_, None) => {}
            (_, Some(skip)) if self.can_be_cleared() => parts.push(quote! {
                default, skip_serializing_if = #skip, deserialize_with = "crate::types::null_or_value"
            }),
            (Kind::Option(_), Some(skip)) => parts.push(quote! { skip_serializing_if = #skip }),
            (_, Some(skip)) => parts.push(quote! { default, skip_serializing_if = #skip }),
        }
        (!parts.is_empty()).then(|| quote! { #[serde(#(#parts),*)] })
    }
}

/// Returns the fields of an object, without those that a union writes.
pub fn fields<'a>(document: &'a Value, mappings: &Mappings, name: &str) -> Vec<Field<'a>> {
    let schema = named_schema(document, name).unwrap_or(&Value::Null);
    let is_sent_alone = sent_alone(document).contains(name);
    let is_tag = |property: &str| {
        mappings.values().any(|mapping| match mapping {
            Mapping::OpenUnion { tag, variants } => {
                tag == property && variants.iter().any(|variant| variant.schema == name)
            }
            _ => false,
        })
    };
    let properties = entries(schema.get("properties")).filter(|(property, _)| !is_tag(property));
    properties
        .filter_map(|(property, schema_of)| {
            let is_required = required_names(schema).any(|required| required == property);
            let mut kind = Kind::without_null(schema_of, mappings);
            if let Kind::Named(target) = &kind
                && holds(document, mappings, target, name, &mut BTreeSet::new())
            {
                kind = Kind::Boxed(Box::new(kind));
            }
            // In an update, `null` clears, an empty list removes all, and what is missing changes nothing.
            let kind = match (is_required, can_be_null(schema_of), is_sent_alone) {
                (true, false, _) => kind,
                (false, true, true) => kind.optional().optional(),
                (false, false, false) if kind.is_collection() => kind,
                _ => kind.optional(),
            };
            let ident = identifier(&field_name(property)?);
            Some(Field { property, schema: schema_of, ident, kind, is_required })
        })
        .collect()
}

/// Returns `true` if a struct holds another, or itself, without a list or a map between.
fn holds(document: &Value, mappings: &Mappings, name: &str, other: &str, visited: &mut BTreeSet<String>) -> bool {
    match mappings.get(name) {
        _ if !visited.insert(name.to_owned()) => return false,
        Some(Mapping::OpenUnion { variants, .. }) => {
            return variants.iter().any(|variant| holds(document, mappings, &variant.schema, other, visited));
        }
        Some(Mapping::Struct) => {}
        _ => return false,
    }
    let schema = named_schema(document, name).unwrap_or(&Value::Null);
    let mut targets = entries(schema.get("properties"))
        .filter_map(|(_, property)| Some(super::contract::component(reference(property)?)));
    name == other || targets.any(|target| holds(document, mappings, target, other, visited))
}

/// Returns the traits of equality that a type has: all, `PartialEq` alone for numbers with a fraction, or none for
/// secrets.
pub fn equality(document: &Value, mappings: &Mappings, name: &str) -> TokenStream {
    let (mut has_secret, mut has_float) = (false, false);
    let mut open = vec![name.to_owned()];
    let mut visited = BTreeSet::new();
    while let Some(name) = open.pop().filter(|_| !has_secret) {
        if !visited.insert(name.clone()) {
            continue;
        }
        if let Some(Mapping::OpenUnion { variants, .. }) = mappings.get(&name) {
            open.extend(variants.iter().map(|variant| variant.schema.clone()));
        }
        if !matches!(mappings.get(&name), Some(Mapping::Struct)) {
            continue;
        }
        let mut kinds: Vec<_> = fields(document, mappings, &name).into_iter().map(|field| field.kind).collect();
        kinds.extend(extra(document, mappings, &name));
        while let Some(kind) = kinds.pop() {
            match kind {
                Kind::Secret => has_secret = true,
                Kind::Float(_) => has_float = true,
                Kind::Named(name) => open.push(name),
                Kind::List(kind) | Kind::Table(kind) | Kind::Option(kind) | Kind::Boxed(kind) => kinds.push(*kind),
                _ => {}
            }
        }
    }
    match (has_secret, has_float) {
        (true, _) => TokenStream::new(),
        (_, true) => quote! { PartialEq, },
        _ => quote! { PartialEq, Eq, Hash, },
    }
}

/// Returns the type of the field that holds what an open object has no property for.
fn extra(document: &Value, mappings: &Mappings, name: &str) -> Option<Kind> {
    let additional = named_schema(document, name)?.get("additionalProperties")?;
    match additional {
        Value::Bool(false) => None,
        Value::Object(_) => Some(Kind::Table(Box::new(Kind::of(additional, mappings)))),
        _ => Some(Kind::Object),
    }
}

/// Returns the structs.
pub fn structs(document: &Value, mappings: &Mappings) -> TokenStream {
    let sent = reachable_from_requests(document);
    let mut tokens = TokenStream::new();
    for (name, schema) in schemas(document).filter(|(name, _)| matches!(mappings.get(*name), Some(Mapping::Struct))) {
        let (ident, doc) = (format_ident!("{name}"), described(schema, document));
        let fields = fields(document, mappings, name);
        let extra = extra(document, mappings, name).map(|kind| (format_ident!("{EXTRA}"), kind.tokens()));
        let deprecated = deprecation(deprecation_reason(schema));
        let equality = equality(document, mappings, name);
        let serialize = (!equality.is_empty()).then(|| quote! { ::serde::Serialize, });
        let default = fields.iter().all(|field| !field.is_required).then(|| quote! { Default, });
        let declared = fields.iter().map(|field| {
            let Field { schema, ident, kind, .. } = field;
            let (doc, kind, serde) = (described(schema, document), kind.tokens(), field.serde());
            let doc = if doc.is_empty() { "See its type.".to_owned() } else { doc };
            let null = field.can_be_cleared().then(|| {
                quote! {
                    #[doc = ""]
                    #[doc = "`Some(None)` sends `null`, and `None` nothing."]
                }
            });
            let deprecated = deprecation(deprecation_reason(schema));
            quote! { #[doc = #doc] #null #serde #deprecated pub #ident: #kind }
        });
        let declared_extra = extra.iter().map(|(ident, kind)| {
            quote! {
                /// Fields that the contract does not name.
                #[serde(flatten)]
                pub #ident: #kind
            }
        });
        let declared = declared.chain(declared_extra);
        let constructor = sent.contains(name).then(|| constructor(&ident, schema, &fields, extra.as_ref()));
        let debug = debug(&ident, &fields, extra.as_ref().map(|(ident, _)| ident));
        tokens.extend(quote! {
            #[doc = #doc]
            #[derive(Clone, #default #equality #serialize ::serde::Deserialize)]
            #[cfg_attr(feature = "schemars", derive(::schemars::JsonSchema))]
            #[non_exhaustive]
            #deprecated
            pub struct #ident { #(#declared),* }

            #constructor
            #debug
        });
    }
    tokens.extend(updates(document, mappings));
    tokens
}

/// Implements `Debug` without secrets: those in texts, and the values of maps with `x-secret-values`.
fn debug(name: &Ident, fields: &[Field<'_>], extra: Option<&Ident>) -> TokenStream {
    let shown = fields.iter().map(|Field { ident, schema, kind, .. }| {
        let keys = if kind.option().is_some() { quote!(iter().flatten()) } else { quote!(iter()) };
        if schema.get("x-secret-values").is_some() {
            quote! { .field(stringify!(#ident), &crate::types::without_values(self.#ident.#keys)) }
        } else {
            quote! { .field(stringify!(#ident), &crate::types::Redacted(&self.#ident)) }
        }
    });
    let extra = extra.map(|ident| quote! { .field(stringify!(#ident), &crate::types::Redacted(&self.#ident)) });
    quote! {
        impl ::std::fmt::Debug for #name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.debug_struct(stringify!(#name)) #(#shown)* #extra .finish()
            }
        }
    }
}

/// Returns the values of a constructor in the order of the contract.
pub fn arguments<'f, 'a>(schema: &Value, fields: &'f [Field<'a>]) -> Vec<&'f Field<'a>> {
    let order: Vec<_> = property_names(schema).collect();
    let mut arguments: Vec<_> = fields.iter().filter(|field| field.is_argument()).collect();
    arguments.sort_by_key(|field| order.iter().position(|name| *name == field.property));
    arguments
}

/// Writes `new`, which takes the required values, so that optional fields can be added without a breaking change. Only
/// inputs have it, as callers create no responses.
fn constructor(
    name: &Ident,
    schema: &Value,
    fields: &[Field<'_>],
    extra: Option<&(Ident, TokenStream)>,
) -> TokenStream {
    let required = arguments(schema, fields);
    let names: Vec<_> = required.iter().map(|field| &field.ident).collect();
    let kinds = required.iter().map(|field| field.kind.tokens());
    let optional = fields.iter().filter(|field| !field.is_argument()).map(|field| &field.ident);
    let optional = optional.chain(extra.map(|(ident, _)| ident));
    let doc = if names.is_empty() {
        "An empty value, to be filled in."
    } else {
        "A value with what is required, and nothing else."
    };
    quote! {
        impl #name {
            #[doc = #doc]
            #[must_use]
            pub fn new(#(#names: impl Into<#kinds>),*) -> Self {
                Self {
                    #(#names: #names.into(),)*
                    #(#optional: Default::default(),)*
                }
            }
        }
    }
}

/// Writes the conversions from what a PUT returns to what it takes, as it replaces the whole.
fn updates(document: &Value, mappings: &Mappings) -> TokenStream {
    let mut pairs = BTreeSet::new();
    for operation in operations(document).filter(|operation| operation.method == "put") {
        let body = operation.value.get("requestBody").map(|body| resolve(document, body));
        let response = successes(document, operation.value).find_map(|(_, response)| schema_name(response));
        pairs.extend(body.and_then(schema_name).zip(response).filter(|(body, response)| body != response));
    }
    pairs.into_iter().filter_map(|(body, response)| update(document, mappings, body, response)).collect()
}

/// Returns the name of the schema of a body or a response.
pub fn schema_name(holder: &Value) -> Option<&str> {
    let mut content = entries(holder.get("content"));
    content.find_map(|(_, content)| Some(super::contract::component(reference(content.get("schema")?)?)))
}

/// Writes the conversion between two objects, if the first has each field of the second.
fn update(document: &Value, mappings: &Mappings, to: &str, from: &str) -> Option<TokenStream> {
    if [to, from].into_iter().any(|name| !matches!(mappings.get(name), Some(Mapping::Struct))) {
        return None;
    }
    let given = fields(document, mappings, from);
    let values: Option<Vec<_>> = fields(document, mappings, to)
        .iter()
        .map(|field| {
            let ident = &field.ident;
            let given = given.iter().find(|given| given.ident == *ident)?;
            let value = match (&given.kind, &field.kind) {
                (given, kind) if given == kind => quote! { value.#ident },
                // What a response leaves out and what is empty are one, and an empty value would clear.
                (given, kind) if kind.option() == Some(given) && given.is_collection() => {
                    quote! { Some(value.#ident).filter(|value| !value.is_empty()) }
                }
                (given, kind) if kind.option() == Some(given) && given.option().is_some() => {
                    quote! { value.#ident.map(Some) }
                }
                (given, kind) if kind.option() == Some(given) => quote! { Some(value.#ident) },
                _ => return None,
            };
            Some(quote! { #ident: #value })
        })
        .collect();
    let (to, from, values) = (format_ident!("{to}"), format_ident!("{from}"), values.filter(|it| !it.is_empty())?);
    let doc = format!("Keeps everything that a [`{from}`] has, for an update that replaces all of it.");
    let extra = extra(document, mappings, &to.to_string()).map(|_| quote! { extra: Default::default(), });
    Some(quote! {
        #[doc = #doc]
        impl From<#from> for #to {
            fn from(value: #from) -> Self {
                Self { #(#values,)* #extra }
            }
        }
    })
}
