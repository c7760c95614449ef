//! The types and expressions of the values that users give.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::{FnArg, ItemStruct, Type, parse_quote};

use crate::build::names::without_keyword;

/// Returns the field for an argument of progenitor's function.
pub fn field(argument: &FnArg) -> Option<(Ident, Type)> {
    let FnArg::Typed(argument) = argument else {
        return None;
    };
    let syn::Pat::Ident(pattern) = &*argument.pat else {
        return None;
    };
    let kind = match option_of(&argument.ty) {
        Some(inner) => {
            let inner = owned(inner);
            parse_quote!(::std::option::Option<#inner>)
        }
        None => owned(&argument.ty),
    };
    Some((pattern.ident.clone(), kind))
}

/// `&'a str` → `String`, `&'a types::Run` → `crate::types::Run`.
fn owned(kind: &Type) -> Type {
    let kind = if let Type::Reference(reference) = kind { &*reference.elem } else { kind };
    match compact(kind).as_str() {
        "str" => parse_quote!(::std::string::String),
        path if path.starts_with("types::") => {
            syn::parse_str(&format!("crate::{path}")).unwrap_or_else(|_| kind.clone())
        }
        _ => kind.clone(),
    }
}

/// Returns an argument for progenitor's function, made of the field.
pub fn argument(argument: &FnArg) -> Option<TokenStream> {
    let FnArg::Typed(argument) = argument else {
        return None;
    };
    let name = &argument.pat;
    Some(match option_of(&argument.ty) {
        Some(Type::Reference(reference)) if compact(&reference.elem) == "str" => quote! { self.#name.as_deref() },
        Some(Type::Reference(_)) => quote! { self.#name.as_ref() },
        None if matches!(&*argument.ty, Type::Reference(_)) => quote! { &self.#name },
        _ => quote! { self.#name },
    })
}

pub fn option_of(kind: &Type) -> Option<&Type> {
    generic(kind, "Option")
}

/// Returns the type within an `Option`, or the type itself.
pub fn inner(kind: &Type) -> &Type {
    option_of(kind).unwrap_or(kind)
}

/// Returns the last type argument of a generic type of this name.
fn generic<'a>(kind: &'a Type, name: &str) -> Option<&'a Type> {
    let Type::Path(path) = kind else {
        return None;
    };
    let segment = path.path.segments.last().filter(|segment| segment.ident == name)?;
    let syn::PathArguments::AngleBracketed(arguments) = &segment.arguments else {
        return None;
    };
    arguments.args.iter().rev().find_map(|argument| match argument {
        syn::GenericArgument::Type(kind) => Some(kind),
        _ => None,
    })
}

pub fn compact(kind: &Type) -> String {
    kind.to_token_stream().to_string().replace(' ', "").replace(",>", ">")
}

pub fn struct_field(item: &ItemStruct, name: &str) -> Option<(Ident, Type)> {
    item.fields.iter().find_map(|field| {
        let ident = field.ident.as_ref()?;
        (without_keyword(&ident.to_string()) == name).then(|| (ident.clone(), field.ty.clone()))
    })
}

/// Returns the argument type of a method that takes a value of this type.
pub fn accepted(kind: &Type) -> TokenStream {
    if let Some(item) = generic(kind, "Vec") {
        let item = accepted(item);
        return quote! { impl IntoIterator<Item = #item> };
    }
    if let Some(value) = generic(kind, "BTreeMap") {
        let value = accepted(value);
        return quote! { impl IntoIterator<Item = (impl Into<String>, #value)> };
    }
    if let Some(value) = option_of(kind) {
        let value = accepted(value);
        return quote! { ::std::option::Option<#value> };
    }
    if let Some(value) = generic(kind, "Box") {
        return accepted(value);
    }
    if is_converted(kind) {
        let kind = in_crate(kind);
        return quote! { impl Into<#kind> };
    }
    kind.to_token_stream()
}

/// Converts an argument to a value of this type.
pub fn converted(kind: &Type, value: &Ident) -> TokenStream {
    let each = format_ident!("value");
    if let Some(item) = generic(kind, "Vec") {
        let map = mapped(item);
        return quote! { #value.into_iter() #map .collect::<Vec<_>>() };
    }
    if let Some(inner) = generic(kind, "BTreeMap") {
        let inner = converted(inner, &each);
        return quote! {
            #value.into_iter().map(|(name, #each)| (name.into(), #inner)).collect::<::std::collections::BTreeMap<_, _>>()
        };
    }
    if let Some(inner) = option_of(kind) {
        let map = mapped(inner);
        return quote! { #value #map };
    }
    if let Some(inner) = generic(kind, "Box") {
        let inner = converted(inner, value);
        return quote! { ::std::boxed::Box::new(#inner) };
    }
    if is_converted(kind) {
        quote! { #value.into() }
    } else {
        quote! { #value }
    }
}

/// Returns the conversion of the items of an iterator or an option, if one is needed.
fn mapped(kind: &Type) -> Option<TokenStream> {
    let each = format_ident!("value");
    if is_converted(kind) {
        return Some(quote! { .map(Into::into) });
    }
    let inner = converted(kind, &each);
    (each != inner.to_string()).then(|| quote! { .map(|#each| #inner) })
}

/// Returns `true` for types that methods accept by `Into`: strings, any JSON, and the types of this crate.
fn is_converted(kind: &Type) -> bool {
    let kind = compact(kind);
    kind.starts_with("crate::types::")
        || !kind.contains("::") && kind.starts_with(char::is_uppercase)
        || kind.ends_with("::String")
        || kind.ends_with("serde_json::Value")
}

/// Adds the path that the module of types leaves out.
fn in_crate(kind: &Type) -> TokenStream {
    if compact(kind).contains("::") {
        kind.to_token_stream()
    } else {
        quote! { crate::types::#kind }
    }
}
