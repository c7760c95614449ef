//! The Rust names that the names of a contract become, and those that are reserved.

use heck::ToSnakeCase;
use proc_macro2::Ident;
use quote::format_ident;
use syn::{ImplItem, ImplItemFn, Item};

/// Every type, trait and variant of the 2024 edition's prelude, and the names that the modules of generated types and
/// calls use. `Self` is a keyword.
const RESERVED: &str = "
    AsMut AsRef AsyncFn AsyncFnMut AsyncFnOnce Box Clone Copy Debug Default DoubleEndedIterator Drop Eq
    Err ExactSizeIterator Extend Fn FnMut FnOnce From FromIterator Future Hash Into IntoFuture
    IntoIterator Iterator None Ok Option Ord PartialEq PartialOrd Result Self Send Sized Some String
    Sync ToOwned ToString TryFrom TryInto Unpin Vec

    Deserialize Deserializer EventData List Member Misfit Redacted Shape

    Call CallFuture Endpoint Execution Items ListEndpoint Listed NotIdempotent Page Pages RawRequest
";

/// Names of operations that progenitor's client uses itself, and that of the table of operations.
const RESERVED_OPERATIONS: [&str; 8] = ["all", "api_version", "baseurl", "client", "exec", "inner", "new", "pre"];

/// Returns `true` for names that no generated type can have.
pub fn is_reserved_type(name: &str) -> bool {
    RESERVED.split_whitespace().any(|reserved| reserved == name)
}

/// Returns `true` for names that no operation can have.
pub fn is_reserved_operation(name: &str) -> bool {
    RESERVED_OPERATIONS.contains(&name)
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

/// Returns a name as an identifier, as progenitor writes a keyword: `async_`.
pub fn identifier(name: &str) -> Ident {
    if syn::parse_str::<Ident>(name).is_ok() { format_ident!("{name}") } else { format_ident!("{name}_") }
}

pub fn functions_of(item: &Item) -> impl Iterator<Item = &ImplItemFn> {
    let items = if let Item::Impl(block) = item { block.items.as_slice() } else { &[] };
    items.iter().filter_map(|item| if let ImplItem::Fn(function) = item { Some(function) } else { None })
}

/// Removes the underscore that progenitor adds to a keyword, as in `type_`.
pub fn without_keyword(name: &str) -> &str {
    name.trim_end_matches('_')
}
