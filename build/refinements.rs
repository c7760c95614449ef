//! The handwritten methods of `src/resources` and `src/client`, whose names the generated ones must not take.

use std::collections::BTreeSet;

use syn::{GenericArgument, ImplItem, Item, PathArguments, Type};

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

/// The methods, each with the type that has it.
pub struct Refinements {
    /// Methods of every call.
    common: BTreeSet<String>,
    /// Public methods of `Call<E>`, by `E`.
    setters: BTreeSet<(String, String)>,
    /// Functions of other types: handles and endpoints.
    functions: BTreeSet<(String, String)>,
}

impl Refinements {
    pub fn read() -> Result<Self, SpecError> {
        let mut found = Self {
            common: TRAITS.iter().map(|name| (*name).to_owned()).collect(),
            setters: BTreeSet::new(),
            functions: BTreeSet::new(),
        };
        for source in SOURCES {
            let file = syn::parse_file(source)
                .map_err(|error| SpecError::at("", format!("src/resources is not Rust: {error}")))?;
            for item in file.items {
                if let Item::Impl(block) = item
                    && block.trait_.is_none()
                {
                    found.add(&block);
                }
            }
        }
        Ok(found)
    }

    fn add(&mut self, block: &syn::ItemImpl) {
        let Type::Path(path) = &*block.self_ty else {
            return;
        };
        let Some(segment) = path.path.segments.last() else {
            return;
        };
        let endpoint = match &segment.arguments {
            PathArguments::AngleBracketed(arguments) if segment.ident == "Call" => match arguments.args.first() {
                Some(GenericArgument::Type(Type::Path(path))) => path.path.get_ident().map(ToString::to_string),
                _ => None,
            },
            _ => None,
        };
        let is_generic = block.generics.type_params().next().is_some();
        for item in &block.items {
            let ImplItem::Fn(function) = item else { continue };
            let name = function.sig.ident.to_string();
            match &endpoint {
                Some(_) if is_generic => drop(self.common.insert(name)),
                Some(endpoint) => drop(self.setters.insert((endpoint.clone(), name))),
                None => drop(self.functions.insert((segment.ident.to_string(), name))),
            }
        }
    }

    /// Returns `true` if every call, or every list, has a method of this name.
    pub fn is_common(&self, method: &str) -> bool {
        self.common.contains(method)
    }

    /// Returns `true` if the call of this endpoint has such a method.
    pub fn has_setter(&self, endpoint: &str, method: &str) -> bool {
        self.setters.contains(&(endpoint.to_owned(), method.to_owned()))
    }

    /// Returns the methods of the call of this endpoint.
    pub fn setters(&self, endpoint: &str) -> impl Iterator<Item = String> {
        self.setters.iter().filter(move |(of, _)| of == endpoint).map(|(_, method)| method.clone())
    }

    /// Returns `true` if this type has such a function.
    pub fn has_function(&self, of: &str, function: &str) -> bool {
        self.functions.contains(&(of.to_owned(), function.to_owned()))
    }
}
