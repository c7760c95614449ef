//! Writes a call of each operation, made of the contract's examples.

use heck::ToSnakeCase;
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use serde_json::{Map, Value};
use syn::File;

use crate::build::calls::endpoint::{Context, Endpoint, Input, Origin};
use crate::build::contract::{entries, items, named_schema, operations, resolve, text};
use crate::build::emit::has_secret;
use crate::build::error::{SpecError, fail};
use crate::build::examples::{Example, examples, ids, rust, success};
use crate::build::kinds::Kind;
use crate::build::reachable_schemas::reachable_from_schema;
use crate::build::schema_types::Mapping;
use crate::build::structs::fields;

/// The source of a function that makes a call of each operation, with the required values alone or with everything that
/// can be set. A value without an example is an error.
pub(crate) fn calls(context: &Context<'_>) -> Result<File, SpecError> {
    let (mut arms, mut example_ids) = (Vec::new(), Vec::new());
    for operation in operations(context.document) {
        let endpoint = Endpoint::new(context, operation)?;
        if let Some((_, status, Example::Missing)) = success(context.document, endpoint.operation.value) {
            let place = format!("{}.responses.{status}", endpoint.operation.place);
            return fail(place, "the body has no example; add one under `examples`, the tests respond with it");
        }
        let [required, everything, cleared] =
            [Form::Required, Form::Everything, Form::Cleared].map(|form| call(context, &endpoint, form));
        let (required, everything, cleared) = (required?, everything?, cleared?);
        let (id, shown) = (&endpoint.id, shown(context, &endpoint));
        let known = ids(context.document, &endpoint.operation).pop_first().unwrap_or_else(|| "any_1".to_owned());
        example_ids.push(quote! { #id => #known });
        arms.push(quote! {
            (#id, Form::Required) => #required.with_response().await.map(|response| #shown),
            (#id, Form::Everything) => #everything.with_response().await.map(|response| #shown),
            (#id, Form::Cleared) => #cleared.with_response().await.map(|response| #shown),
        });
    }
    rust(quote! {
        #[allow(clippy::all, clippy::pedantic)]
        /// Returns an id of the contract's examples, for an operation that the simulator has no behaviour for.
        pub fn example_id(operation: &str) -> &'static str {
            match operation {
                #(#example_ids,)*
                _ => "any_1",
            }
        }

        #[allow(deprecated, clippy::all, clippy::pedantic)]
        /// Makes the typed call of an operation in one of its forms. The id stands for each text in the path.
        pub async fn call_with(client: &Client, operation: &str, id: &str, form: Form) -> Result<Outcome> {
            #[allow(unused_imports)]
            use agentgate::types::*;

            match (operation, form) {
                #(#arms)*
                (other, _) => panic!("the contract has no operation {other}"),
            }
        }
    })
}

/// The source of a function that adds the JSON Schema of each public type to a generator.
pub(crate) fn schemas(context: &Context<'_>) -> String {
    let is_type = |mapping: &Mapping| !matches!(mapping, Mapping::Secret | Mapping::List { .. });
    let names = context.mappings.iter().filter(|(_, mapping)| is_type(mapping)).filter(|(name, mapping)| {
        let schema = named_schema(context.document, name).unwrap_or(&Value::Null);
        let within = reachable_from_schema(context.document, schema);
        !matches!(mapping, Mapping::Struct) || !has_secret(context.document, &within)
    });
    let lines: Vec<_> = names.map(|(name, _)| format!("    add::<types::{name}>(generator);\n")).collect();
    let lines = lines.concat();
    format!("#[allow(deprecated)]\nfn add_all(generator: &mut SchemaGenerator) {{\n{lines}}}\n")
}

/// The values that a call sets.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Required,
    /// Everything that has a generated setter.
    Everything,
    /// Null, for everything that may be null.
    Cleared,
}

/// The call up to its setters.
fn call(context: &Context<'_>, endpoint: &Endpoint<'_>, form: Form) -> Result<TokenStream, SpecError> {
    let mut arguments = Vec::new();
    let mut setters = Vec::new();
    for input in &endpoint.inputs {
        if input.is_required {
            arguments.push(value(context, endpoint, input)?);
        } else if form == Form::Everything && !input.is_hand_written {
            let (name, value) = (format_ident!("{}", input.name), value(context, endpoint, input)?);
            setters.push(quote! { .#name(#value) });
        } else if form == Form::Cleared && input.can_be_cleared {
            let name = format_ident!("clear_{}", input.name);
            setters.push(quote! { .#name() });
        }
    }
    let resource = format_ident!("{}", endpoint.resource.to_snake_case());
    let method = format_ident!("{}", endpoint.method);
    Ok(quote! { client.#resource().#method(#(#arguments),*)#(#setters)* })
}

/// The expression of a value: the id that the function was given, or an example of the contract.
fn value(context: &Context<'_>, endpoint: &Endpoint<'_>, input: &Input) -> Result<TokenStream, SpecError> {
    let mut kind = input.kind.inner();
    if input.can_be_cleared {
        kind = kind.inner();
    }
    let is_in_path = endpoint.in_path().any(|other| other.name == input.name);
    if is_in_path && is_text(context, kind) {
        return Ok(quote! { id });
    }
    let example = example(context.document, endpoint, input).ok_or_else(|| {
        SpecError::at(
            &input.place,
            format!("`{}` has no example; add `example`, the tests make a call with it", input.name),
        )
    })?;
    let (kind, json) = (outside(kind)?, example.to_string());
    Ok(quote! { value::<#kind>(#json) })
}

/// Returns `true` if a text can be given for a value of this type.
fn is_text(context: &Context<'_>, kind: &Kind) -> bool {
    match kind {
        Kind::Text => true,
        Kind::Named(name) => matches!(context.mappings.get(name), Some(Mapping::Id)),
        _ => false,
    }
}

/// A value of the contract for an input: of an example, else its default, else its first word.
fn example(document: &Value, endpoint: &Endpoint<'_>, input: &Input) -> Option<Value> {
    let operation = &endpoint.operation;
    let body = operation.value.get("requestBody").map(|body| resolve(document, body));
    let content = body.and_then(|body| entries(body.get("content")).next()).map(|(_, content)| content);
    let mut bodies = content.into_iter().flat_map(|content| examples(document, content));
    match &input.origin {
        Origin::Property(name) => bodies.find_map(|example| example.get(name)).cloned().or_else(|| {
            let schema = resolve(document, content?.get("schema")?);
            of_schema(document, schema.get("properties")?.get(name)?)
        }),
        Origin::Parameter(name) => {
            let (parameter, _) = operation
                .parameters()
                .map(|(parameter, place)| (resolve(document, parameter), place))
                .find(|(parameter, _)| text(parameter, "name") == Some(name))?;
            let own = examples(document, parameter).next().cloned();
            own.or_else(|| of_schema(document, parameter.get("schema")?))
        }
    }
}

fn of_schema(document: &Value, schema: &Value) -> Option<Value> {
    let referred = resolve(document, schema);
    let stated = [schema, referred].into_iter().find_map(|schema| schema.get("example").or(schema.get("default")));
    stated.cloned().or_else(|| {
        let words = referred.pointer("/anyOf/0/enum").or(referred.get("enum"));
        match text(referred, "type") {
            _ if words.is_some() => items(words).next().cloned(),
            Some("boolean") => Some(Value::Bool(true)),
            Some("array") => of_schema(document, referred.get("items")?).map(|item| Value::Array(vec![item])),
            Some("object") if referred.get("properties").is_some() => of_properties(document, referred),
            _ => None,
        }
    })
}

/// An object of the examples of its properties.
fn of_properties(document: &Value, schema: &Value) -> Option<Value> {
    let values: Map<_, _> = entries(schema.get("properties"))
        .filter_map(|(name, property)| Some((name.clone(), of_schema(document, property)?)))
        .collect();
    let has = |name: &Value| name.as_str().is_some_and(|name| values.contains_key(name));
    items(schema.get("required")).all(has).then_some(Value::Object(values))
}

/// The response as JSON. A type with a secret does not write itself: its fields are written one by one, or not at all.
fn shown(context: &Context<'_>, endpoint: &Endpoint<'_>) -> TokenStream {
    let name = endpoint.response_schema().unwrap_or_default();
    let schema = named_schema(context.document, name).unwrap_or(&Value::Null);
    let holds_secret = |schema| has_secret(context.document, &reachable_from_schema(context.document, schema));
    if !holds_secret(schema) {
        return quote! { outcome(&response, json(response.value())) };
    }
    let fields: Option<Vec<_>> = fields(context.document, context.mappings, name)
        .into_iter()
        .map(|field| {
            let (name, ident) = (field.property, &field.ident);
            match field.kind {
                Kind::Secret => Some(quote! { (#name, json(response.value().#ident.expose_secret())) }),
                _ if !holds_secret(field.schema) => Some(quote! { (#name, json(&response.value().#ident)) }),
                _ => None,
            }
        })
        .collect();
    match fields {
        Some(fields) if !endpoint.may_be_empty() => {
            quote! { outcome(&response, [#(#fields),*].into_iter().collect()) }
        }
        _ => quote! { outcome(&response, Value::Null) },
    }
}

/// The type as the tests name it, which import all of the public types.
fn outside(kind: &Kind) -> Result<TokenStream, SpecError> {
    let kind = kind.tokens().to_string().replace(' ', "").replace("crate::types::", "");
    let kind = kind.replace("::chrono::", "agentgate::chrono::").parse();
    kind.map_err(|error| SpecError::at("components.schemas", format!("a type is not Rust: {error}")))
}
