//! The objects of OpenAPI 3.0.3: the keywords of each, and the kinds of their values.
//!
//! Each walk over a document uses these tables, so that a property called `default` is not taken for a keyword, nor a
//! `$ref` in an example for a reference.

use serde_json::Value;

use super::contract::reference;

/// Keywords by the kind of their value, separated by spaces.
type Keywords = &'static [(Kind, &'static str)];

/// A kind of object.
pub struct Object {
    /// The name, for messages: `schema`.
    pub name: &'static str,
    /// The section of `components` where such objects have names. Only these may be replaced by a `$ref`.
    pub section: Option<&'static str>,
    keywords: Keywords,
    /// The kind of all other keys but extensions.
    pub others: Option<Kind>,
    /// The extensions that the generator reads.
    pub extensions: &'static [&'static str],
}

/// The kind of a keyword's value.
pub enum Kind {
    Text,
    Flag,
    Number,
    Count,
    Texts,
    /// Any JSON, which is not contract: examples and defaults.
    Data,
    DataList,
    TextMap,
    One(&'static Object),
    List(&'static Object),
    /// Objects by names that the contract gives.
    Map(&'static Object),
    FlagOr(&'static Object),
}

use Kind::{Count, Data, DataList, Flag, FlagOr, List, Map, Number, One, Text, TextMap, Texts};

const fn object(name: &'static str, keywords: Keywords) -> Object {
    Object { name, section: None, keywords, others: None, extensions: &[] }
}

const fn component(name: &'static str, section: &'static str, keywords: Keywords) -> Object {
    Object { section: Some(section), ..object(name, keywords) }
}

pub static DOCUMENT: Object = object(
    "document",
    &[
        (Text, "openapi"),
        (One(&INFO), "info"),
        (List(&SERVER), "servers"),
        (One(&PATHS), "paths"),
        (One(&COMPONENTS), "components"),
        (List(&SECURITY_REQUIREMENT), "security"),
        (List(&TAG), "tags"),
        (One(&EXTERNAL_DOCS), "externalDocs"),
    ],
);

static INFO: Object = object(
    "info object",
    &[(Text, "title description termsOfService version"), (One(&CONTACT), "contact"), (One(&LICENSE), "license")],
);

static CONTACT: Object = object("contact", &[(Text, "name url email")]);

static LICENSE: Object = object("license", &[(Text, "name url")]);

static SERVER: Object = object("server", &[(Text, "url description"), (Map(&SERVER_VARIABLE), "variables")]);

static SERVER_VARIABLE: Object = object("server variable", &[(Texts, "enum"), (Text, "default description")]);

static COMPONENTS: Object = object(
    "components object",
    &[
        (Map(&SCHEMA), "schemas"),
        (Map(&RESPONSE), "responses"),
        (Map(&PARAMETER), "parameters"),
        (Map(&EXAMPLE), "examples"),
        (Map(&REQUEST_BODY), "requestBodies"),
        (Map(&HEADER), "headers"),
        (Map(&SECURITY_SCHEME), "securitySchemes"),
        (Map(&LINK), "links"),
        (Map(&CALLBACK), "callbacks"),
    ],
);

static PATHS: Object = Object { others: Some(One(&PATH_ITEM)), ..object("paths object", &[]) };

static PATH_ITEM: Object = object(
    "path item",
    &[
        (Text, "summary description"),
        (One(&OPERATION), "get put post delete options head patch trace"),
        (List(&SERVER), "servers"),
        (List(&PARAMETER), "parameters"),
    ],
);

static OPERATION: Object = Object {
    extensions: &[
        "x-advice", "x-codeSamples", "x-deprecated-reason", "x-idempotent", "x-required-scope", "x-rust-name",
    ],
    ..object(
        "operation",
        &[
            (Texts, "tags"),
            (Text, "summary description operationId"),
            (One(&EXTERNAL_DOCS), "externalDocs"),
            (List(&PARAMETER), "parameters"),
            (One(&REQUEST_BODY), "requestBody"),
            (One(&RESPONSES), "responses"),
            (Map(&CALLBACK), "callbacks"),
            (Flag, "deprecated"),
            (List(&SECURITY_REQUIREMENT), "security"),
            (List(&SERVER), "servers"),
        ],
    )
};

static EXTERNAL_DOCS: Object = object("link to documentation", &[(Text, "description url")]);

pub static PARAMETER: Object = Object {
    extensions: &["x-deprecated-reason", "x-rust-name"],
    ..component(
        "parameter",
        "parameters",
        &[
            (Text, "name in description style"),
            (Flag, "required deprecated allowEmptyValue explode allowReserved"),
            (One(&SCHEMA), "schema"),
            (Data, "example"),
            (Map(&EXAMPLE), "examples"),
            (Map(&MEDIA_TYPE), "content"),
        ],
    )
};

pub static REQUEST_BODY: Object = component(
    "request body",
    "requestBodies",
    &[(Text, "description"), (Map(&MEDIA_TYPE), "content"), (Flag, "required")],
);

pub static MEDIA_TYPE: Object = object(
    "media type",
    &[(One(&SCHEMA), "schema"), (Data, "example"), (Map(&EXAMPLE), "examples"), (Map(&ENCODING), "encoding")],
);

static ENCODING: Object =
    object("encoding", &[(Text, "contentType style"), (Map(&HEADER), "headers"), (Flag, "explode allowReserved")]);

pub static RESPONSES: Object = Object { others: Some(One(&RESPONSE)), ..object("responses object", &[]) };

static RESPONSE: Object = component(
    "response",
    "responses",
    &[(Text, "description"), (Map(&HEADER), "headers"), (Map(&MEDIA_TYPE), "content"), (Map(&LINK), "links")],
);

static CALLBACK: Object = Object { others: Some(One(&PATH_ITEM)), ..component("callback", "callbacks", &[]) };

static EXAMPLE: Object =
    component("example", "examples", &[(Text, "summary description externalValue"), (Data, "value")]);

static LINK: Object = component(
    "link",
    "links",
    &[(Text, "operationRef operationId description"), (Data, "parameters requestBody"), (One(&SERVER), "server")],
);

static HEADER: Object = component(
    "header",
    "headers",
    &[
        (Text, "description style"),
        (Flag, "required deprecated allowEmptyValue explode allowReserved"),
        (One(&SCHEMA), "schema"),
        (Data, "example"),
        (Map(&EXAMPLE), "examples"),
        (Map(&MEDIA_TYPE), "content"),
    ],
);

static TAG: Object = object("tag", &[(Text, "name description"), (One(&EXTERNAL_DOCS), "externalDocs")]);

pub static SCHEMA: Object = Object {
    extensions: &[
        "x-aliases", "x-any-json", "x-deprecated-reason", "x-enumDescriptions", "x-errors", "x-eventData", "x-list-of",
        "x-rust-name", "x-rust-setter", "x-secret-values", "x-terminal",
    ],
    ..component(
        "schema",
        "schemas",
        &[
            (Text, "title pattern type description format"),
            (Number, "multipleOf maximum minimum"),
            (Flag, "exclusiveMaximum exclusiveMinimum uniqueItems nullable readOnly writeOnly deprecated"),
            (Count, "maxLength minLength maxItems minItems maxProperties minProperties"),
            (Texts, "required"),
            (DataList, "enum"),
            (List(&SCHEMA), "allOf oneOf anyOf"),
            (One(&SCHEMA), "not items"),
            (Map(&SCHEMA), "properties"),
            (FlagOr(&SCHEMA), "additionalProperties"),
            (Data, "default example"),
            (One(&DISCRIMINATOR), "discriminator"),
            (One(&XML), "xml"),
            (One(&EXTERNAL_DOCS), "externalDocs"),
        ],
    )
};

static DISCRIMINATOR: Object = object("discriminator", &[(Text, "propertyName"), (TextMap, "mapping")]);

static XML: Object = object("xml object", &[(Text, "name namespace prefix"), (Flag, "attribute wrapped")]);

static SECURITY_SCHEME: Object = component(
    "security scheme",
    "securitySchemes",
    &[(Text, "type description name in scheme bearerFormat openIdConnectUrl"), (One(&OAUTH_FLOWS), "flows")],
);

static OAUTH_FLOWS: Object =
    object("set of OAuth flows", &[(One(&OAUTH_FLOW), "implicit password clientCredentials authorizationCode")]);

static OAUTH_FLOW: Object =
    object("OAuth flow", &[(Text, "authorizationUrl tokenUrl refreshUrl"), (TextMap, "scopes")]);

static SECURITY_REQUIREMENT: Object = Object { others: Some(Texts), ..object("security requirement", &[]) };

/// Returns each extension that the generator reads, of all objects.
pub fn extensions() -> impl Iterator<Item = &'static str> {
    [&OPERATION, &PARAMETER, &SCHEMA].into_iter().flat_map(|object| object.extensions.iter().copied())
}

impl Object {
    pub fn keywords(&self) -> impl Iterator<Item = &'static str> {
        self.keywords.iter().flat_map(|(_, keywords)| keywords.split(' '))
    }

    /// Returns the kind of a key's value; nothing for unknown keys and extensions.
    pub fn kind(&self, key: &str) -> Option<&Kind> {
        let known = self.keywords.iter().find(|(_, keywords)| keywords.split(' ').any(|keyword| keyword == key));
        known.map(|(kind, _)| kind).or_else(|| self.others.as_ref().filter(|_| !key.starts_with("x-")))
    }
}

/// An object of the document, with its place.
pub struct Node<'a> {
    pub object: &'static Object,
    pub value: &'a Value,
    pub place: String,
    pub depth: usize,
}

/// Returns an object and the objects within it, outer ones first. References are not followed, and data is left out.
pub fn nodes<'a>(object: &'static Object, value: &'a Value, place: &str) -> impl Iterator<Item = Node<'a>> {
    let mut open = vec![Node { object, value, place: place.to_owned(), depth: 0 }];
    std::iter::from_fn(move || {
        let node = open.pop()?;
        // From the last to the first, so that the first is the next to be taken.
        open.extend(children(&node).into_iter().rev());
        Some(node)
    })
}

fn children<'a>(node: &Node<'a>) -> Vec<Node<'a>> {
    let mut found = Vec::new();
    if reference(node.value).is_some() {
        return found;
    }
    let mut push = |object, value: &'a Value, place| {
        if value.is_object() {
            found.push(Node { object, value, place, depth: node.depth + 1 });
        }
    };
    for (key, child) in node.value.as_object().into_iter().flatten() {
        let place = if node.place.is_empty() { key.clone() } else { format!("{}.{key}", node.place) };
        match node.object.kind(key) {
            Some(One(object) | FlagOr(object)) => push(object, child, place),
            Some(List(object)) => {
                for (index, child) in child.as_array().into_iter().flatten().enumerate() {
                    push(object, child, format!("{place}[{index}]"));
                }
            }
            Some(Map(object)) => {
                for (name, child) in child.as_object().into_iter().flatten() {
                    push(object, child, format!("{place}.{name}"));
                }
            }
            _ => {}
        }
    }
    found
}
