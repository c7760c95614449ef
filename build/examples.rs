//! Writes the example responses of the contract, with which the simulator responds where it has no other.

use std::collections::BTreeSet;

use proc_macro2::TokenStream;
use quote::quote;
use serde_json::Value;
use syn::File;

use super::contract::{Operation, entries, items, operations, resolve, successes, text};
use super::error::SpecError;

/// Writes the table of example responses.
pub fn responses(document: &Value) -> Result<File, SpecError> {
    let rows = operations(document).filter_map(|operation| {
        let id = text(operation.value, "operationId")?;
        let (status, _, example) = success(document, operation.value)?;
        let body = match example {
            Example::None => quote! { None },
            Example::Missing => return None,
            Example::Body(value) => {
                let json = value.to_string();
                quote! { Some(#json) }
            }
        };
        let ids = ids(document, &operation);
        Some(quote! { (#id, #status, #body, &[#(#ids),*]) })
    });
    let rows: Vec<_> = rows.collect();
    rust(quote! {
        /// Operation, status and body of the contract's example of a successful response, and the ids that exist by the
        /// examples of the resource.
        static EXAMPLES: &[(&str, u16, Option<&str>, &[&str])] = &[#(#rows),*];
    })
}

/// Returns the ids in the examples of the resource that the path of an operation leads to.
pub fn ids(document: &Value, operation: &Operation<'_>) -> BTreeSet<String> {
    fn collect(value: &Value, found: &mut BTreeSet<String>) {
        found.extend(text(value, "id").map(str::to_owned));
        entries(Some(value)).for_each(|(_, within)| collect(within, found));
        items(Some(value)).for_each(|within| collect(within, found));
    }
    let mut found = BTreeSet::new();
    let Some((resource, _)) = operation.path.split_once("/{") else { return found };
    for other in operations(document).filter(|other| other.path.split("/{").next() == Some(resource)) {
        if let Some((.., Example::Body(body))) = success(document, other.value) {
            collect(body, &mut found);
        }
    }
    found
}

/// The example of a response.
pub enum Example<'a> {
    /// The response has no body.
    None,
    Missing,
    Body(&'a Value),
}

/// Returns the status, the key in the contract and the example of a successful response. One with a body is preferred.
pub fn success<'a>(document: &'a Value, operation: &'a Value) -> Option<(u16, &'a str, Example<'a>)> {
    let content = |response: &'a Value| entries(response.get("content")).next().map(|(_, content)| content);
    let with_body = successes(document, operation).find(|(_, response)| content(response).is_some());
    let (name, response) = with_body.or_else(|| successes(document, operation).next())?;
    let example = match content(response) {
        None => Example::None,
        Some(content) => examples(document, content).next().map_or(Example::Missing, Example::Body),
    };
    Some((name.parse().unwrap_or(200), name, example))
}

/// Returns the examples of a parameter or of the content of a body.
pub fn examples<'a>(document: &'a Value, of: &'a Value) -> impl Iterator<Item = &'a Value> {
    let named = entries(of.get("examples")).filter_map(move |(_, example)| resolve(document, example).get("value"));
    of.get("example").into_iter().chain(named)
}

pub fn rust(tokens: TokenStream) -> Result<File, SpecError> {
    syn::parse2(tokens)
        .map_err(|error| SpecError::at("paths", format!("what is made of the examples is not Rust: {error}")))
}
