//! Implements the traits of lists for the calls that return one.

use std::collections::BTreeSet;

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use serde_json::Value;

use super::endpoint::Endpoint;
use crate::build::contract::{component, entries, named_schema, reference, required_names, resolve, text};
use crate::build::error::{SpecError, fail};
use crate::build::kinds::Kind;
use crate::build::names::field_name;
use crate::build::schema_types::Mapping;

struct PageOf<'a> {
    /// The schema of the page, and its property that holds the items.
    name: &'a str,
    property: &'a str,
    item: &'a str,
}

impl<'a> Endpoint<'a> {
    /// Reads the page of an operation with `limit` and `offset`. Its schema must allow a list to be read to its end.
    fn page(&self) -> Option<PageOf<'a>> {
        let name = self.response_schema()?;
        let schema = named_schema(self.context.document, name)?;
        let mut arrays = entries(schema.get("properties")).filter(|(_, value)| text(value, "type") == Some("array"));
        let (Some((property, array)), None) = (arrays.next(), arrays.next()) else { return None };
        let total = schema.pointer("/properties/total")?;
        let is_counted = text(total, "type") == Some("integer") && text(total, "format") != Some("int32");
        let is_required = required_names(schema).any(|required| required == property);
        let item = array.get("items").and_then(reference).map(component)?;
        (is_counted && is_required && self.has_id(item)).then_some(PageOf { name, property, item })
    }

    /// Implements the traits of a list with `limit` and `offset`.
    pub fn list(
        &self,
        pages: &mut BTreeSet<String>,
        listed: &mut BTreeSet<String>,
    ) -> Result<Option<TokenStream>, SpecError> {
        let Some(size) = self.page_size()? else {
            return Ok(None);
        };
        let mapping = self.response_schema().and_then(|schema| self.context.mappings.get(schema));
        if let Some(Mapping::List { item }) = mapping {
            if !self.has_id(item) {
                return Ok(None);
            }
            let listed = implement_listed(item, listed);
            let endpoint = self.list_endpoint(size, &quote!(&crate::types::LIST_KEYS));
            return Ok(Some(quote! { #endpoint #listed }));
        }
        let Some(PageOf { name: page, property, item }) = self.page() else {
            let problem = "an operation with `limit` and `offset` returns a page: an object with `total`, an integer of \
                           64 bits, and one required array, of objects with a required `id` that has a type of its own";
            return fail(format!("{}.responses", self.operation.place), problem);
        };
        let listed = implement_listed(item, listed);
        let is_new = pages.insert(page.to_owned());
        let (page, item) = (format_ident!("{page}"), format_ident!("{item}"));
        let field = format_ident!("{}", field_name(property).unwrap_or_default());
        let of_page = is_new.then(|| quote! { page! { #page of #item in #field } });
        let endpoint = self.list_endpoint(size, &quote!(&[#property]));
        Ok(Some(quote! { #endpoint #of_page #listed }))
    }

    fn list_endpoint(&self, size: u32, keys: &TokenStream) -> TokenStream {
        let name = &self.name;
        quote! {
            impl ListEndpoint for #name {
                const PAGE: u32 = #size;
                const KEYS: &'static [&'static str] = #keys;

                fn part(&self) -> (Option<u32>, Option<u32>) { (self.limit, self.offset) }

                fn set_part(&mut self, limit: u32, offset: u32) {
                    (self.limit, self.offset) = (Some(limit), Some(offset));
                }
            }
        }
    }

    /// Returns the size of the pages of an operation with `limit` and `offset`: the largest, or else the default.
    fn page_size(&self) -> Result<Option<u32>, SpecError> {
        let part = |name| {
            let mut inputs = self.inputs.iter().filter(move |input| input.is_parameter(name) && input.name == name);
            inputs.find(|input| input.kind.option() == Some(&Kind::Integer("u32")))
        };
        let (Some(_), Some(_)) = (part("limit"), part("offset")) else { return Ok(None) };
        let mut parameters =
            self.operation.parameters().map(|(parameter, _)| resolve(self.context.document, parameter));
        let limit = parameters.find(|parameter| text(parameter, "name") == Some("limit"));
        let schema = limit.and_then(|limit| limit.get("schema")).map(|schema| resolve(self.context.document, schema));
        let size = schema.and_then(|schema| schema.get("maximum").or(schema.get("default"))?.as_u64()?.try_into().ok());
        let problem = "an operation with `limit` and `offset` returns a page, and `limit` needs a `maximum`";
        size.map(Some).ok_or_else(|| SpecError::at(format!("{}.parameters", self.operation.place), problem))
    }

    /// Returns `true` if items of this schema are recognized by an id.
    fn has_id(&self, item: &str) -> bool {
        let schema = named_schema(self.context.document, item).unwrap_or(&Value::Null);
        let id = schema.pointer("/properties/id").and_then(reference).map(component);
        let is_required = required_names(schema).any(|required| required == "id");
        is_required && id.is_some_and(|id| matches!(self.context.mappings.get(id), Some(Mapping::Id)))
    }
}

/// Implements `Listed`, once for each type of item.
fn implement_listed(item: &str, listed: &mut BTreeSet<String>) -> Option<TokenStream> {
    let name = format_ident!("{item}");
    listed.insert(item.to_owned()).then(|| {
        quote! {
            impl Listed for crate::types::#name {
                fn id(&self) -> &str { self.id.as_str() }
            }
        }
    })
}
