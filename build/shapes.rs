//! Writes the shape of each object that the service sends, by which its JSON is made to fit. See `src/types/shape.rs`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use serde_json::Value;

use super::contract::{can_be_null, component, entries, items, reference, required_names, schemas, text};
use super::reachable_schemas::{reachable_from_deliveries, reachable_from_responses};
use super::schema_types::{Mapping, Mappings};

/// Returns the shapes, and the table of the types that have one. `prepared` is the document for progenitor, whose
/// schemas have the formats of the Rust types.
pub fn shapes(prepared: &Value, document: &Value, mappings: &Mappings) -> TokenStream {
    let mut received = reachable_from_responses(document);
    received.append(&mut reachable_from_deliveries(document));
    let (mut shapes, mut types) = (TokenStream::new(), Vec::new());
    for (name, schema) in schemas(prepared).filter(|(name, _)| received.contains(*name)) {
        let ident = format_ident!("{name}");
        match mappings.get(name) {
            Some(Mapping::Struct) => {
                let members = entries(schema.get("properties")).map(|(name, property)| {
                    let is_required = required_names(schema).any(|required| required == name);
                    let shape = shape(property, is_required, mappings);
                    quote! { Member { name: #name, is_required: #is_required, shape: #shape } }
                });
                shapes.extend(quote! { pub(crate) static #ident: Shape = Shape::Object(&[#(#members),*]); });
                types.push(quote! { (TypeId::of::<super::#ident>(), &#ident) });
            }
            Some(Mapping::OpenUnion { tag, variants }) => {
                let variants = variants.iter().map(|variant| {
                    let (word, schema) = (&variant.word, format_ident!("{}", variant.schema));
                    quote! { (#word, &#schema) }
                });
                shapes.extend(quote! { pub(crate) static #ident: Shape = Shape::Union(#tag, &[#(#variants),*]); });
            }
            Some(Mapping::List { item }) => {
                let item = format_ident!("{item}");
                shapes.extend(quote! {
                    #[cfg(feature = "client")]
                    pub(crate) static #ident: Shape = Shape::WrappedList(&#item);
                });
                types.push(quote! {
                    #[cfg(feature = "client")]
                    (TypeId::of::<crate::types::List<super::#item>>(), &#ident)
                });
            }
            _ => {}
        }
    }
    quote! {
        #[cfg(any(feature = "client", feature = "webhooks"))]
        #[allow(non_upper_case_globals, reason = "named as the schemas")]
        pub(crate) mod shapes {
            use std::any::TypeId;

            use crate::types::{Member, Shape};

            #shapes

            /// Returns the shape of a type that the service sends.
            pub(crate) fn of_type(id: TypeId) -> Option<&'static Shape> {
                let types: &[(TypeId, &'static Shape)] = &[#(#types),*];
                types.iter().find(|(other, _)| *other == id).map(|(_, shape)| *shape)
            }
        }
    }
}

/// The reference to the shape of a schema. What is not required may be null in any case.
fn shape(schema: &Value, is_required: bool, mappings: &Mappings) -> TokenStream {
    let inner = |key| schema.get(key).filter(|inner| inner.is_object());
    let target = reference(schema).or_else(|| items(schema.get("allOf")).find_map(reference)).map(component);
    let shape = match (target, text(schema, "type"), text(schema, "format")) {
        (Some(target), ..) => match mappings.get(target) {
            Some(Mapping::Struct | Mapping::OpenUnion { .. }) => {
                let target = format_ident!("{target}");
                quote! { &#target }
            }
            Some(Mapping::OpenEnum { .. }) => quote! { &Shape::Word },
            _ => quote! { &Shape::Text },
        },
        (_, Some("string"), Some("date-time")) => quote! { &Shape::Time },
        (_, Some("string"), _) => quote! { &Shape::Text },
        (_, Some("boolean"), _) => quote! { &Shape::Flag },
        (_, Some("number"), _) => quote! { &Shape::Number },
        (_, Some("integer"), Some("uint32")) => quote! { &Shape::Integer(0, u32::MAX as u64) },
        (_, Some("integer"), Some("uint64")) => quote! { &Shape::Integer(0, u64::MAX) },
        (_, Some("integer"), Some("int32")) => quote! { &Shape::Integer(i32::MIN as i64, i32::MAX as u64) },
        (_, Some("integer"), _) => quote! { &Shape::Integer(i64::MIN, i64::MAX as u64) },
        (_, Some("array"), _) => {
            let item = inner("items").map_or_else(|| quote! { &Shape::Any }, |item| shape(item, true, mappings));
            quote! { &Shape::List(#item) }
        }
        (_, Some("object"), _) => {
            let value =
                inner("additionalProperties").map_or_else(|| quote! { &Shape::Any }, |it| shape(it, true, mappings));
            quote! { &Shape::Map(#value) }
        }
        _ => quote! { &Shape::Any },
    };
    if is_required && can_be_null(schema) {
        quote! { &Shape::Nullable(#shape) }
    } else {
        shape
    }
}
