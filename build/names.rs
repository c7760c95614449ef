//! The Rust names that the names of a contract become, and those that are reserved.

use std::collections::BTreeSet;

use heck::ToSnakeCase;
use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::{File, FnArg, ImplItem, ImplItemFn, Item, Pat};

use super::contract::{Operation, operations, resolve, text};
use super::error::{SpecError, fail};
use serde_json::Value;

/// Every type, trait and variant of the 2024 edition's prelude. `Self` is a keyword.
const PRELUDE: &str = "
    AsMut AsRef AsyncFn AsyncFnMut AsyncFnOnce Box Clone Copy Debug Default DoubleEndedIterator Drop Eq
    Err ExactSizeIterator Extend Fn FnMut FnOnce From FromIterator Future Hash Into IntoFuture
    IntoIterator Iterator None Ok Option Ord PartialEq PartialOrd Result Self Send Sized Some String
    Sync ToOwned ToString TryFrom TryInto Unpin Vec
";

/// The module that the generated types are a part of.
const MODULE: &str = include_str!("../src/types/mod.rs");

/// The macros that write types.
const MACROS: [&str; 4] = [
    include_str!("../src/types/event_data.rs"),
    include_str!("../src/types/id.rs"),
    include_str!("../src/types/open_enum.rs"),
    include_str!("../src/types/open_union.rs"),
];

/// Returns the names that no generated type can have: those of the prelude, of the surrounding module, and of the
/// macros.
pub fn reserved_types() -> Result<BTreeSet<String>, SpecError> {
    let parse = |source: &str| {
        syn::parse_file(source).map_err(|error| SpecError::at("", format!("src/types is not Rust: {error}")))
    };
    let mut names: BTreeSet<String> = PRELUDE.split_whitespace().map(str::to_owned).collect();
    for item in parse(MODULE)?.items {
        match item {
            Item::Use(item) => capitalized(item.to_token_stream(), true, &mut names),
            Item::Struct(syn::ItemStruct { ident, .. })
            | Item::Enum(syn::ItemEnum { ident, .. })
            | Item::Trait(syn::ItemTrait { ident, .. })
            | Item::Type(syn::ItemType { ident, .. }) => drop(names.insert(ident.to_string())),
            _ => {}
        }
    }
    for source in MACROS {
        for item in parse(source)?.items {
            if let Item::Macro(item) = item {
                capitalized(item.mac.tokens, false, &mut names);
            }
        }
    }
    Ok(names)
}

/// Collects the names that begin with a capital. Outside of imports, only the first name of a path counts.
fn capitalized(tokens: TokenStream, in_import: bool, names: &mut BTreeSet<String>) {
    let mut colons = 0;
    for token in tokens {
        let is_colon = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == ':');
        match token {
            TokenTree::Ident(ident) if in_import || colons < 2 => {
                let name = ident.to_string();
                if name.starts_with(|first: char| first.is_ascii_uppercase()) {
                    names.insert(name);
                }
            }
            TokenTree::Group(group) => capitalized(group.stream(), in_import, names),
            _ => {}
        }
        colons = if is_colon { colons + 1 } else { 0 };
    }
}

/// Returns progenitor's name for a field or an argument, before it adds an underscore to a keyword.
pub fn snake_case(name: &str) -> Option<String> {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_-.$@[]".contains(letter);
    let snake = name.to_snake_case();
    (name.chars().all(is_plain) && snake.starts_with(|first: char| first.is_ascii_lowercase())).then_some(snake)
}

/// Returns the name of a property's field. `type`, a keyword, becomes `kind`.
pub fn field_name(property: &str) -> Option<String> {
    snake_case(property).map(|name| if name == "type" { "kind".to_owned() } else { name })
}

/// Checks that the names of operations and parameters differ from each other and from those of progenitor's client.
pub fn check_endpoints(document: &Value, file: &File) -> Result<(), SpecError> {
    let functions: Vec<&ImplItemFn> = file.items.iter().flat_map(functions_of).collect();
    let mut called = BTreeSet::new();
    for function in &functions {
        called_on_self(function.block.to_token_stream(), &mut called);
    }
    for operation in operations(document) {
        let id = text(operation.value, "operationId").unwrap_or_default();
        let name = id.to_snake_case();
        let mut own = functions.iter().filter(|function| without_keyword(&function.sig.ident.to_string()) == name);
        let function = own.next();
        let (Some(function), None, false) = (function, own.next(), called.contains(&name)) else {
            let problem = format!("`{id}` is a name of the generated client; choose another");
            return fail(format!("{}.operationId", operation.place), problem);
        };
        check_arguments(document, &operation, function)?;
    }
    Ok(())
}

pub fn functions_of(item: &Item) -> impl Iterator<Item = &ImplItemFn> {
    let items = if let Item::Impl(block) = item { block.items.as_slice() } else { &[] };
    items.iter().filter_map(|item| if let ImplItem::Fn(function) = item { Some(function) } else { None })
}

fn called_on_self(tokens: TokenStream, names: &mut BTreeSet<String>) {
    let mut recent = String::new();
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let call = recent.strip_prefix("self.").or_else(|| recent.strip_prefix("Self::"));
                names.extend(call.filter(|name| !name.contains(['.', ':'])).map(str::to_owned));
                called_on_self(group.stream(), names);
                recent.clear();
            }
            TokenTree::Ident(ident) if ident == "self" || ident == "Self" => recent = ident.to_string(),
            token => recent.push_str(&token.to_string()),
        }
    }
}

fn check_arguments(document: &Value, operation: &Operation<'_>, function: &ImplItemFn) -> Result<(), SpecError> {
    let arguments = function.sig.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(argument) => Some(argument.pat.to_token_stream().to_string()),
        FnArg::Receiver(_) => None,
    });
    let mut taken: Vec<String> = Vec::new();
    bound(function, &mut taken);
    for argument in arguments {
        if taken.contains(&argument) {
            let is_meant = |name: &str| snake_case(name).is_some_and(|name| name == without_keyword(&argument));
            let parameter = operation
                .parameters()
                .find(|(parameter, _)| text(resolve(document, parameter), "name").is_some_and(is_meant));
            let place = parameter.map_or_else(|| operation.place.clone(), |(_, place)| place);
            let problem =
                format!("a parameter called `{argument}` is not supported: the generated function uses the name");
            return fail(place, problem);
        }
        taken.push(argument);
    }
    Ok(())
}

/// Collects the local variables of a function.
fn bound(function: &ImplItemFn, names: &mut Vec<String>) {
    for statement in &function.block.stmts {
        if let syn::Stmt::Local(local) = statement
            && let Pat::Ident(name) = &local.pat
        {
            names.push(name.ident.to_string());
        }
    }
}

/// Removes the underscore that progenitor adds to a keyword, as in `type_`.
pub fn without_keyword(name: &str) -> &str {
    name.trim_end_matches('_')
}

#[cfg(test)]
mod tests {
    use super::reserved_types;

    #[test]
    fn what_the_surrounding_code_uses_is_reserved() {
        let names = reserved_types().map_err(|error| error.to_string()).unwrap();
        for name in ["Box", "Deserialize", "EventData", "List", "Option", "Redacted", "Self", "String", "Vec"] {
            assert!(names.contains(name), "{name}");
        }
        for name in ["NewWebhook", "Error", "Run", "RunEventData", "RunStatus", "Template", "Value"] {
            assert!(!names.contains(name), "{name}");
        }
    }
}
