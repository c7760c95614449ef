//! An operation as the call that it becomes: its names, its arguments and its setters.

use std::collections::BTreeSet;

use heck::{ToPascalCase, ToSnakeCase};
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use serde_json::Value;
use syn::{File, ImplItemFn};

use crate::build::contract::{
    Operation, can_be_null, deprecation_reason, is_true, items, named_schema, operations, resolve, success_bodies,
    successes, text,
};
use crate::build::error::{SpecError, fail, refuse};
use crate::build::handwritten_methods::HandwrittenMethods;
use crate::build::kinds::{Kind, described};
use crate::build::names::{functions_of, identifier, is_reserved_type, snake_case, without_keyword};
use crate::build::schema_types::{Mapping, Mappings};
use crate::build::structs::{arguments, fields, schema_name};

/// Methods that every handle has.
pub const METHODS_OF_HANDLES: [&str; 2] = ["clone", "client"];

/// The contract, and the parts that are generated so far.
pub struct Context<'a> {
    pub document: &'a Value,
    pub mappings: &'a Mappings,
    /// Progenitor's functions.
    pub endpoints: &'a File,
    pub handwritten: HandwrittenMethods,
}

/// A value of a call: an argument or a setter.
pub struct Input {
    pub name: String,
    pub description: String,
    pub is_required: bool,
    /// The type of the field that it is kept in.
    pub kind: Kind,
    /// The field of the endpoint, or of its body.
    pub field: Ident,
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
#[derive(PartialEq)]
pub enum Origin {
    /// The parameter of this name, as the contract writes it.
    Parameter(String),
    /// The property of the body of this name.
    Property(String),
}

impl Input {
    pub fn is_parameter(&self, name: &str) -> bool {
        matches!(&self.origin, Origin::Parameter(own) if own == name)
    }

    /// The field, as a path from the endpoint: `limit`, or `body.enabled`.
    pub fn path(&self) -> TokenStream {
        let field = &self.field;
        if matches!(self.origin, Origin::Property(_)) {
            quote! { body.#field }
        } else {
            quote! { #field }
        }
    }
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
    pub inputs: Vec<Input>,
    /// The type of the body, if there is one.
    pub body: Option<Kind>,
}

impl<'a> Endpoint<'a> {
    pub fn new(context: &'a Context<'a>, operation: Operation<'a>) -> Result<Self, SpecError> {
        let id = text(operation.value, "operationId").unwrap_or_default().to_owned();
        let name = id.to_pascal_case();
        let tags: Vec<_> = items(operation.value.get("tags")).filter_map(Value::as_str).collect();
        let [tag] = tags[..] else {
            return fail(format!("{}.tags", operation.place), "one tag is needed: the resource that has the call");
        };
        if is_reserved_type(&name) || handle_names(context.document).contains(&name) {
            let problem = format!("`{name}` is a name of this crate; choose another operationId");
            return fail(format!("{}.operationId", operation.place), problem);
        }
        let wanted = id.to_snake_case();
        let mut functions = context.endpoints.items.iter().flat_map(functions_of);
        let Some(function) = functions.find(|it| without_keyword(&it.sig.ident.to_string()) == wanted) else {
            return fail(&operation.place, "progenitor wrote no function for this operation");
        };
        let method = match text(operation.value, "x-rust-name") {
            Some(name) => name.to_owned(),
            None => method_name(&id, tag),
        };
        if !is_identifier(&method) {
            let problem = format!("`{method}` is not a valid method name; write `x-rust-name` in snake_case");
            return fail(&operation.place, problem);
        }
        let resource = tag.to_owned();
        let name = format_ident!("{name}");
        let mut endpoint =
            Self { context, operation, id, name, function, resource, method, inputs: Vec::new(), body: None };
        endpoint.check_method()?;
        endpoint.read_parameters();
        endpoint.read_body()?;
        endpoint.check_output()?;
        endpoint.check_inputs()?;
        Ok(endpoint)
    }

    fn check_method(&self) -> Result<(), SpecError> {
        let handle = self.resource.to_pascal_case();
        let is_taken = |method: &str| {
            METHODS_OF_HANDLES.contains(&method) || self.context.handwritten.has_function(&handle, method)
        };
        if is_taken(&self.method) || is_taken(&self.whole_method()) {
            let problem = format!(
                "`{}` is a method that the crate writes by hand; give the operation another with `x-rust-name`",
                self.method
            );
            return fail(&self.operation.place, problem);
        }
        Ok(())
    }

    /// Checks that each response has a body where the crate needs one: without it, a list would look empty.
    fn check_output(&self) -> Result<(), SpecError> {
        let mapping = self.response_schema().and_then(|schema| self.context.mappings.get(schema));
        let is_list = matches!(mapping, Some(Mapping::List { .. }))
            || ["limit", "offset"].iter().all(|name| self.inputs.iter().any(|input| input.is_parameter(name)));
        let is_read = self.context.handwritten.has_function(&self.name.to_string(), "resolved");
        let problem = match (self.may_be_empty(), is_list, is_read) {
            (true, true, _) => "a list needs its body in each 2xx response; add it to the others",
            (true, _, true) => "src/resources reads the body of each 2xx response; add it to the others",
            _ => return Ok(()),
        };
        fail(format!("{}.responses", self.operation.place), problem)
    }

    fn read_parameters(&mut self) {
        let document = self.context.document;
        for (parameter, place) in self.operation.parameters() {
            let parameter = resolve(document, parameter);
            if self.operation.is_idempotency_key(parameter) {
                continue; // Every call that is not idempotent has it.
            }
            let schema = parameter.get("schema").unwrap_or(&Value::Null);
            let written = text(parameter, "name").unwrap_or_default();
            let name = setter_name(parameter, &snake_case(written).unwrap_or_default());
            let is_required = is_true(parameter, "required");
            let kind = Kind::of(schema, self.context.mappings);
            let mut documented = schema.clone();
            if let (Some(own), Some(schema)) = (parameter.get("description"), documented.as_object_mut()) {
                schema.insert("description".to_owned(), own.clone());
            }
            self.inputs.push(Input {
                field: identifier(&name),
                description: described(&documented, document),
                is_required,
                kind: if is_required { kind } else { kind.optional() },
                is_hand_written: false,
                can_be_cleared: false,
                deprecated: deprecation_reason(parameter).map(str::to_owned),
                origin: Origin::Parameter(written.to_owned()),
                name,
                place,
            });
        }
        // In the order of the path, whatever the order of their declarations.
        let path = self.operation.path;
        self.inputs.sort_by_key(|input| {
            let place = match &input.origin {
                Origin::Parameter(name) => path.find(&format!("{{{name}}}")),
                Origin::Property(_) => None,
            };
            (!input.is_required, place.is_none(), place)
        });
    }

    /// Reads the properties of the body. Required ones become arguments, others setters.
    fn read_body(&mut self) -> Result<(), SpecError> {
        let Context { document, mappings, .. } = self.context;
        let Some(body) = self.operation.value.get("requestBody").map(|body| resolve(document, body)) else {
            return Ok(());
        };
        let place = format!("{}.requestBody", self.operation.place);
        let name = schema_name(body).unwrap_or_default();
        self.body = Some(Kind::Named(name.to_owned()));
        refuse(!matches!(mappings.get(name), Some(Mapping::Struct)), &place, "a body is an object with properties")?;
        let schema = named_schema(document, name).unwrap_or(&Value::Null);
        let fields = fields(document, mappings, name);
        if !is_true(body, "required") && fields.iter().any(|field| field.is_required) {
            let problem = "a call always sends its body; add `required: true`, or require none of its properties";
            return fail(place, problem);
        }
        let optional = fields.iter().filter(|field| !field.is_argument());
        for field in arguments(schema, &fields).into_iter().chain(optional) {
            let (property, value) = (field.property, field.schema);
            let place = format!("components.schemas.{name}.properties.{property}");
            if can_be_null(value) && !field.is_required && !field.can_be_cleared() {
                let problem = format!(
                    "`null` can be sent in an object of requests alone, and responses hold `{name}` too; give the request \
                     an object of its own"
                );
                return fail(format!("{place}.nullable"), problem);
            }
            self.inputs.push(Input {
                name: setter_name(value, without_keyword(&field.ident.to_string())),
                description: described(value, document),
                is_required: field.is_argument(),
                can_be_cleared: field.can_be_cleared(),
                kind: field.kind.clone(),
                field: field.ident.clone(),
                is_hand_written: value.get("x-rust-setter") == Some(&Value::Bool(false)),
                deprecated: deprecation_reason(value).map(str::to_owned),
                place,
                origin: Origin::Property(property.to_owned()),
            });
        }
        Ok(())
    }

    /// Returns the name of the method that takes the body as a whole.
    pub fn whole_method(&self) -> String {
        format!("{}_from", self.method)
    }

    /// Returns the values of the path, in its order.
    pub fn in_path(&self) -> impl Iterator<Item = &Input> {
        let path = self.operation.path;
        self.inputs.iter().filter(
            move |input| matches!(&input.origin, Origin::Parameter(name) if path.contains(&format!("{{{name}}}"))),
        )
    }

    /// Returns the fields of the endpoint.
    pub fn fields(&self) -> Vec<(Ident, Kind)> {
        let parameters = self.inputs.iter().filter(|input| matches!(input.origin, Origin::Parameter(_)));
        let parameters = parameters.map(|input| (input.field.clone(), input.kind.clone()));
        parameters.chain(self.body.clone().map(|kind| (format_ident!("body"), kind))).collect()
    }

    fn check_inputs(&self) -> Result<(), SpecError> {
        let mut taken: BTreeSet<String> = self.clearings().collect();
        // The body is a field of its own.
        taken.extend(self.body.is_some().then(|| "body".to_owned()));
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
            _ if handwritten.is_common(name) && (name != "idempotency_key" || !self.operation.is_idempotent()) => {
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
        successes(self.context.document, self.operation.value).find_map(|(_, response)| schema_name(response))
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

pub fn clearing(name: &str) -> String {
    format!("clear_{name}")
}
