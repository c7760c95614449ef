//! Writes what progenitor does not: ids, open enums, open unions, the data of events, and the table of operations.
//!
//! It writes calls of the macros in `src/types/`, so that the logic is handwritten and only the words are generated.

use std::collections::BTreeSet;

use heck::ToShoutySnakeCase;
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use serde_json::Value;

use super::check::errors;
use super::contract::{
    component, deprecation_reason, items, lookup, operations as operations_of, reference, schemas, text,
};
use super::error::SpecError;
use super::kinds::described;
use super::reachable_schemas::reachable_from_response;
use super::schema_types::{CATCH_ALL, Data, Mapping, Mappings, OTHER_DATA, Word};
use super::structs;

/// `#[deprecated]` with a reason, if there is one.
pub fn deprecation(reason: Option<&str>) -> Option<TokenStream> {
    reason.map(|reason| quote! { #[deprecated(note = #reason)] })
}

/// Returns the types that replace those of progenitor.
pub fn types(document: &Value, mappings: &Mappings) -> TokenStream {
    schemas(document)
        .filter_map(|(name, schema)| {
            let mapping = mappings.get(name)?;
            let description = described(schema, document);
            let equality = structs::equality(document, mappings, name);
            let name = format_ident!("{name}");
            let deprecated = deprecation(deprecation_reason(schema));
            match mapping {
                Mapping::Struct | Mapping::Secret | Mapping::List { .. } => None,
                Mapping::Id => Some(quote! { id! { #[doc = #description] #deprecated #name } }),
                Mapping::OpenEnum { words, data } => {
                    let variants = words.iter().map(|word| {
                        let variant = format_ident!("{}", word.variant);
                        let (description, word, aliases) = (&word.description, &word.text, &word.aliases);
                        quote! { #[doc = #description] #variant = #word #(| #aliases)* }
                    });
                    let is_terminal = is_terminal(&name, words);
                    let event_data = (!data.is_empty()).then(|| event_data(document, &name, data));
                    let errors = schema.get("x-errors").map(|_| error_codes(schema, &name));
                    Some(quote! {
                        open_enum! { #[doc = #description] #deprecated #name { #(#variants,)* } }
                        #is_terminal
                        #event_data
                        #errors
                    })
                }
                Mapping::OpenUnion { tag, variants } => {
                    let names = variants.iter().map(|variant| &variant.name);
                    let variants = variants.iter().map(|variant| {
                        let (name, schema) = (format_ident!("{}", variant.name), format_ident!("{}", variant.schema));
                        let (description, word) = (&variant.description, &variant.word);
                        quote! { #[doc = #description] #name(#schema) = #word }
                    });
                    let debug = debug_of_variants(&name, names, CATCH_ALL);
                    Some(quote! {
                        open_union! { #[doc = #description] #[derive(#equality)] #deprecated #name by #tag { #(#variants,)* } }
                        #debug
                    })
                }
            }
        })
        .collect()
}

/// Writes `is_terminal` for a set of states with `x-terminal`.
fn is_terminal(name: &Ident, words: &[Word]) -> Option<TokenStream> {
    let terminal: Vec<_> =
        words.iter().filter(|word| word.is_terminal).map(|word| format_ident!("{}", word.variant)).collect();
    (!terminal.is_empty()).then(|| {
        quote! {
            impl #name {
                /// Returns `true` if this is an end: it never changes again. An unknown word does not count as an end.
                #[must_use]
                pub fn is_terminal(&self) -> bool {
                    matches!(self, #(Self::#terminal)|*)
                }
            }
        }
    })
}

fn error_codes(schema: &Value, name: &Ident) -> TokenStream {
    let arms = errors::codes(schema).map(|(word, status, advice)| quote! { #word => (#status, #advice), });
    quote! {
        #[cfg(any(feature = "client", feature = "simulator"))]
        impl #name {
            /// The status that comes with a documented code, and what its receiver can do.
            pub(crate) fn documented(code: &str) -> Option<(u16, &'static str)> {
                Some(match code {
                    #(#arms)*
                    _ => return None,
                })
            }
        }
    }
}

/// Implements `Debug` of an enum without the secrets in the JSON of its catch-all. The other variants hide their own.
fn debug_of_variants<'a>(name: &Ident, variants: impl Iterator<Item = &'a String>, catch_all: &str) -> TokenStream {
    let (variants, catch_all) = (variants.map(|variant| format_ident!("{variant}")), format_ident!("{catch_all}"));
    quote! {
        impl ::std::fmt::Debug for #name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                match self {
                    #(Self::#variants(value) => f.debug_tuple(stringify!(#variants)).field(value).finish(),)*
                    Self::#catch_all(json) => {
                        f.debug_tuple(stringify!(#catch_all)).field(&crate::types::Redacted(json)).finish()
                    }
                }
            }
        }
    }
}

/// Writes the data of events by type, with the fields that name a run, a work order and a tenant.
fn event_data(document: &Value, name: &Ident, data: &[Data]) -> TokenStream {
    let variants = data.iter().map(|data| {
        let (name, schema) = (format_ident!("{}", data.variant), format_ident!("{}", data.schema));
        let words = data.words.iter().map(|word| format_ident!("{word}"));
        let description = &data.description;
        quote! { #[doc = #description] #name(#schema) = #(#words)|* }
    });
    let refers = |data: &Data, property: &str, schema: &str| {
        let place = format!("#/components/schemas/{}/properties/{property}", data.schema);
        lookup(document, &place).and_then(reference).is_some_and(|target| component(target) == schema)
    };
    let with = |property: &'static str, schema: &'static str| {
        data.iter().filter(move |data| refers(data, property, schema)).map(|data| format_ident!("{}", data.variant))
    };
    let runs = data.iter().filter_map(|data| {
        let name = format_ident!("{}", data.variant);
        match (refers(data, "runId", "RunId"), refers(data, "id", "RunId")) {
            (true, true) => Some(quote! { #name: run_id or id, }),
            (true, false) => Some(quote! { #name: run_id, }),
            (false, true) => Some(quote! { #name: id, }),
            (false, false) => None,
        }
    });
    let (orders, tenants) = (with("workOrderId", "WorkOrderId"), with("tenantContext", "TenantContext"));
    let debug = debug_of_variants(&format_ident!("EventData"), data.iter().map(|data| &data.variant), OTHER_DATA);
    quote! {
        #debug
        event_data! {
            by #name { #(#variants,)* }
            run_id of { #(#runs)* }
            work_order_id of { #(#orders,)* }
            tenant_context of { #(#tenants,)* }
        }
    }
}

/// Writes the table of operations.
pub fn operations(document: &Value) -> Result<syn::File, SpecError> {
    let mut names = Vec::new();
    let mut constants = Vec::new();
    for operation in operations_of(document) {
        let id = text(operation.value, "operationId").unwrap_or_default();
        let summary = text(operation.value, "summary").unwrap_or_default();
        let scope = text(operation.value, "x-required-scope").unwrap_or_default();
        let (path, method) = (operation.path, operation.method.to_uppercase());
        let idempotent = operation.is_idempotent();
        let returns_secret = returns_secret(document, operation.value);
        let advice = errors::advice(&operation).map(|(status, advice)| quote! { (#status, #advice) });
        let name = id.to_shouty_snake_case();
        let name = format_ident!("{name}");
        let doc = format!("{summary}: `{method} {path}`.");
        constants.push(quote! {
            #[doc = #doc]
            pub const #name: Self = Self {
                id: #id,
                summary: #summary,
                method: #method,
                path: #path,
                scope: #scope,
                idempotent: #idempotent,
                returns_secret: #returns_secret,
                advice: &[#(#advice),*],
            };
        });
        names.push(name);
    }
    let server = items(document.get("servers")).find_map(|server| text(server, "url")).unwrap_or_default();
    syn::parse2(quote! {
        /// The address of the hosted service.
        #[cfg(feature = "client")]
        pub(crate) const BASE_URL: &str = #server;

        impl Operation {
            #(#constants)*

            /// All operations, by path and method.
            pub const ALL: &'static [Self] = &[#(Self::#names),*];
        }
    })
    .map_err(|error| SpecError::at("paths", format!("the table of operations is not Rust: {error}")))
}

/// Returns `true` if a successful response holds a secret.
fn returns_secret(document: &Value, operation: &Value) -> bool {
    has_secret(document, &reachable_from_response(document, operation))
}

/// Returns `true` if one of the schemas of these names is a secret.
pub fn has_secret(document: &Value, names: &BTreeSet<String>) -> bool {
    schemas(document).any(|(name, schema)| names.contains(name) && text(schema, "format") == Some("password"))
}
