//! Writes the shape of each object that the service sends, by which its JSON is made to fit. See `src/types/shape.rs`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use serde_json::Value;

use super::kinds::Kind;
use super::reachable_schemas::{reachable_from_deliveries, reachable_from_responses};
use super::schema_types::{Mapping, Mappings};
use super::structs::fields;

/// Returns the shapes, and the table of the types that have one.
pub fn shapes(document: &Value, mappings: &Mappings) -> TokenStream {
    let mut received = reachable_from_responses(document);
    received.append(&mut reachable_from_deliveries(document));
    let (mut shapes, mut types) = (TokenStream::new(), Vec::new());
    for (name, mapping) in mappings.iter().filter(|(name, _)| received.contains(*name)) {
        let ident = format_ident!("{name}");
        match mapping {
            Mapping::Struct => {
                let members = fields(document, mappings, name).into_iter().map(|field| {
                    let (name, is_required) = (field.property, field.is_required);
                    // What is not required may be null in any case.
                    let kind = Kind::without_null(field.schema, mappings);
                    let kind = if is_required && field.kind.option().is_some() { kind.optional() } else { kind };
                    let shape = kind.shape(mappings);
                    quote! { Member { name: #name, is_required: #is_required, shape: #shape } }
                });
                shapes.extend(quote! { pub(crate) static #ident: Shape = Shape::Object(&[#(#members),*]); });
                types.push(quote! { (TypeId::of::<super::#ident>(), &#ident) });
            }
            Mapping::OpenUnion { tag, variants } => {
                let variants = variants.iter().map(|variant| {
                    let (word, schema) = (&variant.word, format_ident!("{}", variant.schema));
                    quote! { (#word, &#schema) }
                });
                shapes.extend(quote! { pub(crate) static #ident: Shape = Shape::Union(#tag, &[#(#variants),*]); });
            }
            Mapping::List { item } => {
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
            Mapping::Id | Mapping::Secret | Mapping::OpenEnum { .. } => {}
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
