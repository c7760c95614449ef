//! The values that progenitor's functions take.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{FnArg, Pat, PathArguments, Type};

use super::endpoint::{Endpoint, Origin};
use crate::build::names::{snake_case, without_keyword};

/// Returns an argument for progenitor's function, made of the field.
pub fn argument(endpoint: &Endpoint<'_>, argument: &FnArg) -> Option<TokenStream> {
    let FnArg::Typed(argument) = argument else { return None };
    let Pat::Ident(pattern) = &*argument.pat else { return None };
    let name = pattern.ident.to_string();
    let input = endpoint.inputs.iter().find(|input| {
        matches!(&input.origin, Origin::Parameter(own) if snake_case(own).as_deref() == Some(without_keyword(&name)))
    });
    let field = input.map_or_else(|| pattern.ident.to_token_stream(), |input| input.field.to_token_stream());
    Some(match option_of(&argument.ty) {
        Some(Type::Reference(reference)) if reference.elem.to_token_stream().to_string() == "str" => {
            quote! { self.#field.as_deref() }
        }
        Some(Type::Reference(_)) => quote! { self.#field.as_ref() },
        None if matches!(&*argument.ty, Type::Reference(_)) => quote! { &self.#field },
        _ => quote! { self.#field },
    })
}

fn option_of(kind: &Type) -> Option<&Type> {
    let Type::Path(path) = kind else { return None };
    let segment = path.path.segments.last().filter(|segment| segment.ident == "Option")?;
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        syn::GenericArgument::Type(kind) => Some(kind),
        _ => None,
    })
}
