//! Writes the public calls: a handle for each resource, a method for each operation, and the setters of what is optional.
//!
//! They stand between users and the functions that progenitor writes. Arguments are passed to those by name, as the
//! functions themselves declare them, so that a new parameter never takes the place of another.

use std::collections::{BTreeMap, BTreeSet};

use heck::{ToPascalCase, ToShoutySnakeCase, ToSnakeCase};
use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote};
use serde_json::Value;
use syn::{File, FnArg, ImplItem, ImplItemFn, Item, ItemStruct, Type, parse_quote};

use super::contract::{
    Operation, can_be_null, component, deprecation_reason, entries, items, lookup, operations, reference, resolve,
    success_bodies, successes, text,
};
use super::emit::deprecation;
use super::error::{SpecError, fail};
use super::mapping::{Mapping, Mappings};
use super::names::{field_name, reserved_types, snake_case, without_keyword};
use super::refinements::Refinements;

/// Names of the module that the calls are a part of.
const RESERVED: [&str; 11] = [
    "Call",
    "CallFuture",
    "Endpoint",
    "Execution",
    "Items",
    "ListEndpoint",
    "Listed",
    "NotIdempotent",
    "Page",
    "Pages",
    "RawRequest",
];

/// Methods that every handle has.
const METHODS_OF_HANDLES: [&str; 2] = ["clone", "client"];

/// The source of the public calls.
pub fn calls(context: &Context<'_>) -> Result<File, SpecError> {
    let mut resources = BTreeMap::<String, Vec<Method>>::new();
    let mut tokens = TokenStream::new();
    let (mut pages, mut listed) = (BTreeSet::new(), BTreeSet::new());
    for operation in operations(context.document) {
        let endpoint = Endpoint::new(context, operation)?;
        tokens.extend(endpoint.tokens(&mut pages, &mut listed));
        let methods = resources.entry(endpoint.resource.clone()).or_default();
        if let Some(other) = methods.iter().find(|method| method.name == endpoint.method) {
            let problem = format!(
                "`{}` and `{}` would both be the method `{}`; give one another name with `x-rust-name`",
                other.operation, endpoint.id, endpoint.method
            );
            return fail(&endpoint.operation.place, problem);
        }
        methods.push(Method { name: endpoint.method.clone(), operation: endpoint.id.clone(), tokens: endpoint.call() });
    }
    let reserved = reserved_types()?;
    for (tag, methods) in resources {
        check_resource(context, &reserved, &tag)?;
        tokens.extend(handle(context.document, &tag, &methods));
    }
    syn::parse2(tokens).map_err(|error| SpecError::at("paths", format!("the calls are not Rust: {error}")))
}

/// Refuses a resource whose handle, or whose method of the client, has a name that is taken.
fn check_resource(context: &Context<'_>, reserved: &BTreeSet<String>, tag: &str) -> Result<(), SpecError> {
    let (handle, accessor) = (tag.to_pascal_case(), tag.to_snake_case());
    let is_reserved = RESERVED.contains(&handle.as_str()) || reserved.contains(&handle);
    let is_method = context.refinements.has_function("Client", &accessor) || METHODS_OF_HANDLES.contains(&&*accessor);
    if is_reserved || is_method || !is_identifier(&accessor) {
        let problem = format!(
            "`{tag}` would be `{handle}` and `client.{accessor}()`, which is taken or is not Rust; choose another tag"
        );
        return fail(format!("tags.{tag}"), problem);
    }
    Ok(())
}

/// The lines around a code sample, so that it compiles.
const SAMPLE_BEGIN: &str = "# async fn example(client: agentgate::Client) -> agentgate::Result<()> {";
const SAMPLE_END: &str = "# Ok(())\n# }";

/// The contract, and what was generated from it so far.
pub struct Context<'a> {
    pub document: &'a Value,
    pub mappings: &'a Mappings,
    /// Progenitor's functions.
    pub endpoints: &'a File,
    /// The finished types.
    pub types: &'a File,
    pub refinements: Refinements,
}

/// A method of a resource.
struct Method {
    name: String,
    operation: String,
    tokens: TokenStream,
}

/// A value that users give: an argument or a setter.
pub struct Input {
    pub name: String,
    description: String,
    pub is_required: bool,
    /// The type of the field that it is kept in.
    pub kind: Type,
    /// The field, as a path from the endpoint: `limit`, or `body.enabled`.
    field: TokenStream,
    /// The contract says that the crate writes this setter by hand.
    pub is_hand_written: bool,
    /// `true` if it can be sent as `null`, and also be left out.
    pub can_be_cleared: bool,
    /// Why it is deprecated, if it is.
    deprecated: Option<String>,
    pub place: String,
    pub origin: Origin,
}

/// The part of the contract that a value comes from.
pub enum Origin {
    /// The parameter of this name, as the contract writes it.
    Parameter(String),
    /// The property of the body of this name.
    Property(String),
    Body,
}

/// An operation on its way to Rust.
pub struct Endpoint<'a> {
    context: &'a Context<'a>,
    pub operation: Operation<'a>,
    pub id: String,
    name: Ident,
    function: &'a ImplItemFn,
    pub resource: String,
    pub method: String,
    /// The fields of the endpoint: progenitor's arguments, in its order.
    fields: Vec<(Ident, Type)>,
    pub inputs: Vec<Input>,
    /// The type of the body, if it is an object that is built from arguments.
    body: Option<Type>,
    page: Option<PageOf<'a>>,
}

/// A page of a list.
struct PageOf<'a> {
    /// The schema of the page, and its property that holds the items.
    name: &'a str,
    property: &'a str,
    /// The schema of an item.
    item: &'a str,
    /// The most items that a page can have.
    largest: u32,
}

impl<'a> Endpoint<'a> {
    pub fn new(context: &'a Context<'a>, operation: Operation<'a>) -> Result<Self, SpecError> {
        let id = text(operation.value, "operationId").unwrap_or_default().to_owned();
        let name = id.to_pascal_case();
        let tags: Vec<_> = items(operation.value.get("tags")).filter_map(Value::as_str).collect();
        let [tag] = tags[..] else {
            return fail(format!("{}.tags", operation.place), "one tag is needed: the resource that has the call");
        };
        if RESERVED.contains(&name.as_str()) || handle_names(context.document).contains(&name) {
            let problem = format!("`{name}` is a name of this crate; choose another operationId");
            return fail(format!("{}.operationId", operation.place), problem);
        }
        let wanted = id.to_snake_case();
        let function = context
            .endpoints
            .items
            .iter()
            .filter_map(|item| if let Item::Impl(block) = item { Some(&block.items) } else { None })
            .flatten()
            .find_map(|item| match item {
                ImplItem::Fn(function) if without_keyword(&function.sig.ident.to_string()) == wanted => Some(function),
                _ => None,
            });
        let Some(function) = function else {
            return fail(&operation.place, "progenitor wrote no function for this operation");
        };
        let fields = function.sig.inputs.iter().filter_map(field).collect();
        let method = match text(operation.value, "x-rust-name") {
            Some(name) => name.to_owned(),
            None => method_name(&id, tag),
        };
        if !is_identifier(&method) {
            let problem = format!("`{method}` is not a valid method name; write `x-rust-name` in snake_case");
            return fail(&operation.place, problem);
        }
        let resource = tag.to_owned();
        let is_taken = METHODS_OF_HANDLES.contains(&&*method);
        if is_taken || context.refinements.has_method(&resource.to_pascal_case(), &method) {
            let problem = format!(
                "`{method}` is a method that the crate writes by hand; give the operation another with `x-rust-name`"
            );
            return fail(&operation.place, problem);
        }
        let name = format_ident!("{name}");
        let mut endpoint = Self {
            context,
            operation,
            id,
            name,
            function,
            resource,
            method,
            fields,
            inputs: Vec::new(),
            body: None,
            page: None,
        };
        endpoint.check_output()?;
        endpoint.page = endpoint.page()?;
        endpoint.read_parameters()?;
        endpoint.read_body()?;
        endpoint.check_inputs()?;
        Ok(endpoint)
    }

    /// A list without a body could not be told from an empty one.
    fn check_output(&self) -> Result<(), SpecError> {
        let mapping = self.response_schema().and_then(|schema| self.context.mappings.get(schema));
        let is_list = matches!(mapping, Some(Mapping::List { .. }))
            || ["limit", "offset"].iter().all(|name| self.fields.iter().any(|(field, _)| field == name));
        let is_read = self.context.refinements.has_function(&self.name.to_string(), "resolved");
        let problem = match (self.may_be_empty(), is_list, is_read) {
            (true, true, _) => "a list needs its body in each 2xx response; add it to the others",
            (true, _, true) => "src/resources reads the body of each 2xx response; add it to the others",
            _ => return Ok(()),
        };
        fail(format!("{}.responses", self.operation.place), problem)
    }

    fn read_parameters(&mut self) -> Result<(), SpecError> {
        for (parameter, place) in self.operation.parameters() {
            let parameter = resolve(self.context.document, parameter);
            let name = snake_case(text(parameter, "name").unwrap_or_default()).unwrap_or_default();
            let found = self.fields.iter().find(|(field, _)| without_keyword(&field.to_string()) == name);
            let Some((field, kind)) = found else {
                return fail(place, format!("progenitor made no argument of the parameter `{name}`"));
            };
            self.inputs.push(Input {
                name: setter_name(parameter, &name),
                description: described(parameter, parameter.get("schema"), self.context.document),
                is_required: parameter.get("required") == Some(&Value::Bool(true)),
                kind: kind.clone(),
                field: field.to_token_stream(),
                is_hand_written: false,
                can_be_cleared: false,
                deprecated: deprecation_reason(parameter).map(str::to_owned),
                place,
                origin: Origin::Parameter(text(parameter, "name").unwrap_or_default().to_owned()),
            });
        }
        // In the order of the path, whatever the order of their declarations.
        let path = self.operation.path;
        self.inputs.sort_by_key(|input| {
            let place = match &input.origin {
                Origin::Parameter(name) => path.find(&format!("{{{name}}}")),
                _ => None,
            };
            (!input.is_required, place.is_none(), place)
        });
        Ok(())
    }

    /// The properties of the body: what is required becomes arguments.
    fn read_body(&mut self) -> Result<(), SpecError> {
        let document = self.context.document;
        let Some(body) = self.operation.value.get("requestBody").map(|body| resolve(document, body)) else {
            return Ok(());
        };
        let place = format!("{}.requestBody", self.operation.place);
        let schema = entries(body.get("content")).find_map(|(_, content)| reference(content.get("schema")?));
        let name = component(schema.unwrap_or_default());
        let Some((_, kind)) = self.fields.iter().find(|(field, _)| field == "body") else {
            return fail(place, "progenitor made no argument of the body");
        };
        let item = self.context.types.items.iter().find_map(|item| match item {
            Item::Struct(item) if item.ident == name => Some(item),
            _ => None,
        });
        let Some(item) = item.filter(|_| matches!(self.context.mappings.get(name), Some(Mapping::Struct))) else {
            self.inputs.push(Input {
                name: "body".to_owned(),
                description: text(body, "description").unwrap_or_default().to_owned(),
                is_required: true,
                kind: kind.clone(),
                field: quote! { body },
                is_hand_written: false,
                can_be_cleared: false,
                deprecated: None,
                place,
                origin: Origin::Body,
            });
            return Ok(());
        };
        self.body = Some(kind.clone());
        let schema = lookup(document, &format!("#/components/schemas/{name}")).unwrap_or(&Value::Null);
        let required: Vec<_> = items(schema.get("required")).filter_map(Value::as_str).collect();
        let properties = entries(schema.get("properties")).map(|(property, _)| property.as_str());
        let optional = properties.filter(|property| !required.contains(property));
        for property in required.iter().copied().chain(optional) {
            let value = &schema["properties"][property];
            let field = field_name(property).unwrap_or_default();
            let Some((ident, kind)) = struct_field(item, &field) else {
                continue; // The tag of a union.
            };
            let place = format!("components.schemas.{name}.properties.{property}");
            // A required value that may be null is null unless it is set.
            let is_required = required.contains(&property) && option_of(&kind).is_none();
            let can_be_cleared = option_of(&kind).and_then(option_of).is_some();
            if can_be_null(value) && !required.contains(&property) && !can_be_cleared {
                let problem = format!(
                    "`null` can be sent in an object of requests alone, and responses hold `{name}` too; give the request \
                     an object of its own"
                );
                return fail(format!("{place}.nullable"), problem);
            }
            self.inputs.push(Input {
                name: setter_name(value, &field),
                description: described(value, Some(value), document),
                is_required,
                can_be_cleared,
                kind,
                field: quote! { body.#ident },
                is_hand_written: value.get("x-rust-setter") == Some(&Value::Bool(false)),
                deprecated: deprecation_reason(value).map(str::to_owned),
                place,
                origin: Origin::Property(property.to_owned()),
            });
        }
        Ok(())
    }

    fn check_inputs(&self) -> Result<(), SpecError> {
        let mut seen = BTreeSet::new();
        let clearings: BTreeSet<_> = self.clearings().collect();
        for input in &self.inputs {
            let name = &input.name;
            if !is_identifier(name) {
                return fail(
                    &input.place,
                    format!("`{name}` is not a valid method name; write `x-rust-name` in snake_case"),
                );
            }
            if clearings.contains(name) || !seen.insert(name.clone()) {
                let problem =
                    format!("`{name}` is declared twice in the call; give one another name with `x-rust-name`");
                return fail(&input.place, problem);
            }
            if input.is_required {
                continue;
            }
            if input.can_be_cleared && input.is_hand_written {
                let problem =
                    "`x-rust-setter: false`, and the method in src/resources sends no null; remove `nullable`";
                return fail(&input.place, problem);
            }
            if self.context.refinements.is_common(name) {
                let problem =
                    format!("every call has a method `{name}` already; give this another name with `x-rust-name`");
                return fail(&input.place, problem);
            }
            match (self.context.refinements.has_setter(&self.name.to_string(), name), input.is_hand_written) {
                (true, false) => {
                    let problem = format!(
                        "`{name}` is a method that the crate writes by hand; give this another name with `x-rust-name`, or say \
                         `x-rust-setter: false` if that method sets it"
                    );
                    return fail(&input.place, problem);
                }
                (false, true) => {
                    let problem =
                        format!("`x-rust-setter: false`, and src/resources has no method `{name}` that sets it");
                    return fail(&input.place, problem);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The names of the methods that clear a value.
    fn clearings(&self) -> impl Iterator<Item = String> {
        self.inputs.iter().filter(|input| input.can_be_cleared).map(|input| clearing(&input.name))
    }

    /// The method of the resource.
    fn call(&self) -> TokenStream {
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
            .chain(self.context.refinements.setters(&self.name.to_string()))
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

    /// The endpoint, its setters and what else is implemented for it.
    fn tokens(&self, pages: &mut BTreeSet<String>, listed: &mut BTreeSet<String>) -> TokenStream {
        let Self { name, function, .. } = self;
        let doc = format!("The parameters of [`{0}::{1}`]({0}::{1}).", self.resource.to_pascal_case(), self.method);
        let fields = self.fields.iter().map(|(field, kind)| quote! { pub(crate) #field: #kind });
        let operation = format_ident!("{}", self.id.to_shouty_snake_case());
        let (output, convert) = self.output();
        let function_name = &function.sig.ident;
        let arguments = function.sig.inputs.iter().filter_map(argument);
        let checks = self.checks();
        let finish = match self.response_schema() {
            None => quote! { finish_empty },
            Some(_) if self.may_be_empty() => quote! { finish_optional },
            Some(_) => quote! { finish },
        };
        let mut setters =
            self.inputs.iter().filter(|input| !input.is_required && !input.is_hand_written).map(setter).peekable();
        let setters = setters.peek().is_some().then(|| quote! { impl Call<#name> { #(#setters)* } });
        let prepare = self.context.refinements.has_function(&name.to_string(), "prepared").then(|| {
            quote! { fn prepare(call: &mut Call<Self>) { Self::prepared(call); } }
        });
        let resolve = self.resolve(&output);
        let not_idempotent = (!self.operation.is_idempotent()).then(|| quote! { impl NotIdempotent for #name {} });
        let list = self.list(pages, listed);
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

                async fn send(&self, execution: &Execution) -> crate::Result<crate::Response<#output>> {
                    let api = execution.endpoints();
                    execution.#finish(crate::platform::sendable(api.#function_name(#(#arguments),*)).await) #convert
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
            #list
        }
    }

    fn resolve(&self, output: &TokenStream) -> Option<TokenStream> {
        let signature = quote! {
            call: &Call<Self>,
            result: crate::Result<crate::Response<#output>>,
            sent: &Execution,
        };
        if self.context.refinements.has_function(&self.name.to_string(), "resolved") {
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

    /// The type of a successful response, and its conversion from what progenitor returns.
    fn output(&self) -> (TokenStream, Option<TokenStream>) {
        match self.response_schema().map(|schema| (schema, self.context.mappings.get(schema))) {
            None => (quote! { () }, None),
            Some((_, Some(Mapping::List { item }))) => {
                let item = format_ident!("{item}");
                let output = quote! { ::std::vec::Vec<crate::types::#item> };
                (output, Some(quote! { .map(|response| response.map(::std::convert::Into::into)) }))
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

    /// Returns `true` if some successful responses have a body, and some have none.
    pub fn may_be_empty(&self) -> bool {
        success_bodies(self.context.document, self.operation.value) == (true, true)
    }

    pub fn response_schema(&self) -> Option<&'a str> {
        successes(self.context.document, self.operation.value).find_map(|(_, response)| {
            entries(response.get("content"))
                .find_map(|(_, content)| Some(component(reference(content.get("schema")?)?)))
        })
    }

    /// The values in the path, each with its check.
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
                if kind.ends_with("::String") {
                    return Some(quote! { check_segment(#name, &self.#field)?; });
                }
                match self.context.mappings.get(kind.strip_prefix("crate::types::")?)? {
                    Mapping::Id => Some(quote! { check_id(&self.#field)?; }),
                    _ => Some(quote! { check_segment(#name, self.#field.as_str())?; }),
                }
            })
            .collect()
    }

    /// The page that the operation returns, if it has `limit` and `offset`. It has to be one that can be read to its end.
    fn page(&self) -> Result<Option<PageOf<'a>>, SpecError> {
        let is_number = |wanted: &str| {
            self.fields.iter().any(|(field, kind)| field == wanted && compact(kind) == "::std::option::Option<u32>")
        };
        if !is_number("limit") || !is_number("offset") {
            return Ok(None);
        }
        let refuse = |problem: &str| {
            let problem = format!("an operation with `limit` and `offset` returns a page, and {problem}");
            SpecError::at(format!("{}.responses", self.operation.place), problem)
        };
        let name = self.response_schema().ok_or_else(|| refuse("this one has no body"))?;
        let schema = lookup(self.context.document, &format!("#/components/schemas/{name}")).unwrap_or(&Value::Null);
        let mut arrays = entries(schema.get("properties")).filter(|(_, value)| text(value, "type") == Some("array"));
        let (Some((property, array)), None) = (arrays.next(), arrays.next()) else {
            return Err(refuse(&format!("`{name}` needs one array, that of the items")));
        };
        if !items(schema.get("required")).any(|required| required.as_str() == Some(property)) {
            return Err(refuse(&format!("`{property}` of `{name}` has to be required")));
        }
        let total = schema.pointer("/properties/total").unwrap_or(&Value::Null);
        if text(total, "type") != Some("integer") || text(total, "format") == Some("int32") {
            return Err(refuse(&format!(
                "`{name}` needs the number of all items: `total` of `type: integer, format: int64`"
            )));
        }
        let item = array.get("items").and_then(reference).map(component);
        let item = item.filter(|item| self.has_id(item)).ok_or_else(|| {
            refuse(&format!(
                "the items of `{name}` have to be named objects with a required `id` that has a type of its own"
            ))
        })?;
        let largest = self.largest_page().ok_or_else(|| refuse("`limit` needs a `maximum`"))?;
        Ok(Some(PageOf { name, property, item, largest }))
    }

    /// Implements what makes lists: in pages, or in one piece.
    fn list(&self, pages: &mut BTreeSet<String>, listed: &mut BTreeSet<String>) -> Option<TokenStream> {
        let name = &self.name;
        if let Some(Mapping::List { item }) = self.context.mappings.get(self.response_schema()?) {
            let listed = self.has_id(item).then(|| implement_listed(item, listed))?;
            return Some(quote! {
                impl ListEndpoint for #name {
                    const PAGE: u32 = 0;

                    fn part(&self) -> Option<(Option<u32>, Option<u32>)> { None }
                    fn set_part(&mut self, _limit: u32, _offset: u32) {}
                }
                #listed
            });
        }
        let PageOf { name: page, property, item, largest } = self.page.as_ref()?;
        let listed = implement_listed(item, listed);
        let is_new = pages.insert((*page).to_owned());
        let (page, item) = (format_ident!("{page}"), format_ident!("{item}"));
        let field = format_ident!("{}", field_name(property).unwrap_or_default());
        let of_page = is_new.then(|| {
            quote! {
                impl crate::types::#page {
                    /// The most items that a page can have.
                    pub(crate) const LARGEST: u32 = #largest;
                }

                impl Page for crate::types::#page {
                    type Item = crate::types::#item;

                    fn items(&self) -> &[Self::Item] { &self.#field }
                    fn total(&self) -> Option<u64> { self.total.into() }
                    fn into_items(self) -> Vec<Self::Item> { self.#field }
                    fn truncate(&mut self, items: usize) { self.#field.truncate(items); }
                }
            }
        });
        Some(quote! {
            impl ListEndpoint for #name {
                const PAGE: u32 = crate::types::#page::LARGEST;

                fn part(&self) -> Option<(Option<u32>, Option<u32>)> { Some((self.limit, self.offset)) }

                fn set_part(&mut self, limit: u32, offset: u32) {
                    self.limit = Some(limit);
                    self.offset = Some(offset);
                }
            }
            #of_page
            #listed
        })
    }

    /// The largest `limit`, or else its default.
    fn largest_page(&self) -> Option<u32> {
        let parameters = self.operation.parameters().map(|(parameter, _)| resolve(self.context.document, parameter));
        let limit = parameters.into_iter().find(|parameter| text(parameter, "name") == Some("limit"))?;
        let schema = resolve(self.context.document, limit.get("schema")?);
        schema.get("maximum").or(schema.get("default"))?.as_u64()?.try_into().ok()
    }

    /// Returns `true` if items of this schema are recognized by an id.
    fn has_id(&self, item: &str) -> bool {
        let schema = lookup(self.context.document, &format!("#/components/schemas/{item}")).unwrap_or(&Value::Null);
        let id = schema.pointer("/properties/id").and_then(reference).map(component);
        let is_required = items(schema.get("required")).any(|required| required == "id");
        is_required && id.is_some_and(|id| matches!(self.context.mappings.get(id), Some(Mapping::Id)))
    }
}

/// Implements `Listed`, once for each type of item.
fn implement_listed(item: &str, listed: &mut BTreeSet<String>) -> Option<TokenStream> {
    let name = format_ident!("{item}");
    listed.insert(item.to_owned()).then(|| {
        quote! {
            impl Listed for crate::types::#name {
                fn id(&self) -> &str { self.id.as_str() }
            }
        }
    })
}

/// The handle of a resource, and the method of the client that returns it.
fn handle(document: &Value, tag: &str, methods: &[Method]) -> TokenStream {
    let (name, accessor) = (format_ident!("{}", tag.to_pascal_case()), format_ident!("{}", tag.to_snake_case()));
    let described = items(document.get("tags")).find(|other| text(other, "name") == Some(tag));
    let description = described.and_then(|tag| text(tag, "description")).unwrap_or(tag).trim_end();
    let first = description.split("\n\n").next().unwrap_or_default();
    let doc = format!("{description}\n\nReturned by [`Client::{accessor}`](crate::Client::{accessor}).");
    let methods = methods.iter().map(|method| &method.tokens);
    quote! {
        #[doc = #doc]
        #[derive(Clone, Debug)]
        pub struct #name { pub(super) client: crate::Client }

        impl crate::Client {
            #[doc = #first]
            #[must_use]
            pub fn #accessor(&self) -> #name {
                #name { client: self.clone() }
            }
        }

        impl #name { #(#methods)* }
    }
}

fn handle_names(document: &Value) -> BTreeSet<String> {
    operations(document)
        .flat_map(|operation| items(operation.value.get("tags")))
        .filter_map(Value::as_str)
        .map(str::to_pascal_case)
        .collect()
}

/// `listRuns` of the resource `runs` → `list`.
fn method_name(id: &str, tag: &str) -> String {
    let (id, tag) = (id.to_snake_case(), tag.to_snake_case());
    let singular = tag.strip_suffix('s').unwrap_or(&tag);
    for noun in [tag.as_str(), singular] {
        if let Some(verb) = id.strip_suffix(noun).and_then(|verb| verb.strip_suffix('_')) {
            return verb.to_owned();
        }
    }
    id
}

/// `x-rust-name`, or the name itself. `type`, a keyword, is called `kind`, as the field of a property is.
fn setter_name(value: &Value, name: &str) -> String {
    match text(value, "x-rust-name") {
        Some(name) => name.to_owned(),
        None if name == "type" => "kind".to_owned(),
        None => name.to_owned(),
    }
}

fn is_identifier(name: &str) -> bool {
    name == name.to_snake_case() && syn::parse_str::<Ident>(name).is_ok()
}

/// The description of a parameter or a property, or of what it refers to.
fn described(value: &Value, schema: Option<&Value>, document: &Value) -> String {
    let own = text(value, "description");
    let referred = schema.map(|schema| resolve(document, schema)).and_then(|schema| text(schema, "description"));
    own.or(referred).unwrap_or_default().trim_end().to_owned()
}

/// The field in which an argument of progenitor's function is kept.
fn field(argument: &FnArg) -> Option<(Ident, Type)> {
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

/// An argument for progenitor's function, made of the field.
fn argument(argument: &FnArg) -> Option<TokenStream> {
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

/// The type of a value that may be missing.
fn inner(kind: &Type) -> &Type {
    option_of(kind).unwrap_or(kind)
}

/// The last type argument of a generic type of this name.
pub fn generic<'a>(kind: &'a Type, name: &str) -> Option<&'a Type> {
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

/// The argument type of a method that takes a value of this type.
fn accepted(kind: &Type) -> TokenStream {
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

/// The value of this type, made of what a method accepts.
fn converted(kind: &Type, value: &Ident) -> TokenStream {
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

/// The conversion of what is in an iterator or an option, if one is needed.
fn mapped(kind: &Type) -> Option<TokenStream> {
    let each = format_ident!("value");
    if is_converted(kind) {
        return Some(quote! { .map(Into::into) });
    }
    let inner = converted(kind, &each);
    (each != inner.to_string()).then(|| quote! { .map(|#each| #inner) })
}

/// Strings, any JSON, and the types of this crate.
fn is_converted(kind: &Type) -> bool {
    let kind = compact(kind);
    kind.starts_with("crate::types::")
        || !kind.contains("::") && kind.starts_with(char::is_uppercase)
        || kind.ends_with("::String")
        || kind.ends_with("serde_json::Value")
}

/// A type that the module of types names without a path.
fn in_crate(kind: &Type) -> TokenStream {
    if compact(kind).contains("::") {
        kind.to_token_stream()
    } else {
        quote! { crate::types::#kind }
    }
}

/// The method that sets an optional value, and the one that clears it if it can be `null`.
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

/// The name of the method that clears a value.
fn clearing(name: &str) -> String {
    format!("clear_{name}")
}
