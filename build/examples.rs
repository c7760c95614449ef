//! Writes what is made of the contract's examples: the responses that the simulator falls back to, and for the tests a call of
//! each operation.

use heck::ToSnakeCase;
use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use serde_json::{Map, Value};
use syn::{File, Item, Type};

use super::calls::{Context, Endpoint, Input, Origin, compact, option_of, struct_field};
use super::contract::{component, entries, items, lookup, operations, reference, resolve, successes, text};
use super::emit::has_secret;
use super::mapping::Mapping;
use super::mistake::Mistake;
use super::names::field_name;
use super::prepare::reachable_from_schema;

/// The table of example responses, for the simulator: operation, status, and the body if the response has one.
pub fn responses(document: &Value) -> Result<File, Mistake> {
    let rows = operations(document).filter_map(|operation| {
        let id = text(operation.value, "operationId")?;
        let (status, _, example) = success(document, operation.value)?;
        let body = match example {
            Example::None => quote! { None },
            Example::Missing => return None,
            Example::Body(value) => {
                let json = value.to_string();
                quote! { Some(#json) }
            }
        };
        Some(quote! { (#id, #status, #body) })
    });
    let rows: Vec<_> = rows.collect();
    rust(quote! {
        /// Operation, status and body of the contract's example of a successful response.
        static EXAMPLES: &[(&str, u16, Option<&str>)] = &[#(#rows),*];
    })
}

/// The example of a response.
enum Example<'a> {
    /// The response has no body.
    None,
    Missing,
    Body(&'a Value),
}

/// A successful response of an operation, one with a body if there is one: its status, its name in the contract, and its example.
fn success<'a>(document: &'a Value, operation: &'a Value) -> Option<(u16, &'a str, Example<'a>)> {
    let content = |response: &'a Value| entries(response.get("content")).next().map(|(_, content)| content);
    let with_body = successes(document, operation).find(|(_, response)| content(response).is_some());
    let (name, response) = with_body.or_else(|| successes(document, operation).next())?;
    let example = match content(response) {
        None => Example::None,
        Some(content) => examples(document, content).next().map_or(Example::Missing, Example::Body),
    };
    Some((name.parse().unwrap_or(200), name, example))
}

/// The examples of a parameter or of the content of a body.
fn examples<'a>(document: &'a Value, of: &'a Value) -> impl Iterator<Item = &'a Value> {
    let named = entries(of.get("examples")).filter_map(move |(_, example)| resolve(document, example).get("value"));
    of.get("example").into_iter().chain(named)
}

/// The source of a function that makes a call of each operation, with the required values alone or with everything that can be set.
/// A value without an example is a mistake.
pub fn calls(context: &Context<'_>) -> Result<File, Mistake> {
    let mut arms = Vec::new();
    for operation in operations(context.document) {
        let endpoint = Endpoint::new(context, operation)?;
        if let Some((_, status, Example::Missing)) = success(context.document, endpoint.operation.value) {
            let place = format!("{}.responses.{status}", endpoint.operation.place);
            return Err(Mistake::at(
                place,
                "the body has no example; add one under `examples`, the tests respond with it",
            ));
        }
        let [required, everything, cleared] =
            [Form::Required, Form::Everything, Form::Cleared].map(|form| call(context, &endpoint, form));
        let (required, everything, cleared) = (required?, everything?, cleared?);
        let (id, shown) = (&endpoint.id, shown(context, &endpoint));
        arms.push(quote! {
            (#id, Form::Required) => #required.with_response().await.map(|response| #shown),
            (#id, Form::Everything) => #everything.with_response().await.map(|response| #shown),
            (#id, Form::Cleared) => #cleared.with_response().await.map(|response| #shown),
        });
    }
    rust(quote! {
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
fn call(context: &Context<'_>, endpoint: &Endpoint<'_>, form: Form) -> Result<TokenStream, Mistake> {
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
fn value(context: &Context<'_>, endpoint: &Endpoint<'_>, input: &Input) -> Result<TokenStream, Mistake> {
    let mut kind = option_of(&input.kind).unwrap_or(&input.kind);
    if input.can_be_cleared {
        kind = option_of(kind).unwrap_or(kind);
    }
    let is_in_path =
        matches!(&input.origin, Origin::Parameter(name) if endpoint.operation.path.contains(&format!("{{{name}}}")));
    if is_in_path && is_text(context, kind) {
        return Ok(quote! { id });
    }
    let example = example(context.document, endpoint, input).ok_or_else(|| {
        Mistake::at(
            &input.place,
            format!("`{}` has no example; add `example`, the tests make a call with it", input.name),
        )
    })?;
    let (kind, json) = (outside(kind), example.to_string());
    Ok(quote! { value::<#kind>(#json) })
}

/// Returns `true` if a text can be given for a value of this type.
fn is_text(context: &Context<'_>, kind: &Type) -> bool {
    let kind = compact(kind);
    let is_id = |name| matches!(context.mappings.get(name), Some(Mapping::Id));
    kind.ends_with("::String") || kind.strip_prefix("crate::types::").is_some_and(is_id)
}

/// A value of the contract for an input: of an example, else its default, else its first word.
fn example(document: &Value, endpoint: &Endpoint<'_>, input: &Input) -> Option<Value> {
    let operation = &endpoint.operation;
    let body = operation.value.get("requestBody").map(|body| resolve(document, body));
    let content = body.and_then(|body| entries(body.get("content")).next()).map(|(_, content)| content);
    let mut bodies = content.into_iter().flat_map(|content| examples(document, content));
    match &input.origin {
        Origin::Body => bodies.next().cloned(),
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
    let schema = lookup(context.document, &format!("#/components/schemas/{name}")).unwrap_or(&Value::Null);
    let holds_secret = |schema| has_secret(context.document, &reachable_from_schema(context.document, schema));
    if !holds_secret(schema) {
        return quote! { outcome(&response, json(response.value())) };
    }
    let item = context.types.items.iter().find_map(|item| match item {
        Item::Struct(item) if item.ident == name => Some(item),
        _ => None,
    });
    let fields: Option<Vec<_>> = entries(schema.get("properties"))
        .map(|(name, property)| {
            let (field, kind) = struct_field(item?, &field_name(name)?)?;
            let named = reference(property).and_then(|reference| context.mappings.get(component(reference)));
            let is_secret = matches!(named, Some(Mapping::Secret));
            match (is_secret, option_of(&kind)) {
                (true, None) => Some(quote! { (#name, json(response.value().#field.expose_secret())) }),
                (false, _) if !holds_secret(property) => Some(quote! { (#name, json(&response.value().#field)) }),
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
fn outside(kind: &Type) -> TokenStream {
    let kind = compact(kind).replace("crate::types::", "").replace("::chrono::", "agentgate::chrono::");
    kind.parse().unwrap_or_else(|_| kind.to_token_stream())
}

fn rust(tokens: TokenStream) -> Result<File, Mistake> {
    syn::parse2(tokens)
        .map_err(|error| Mistake::at("paths", format!("what is made of the examples is not Rust: {error}")))
}
