//! The public surface of the generated code as sorted lines: every name, signature, derive, variant and constant.
//!
//! A line that is gone breaks users, and a line that came is an addition. `cargo xtask contract-diff` includes this
//! file, and compares two surfaces.

use std::collections::BTreeMap;

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::punctuated::Punctuated;
use syn::{Attribute, File, ImplItem, Item, ItemImpl, ItemMacro, ItemStruct, Path, ReturnType, Token, Visibility};

use crate::build::error::SpecError;
use crate::build::public_code;

/// The lines, each with the name that it is about.
pub(crate) type Lines = BTreeMap<String, String>;

/// Returns the surface of the code that is generated from the text of a contract.
pub(crate) fn lines(contract: &str) -> Result<Lines, SpecError> {
    let mut surface = Surface::default();
    for file in public_code(contract)? {
        surface.names_of_calls(&file);
        file.items.iter().for_each(|item| surface.item(item));
    }
    Ok(surface.lines)
}

#[derive(Default)]
struct Surface {
    lines: Lines,
    /// `client.runs().list()` by `Call<ListRuns>`, and `client.runs()` by `Runs`.
    names: BTreeMap<String, String>,
}

impl Surface {
    fn add(&mut self, name: &str, detail: &str) {
        self.lines.insert(format!("{name}{detail}"), name.to_owned());
    }

    /// Finds out how users write a handle and a call.
    fn names_of_calls(&mut self, file: &File) {
        self.names.insert("Client".to_owned(), "client".to_owned());
        // The methods of the client that return handles come first.
        for of_client in [true, false] {
            for block in
                file.items.iter().filter_map(|item| if let Item::Impl(block) = item { Some(block) } else { None })
            {
                let of = shown(&block.self_ty);
                let Some(owner) = self.names.get(&of).filter(|_| (of == "Client") == of_client).cloned() else {
                    continue;
                };
                for function in functions(block) {
                    if let ReturnType::Type(_, returned) = &function.sig.output {
                        let name = format!("{owner}.{}()", function.sig.ident);
                        self.names.entry(shown(returned)).or_insert(name);
                    }
                }
            }
        }
    }

    fn item(&mut self, item: &Item) {
        match item {
            Item::Struct(item) if is_public(&item.vis) => self.structure(item),
            Item::Impl(block) if block.trait_.is_some() => self.implementation(block),
            Item::Impl(block) => self.methods(block),
            Item::Macro(item) => self.macro_call(item),
            Item::Const(item) if item.ident == "BASE_URL" => {
                self.add("ClientBuilder::base_url", &format!(" defaults to {}", item.expr.to_token_stream()));
            }
            _ => {}
        }
    }

    fn structure(&mut self, item: &ItemStruct) {
        let name = item.ident.to_string();
        self.add(&name, "");
        self.derives(&name, &item.attrs);
        for field in item.fields.iter().filter(|field| is_public(&field.vis)) {
            let ident = field.ident.as_ref().map(ToString::to_string).unwrap_or_default();
            self.add(&format!("{name}.{ident}"), &format!(": {}", shown(&field.ty)));
        }
    }

    fn derives(&mut self, name: &str, attributes: &[Attribute]) {
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("derive")) {
            let derived = attribute.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated);
            for path in derived.into_iter().flatten() {
                let trait_name = path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default();
                self.add(name, &format!(": {trait_name}"));
            }
        }
    }

    /// A trait that a type implements, with its associated types and constants.
    fn implementation(&mut self, block: &ItemImpl) {
        let Some((path, _)) = &block.trait_ else { return };
        let (name, trait_name) = (shown(&block.self_ty), shown(path));
        let own = block.items.iter().filter_map(|item| match item {
            ImplItem::Type(own) => Some(format!("{} = {}", own.ident, shown(&own.ty))),
            ImplItem::Const(own) if own.ident == "OPERATION" => Some(format!("{} = {}", own.ident, shown(&own.expr))),
            _ => None,
        });
        let own: Vec<_> = own.collect();
        let own = if own.is_empty() { String::new() } else { format!("<{}>", own.join(", ")) };
        self.add(&name, &format!(": {trait_name}{own}"));
        // Fields whose values `Debug` does not show.
        let body = shown(block);
        for hidden in body.split("without_values(self.").skip(1) {
            let field = hidden.split('.').next().unwrap_or_default();
            self.add(&name, &format!(": {trait_name} hides {field}"));
        }
    }

    fn methods(&mut self, block: &ItemImpl) {
        let of = shown(&block.self_ty);
        let name = self.names.get(&of).cloned();
        for item in &block.items {
            match item {
                ImplItem::Const(item) if is_public(&item.vis) => {
                    let name = format!("{of}::{}", item.ident);
                    self.add(&name, "");
                    self.constant(&name, &item.expr);
                }
                ImplItem::Fn(function) if is_public(&function.vis) => {
                    let signature = &function.sig;
                    let arguments = signature.inputs.iter().filter(|input| matches!(input, syn::FnArg::Typed(_)));
                    let arguments: Vec<_> = arguments.map(shown).collect();
                    let returned = shown(&signature.output);
                    let (separator, owner) = match &name {
                        Some(name) => (".", name),
                        None if signature.receiver().is_some() => (".", &of),
                        None => ("::", &of),
                    };
                    let name = format!("{owner}{separator}{}", signature.ident);
                    self.add(&name, &format!("({}) {returned}", arguments.join(", ")));
                    if signature.ident == "is_terminal" {
                        for variant in shown(&function.block).split("Self::").skip(1) {
                            let variant: String = variant.chars().take_while(|it| it.is_alphanumeric()).collect();
                            self.add(&format!("{of}::{variant}"), " is terminal");
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// The facts of an operation that its methods return.
    fn constant(&mut self, name: &str, value: &syn::Expr) {
        let syn::Expr::Struct(value) = value else { return };
        for field in &value.fields {
            let member = shown(&field.member);
            if ["id", "method", "path", "scope", "idempotent"].contains(&member.as_str()) {
                self.add(name, &format!(": {member} = {}", field.expr.to_token_stream()));
            }
        }
    }

    /// A call of `id!`, `open_enum!`, `open_union!` or `event_data!`: attributes, the name, and the variants.
    fn macro_call(&mut self, item: &ItemMacro) {
        let kind = shown(&item.mac.path);
        let mut details = Vec::new();
        let mut attributes = item.mac.tokens.clone().into_iter().peekable();
        let mut name = if kind == "event_data" { "EventData".to_owned() } else { String::new() };
        while let Some(token) = attributes.next() {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == '#' => {
                    if let Some(TokenTree::Group(group)) = attributes.next() {
                        let text = shown(&group.stream());
                        let derived = text.strip_prefix("derive(").map(|text| text.trim_end_matches([')', ',']));
                        let derived = derived.into_iter().flat_map(|text| text.split(", ")).filter(|it| !it.is_empty());
                        details.extend(derived.map(|it| format!(": {it}")));
                    }
                }
                TokenTree::Ident(ident) if name.is_empty() => name = ident.to_string(),
                TokenTree::Literal(tag) => details.push(format!(": tag {tag}")),
                TokenTree::Group(group) => {
                    self.variants(&name, &group.stream());
                    // What follows in `event_data!` is about the same variants.
                    break;
                }
                _ => {}
            }
        }
        self.add(&name, &format!(": {kind}"));
        for detail in details {
            self.add(&name, &detail);
        }
    }

    /// The variants of an enum: what each holds, and the words that it stands for.
    fn variants(&mut self, name: &str, tokens: &TokenStream) {
        let mut tokens = tokens.clone().into_iter();
        let (mut variant, mut held) = (String::new(), String::new());
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == '#' => drop(tokens.next()),
                TokenTree::Punct(punct) if punct.as_char() == ',' => variant.clear(),
                TokenTree::Punct(_) => {}
                TokenTree::Group(group) => {
                    held = group.to_string();
                    self.add(&format!("{name}::{variant}"), &held);
                }
                token if variant.is_empty() => {
                    variant = format!("{token}");
                    held.clear();
                }
                token => self.add(&format!("{name}::{variant}"), &format!("{held} = {token}")),
            }
        }
    }
}

fn functions(block: &ItemImpl) -> impl Iterator<Item = &syn::ImplItemFn> {
    block.items.iter().filter_map(|item| if let ImplItem::Fn(function) = item { Some(function) } else { None })
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// Returns tokens as users read them: without needless spaces, and without the paths of well-known types.
fn shown(tokens: &impl ToTokens) -> String {
    let mut text = tokens.to_token_stream().to_string().replace(":: ", "::").replace(" ::", "::");
    for path in [
        "::std::string::", "::std::option::", "::std::vec::", "::std::collections::", "::std::boxed::", "::std::fmt::",
        "::std::slice::", "::chrono::offset::", "::chrono::", "::serde_json::", "crate::types::", "crate::secret::",
        "crate::",
    ] {
        text = text.replace(path, "");
    }
    for (spaced, plain) in [
        (" :", ":"),
        (":", ": "),
        (": : ", "::"),
        (":  ", ": "),
        (" <", "<"),
        ("< ", "<"),
        (" >", ">"),
        ("& ", "&"),
        (" ,", ","),
        (",", ", "),
        (",  ", ", "),
        (", >", ">"),
        (" (", "("),
        ("( ", "("),
        (" )", ")"),
        (" .", "."),
        (". ", "."),
    ] {
        text = text.replace(spaced, plain);
    }
    text
}
