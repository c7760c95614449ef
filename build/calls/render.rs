//! Writes the method and the type of a call.

use std::collections::BTreeSet;

use heck::{ToPascalCase, ToShoutySnakeCase};
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

use super::endpoint::{Endpoint, Input, Origin, clearing};
use super::values::argument;
use crate::build::contract::{deprecation_reason, items, resolve, text};
use crate::build::emit::deprecation;
use crate::build::kinds::Kind;
use crate::build::names::snake_case;
use crate::build::schema_types::Mapping;

/// The lines around a code sample, so that it compiles.
const SAMPLE_BEGIN: &str = "# async fn example(client: agentgate::Client) -> agentgate::Result<()> {";
const SAMPLE_END: &str = "# Ok(())\n# }";

impl Endpoint<'_> {
    /// Writes the methods of the resource: the one that takes the required values, and the one that takes the body.
    pub fn method_tokens(&self) -> TokenStream {
        let Self { name, method, .. } = self;
        let method = format_ident!("{method}");
        let doc = self.doc();
        let deprecated = deprecation(deprecation_reason(self.operation.value));
        let required: Vec<_> = self.inputs.iter().filter(|input| input.is_required).collect();
        let (of_body, parameters): (Vec<&Input>, Vec<&Input>) =
            required.iter().copied().partition(|input| matches!(input.origin, Origin::Property(_)));
        let declared = |input: &&Input| {
            let (name, kind) = (format_ident!("{}", input.name), input.kind.inner().accepted());
            quote! { #name: #kind }
        };
        let value = |input: &&Input| input.kind.inner().converted(&format_ident!("{}", input.name));
        let fields: Vec<_> = self
            .fields()
            .into_iter()
            .map(|(field, _)| match parameters.iter().find(|input| input.field == field) {
                Some(input) => {
                    let value = value(input);
                    quote! { #field: #value }
                }
                None if field == "body" => quote! { body: body.into() },
                None => quote! { #field: ::std::option::Option::None },
            })
            .collect();
        let arguments: Vec<_> = required.iter().map(declared).collect();
        let Some(body) = self.body.as_ref().map(Kind::tokens) else {
            return quote! {
                #[doc = #doc]
                #deprecated
                pub fn #method(&self, #(#arguments),*) -> Call<#name> {
                    Call::new(&self.client, #name { #(#fields),* })
                }
            };
        };
        let whole_doc = format!("The same as [`{method}`](Self::{method}), with the whole body at once.");
        let whole_method = format_ident!("{}", self.whole_method());
        let (of_body, declared) = (of_body.iter().map(value), parameters.iter().map(declared));
        let passed = parameters.iter().map(|input| format_ident!("{}", input.name));
        quote! {
            #[doc = #doc]
            #deprecated
            pub fn #method(&self, #(#arguments),*) -> Call<#name> {
                self.#whole_method(#(#passed,)* <#body>::new(#(#of_body),*))
            }

            #[doc = #whole_doc]
            #deprecated
            pub fn #whole_method(&self, #(#declared,)* body: impl Into<#body>) -> Call<#name> {
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
        let scope = text(value, "x-required-scope");
        let scope = scope.map(|scope| format!(" The API key needs the scope `{scope}`.")).unwrap_or_default();
        parts.push(format!("Sends `{method} {path}`.{scope}"));
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
        let fields = self.fields();
        let shown = fields
            .iter()
            .map(|(field, _)| quote! { .field(stringify!(#field), &crate::types::Redacted(&self.#field)) });
        let fields = fields.iter().map(|(field, kind)| {
            let (doc, kind) = (self.doc_of_field(field), kind.tokens());
            quote! { #[doc = #doc] pub #field: #kind }
        });
        let operation = format_ident!("{}", self.id.to_shouty_snake_case());
        let (output, convert) = self.output();
        let function_name = &function.sig.ident;
        let arguments = function.sig.inputs.iter().filter_map(|it| argument(self, it));
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
            #[non_exhaustive]
            pub struct #name { #(#fields),* }

            impl Endpoint for #name {
                const OPERATION: crate::Operation = crate::Operation::#operation;
                type Output = #output;

                fn check(&self) -> crate::Result<()> {
                    #(#checks)*
                    Ok(())
                }

                fn request(&self, api: &crate::endpoints::Client) -> crate::Result<::reqwest::Request> {
                    built(api.#function_name(#(#arguments),*))
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

            impl ::std::fmt::Debug for #name {
                fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                    f.debug_struct(#debug_name) #(#shown)* .finish()
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
            let in_path = self.in_path().map(|input| &input.field);
            return Some(quote! {
                async fn resolve(#signature) -> crate::Result<crate::Response<#output>> {
                    Self::resolved(call, result, sent #(, &call.endpoint.#in_path)*).await
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
    fn checks(&self) -> impl Iterator<Item = TokenStream> {
        self.in_path().filter_map(|input| {
            let Input { field, kind, origin, .. } = input;
            let Origin::Parameter(parameter) = origin else { return None };
            let name = match kind {
                Kind::Named(name) if matches!(self.context.mappings.get(name), Some(Mapping::Id)) => snake_case(name)?,
                Kind::Text | Kind::Named(_) => snake_case(parameter)?,
                _ => return None,
            };
            let name = name.replace('_', " ");
            Some(quote! { check_segment(#name, self.#field.as_str())?; })
        })
    }

    fn doc_of_field(&self, field: &Ident) -> String {
        let mut parameters = self.inputs.iter().filter(|input| matches!(input.origin, Origin::Parameter(_)));
        if let Some(input) = parameters.find(|input| input.field == *field) {
            return input.description.clone();
        }
        let body = self.operation.value.get("requestBody").map(|body| resolve(self.context.document, body));
        body.and_then(|body| text(body, "description")).unwrap_or("The body.").trim_end().to_owned()
    }
}

/// Writes the method that sets an optional value, and the one that clears it if it can be `null`.
fn setter(input: &Input) -> TokenStream {
    let (name, field) = (format_ident!("{}", input.name), input.path());
    let kind = if input.can_be_cleared { input.kind.inner().inner() } else { input.kind.inner() };
    let value = kind.converted(&name);
    let value = match input.kind.option() {
        Some(_) if input.can_be_cleared => quote! { Some(Some(#value)) },
        Some(_) => quote! { Some(#value) },
        None => value,
    };
    let kind = kind.accepted();
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
