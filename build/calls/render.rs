//! Writes the method and the type of a call.

use std::collections::BTreeSet;

use heck::{ToPascalCase, ToShoutySnakeCase};
use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use super::endpoint::{Endpoint, Input, clearing};
use super::values::{accepted, argument, compact, converted, inner, option_of};
use crate::build::contract::{deprecation_reason, items, resolve, text};
use crate::build::emit::deprecation;
use crate::build::names::{snake_case, without_keyword};
use crate::build::schema_types::Mapping;

/// The lines around a code sample, so that it compiles.
const SAMPLE_BEGIN: &str = "# async fn example(client: agentgate::Client) -> agentgate::Result<()> {";
const SAMPLE_END: &str = "# Ok(())\n# }";

impl Endpoint<'_> {
    /// Writes the method of the resource.
    pub fn method_tokens(&self) -> TokenStream {
        let Self { name, method, .. } = self;
        let method = format_ident!("{method}");
        let doc = self.doc();
        let required: Vec<_> = self.inputs.iter().filter(|input| input.is_required).collect();
        let arguments = required.iter().map(|input| {
            let (name, kind) = (format_ident!("{}", input.name), accepted(inner(&input.kind)));
            quote! { #name: #kind }
        });
        let value = |input: &&Input| converted(inner(&input.kind), &format_ident!("{}", input.name));
        let of_body: Vec<_> =
            required.iter().filter(|input| input.field.to_string().starts_with("body .")).map(value).collect();
        let fields = self.fields.iter().map(|(field, _)| {
            let given = required.iter().find(|input| *field == input.field.to_string());
            match (given, &self.body) {
                (Some(input), _) => {
                    let value = value(input);
                    quote! { #field: #value }
                }
                (None, Some(kind)) if field == "body" => quote! { body: <#kind>::new(#(#of_body),*) },
                (None, _) => quote! { #field: ::std::option::Option::None },
            }
        });
        let deprecated = deprecation(deprecation_reason(self.operation.value));
        quote! {
            #[doc = #doc]
            #deprecated
            pub fn #method(&self, #(#arguments),*) -> Call<#name> {
                Call::new(&self.client, #name { #(#fields),* })
            }
        }
    }

    fn doc(&self) -> String {
        let value = self.operation.value;
        let description = text(value, "description").unwrap_or_default().trim_end();
        let mut parts = vec![description.to_owned()];
        let optional: BTreeSet<_> = self
            .inputs
            .iter()
            .filter(|input| !input.is_required)
            .map(|input| input.name.clone())
            .chain(self.clearings())
            .chain(self.context.handwritten.setters(&self.name.to_string()))
            .map(|name| format!("`{name}`"))
            .collect();
        if !optional.is_empty() {
            let optional = optional.into_iter().collect::<Vec<_>>().join(", ");
            parts.push(format!("Optional: {optional}, and what [every call](Call) has."));
        }
        // Rust has no deprecated arguments.
        for input in self.inputs.iter().filter(|input| input.is_required) {
            parts.extend(input.deprecated.as_ref().map(|reason| format!("Deprecated: `{}`. {reason}", input.name)));
        }
        let (method, path) = (self.operation.method.to_uppercase(), self.operation.path);
        let scope = text(value, "x-required-scope").unwrap_or_default();
        parts.push(format!("Sends `{method} {path}`. The API key needs the scope `{scope}`."));
        for sample in items(value.get("x-codeSamples")).filter(|sample| text(sample, "lang") == Some("Rust")) {
            let source = text(sample, "source").unwrap_or_default().trim_end();
            parts.push(format!("```no_run\n{SAMPLE_BEGIN}\n{source}\n{SAMPLE_END}\n```"));
        }
        parts.join("\n\n")
    }

    /// Writes the endpoint, its setters and its traits.
    pub fn tokens(&self) -> TokenStream {
        let Self { name, function, .. } = self;
        let doc = format!("The parameters of [`{0}::{1}`]({0}::{1}).", self.resource.to_pascal_case(), self.method);
        let fields = self.fields.iter().map(|(field, kind)| quote! { pub(crate) #field: #kind });
        let operation = format_ident!("{}", self.id.to_shouty_snake_case());
        let (output, convert) = self.output();
        let function_name = &function.sig.ident;
        let arguments = function.sig.inputs.iter().filter_map(argument);
        let checks = self.checks();
        let read = match self.response_schema() {
            None => quote! { read_empty },
            Some(_) if self.may_be_empty() => quote! { read_optional },
            Some(_) => quote! { read },
        };
        let mut setters =
            self.inputs.iter().filter(|input| !input.is_required && !input.is_hand_written).map(setter).peekable();
        let setters = setters.peek().is_some().then(|| quote! { impl Call<#name> { #(#setters)* } });
        let prepare = self.context.handwritten.has_function(&name.to_string(), "prepared").then(|| {
            quote! { fn prepare(call: &mut Call<Self>) { Self::prepared(call); } }
        });
        let resolve = self.resolve(&output);
        let not_idempotent = (!self.operation.is_idempotent()).then(|| quote! { impl NotIdempotent for #name {} });
        let debug_name = name.to_string();
        quote! {
            #[doc = #doc]
            #[derive(Clone)]
            pub struct #name { #(#fields),* }

            impl Endpoint for #name {
                const OPERATION: crate::Operation = crate::Operation::#operation;
                type Output = #output;

                fn check(&self) -> crate::Result<()> {
                    #(#checks)*
                    Ok(())
                }

                fn request(&self, api: &crate::endpoints::Client) -> crate::Result<::reqwest::Request> {
                    crate::endpoints::built(api.#function_name(#(#arguments),*))
                }

                fn read(
                    execution: &Execution,
                    response: crate::Response<()>,
                ) -> crate::Result<crate::Response<#output>> {
                    execution.#read(response) #convert
                }

                #prepare
                #resolve
            }

            #setters

            /// Shows the name alone, and none of the content.
            impl ::std::fmt::Debug for #name {
                fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                    f.debug_struct(#debug_name).finish_non_exhaustive()
                }
            }

            #not_idempotent
        }
    }

    fn resolve(&self, output: &TokenStream) -> Option<TokenStream> {
        let signature = quote! {
            call: &Call<Self>,
            result: crate::Result<crate::Response<#output>>,
            sent: &Execution,
        };
        if self.context.handwritten.has_function(&self.name.to_string(), "resolved") {
            return Some(quote! {
                async fn resolve(#signature) -> crate::Result<crate::Response<#output>> {
                    Self::resolved(call, result, sent).await
                }
            });
        }
        let is_deletion = self.operation.method == "delete" && output.to_string() == "()";
        is_deletion.then(|| {
            quote! {
                async fn resolve(#signature) -> crate::Result<crate::Response<#output>> {
                    deleted(result)
                }
            }
        })
    }

    /// Returns the type of a successful response, and the conversion from the type that is read.
    fn output(&self) -> (TokenStream, Option<TokenStream>) {
        match self.response_schema().map(|schema| (schema, self.context.mappings.get(schema))) {
            None => (quote! { () }, None),
            Some((_, Some(Mapping::List { item }))) => {
                let item = format_ident!("{item}");
                let output = quote! { ::std::vec::Vec<crate::types::#item> };
                let convert = quote! {
                    .map(|response: crate::Response<crate::types::List<crate::types::#item>>| response.map(::std::convert::Into::into))
                };
                (output, Some(convert))
            }
            Some((schema, _)) => {
                let schema = format_ident!("{schema}");
                let mut output = quote! { crate::types::#schema };
                if self.may_be_empty() {
                    output = quote! { ::std::option::Option<#output> };
                }
                (output, None)
            }
        }
    }

    /// Writes the checks of the values in the path.
    fn checks(&self) -> Vec<TokenStream> {
        let parameters = self.operation.parameters().filter_map(|(parameter, _)| {
            let parameter = resolve(self.context.document, parameter);
            (text(parameter, "in") == Some("path")).then(|| snake_case(text(parameter, "name")?))?
        });
        parameters
            .filter_map(|name| {
                let (field, kind) =
                    self.fields.iter().find(|(field, _)| without_keyword(&field.to_string()) == name)?;
                let kind = compact(kind);
                let of_type = kind.strip_prefix("crate::types::");
                let is_id = of_type.is_some_and(|name| matches!(self.context.mappings.get(name), Some(Mapping::Id)));
                let name = of_type.filter(|_| is_id).and_then(snake_case).unwrap_or(name).replace('_', " ");
                let is_text = kind.ends_with("::String");
                (is_text || of_type.is_some_and(|name| self.context.mappings.contains_key(name)))
                    .then(|| quote! { check_segment(#name, self.#field.as_str())?; })
            })
            .collect()
    }
}

/// Writes the method that sets an optional value, and the one that clears it if it can be `null`.
fn setter(input: &Input) -> TokenStream {
    let (name, field) = (format_ident!("{}", input.name), &input.field);
    let kind = if input.can_be_cleared { inner(inner(&input.kind)) } else { inner(&input.kind) };
    let value = converted(kind, &name);
    let value = match option_of(&input.kind) {
        Some(_) if input.can_be_cleared => quote! { Some(Some(#value)) },
        Some(_) => quote! { Some(#value) },
        None => value,
    };
    let kind = accepted(kind);
    let doc = &input.description;
    let deprecated = deprecation(input.deprecated.as_deref());
    let clear = input.can_be_cleared.then(|| {
        let clear = format_ident!("{}", clearing(&input.name));
        let doc = format!("Clears [`{name}`](Self::{name}), which is sent as `null`.");
        quote! {
            #[doc = #doc]
            #deprecated
            pub fn #clear(mut self) -> Self {
                self.endpoint.#field = Some(None);
                self
            }
        }
    });
    quote! {
        #[doc = #doc]
        #deprecated
        pub fn #name(mut self, #name: #kind) -> Self {
            self.endpoint.#field = #value;
            self
        }
        #clear
    }
}
