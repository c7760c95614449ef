//! An operation as the call that it becomes: its names, its arguments and its setters.

use std::collections::BTreeSet;

use heck::{ToPascalCase, ToSnakeCase};
use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote};
use serde_json::Value;
use syn::{File, ImplItemFn, Item, Type};

use super::values::{field, option_of, struct_field};
use crate::build::contract::{
    Operation, can_be_null, component, deprecation_reason, entries, is_true, items, named_schema, operations,
    reference, required_names, resolve, success_bodies, successes, text,
};
use crate::build::error::{SpecError, fail};
use crate::build::handwritten_methods::HandwrittenMethods;
use crate::build::names::{field_name, functions_of, snake_case, without_keyword};
use crate::build::schema_types::{Mapping, Mappings};

/// Names of the module that the calls are a part of.
pub const RESERVED: [&str; 11] = [
    "Call", "CallFuture", "Endpoint", "Execution", "Items", "ListEndpoint", "Listed", "NotIdempotent", "Page", "Pages",
    "RawRequest",
];

/// Methods that every handle has.
pub const METHODS_OF_HANDLES: [&str; 2] = ["clone", "client"];

/// The contract, and the parts that are generated so far.
pub struct Context<'a> {
    pub document: &'a Value,
    pub mappings: &'a Mappings,
    /// Progenitor's functions.
    pub endpoints: &'a File,
    /// The finished types.
    pub types: &'a File,
    pub handwritten: HandwrittenMethods,
}

/// A value of a call: an argument or a setter.
pub struct Input {
    pub name: String,
    pub description: String,
    pub is_required: bool,
    /// The type of the field that it is kept in.
    pub kind: Type,
    /// The field, as a path from the endpoint: `limit`, or `body.enabled`.
    pub field: TokenStream,
    /// `true` for a handwritten setter, by `x-rust-setter: false`.
    pub is_hand_written: bool,
    /// `true` if it can be sent as `null`, and also be left out.
    pub can_be_cleared: bool,
    /// The reason of the deprecation.
    pub deprecated: Option<String>,
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

/// An operation and the call that it becomes.
pub struct Endpoint<'a> {
    pub context: &'a Context<'a>,
    pub operation: Operation<'a>,
    pub id: String,
    pub name: Ident,
    pub function: &'a ImplItemFn,
    pub resource: String,
    pub method: String,
    /// The fields of the endpoint: progenitor's arguments, in its order.
    pub fields: Vec<(Ident, Type)>,
    pub inputs: Vec<Input>,
    /// The type of the body, if it is an object that is built from arguments.
    pub body: Option<Type>,
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
            .flat_map(functions_of)
            .find(|function| without_keyword(&function.sig.ident.to_string()) == wanted);
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
        if is_taken || context.handwritten.has_function(&resource.to_pascal_case(), &method) {
            let problem = format!(
                "`{method}` is a method that the crate writes by hand; give the operation another with `x-rust-name`"
            );
            return fail(&operation.place, problem);
        }
        let name = format_ident!("{name}");
        let mut endpoint =
            Self { context, operation, id, name, function, resource, method, fields, inputs: Vec::new(), body: None };
        endpoint.check_output()?;
        endpoint.read_parameters()?;
        endpoint.read_body()?;
        endpoint.check_inputs()?;
        Ok(endpoint)
    }

    /// Checks that each response has a body where the crate needs one: without it, a list would look empty.
    fn check_output(&self) -> Result<(), SpecError> {
        let mapping = self.response_schema().and_then(|schema| self.context.mappings.get(schema));
        let is_list = matches!(mapping, Some(Mapping::List { .. }))
            || ["limit", "offset"].iter().all(|name| self.fields.iter().any(|(field, _)| field == name));
        let is_read = self.context.handwritten.has_function(&self.name.to_string(), "resolved");
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
                is_required: is_true(parameter, "required"),
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

    /// Reads the properties of the body. Required ones become arguments, others setters.
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
        let schema = named_schema(document, name).unwrap_or(&Value::Null);
        let required: Vec<_> = required_names(schema).collect();
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
        let mut taken = self.clearings().collect();
        let mut problems = self.inputs.iter().filter_map(|input| Some((input, self.problem(input, &mut taken)?)));
        problems.next().map_or(Ok(()), |(input, problem)| fail(&input.place, problem))
    }

    /// Returns the problem of an input's name, if there is one. Otherwise, the name is taken.
    fn problem(&self, input: &Input, taken: &mut BTreeSet<String>) -> Option<String> {
        let (name, handwritten) = (&input.name, &self.context.handwritten);
        let has_setter = handwritten.has_setter(&self.name.to_string(), name);
        Some(match input.is_hand_written {
            _ if !is_identifier(name) => {
                format!("`{name}` is not a valid method name; write `x-rust-name` in snake_case")
            }
            _ if !taken.insert(name.clone()) => {
                format!("`{name}` is declared twice in the call; give one another name with `x-rust-name`")
            }
            _ if input.is_required => return None,
            true if input.can_be_cleared => {
                "`x-rust-setter: false`, and the method in src/resources sends no null; remove `nullable`".to_owned()
            }
            _ if handwritten.is_common(name) => {
                format!("every call has a method `{name}` already; give this another name with `x-rust-name`")
            }
            false if has_setter => format!(
                "`{name}` is a method that the crate writes by hand; give this another name with `x-rust-name`, or write \
                 `x-rust-setter: false` if that method sets it"
            ),
            true if !has_setter => {
                format!("`x-rust-setter: false`, and src/resources has no method `{name}` that sets it")
            }
            _ => return None,
        })
    }

    /// Returns the names of the methods that clear a value.
    pub fn clearings(&self) -> impl Iterator<Item = String> {
        self.inputs.iter().filter(|input| input.can_be_cleared).map(|input| clearing(&input.name))
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
}

fn handle_names(document: &Value) -> BTreeSet<String> {
    operations(document)
        .flat_map(|operation| items(operation.value.get("tags")))
        .filter_map(Value::as_str)
        .map(str::to_pascal_case)
        .collect()
}

/// Shortens `listRuns` of the resource `runs` to `list`.
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

/// Returns `x-rust-name`, or the name itself. `type`, a keyword, becomes `kind`.
fn setter_name(value: &Value, name: &str) -> String {
    match text(value, "x-rust-name") {
        Some(name) => name.to_owned(),
        None if name == "type" => "kind".to_owned(),
        None => name.to_owned(),
    }
}

pub fn is_identifier(name: &str) -> bool {
    name == name.to_snake_case() && syn::parse_str::<Ident>(name).is_ok()
}

/// Returns the description of a parameter or a property, or of the schema that it refers to.
fn described(value: &Value, schema: Option<&Value>, document: &Value) -> String {
    let own = text(value, "description");
    let referred = schema.map(|schema| resolve(document, schema)).and_then(|schema| text(schema, "description"));
    own.or(referred).unwrap_or_default().trim_end().to_owned()
}

pub fn clearing(name: &str) -> String {
    format!("clear_{name}")
}
