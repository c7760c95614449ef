//! The handwritten methods of `src/resources` and `src/client`, whose names the generated ones must not take.

use std::collections::BTreeSet;

use quote::ToTokens as _;
use syn::{ImplItem, Item, ItemImpl};

use super::error::SpecError;

/// The files that have such methods, and those of the client.
const SOURCES: [&str; 11] = [
    include_str!("../src/client/builder.rs"),
    include_str!("../src/client/mod.rs"),
    include_str!("../src/resources/call.rs"),
    include_str!("../src/resources/client.rs"),
    include_str!("../src/resources/pages/mod.rs"),
    include_str!("../src/resources/raw_request.rs"),
    include_str!("../src/resources/reconcile.rs"),
    include_str!("../src/resources/runs.rs"),
    include_str!("../src/resources/submission.rs"),
    include_str!("../src/resources/webhooks.rs"),
    include_str!("../src/resources/work_orders.rs"),
];

/// Methods of traits that calls implement.
const TRAITS: [&str; 4] = ["clone", "into", "into_future", "send"];

/// The methods, each with its type: `Client`, `Call<CreateWorkOrder>`, or `Call` for those of every call.
pub struct HandwrittenMethods(BTreeSet<(String, String)>);

impl HandwrittenMethods {
    pub fn read() -> Result<Self, SpecError> {
        let mut found = BTreeSet::new();
        for source in SOURCES {
            let file = syn::parse_file(source)
                .map_err(|error| SpecError::at("", format!("src/resources is not Rust: {error}")))?;
            for item in file.items {
                if let Item::Impl(block) = item
                    && block.trait_.is_none()
                {
                    let of = type_name(&block);
                    found.extend(functions(&block).map(|name| (of.clone(), name)));
                }
            }
        }
        Ok(Self(found))
    }

    /// Returns `true` if every call, or every list, has a method of this name.
    pub fn is_common(&self, method: &str) -> bool {
        TRAITS.contains(&method) || self.has_function("Call", method)
    }

    /// Returns `true` if the call of this endpoint has such a method.
    pub fn has_setter(&self, endpoint: &str, method: &str) -> bool {
        self.has_function(&format!("Call<{endpoint}>"), method)
    }

    /// Returns the methods of the call of this endpoint.
    pub fn setters(&self, endpoint: &str) -> impl Iterator<Item = String> {
        let call = format!("Call<{endpoint}>");
        self.0.iter().filter(move |(of, _)| *of == call).map(|(_, method)| method.clone())
    }

    /// Returns `true` if this type has such a function.
    pub fn has_function(&self, of: &str, function: &str) -> bool {
        self.0.contains(&(of.to_owned(), function.to_owned()))
    }
}

fn type_name(block: &ItemImpl) -> String {
    let name = block.self_ty.to_token_stream().to_string().replace(' ', "");
    let is_generic = block.generics.params.iter().next().is_some();
    let of = if is_generic { name.split('<').next().unwrap_or_default() } else { &name };
    of.to_owned()
}

fn functions(block: &ItemImpl) -> impl Iterator<Item = String> {
    block.items.iter().filter_map(|item| match item {
        ImplItem::Fn(function) => Some(function.sig.ident.to_string()),
        _ => None,
    })
}
