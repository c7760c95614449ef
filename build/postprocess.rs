//! Turns progenitor's types into the public ones.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use serde_json::Value;
use syn::punctuated::Punctuated;
use syn::{Attribute, Field, Fields, File, ImplItem, Item, ItemStruct, Meta, Pat, Path, Stmt, Token, parse_quote};

use super::calls::values::option_of;
use super::contract::{can_be_null, deprecation_reason, entries, items, lookup, named_schema, text};
use super::emit;
use super::error::{SpecError, fail};
use super::names::{self, without_keyword};
use super::reachable_schemas::{reachable_from_requests, reachable_from_schema, sent_alone};
use super::schema_types::{Mapping, Mappings};

/// Splits progenitor's file into the items of its `types` module and the rest, whose functions are cut to the part that
/// builds the request.
pub fn split(mut file: File) -> Result<(Vec<Item>, File), SpecError> {
    let position = file.items.iter().position(|item| matches!(item, Item::Mod(module) if module.ident == "types"));
    let Some(Item::Mod(syn::ItemMod { content: Some((_, types)), .. })) =
        position.map(|position| file.items.remove(position))
    else {
        return fail("", "progenitor wrote no module of types");
    };
    // Constants are assertions about its hooks.
    file.items.retain(|item| !matches!(item, Item::Mod(_) | Item::Const(_)));
    for item in &mut file.items {
        let Item::Impl(block) = item else { continue };
        if block.trait_.is_none() {
            // `Client::new` creates another HTTP client, and panics if that fails.
            block.items.retain(|item| !matches!(item, ImplItem::Fn(function) if function.sig.ident == "new"));
            block.items.iter_mut().try_for_each(cut)?;
        }
    }
    Ok((types, file))
}

/// Ends a function of progenitor's after the request is built.
fn cut(item: &mut ImplItem) -> Result<(), SpecError> {
    let ImplItem::Fn(function) = item else { return Ok(()) };
    if function.sig.asyncness.take().is_none() {
        return Ok(());
    }
    let is_built = |statement: &Stmt| {
        matches!(statement, Stmt::Local(local) if matches!(&local.pat, Pat::Ident(name) if name.ident == "request")
            && local.init.as_ref().is_some_and(|init| init.expr.to_token_stream().to_string().ends_with(". build () ?")))
    };
    let Some(end) = function.block.stmts.iter().position(is_built) else {
        let name = &function.sig.ident;
        return fail(
            "",
            format!("progenitor wrote `{name}` in another form: it has no `let mut request = ….build()?`"),
        );
    };
    function.block.stmts.truncate(end + 1);
    function.block.stmts.push(Stmt::Expr(parse_quote!(Ok(request)), None));
    function.sig.output = parse_quote!(-> Result<::reqwest::Request, Error<()>>);
    Ok(())
}

/// Returns the public types.
pub fn types(items: Vec<Item>, shapes: TokenStream, mappings: &Mappings, document: &Value) -> Result<File, SpecError> {
    let inputs = reachable_from_requests(document);
    let sent_alone = sent_alone(document);
    let mut tokens = shapes;
    for item in items {
        match item {
            Item::Struct(item) if !matches!(mappings.get(&item.ident.to_string()), Some(Mapping::Struct)) => {
                let problem = format!("progenitor made the struct `{}`; give its schema a name", item.ident);
                return fail("components.schemas", problem);
            }
            Item::Struct(mut item) => {
                let name = item.ident.to_string();
                item.fields.iter_mut().for_each(rename_keyword);
                if sent_alone.contains(&name) {
                    item.fields.iter_mut().for_each(|field| tell_null_from_missing(&name, field, document));
                }
                postprocess_struct(&mut item, mappings, document);
                let is_input = inputs.contains(&name);
                let constructor = is_input.then(|| constructor(&item, document));
                let debug = debug(&mut item, document);
                tokens.extend(quote! { #item #constructor #debug });
            }
            Item::Enum(item) => {
                let problem = format!("progenitor made the closed enum `{}`; give its schema a name", item.ident);
                return fail("components.schemas", problem);
            }
            // Conversions and error types, for shapes that the contract does not use.
            _ => {}
        }
    }
    tokens.extend(emit::types(document, mappings));
    syn::parse2(tokens).map_err(|error| SpecError::at("components.schemas", format!("the types are not Rust: {error}")))
}

pub fn render(file: &File) -> String {
    prettyplease::unparse(file)
}

fn postprocess_struct(item: &mut ItemStruct, mappings: &Mappings, document: &Value) {
    let has_secret = lookup(document, &format!("#/components/schemas/{}", item.ident)).is_some_and(|schema| {
        let within = reachable_from_schema(document, schema);
        within.iter().any(|name| matches!(mappings.get(name), Some(Mapping::Secret)))
    });
    for attribute in &mut item.attrs {
        shorten_doc(attribute);
        if has_secret && attribute.path().is_ident("derive") {
            // A secret is neither written out nor compared.
            *attribute = parse_quote!(#[derive(Clone, Debug, ::serde::Deserialize)]);
        }
    }
    for field in &mut item.fields {
        field.attrs.iter_mut().for_each(shorten_doc);
        let own = property(document, &item.ident.to_string(), field);
        field.attrs.extend(own.and_then(deprecation));
        if !field.attrs.iter().any(|attribute| attribute.path().is_ident("doc")) {
            // A property that is a bare `$ref` is described by what it refers to.
            let description = match own.and_then(|property| text(property, "description")) {
                Some(description) if !description.is_empty() => description.to_owned(),
                _ if is_flattened(field) => "Fields that the contract does not name.".to_owned(),
                _ => description(document, &type_name(field)),
            };
            field.attrs.insert(0, parse_quote!(#[doc = #description]));
        }
    }
    item.attrs.push(parse_quote!(#[cfg_attr(feature = "schemars", derive(::schemars::JsonSchema))]));
    item.attrs.push(parse_quote!(#[non_exhaustive]));
    item.attrs.extend(lookup(document, &format!("#/components/schemas/{}", item.ident)).and_then(deprecation));
}

/// Renames `type_`, progenitor's field of a property `type`.
fn rename_keyword(field: &mut Field) {
    if field.ident.as_ref().is_some_and(|ident| ident == "type_") {
        field.ident = Some(parse_quote!(kind));
    }
}

/// Makes `null` and a missing value two values: in an update, `null` clears, and a missing value changes nothing.
fn tell_null_from_missing(schema: &str, field: &mut Field, document: &Value) {
    let is_nullable = property(document, schema, field).is_some_and(can_be_null);
    if is_nullable && is_defaulted(field) && is_option(field) {
        let kind = &field.ty;
        field.ty = parse_quote!(::std::option::Option<#kind>);
        field.attrs.push(parse_quote!(#[doc = ""]));
        field.attrs.push(parse_quote!(#[doc = "`Some(None)` sends `null`, and `None` nothing."]));
        field.attrs.push(parse_quote!(#[serde(default, deserialize_with = "crate::types::null_or_value")]));
    }
}

fn deprecation(schema: &Value) -> Option<Attribute> {
    emit::deprecation(deprecation_reason(schema)).map(|attribute| parse_quote!(#attribute))
}

fn property<'a>(document: &'a Value, schema: &str, field: &Field) -> Option<&'a Value> {
    let field_name = field.ident.as_ref().map(ToString::to_string)?;
    entries(lookup(document, &format!("#/components/schemas/{schema}/properties")))
        .find(|(name, _)| names::field_name(name).is_some_and(|name| name == without_keyword(&field_name)))
        .filter(|_| !is_flattened(field))
        .map(|(_, property)| property)
}

/// Implements `Debug` without secrets: those in texts, and the values of maps with `x-secret-values`.
fn debug(item: &mut ItemStruct, document: &Value) -> TokenStream {
    let name = &item.ident;
    let fields = item.fields.iter().map(|field| {
        let field_name = &field.ident;
        let is_hidden = property(document, &name.to_string(), field)
            .is_some_and(|property| property.get("x-secret-values").is_some());
        let keys = if is_option(field) { quote!(iter().flatten()) } else { quote!(iter()) };
        let shown = if is_hidden {
            quote! { self.#field_name.#keys.map(|(name, _)| (name, "[redacted]")).collect::<::std::collections::BTreeMap<_, _>>() }
        } else {
            quote! { crate::types::Redacted(&self.#field_name) }
        };
        quote! { .field(stringify!(#field_name), &#shown) }
    });
    let debug = quote! {
        impl ::std::fmt::Debug for #name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.debug_struct(stringify!(#name)) #(#fields)* .finish()
            }
        }
    };
    for attribute in item.attrs.iter_mut().filter(|attribute| attribute.path().is_ident("derive")) {
        if let Ok(derived) = attribute.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated) {
            let others = derived.iter().filter(|derived| !derived.is_ident("Debug"));
            *attribute = parse_quote!(#[derive(#(#others),*)]);
        }
    }
    debug
}

/// Writes `new`, which takes the required values, so that optional fields can be added without a breaking change. Only
/// inputs have it, as callers create no responses.
fn constructor(item: &ItemStruct, document: &Value) -> TokenStream {
    let name = &item.ident;
    let Fields::Named(fields) = &item.fields else {
        return TokenStream::new();
    };
    // A required value that may be null begins as null.
    let (optional, mut required): (Vec<_>, Vec<_>) =
        fields.named.iter().partition(|field| is_defaulted(field) || is_option(field));
    let order: Vec<_> = items(document.pointer(&format!("/components/schemas/{name}/required")))
        .filter_map(Value::as_str)
        .filter_map(names::field_name)
        .collect();
    required.sort_by_key(|field| {
        let name = field.ident.as_ref().map(ToString::to_string).unwrap_or_default();
        order.iter().position(|required| required == name.trim_end_matches('_'))
    });
    let names: Vec<_> = required.iter().map(|field| &field.ident).collect();
    let kinds: Vec<_> = required.iter().map(|field| &field.ty).collect();
    let defaults: Vec<_> = optional.iter().map(|field| &field.ident).collect();
    let doc = if required.is_empty() {
        "An empty value, to be filled in."
    } else {
        "A value with what is required, and nothing else."
    };
    quote! {
        impl #name {
            #[doc = #doc]
            #[must_use]
            pub fn new(#(#names: impl Into<#kinds>),*) -> Self {
                Self {
                    #(#names: #names.into(),)*
                    #(#defaults: Default::default(),)*
                }
            }
        }
    }
}

/// Removes the JSON schema that progenitor appends to each description.
fn shorten_doc(attribute: &mut Attribute) {
    let Meta::NameValue(pair) = &mut attribute.meta else {
        return;
    };
    if !pair.path.is_ident("doc") {
        return;
    }
    if let syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) = &mut pair.value {
        let value = text.value();
        let short = value.split("<details>").next().unwrap_or_default().trim_end();
        let short =
            short.strip_prefix('`').filter(|rest| rest.ends_with('`') && !rest.contains(' ')).map_or(short, |_| "");
        *text = syn::LitStr::new(short, text.span());
    }
}

fn serde_attribute(attribute: &Attribute) -> Option<String> {
    attribute.path().is_ident("serde").then(|| attribute.meta.to_token_stream().to_string())
}

/// Returns `true` if the field may be missing. Progenitor marks each such field as one that is not sent when it is
/// empty.
fn is_defaulted(field: &Field) -> bool {
    field
        .attrs
        .iter()
        .filter_map(serde_attribute)
        .any(|text| text.contains("skip_serializing_if") || text.contains("flatten"))
}

/// Returns `true` for the field that holds all properties without one of their own.
fn is_flattened(field: &Field) -> bool {
    field.attrs.iter().filter_map(serde_attribute).any(|text| text.contains("flatten"))
}

/// Returns the last name in a type: `Run` of `Option<crate::types::Run>`.
fn type_name(field: &Field) -> String {
    let kind = field.ty.to_token_stream().to_string();
    kind.rsplit(|letter: char| !letter.is_alphanumeric()).find(|name| !name.is_empty()).unwrap_or_default().to_owned()
}

fn description(document: &Value, schema: &str) -> String {
    let schema = match schema {
        "Secret" => "WebhookSecret",
        name => name,
    };
    named_schema(document, schema).and_then(|schema| text(schema, "description")).unwrap_or("See its type.").to_owned()
}

fn is_option(field: &Field) -> bool {
    option_of(&field.ty).is_some()
}
