//! Writes the public calls: a handle for each resource, a method for each operation, and the setters of what is
//! optional.
//!
//! They call the functions that progenitor writes, and pass the arguments by name, as those functions declare them. A
//! new parameter so never takes the place of another.

pub mod endpoint;
mod pages;
mod render;
pub mod values;

use std::collections::{BTreeMap, BTreeSet};

use heck::{ToPascalCase, ToSnakeCase};
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use serde_json::Value;
use syn::File;

use crate::build::contract::{items, operations, text};
use crate::build::error::{SpecError, fail};
use crate::build::names::is_reserved_type;

use endpoint::{Context, Endpoint, METHODS_OF_HANDLES, is_identifier};

/// Writes the public calls.
pub fn calls(context: &Context<'_>) -> Result<File, SpecError> {
    let mut resources = BTreeMap::<String, Vec<Method>>::new();
    let mut tokens = TokenStream::new();
    let (mut pages, mut listed) = (BTreeSet::new(), BTreeSet::new());
    for operation in operations(context.document) {
        let endpoint = Endpoint::new(context, operation)?;
        tokens.extend(endpoint.tokens());
        tokens.extend(endpoint.list(&mut pages, &mut listed)?);
        let methods = resources.entry(endpoint.resource.clone()).or_default();
        let names = [Some(endpoint.method.clone()), endpoint.body.is_some().then(|| endpoint.whole_method())];
        let names: Vec<_> = names.into_iter().flatten().collect();
        for name in &names {
            if let Some(other) = methods.iter().find(|method| method.names.contains(name)) {
                let problem = format!(
                    "`{}` and `{}` would both be the method `{name}`; give one another name with `x-rust-name`",
                    other.operation, endpoint.id
                );
                return fail(&endpoint.operation.place, problem);
            }
        }
        methods.push(Method { names, operation: endpoint.id.clone(), tokens: endpoint.method_tokens() });
    }
    for (tag, methods) in resources {
        check_resource(context, &tag)?;
        tokens.extend(handle(context.document, &tag, &methods));
    }
    syn::parse2(tokens).map_err(|error| SpecError::at("paths", format!("the calls are not Rust: {error}")))
}

/// Refuses a resource whose handle, or whose method of the client, has a name that is taken.
fn check_resource(context: &Context<'_>, tag: &str) -> Result<(), SpecError> {
    let (handle, accessor) = (tag.to_pascal_case(), tag.to_snake_case());
    let is_method = context.handwritten.has_function("Client", &accessor) || METHODS_OF_HANDLES.contains(&&*accessor);
    if is_reserved_type(&handle) || is_method || !is_identifier(&accessor) {
        let problem = format!(
            "`{tag}` would be `{handle}` and `client.{accessor}()`, which is taken or is not Rust; choose another tag"
        );
        return fail(format!("tags.{tag}"), problem);
    }
    Ok(())
}

struct Method {
    names: Vec<String>,
    operation: String,
    tokens: TokenStream,
}

/// Writes the handle of a resource, and the method of the client that returns it.
fn handle(document: &Value, tag: &str, methods: &[Method]) -> TokenStream {
    let (name, accessor) = (format_ident!("{}", tag.to_pascal_case()), format_ident!("{}", tag.to_snake_case()));
    let described = items(document.get("tags")).find(|other| text(other, "name") == Some(tag));
    let description = described.and_then(|tag| text(tag, "description")).unwrap_or(tag).trim_end();
    let first = description.split("\n\n").next().unwrap_or_default();
    let doc = format!("{description}\n\nReturned by [`Client::{accessor}`](crate::Client::{accessor}).");
    let methods = methods.iter().map(|method| &method.tokens);
    quote! {
        #[doc = #doc]
        #[derive(Clone, Debug)]
        pub struct #name { pub(super) client: crate::Client }

        impl crate::Client {
            #[doc = #first]
            #[must_use]
            pub fn #accessor(&self) -> #name {
                #name { client: self.clone() }
            }
        }

        impl #name { #(#methods)* }
    }
}
