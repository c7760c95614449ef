//! The objects of OpenAPI 3.0.3: the keywords of each, and what stands under a keyword.
//!
//! This is the one description of where a document holds contract and where it holds data. Everything that walks a
//! document walks it by these tables, so that a property called `default` is not taken for a keyword, nor a `$ref` in
//! an example for a reference.

use serde_json::Value;

use super::contract::reference;

/// A kind of object.
pub struct Object {
    /// The name, for messages: `schema`.
    pub name: &'static str,
    /// The section of `components` where such objects have names. Only these may be replaced by a `$ref`.
    pub section: Option<&'static str>,
    pub keywords: &'static [(&'static str, Kind)],
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

const fn object(name: &'static str, keywords: &'static [(&'static str, Kind)]) -> Object {
    Object { name, section: None, keywords, others: None, extensions: &[] }
}

const fn component(name: &'static str, section: &'static str, keywords: &'static [(&'static str, Kind)]) -> Object {
    Object { section: Some(section), ..object(name, keywords) }
}

pub static DOCUMENT: Object = object(
    "document",
    &[
        ("openapi", Text),
        ("info", One(&INFO)),
        ("servers", List(&SERVER)),
        ("paths", One(&PATHS)),
        ("components", One(&COMPONENTS)),
        ("security", List(&SECURITY_REQUIREMENT)),
        ("tags", List(&TAG)),
        ("externalDocs", One(&EXTERNAL_DOCS)),
    ],
);

static INFO: Object = object(
    "info object",
    &[
        ("title", Text),
        ("description", Text),
        ("termsOfService", Text),
        ("contact", One(&CONTACT)),
        ("license", One(&LICENSE)),
        ("version", Text),
    ],
);

static CONTACT: Object = object("contact", &[("name", Text), ("url", Text), ("email", Text)]);

static LICENSE: Object = object("license", &[("name", Text), ("url", Text)]);

static SERVER: Object = object("server", &[("url", Text), ("description", Text), ("variables", Map(&SERVER_VARIABLE))]);

static SERVER_VARIABLE: Object =
    object("server variable", &[("enum", Texts), ("default", Text), ("description", Text)]);

static COMPONENTS: Object = object(
    "components object",
    &[
        ("schemas", Map(&SCHEMA)),
        ("responses", Map(&RESPONSE)),
        ("parameters", Map(&PARAMETER)),
        ("examples", Map(&EXAMPLE)),
        ("requestBodies", Map(&REQUEST_BODY)),
        ("headers", Map(&HEADER)),
        ("securitySchemes", Map(&SECURITY_SCHEME)),
        ("links", Map(&LINK)),
        ("callbacks", Map(&CALLBACK)),
    ],
);

static PATHS: Object = Object { others: Some(One(&PATH_ITEM)), ..object("paths object", &[]) };

static PATH_ITEM: Object = object(
    "path item",
    &[
        ("summary", Text),
        ("description", Text),
        ("get", One(&OPERATION)),
        ("put", One(&OPERATION)),
        ("post", One(&OPERATION)),
        ("delete", One(&OPERATION)),
        ("options", One(&OPERATION)),
        ("head", One(&OPERATION)),
        ("patch", One(&OPERATION)),
        ("trace", One(&OPERATION)),
        ("servers", List(&SERVER)),
        ("parameters", List(&PARAMETER)),
    ],
);

static OPERATION: Object = Object {
    extensions: &[
        "x-advice",
        "x-codeSamples",
        "x-deprecated-reason",
        "x-idempotent",
        "x-required-scope",
        "x-rust-name",
    ],
    ..object(
        "operation",
        &[
            ("tags", Texts),
            ("summary", Text),
            ("description", Text),
            ("externalDocs", One(&EXTERNAL_DOCS)),
            ("operationId", Text),
            ("parameters", List(&PARAMETER)),
            ("requestBody", One(&REQUEST_BODY)),
            ("responses", One(&RESPONSES)),
            ("callbacks", Map(&CALLBACK)),
            ("deprecated", Flag),
            ("security", List(&SECURITY_REQUIREMENT)),
            ("servers", List(&SERVER)),
        ],
    )
};

static EXTERNAL_DOCS: Object = object("link to documentation", &[("description", Text), ("url", Text)]);

pub static PARAMETER: Object = Object {
    extensions: &["x-deprecated-reason", "x-rust-name"],
    ..component(
        "parameter",
        "parameters",
        &[
            ("name", Text),
            ("in", Text),
            ("description", Text),
            ("required", Flag),
            ("deprecated", Flag),
            ("allowEmptyValue", Flag),
            ("style", Text),
            ("explode", Flag),
            ("allowReserved", Flag),
            ("schema", One(&SCHEMA)),
            ("example", Data),
            ("examples", Map(&EXAMPLE)),
            ("content", Map(&MEDIA_TYPE)),
        ],
    )
};

pub static REQUEST_BODY: Object = component(
    "request body",
    "requestBodies",
    &[("description", Text), ("content", Map(&MEDIA_TYPE)), ("required", Flag)],
);

pub static MEDIA_TYPE: Object = object(
    "media type",
    &[("schema", One(&SCHEMA)), ("example", Data), ("examples", Map(&EXAMPLE)), ("encoding", Map(&ENCODING))],
);

static ENCODING: Object = object(
    "encoding",
    &[("contentType", Text), ("headers", Map(&HEADER)), ("style", Text), ("explode", Flag), ("allowReserved", Flag)],
);

pub static RESPONSES: Object = Object { others: Some(One(&RESPONSE)), ..object("responses object", &[]) };

static RESPONSE: Object = component(
    "response",
    "responses",
    &[("description", Text), ("headers", Map(&HEADER)), ("content", Map(&MEDIA_TYPE)), ("links", Map(&LINK))],
);

static CALLBACK: Object = Object { others: Some(One(&PATH_ITEM)), ..component("callback", "callbacks", &[]) };

static EXAMPLE: Object = component(
    "example",
    "examples",
    &[("summary", Text), ("description", Text), ("value", Data), ("externalValue", Text)],
);

static LINK: Object = component(
    "link",
    "links",
    &[
        ("operationRef", Text),
        ("operationId", Text),
        ("parameters", Data),
        ("requestBody", Data),
        ("description", Text),
        ("server", One(&SERVER)),
    ],
);

static HEADER: Object = component(
    "header",
    "headers",
    &[
        ("description", Text),
        ("required", Flag),
        ("deprecated", Flag),
        ("allowEmptyValue", Flag),
        ("style", Text),
        ("explode", Flag),
        ("allowReserved", Flag),
        ("schema", One(&SCHEMA)),
        ("example", Data),
        ("examples", Map(&EXAMPLE)),
        ("content", Map(&MEDIA_TYPE)),
    ],
);

static TAG: Object = object("tag", &[("name", Text), ("description", Text), ("externalDocs", One(&EXTERNAL_DOCS))]);

pub static SCHEMA: Object = Object {
    extensions: &[
        "x-aliases",
        "x-any-json",
        "x-deprecated-reason",
        "x-enumDescriptions",
        "x-errors",
        "x-eventData",
        "x-lenient",
        "x-list-of",
        "x-rust-name",
        "x-rust-setter",
        "x-secret-values",
    ],
    ..component(
        "schema",
        "schemas",
        &[
            ("title", Text),
            ("multipleOf", Number),
            ("maximum", Number),
            ("exclusiveMaximum", Flag),
            ("minimum", Number),
            ("exclusiveMinimum", Flag),
            ("maxLength", Count),
            ("minLength", Count),
            ("pattern", Text),
            ("maxItems", Count),
            ("minItems", Count),
            ("uniqueItems", Flag),
            ("maxProperties", Count),
            ("minProperties", Count),
            ("required", Texts),
            ("enum", DataList),
            ("type", Text),
            ("allOf", List(&SCHEMA)),
            ("oneOf", List(&SCHEMA)),
            ("anyOf", List(&SCHEMA)),
            ("not", One(&SCHEMA)),
            ("items", One(&SCHEMA)),
            ("properties", Map(&SCHEMA)),
            ("additionalProperties", FlagOr(&SCHEMA)),
            ("description", Text),
            ("format", Text),
            ("default", Data),
            ("nullable", Flag),
            ("discriminator", One(&DISCRIMINATOR)),
            ("readOnly", Flag),
            ("writeOnly", Flag),
            ("xml", One(&XML)),
            ("externalDocs", One(&EXTERNAL_DOCS)),
            ("example", Data),
            ("deprecated", Flag),
        ],
    )
};

static DISCRIMINATOR: Object = object("discriminator", &[("propertyName", Text), ("mapping", TextMap)]);

static XML: Object = object(
    "xml object",
    &[("name", Text), ("namespace", Text), ("prefix", Text), ("attribute", Flag), ("wrapped", Flag)],
);

static SECURITY_SCHEME: Object = component(
    "security scheme",
    "securitySchemes",
    &[
        ("type", Text),
        ("description", Text),
        ("name", Text),
        ("in", Text),
        ("scheme", Text),
        ("bearerFormat", Text),
        ("flows", One(&OAUTH_FLOWS)),
        ("openIdConnectUrl", Text),
    ],
);

static OAUTH_FLOWS: Object = object(
    "set of OAuth flows",
    &[
        ("implicit", One(&OAUTH_FLOW)),
        ("password", One(&OAUTH_FLOW)),
        ("clientCredentials", One(&OAUTH_FLOW)),
        ("authorizationCode", One(&OAUTH_FLOW)),
    ],
);

static OAUTH_FLOW: Object =
    object("OAuth flow", &[("authorizationUrl", Text), ("tokenUrl", Text), ("refreshUrl", Text), ("scopes", TextMap)]);

static SECURITY_REQUIREMENT: Object = Object { others: Some(Texts), ..object("security requirement", &[]) };

/// Every extension that the generator reads, on any object.
pub fn extensions() -> impl Iterator<Item = &'static str> {
    [&OPERATION, &PARAMETER, &SCHEMA].into_iter().flat_map(|object| object.extensions.iter().copied())
}

impl Object {
    /// Returns the kind of a key's value; nothing for unknown keys and extensions.
    pub fn kind(&self, key: &str) -> Option<&Kind> {
        let keyword = self.keywords.iter().find(|(keyword, _)| *keyword == key).map(|(_, kind)| kind);
        keyword.or_else(|| self.others.as_ref().filter(|_| !key.starts_with("x-")))
    }
}

/// An object of the document, with its place.
pub struct Node<'a> {
    pub object: &'static Object,
    pub value: &'a Value,
    pub place: String,
    pub depth: usize,
}

/// An object and all within it, each before what it holds. References are not followed, and data is left out.
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
