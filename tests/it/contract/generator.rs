//! The generator: the code for the contract, and the errors for invalid contracts.

use std::fmt::Write as _;

use super::fixture::{CONTRACT, GATE_PLAN, with};
use serde_json::{Value, json};

use crate::build;

/// Invalid contracts: the fault, the text to find, and its replacement.
const INVALID_CONTRACTS: &[(&str, &str, &str)] = &[
    ("invalid YAML", "openapi: 3.0.3\n", "openapi: 3.0.3: 1\n"),
    ("a duplicate key", "openapi: 3.0.3\n", "openapi: 3.0.3\nopenapi: 3.0.3\n"),
    ("OpenAPI 3.1", "openapi: 3.0.3", "openapi: 3.1.0"),
    ("no version", "openapi: 3.0.3\n", ""),
    ("a value of the wrong type", "operationId: listRuns\n", "operationId: [listRuns]\n"),
    ("a $ref to a missing schema", "'#/components/schemas/RunPage'", "'#/components/schemas/Pages'"),
    ("a $ref to another file", "'#/components/schemas/RunPage'", "'runs.yaml#/RunPage'"),
    ("no operationId", "      operationId: getRun\n", ""),
    ("a duplicate operationId", "operationId: getRun\n", "operationId: listRuns\n"),
    ("an invalid operationId", "operationId: getRun\n", "operationId: get-run!\n"),
    ("no scope", "      x-required-scope: credits:read\n", ""),
    ("an undeclared path parameter", "  /v1/webhooks/{id}/test:", "  /v1/webhooks/{webhook}/test:"),
    ("a path without a leading slash", "  /v1/credits:\n", "  v1/credits:\n"),
    ("a parameter in a cookie", "      name: tag\n      in: query\n", "      name: tag\n      in: cookie\n"),
    (
        "a header set by the client",
        "      name: tag\n      in: query\n",
        "      name: Authorization\n      in: header\n",
    ),
    ("an invalid header name", "      name: tag\n      in: query\n", "      name: x_tag\n      in: header\n"),
    (
        "an enum without a name",
        "        tenantId:\n          type: string\n",
        "        tenantId:\n          type: string\n          enum: [few, many]\n",
    ),
    ("an enum value without a description", "        running: ", "        walking: "),
    ("an alias of an unknown enum value", "canceled: cancelled", "canceled: stopped"),
    ("an unknown type", "        prUrl:\n          type: string\n", "        prUrl:\n          type: text\n"),
    (
        "an enum of numbers",
        "          format: double\n          description: Number of credits the run",
        "          format: double\n          enum: [1]\n          description: Number of credits the run",
    ),
    (
        "a required property that does not exist",
        "required: [id, workOrderId, status]",
        "required: [id, workOrderId, state]",
    ),
    (
        "a property without a description",
        "          description: Number of iterations the agent has taken so far.\n",
        "",
    ),
    (
        "an inline object",
        "        timing:\n          $ref: '#/components/schemas/RunTiming'\n",
        "        timing:\n          type: object\n          description: Times.\n          properties: {startedAt: {type: string}}\n",
    ),
    (
        "allOf without an object",
        "    RunTiming:\n      type: object\n",
        "    RunTiming:\n      allOf: [{$ref: '#/components/schemas/RunId'}]\n",
    ),
    ("a union without a discriminator", "        propertyName: type\n", "        property: type\n"),
    ("a list of a missing schema", "x-list-of: Webhook\n", "x-list-of: Hook\n"),
    (
        "a delivery with an optional body",
        "examples are illustrative.\n      required: true\n",
        "examples are illustrative.\n",
    ),
    ("data of an unknown event type", "        run.created: RunEventData\n", "        run.begun: RunEventData\n"),
    ("data of a missing schema", "        run.created: RunEventData\n", "        run.created: RunsEventData\n"),
    ("data that is not an object", "        run.created: RunEventData\n", "        run.created: EventId\n"),
    ("data without a matching variant", "        run.created: RunEventData\n", "        run.created: RunCost\n"),
    ("data that no delivery contains", "            - $ref: '#/components/schemas/RunEventData'\n", ""),
    ("an empty table of data", "      x-eventData:\n", "      x-eventData: {}\n      x-formerEventData:\n"),
    (
        "a table of data outside an enum",
        "    RunTiming:\n",
        "    RunTiming:\n      x-eventData: {run.created: RunEventData}\n",
    ),
    ("two tables of data", "      x-aliases:\n", "      x-eventData: {failed: RunEventData}\n      x-aliases:\n"),
    (
        "a schema name that is not a type name",
        "    RunTiming:\n",
        "    run-timing: {type: object, description: It., properties: {}}\n    RunTiming:\n",
    ),
    ("an event type without its data", "        run.started: RunEventData\n", ""),
    ("no table of events", "      x-eventData:\n", "      x-events:\n"),
    ("a mistyped keyword of a schema", "required: [id, workOrderId, status]", "requried: [id, workOrderId, status]"),
    ("a mistyped keyword without a value", "      additionalProperties: true\n", "      additionalPropertys: true\n"),
    (
        "a mistyped keyword of a response",
        "          description: The run was cancelled.\n",
        "          desc: The run was cancelled.\n",
    ),
    (
        "a mistyped keyword of a parameter",
        "      in: query\n      description: Number of items to skip",
        "      where: query\n      description: Number of items to skip",
    ),
    ("a mistyped keyword of the document", "\nservers:\n", "\nserver:\n"),
    ("a mistyped extension", "      x-idempotent: true\n", "      x-idempotant: true\n"),
    ("a mistyped extension that hides secrets", "x-secret-values: true", "x-secret-value: true"),
    ("a final word that is no word", "x-terminal: [succeeded,", "x-terminal: [suceeded,"),
    (
        "secret values on a string",
        "        prUrl:\n          type: string\n",
        "        prUrl:\n          type: string\n          x-secret-values: true\n",
    ),
    ("an extension in the wrong place", "      x-idempotent: true\n", "      x-any-json: true\n"),
    ("a keyword of the wrong type", "required: [id, workOrderId, status]", "required: id"),
    (
        "a keyword without a value",
        "          description: Number of iterations the agent has taken so far.\n",
        "          description:\n",
    ),
    (
        "a keyword without meaning for the type",
        "          type: integer\n          format: int64\n          minimum: 0\n          description: How long the run took",
        "          type: boolean\n          minimum: 0\n          description: How long the run took",
    ),
    (
        "a keyword beside a $ref",
        "        timing:\n          $ref",
        "        timing:\n          description: Times.\n          $ref",
    ),
    (
        "a $ref to another kind of component",
        "- $ref: '#/components/parameters/RunIdPath'",
        "- $ref: '#/components/schemas/RunId'",
    ),
    (
        "a $ref in an unsupported place",
        "      responses:\n        '201':\n",
        "      responses:\n        $ref: '#/components/responses/Received'\n        '201':\n",
    ),
    (
        "a control character in a description",
        "description: The hosted service",
        "description: \"The hosted\\rservice\"",
    ),
    (
        "a schema that is named as a type of Rust",
        "    RunTiming:\n",
        "    String: {type: string, description: It.}\n    RunTiming:\n",
    ),
    (
        "a schema that is named as a type of the crate",
        "    RunTiming:\n",
        "    EventData: {type: string, description: It.}\n    RunTiming:\n",
    ),
    (
        "a schema that is named as an operation",
        "    RunTiming:\n",
        "    CancelRun: {type: object, description: It., properties: {}}\n    RunTiming:\n",
    ),
    (
        "a schema that is named as a resource",
        "    RunTiming:\n",
        "    WorkOrders: {type: object, description: It., properties: {}}\n    RunTiming:\n",
    ),
    (
        "a second name for a schema",
        "    RunTiming:\n",
        "    Times: {$ref: '#/components/schemas/RunTiming'}\n    RunTiming:\n",
    ),
    ("a list of lists", "x-list-of: Webhook\n", "x-list-of: TemplateList\n"),
    (
        "a list in an object",
        "        timing:\n          $ref: '#/components/schemas/RunTiming'\n",
        "        timing:\n          $ref: '#/components/schemas/WebhookList'\n",
    ),
    (
        "a secret in a request",
        "        gatePlan:\n          type: object\n",
        "        key: {$ref: '#/components/schemas/WebhookSecret'}\n        gatePlan:\n          type: object\n",
    ),
    (
        "a property `extra` in an open object",
        "        credits:\n          type: number\n          format: double\n          description: Number of credits the run",
        "        extra:\n          type: number\n          format: double\n          description: Number of credits the run",
    ),
    (
        "a property that is not a field name",
        "        prUrl:\n",
        "        2ndUrl: {type: string, description: It again.}\n        prUrl:\n",
    ),
    ("an operation called `all`", "operationId: getRun\n", "operationId: all\n"),
    ("an operation called `new`", "operationId: getRun\n", "operationId: new\n"),
    ("an operation with the name of an internal method", "operationId: getRun\n", "operationId: exec\n"),
    ("a parameter with the name of an internal variable", "      name: tag\n", "      name: info\n"),
    (
        "a parameter that is not a string",
        "      schema:\n        type: string\n      example: python\n",
        "      schema:\n        type: object\n",
    ),
    (
        "a nullable path parameter",
        "      name: id\n      in: path\n      required: true\n      description: Id of the webhook.\n      schema:\n        $ref: '#/components/schemas/WebhookId'\n",
        "      name: id\n      in: path\n      required: true\n      description: Id of the webhook.\n      schema: {type: string, nullable: true}\n",
    ),
    ("a path that is not a valid URL", "  /v1/credits:\n", "  /v1/my credits:\n"),
    ("an unsupported method", "  /v1/credits:\n    get:\n", "  /v1/credits:\n    trace:\n"),
    (
        "an object that requires itself",
        "      required: [id, workOrderId, status]\n      properties:\n",
        "      required: [id, workOrderId, status, parent]\n      properties:\n        parent: {$ref: '#/components/schemas/Run'}\n",
    ),
    (
        "a recursive union",
        "        repository:\n",
        "        parent: {$ref: '#/components/schemas/WorkspaceSource'}\n        repository:\n",
    ),
    (
        "two enum values for one variant of a union",
        "          template: '#/components/schemas/TemplateWorkspaceSource'\n",
        "          Git: '#/components/schemas/TemplateWorkspaceSource'\n",
    ),
    (
        "a closed enum in a response",
        "      anyOf:\n        - type: string\n          enum: [deduction, purchase, refund]\n        - type: string\n",
        "      type: string\n      enum: [deduction, purchase, refund]\n",
    ),
    (
        "a spelling that the enum does not list",
        "succeeded, failed, cancelled, canceled]",
        "succeeded, failed, cancelled]",
    ),
    (
        "a description of an unknown enum value",
        "        refund: Credits",
        "        refunded: Credits were given back.\n        refund: Credits",
    ),
    (
        "an invalid format for the type",
        "          type: integer\n          format: int64\n          minimum: 0\n          description: How long the run took",
        "          type: integer\n          format: uint8\n          minimum: 0\n          description: How long the run took",
    ),
    (
        "two fields with one Rust name",
        "        prUrl:\n",
        "        pr_url:\n          type: string\n          description: It again.\n        prUrl:\n",
    ),
    ("a code without its status", "        BILLING_ERROR:\n          status: 402\n", "        BILLING_ERROR:\n"),
    (
        "an error code without an entry",
        "        BILLING_ERROR:\n          status: 402\n",
        "        BILLING:\n          status: 402\n",
    ),
    (
        "advice that is not a sentence",
        "          advice: Use an API key with the scope.\n",
        "          advice: Use an API key with the scope\n",
    ),
    (
        "advice for an undocumented error",
        "        '409': A built-in template cannot be deleted.\n",
        "        '418': A built-in template cannot be deleted.\n",
    ),
    ("a server without HTTPS", "  - url: https://agentgate", "  - url: http://agentgate"),
    ("a tag that is a method of the client", "tags: [credits]", "tags: [request]"),
    (
        "an API key in a custom header",
        "      type: http\n      scheme: bearer\n",
        "      type: apiKey\n      in: header\n      name: X-Api-Key\n",
    ),
    ("a resource with a name of the crate", "      tags: [credits]\n", "      tags: [call]\n"),
    ("a resource with the name of a method of the client", "      tags: [credits]\n", "      tags: [builder]\n"),
    (
        "an operation with the name of a method of each resource",
        "      x-rust-name: balance\n",
        "      x-rust-name: clone\n",
    ),
    (
        "an example with a misspelled language",
        "      x-rust-name: balance\n",
        "      x-rust-name: balance\n      x-codeSamples: [{lang: rust, source: x}]\n",
    ),
    (
        "an example without its source",
        "      x-rust-name: balance\n",
        "      x-rust-name: balance\n      x-codeSamples: [{lang: Rust, code: x}]\n",
    ),
    (
        "advice for a range of errors",
        "        '409': A built-in template cannot be deleted.\n",
        "        '4XX': A built-in template cannot be deleted.\n",
    ),
];

#[test]
fn code_is_generated_from_the_contract() {
    let generated = build::generate(common::CONTRACT).map_err(|error| error.to_string()).unwrap();
    for part in [&generated.types, &generated.endpoints, &generated.calls, &generated.operations] {
        syn::parse_file(part).unwrap();
    }
}

#[test]
fn line_endings_make_no_difference() {
    let generate =
        |text: &str| build::generate(text).map(|generated| generated.types + &generated.calls).unwrap_or_default();
    let unix = common::CONTRACT.replace("\r\n", "\n");
    assert_eq!(generate(&unix.replace('\n', "\r\n")), generate(&unix));
}

#[test]
fn every_error_in_the_contract_is_one_line_with_its_location() {
    let mut lines = String::new();
    for (what, find, replace) in INVALID_CONTRACTS {
        let text = with(find, replace);
        let error = build::generate(&text).err().expect(what).to_string();
        assert!(error.starts_with("openapi.yaml: "), "{what}: {error}");
        assert_eq!(error.lines().count(), 1, "{what}: {error}");
        writeln!(lines, "{what}\n    {error}").unwrap();
    }
    insta::assert_snapshot!(lines);
}

#[test]
fn a_truncated_contract_never_panics() {
    let lines: Vec<_> = CONTRACT.lines().collect();
    for length in (0..lines.len()).step_by(97) {
        let _ = build::generate(&lines[..length].join("\n"));
    }
}

#[test]
fn a_new_enum_value_becomes_a_variant() {
    let text = CONTRACT
        .replacen(
            "enum: [pending, running, succeeded, failed, cancelled, canceled]",
            "enum: [pending, running, succeeded, failed, cancelled, canceled, timed-out]",
            1,
        )
        .replacen(
            "        cancelled: The run was",
            "        timed-out: It took too long.\n        cancelled: The run was",
            1,
        );
    assert_ne!(text, CONTRACT);
    assert!(build::generate(&text).is_ok_and(|generated| generated.types.contains("TimedOut = \"timed-out\"")));
}

#[test]
fn every_reference_cycle_is_rejected() {
    let contract = |responses: &str, components: &str| {
        format!(
            "openapi: 3.0.3\ninfo: {{title: a, version: b}}\npaths:\n  /v1/a:\n    get:\n      responses: {{{responses}}}\n\
             components: {{{components}}}\n"
        )
    };
    let line = |contract: &str| build::generate(contract).err().expect(contract).to_string();
    let sections = ["callbacks", "examples", "headers", "links", "parameters", "requestBodies", "responses", "schemas"];
    // Some of these are also keywords, and some hold data elsewhere.
    for name in ["A", "default", "example", "examples", "enum", "x-a", "properties"] {
        for section in sections {
            let reference = |name: &str| format!("{{$ref: '#/components/{section}/{name}'}}");
            for circle in [
                format!("{section}: {{{name}: {}}}", reference(name)),
                format!("{section}: {{{name}: {}, B: {}}}", reference("B"), reference(name)),
            ] {
                let line = line(&contract("", &circle));
                assert!(line.starts_with(&format!("openapi.yaml: components.{section}.")), "{circle}: {line}");
                assert!(line.contains("leads back to itself"), "{circle}: {line}");
            }
        }
    }
    let reference = "{$ref: '#/components/responses/default'}";
    let line = line(&contract(&format!("default: {reference}"), &format!("responses: {{default: {reference}}}")));
    assert!(line.contains("leads back to itself"), "{line}");
}

#[test]
fn a_schema_that_references_itself_generates_or_is_rejected() {
    let itself = "$ref: '#/components/schemas/Run'";
    for property in [
        format!("{{{itself}}}"),
        format!("{{description: It., type: array, items: {{{itself}}}}}"),
        format!("{{description: It., type: object, additionalProperties: {{{itself}}}}}"),
        format!("{{description: It., allOf: [{{{itself}}}]}}"),
        format!("{{description: It., anyOf: [{{{itself}}}]}}"),
        format!("{{description: It., oneOf: [{{{itself}}}]}}"),
        format!("{{description: It., not: {{{itself}}}}}"),
    ] {
        let text = with("        prUrl:\n", &format!("        parent: {property}\n        prUrl:\n"));
        generates(&text);
    }
}

/// Returns `true` if code is generated, and checks that an error is one line.
fn generates(text: &str) -> bool {
    match build::generate(text) {
        Ok(generated) => {
            for part in [generated.types, generated.endpoints, generated.operations] {
                syn::parse_file(&part).unwrap();
            }
            true
        }
        Err(error) => {
            let line = error.to_string();
            assert!(line.starts_with("openapi.yaml: ") && line.lines().count() == 1, "{line}");
            false
        }
    }
}

/// The contract without its examples, which are most of its size.
fn without_examples() -> Value {
    fn strip(value: &mut Value) {
        if let Value::Object(object) = value {
            object.retain(|key, _| key != "example" && key != "examples");
        }
        match value {
            Value::Object(object) => object.values_mut().for_each(strip),
            Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut contract = build::yaml::read(CONTRACT).unwrap();
    strip(&mut contract);
    contract
}

/// Collects the JSON pointers of all values of a document.
fn pointers(value: &Value, pointer: &str, found: &mut Vec<String>) {
    found.push(pointer.to_owned());
    let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Object(object) => {
            object.iter().for_each(|(key, child)| pointers(child, &format!("{pointer}/{}", escaped(key)), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, child)| pointers(child, &format!("{pointer}/{index}"), found));
        }
        _ => {}
    }
}

/// Deletes, renames, duplicates or replaces a random value.
fn mutate(contract: &mut Value, random: &mut fastrand::Rng) {
    let mut places = Vec::new();
    pointers(contract, "", &mut places);
    let other = contract.pointer(&places[random.usize(..places.len())]).cloned().unwrap_or_default();
    let other_key = places[random.usize(..places.len())].rsplit('/').next().unwrap_or_default().replace("~1", "/");
    let place = &places[random.usize(1..places.len())];
    let (parent, key) = place.rsplit_once('/').unwrap();
    let key = key.replace("~1", "/").replace("~0", "~");
    match contract.pointer_mut(parent) {
        Some(Value::Object(object)) => match random.u8(..6) {
            0 => drop(object.remove(&key)),
            1 => {
                let value = object.remove(&key).unwrap_or_default();
                object.insert(other_key, value);
            }
            2 => {
                let value = object[&key].clone();
                object.insert(other_key, value);
            }
            3 => drop(object.insert(
                key,
                [Value::Null, json!(true), json!(-1), json!([]), json!({}), json!("object")][random.usize(..6)].clone(),
            )),
            4 => drop(object.insert(key, json!({"$ref": format!("#{place}")}))),
            _ => drop(object.insert(key, other)),
        },
        Some(Value::Array(items)) => match random.u8(..3) {
            0 => drop(items.remove(key.parse().unwrap())),
            1 => items.push(items[0].clone()),
            _ => items.push(other),
        },
        _ => {}
    }
}

/// The variable `CONTRACT_MUTATIONS` sets the number of mutations.
#[test]
fn a_random_mutation_of_the_contract_generates_or_is_rejected() {
    let contract = without_examples();
    let mut random = fastrand::Rng::with_seed(42);
    let rounds = std::env::var("CONTRACT_MUTATIONS").map_or(200, |rounds| rounds.parse().unwrap());
    let mut generated = 0;
    for _ in 0..rounds {
        let mut changed = contract.clone();
        for _ in 0..random.usize(1..=2) {
            mutate(&mut changed, &mut random);
        }
        generated += u32::from(generates(&changed.to_string()));
    }
    assert!(generated > 0);
}

/// Writes JSON with the keys of each object reversed.
fn with_keys_reversed(value: &Value) -> String {
    let list = |items: Vec<String>| items.join(",");
    match value {
        Value::Object(object) => {
            let entry = |(key, value): (&String, &Value)| format!("{}:{}", json!(key), with_keys_reversed(value));
            format!("{{{}}}", list(object.iter().rev().map(entry).collect()))
        }
        Value::Array(items) => format!("[{}]", list(items.iter().map(with_keys_reversed).collect())),
        scalar => scalar.to_string(),
    }
}

/// With `--features serde_json/preserve_order`, which another crate may enable, this compares two orders.
#[test]
fn the_generated_code_does_not_depend_on_the_order_of_keys() {
    let contract: Value = build::yaml::read(CONTRACT).unwrap();
    let reversed = with_keys_reversed(&contract);
    let [as_written, reversed] =
        [CONTRACT, &reversed].map(|text| build::generate(text).map_err(|error| error.to_string()).unwrap());
    assert_eq!(as_written.types, reversed.types);
    assert_eq!(as_written.endpoints, reversed.endpoints);
    assert_eq!(as_written.calls, reversed.calls);
    assert_eq!(as_written.operations, reversed.operations);
    assert_eq!(sorted_items(&as_written.types), items_in_order(&as_written.types));
}

fn items_in_order(types: &str) -> Vec<String> {
    syn::parse_file(types)
        .unwrap()
        .items
        .iter()
        .filter_map(|item| if let syn::Item::Struct(item) = item { Some(item.ident.to_string()) } else { None })
        .collect()
}

fn sorted_items(types: &str) -> Vec<String> {
    let mut items = items_in_order(types);
    items.sort();
    items
}

#[test]
fn secret_values_are_hidden_for_any_property_name() {
    for name in ["deliveryHeaders", "type", "headers"] {
        let property = format!(
            "        {name}:\n          description: It.\n          x-secret-values: true\n          type: object\n          \
             additionalProperties: {{type: string}}\n        events:\n"
        );
        let start = CONTRACT.find("    NewWebhook:\n").unwrap();
        let schema = CONTRACT[start..].replacen("        headers:\n", "        formerHeaders:\n", 1);
        let text = format!("{}{}", &CONTRACT[..start], schema.replacen("        events:\n", &property, 1));
        let types = build::generate(&text).map_err(|error| error.to_string()).unwrap().types;
        // That one, the headers under their former name, and the variables of a template.
        assert_eq!(types.matches("[redacted]").count(), 3, "{name}");
    }
}

#[test]
fn names_similar_to_reserved_ones_are_accepted() {
    let property = "{type: string, description: It.}";
    for name in
        ["type", "self", "async", "default", "example", "examples", "enum", "properties", "x-note", "value", "url"]
    {
        let text = with("        prUrl:\n", &format!("        {name}: {property}\n        prUrl:\n"));
        assert!(generates(&text), "{name}");
    }
    for name in ["Error", "Value", "Secret", "DateTimeRange", "Client"] {
        let text = with(
            "        prUrl:\n",
            &format!("        more: {{$ref: '#/components/schemas/{name}'}}\n        prUrl:\n"),
        );
        let schema =
            format!("  schemas:\n    {name}: {{type: object, description: It., properties: {{id: {property}}}}}\n");
        assert!(generates(&text.replacen("  schemas:\n", &schema, 1)), "{name}");
    }
}

/// Returns the name and the public fields of a type.
fn outline(item: &syn::Item) -> Option<String> {
    let compact = |tokens: proc_macro2::TokenStream| {
        tokens
            .to_string()
            .replace(' ', "")
            .replace("crate::types::", "")
            .replace("crate::secret::", "")
            .replace("::std::", "std::")
    };
    match item {
        syn::Item::Struct(item) => {
            let mut text = format!("struct {}", item.ident);
            for field in &item.fields {
                let name = field.ident.as_ref()?;
                write!(text, "\n    {name}: {}", compact(quote::ToTokens::to_token_stream(&field.ty))).ok()?;
            }
            Some(text)
        }
        syn::Item::Macro(item) => {
            // `open_enum! { #[doc = "…"] Name { … } }`, without the descriptions.
            let mut text = format!("{}!", quote::ToTokens::to_token_stream(&item.mac.path));
            let mut tokens = item.mac.tokens.clone().into_iter().peekable();
            undocumented(&mut tokens, &mut text);
            Some(text)
        }
        _ => None,
    }
}

fn undocumented(tokens: &mut dyn Iterator<Item = proc_macro2::TokenTree>, text: &mut String) {
    use proc_macro2::TokenTree;
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '#' => drop(tokens.next()),
            TokenTree::Group(group) => undocumented(&mut group.stream().into_iter(), text),
            TokenTree::Punct(punct) if punct.as_char() == ',' => {}
            token => write!(text, " {token}").unwrap(),
        }
    }
}

/// Returns the fields and variants of the public types of a file.
pub(super) fn fields(source: &str) -> String {
    let outlines: Vec<_> = syn::parse_file(source).unwrap().items.iter().filter_map(outline).collect();
    outlines.join("\n")
}

#[test]
fn the_generated_types_match_the_snapshot() {
    let types = build::generate(common::CONTRACT).map(|generated| generated.types).unwrap_or_default();
    insta::assert_snapshot!(fields(&types));
}

/// Returns the signatures of the public methods of a file, by type.
pub(super) fn signatures(source: &str) -> String {
    let mut text = String::new();
    for item in syn::parse_file(source).unwrap().items {
        let syn::Item::Impl(block) = item else { continue };
        if block.trait_.is_some() || !block.items.iter().any(|item| matches!(item, syn::ImplItem::Fn(_))) {
            continue;
        }
        let shown = |tokens: &dyn quote::ToTokens| {
            let text = tokens.to_token_stream().to_string();
            text.replace(' ', "").replace("crate::", "").replace("types::", "").replace("::std::", "std::")
        };
        writeln!(text, "{}", shown(&block.self_ty)).unwrap();
        for item in &block.items {
            let syn::ImplItem::Fn(function) = item else { continue };
            let arguments: Vec<_> = function.sig.inputs.iter().skip(1).map(|input| shown(input)).collect();
            let deprecated = function.attrs.iter().any(|attribute| attribute.path().is_ident("deprecated"));
            let note = if deprecated { " (deprecated)" } else { "" };
            let arguments = arguments.join(", ").replace("mutself", "").replace("impl", "impl ");
            writeln!(text, "    {}({arguments}) {}{note}", function.sig.ident, shown(&function.sig.output)).unwrap();
        }
    }
    text
}

#[test]
fn the_generated_calls_match_the_snapshot() {
    let calls = build::generate(common::CONTRACT).map(|generated| generated.calls).unwrap_or_default();
    insta::assert_snapshot!(signatures(&calls));
}

/// The calls of a contract that was changed.
fn calls(edits: &[(&str, &str)]) -> String {
    let text = edits.iter().fold(CONTRACT.to_owned(), |text, (find, replace)| {
        assert!(text.contains(find), "{find}");
        text.replacen(find, replace, 1)
    });
    let generated = build::generate(&text).map_err(|error| error.to_string()).unwrap();
    for part in [&generated.types, &generated.endpoints, &generated.calls] {
        syn::parse_file(part).unwrap();
    }
    signatures(&generated.calls)
}

const RETRY: &str = "  /v1/runs/{id}/retry:
    post:
      operationId: retryRun
      tags: [runs]
      summary: Retry a run
      description: Starts a run that has failed again.
      x-required-scope: runs:write
      parameters:
        - $ref: '#/components/parameters/RunIdPath'
      responses:
        '201':
          description: The new run.
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/Run'
";

#[test]
fn a_new_operation_becomes_a_method_of_its_resource() {
    let with_retry = format!("{RETRY}\n  /v1/credits:\n");
    let calls = calls(&[("  /v1/credits:\n", &with_retry)]);
    assert!(calls.contains("    retry(id:impl Into<RunId>) ->Call<RetryRun>\n"), "{calls}");
}

#[test]
fn path_arguments_have_the_order_of_the_path() {
    let widget = RETRY
        .replace("/v1/runs/{id}/retry", "/v1/widgets/{zone}/{id}")
        .replace("- $ref: '#/components/parameters/RunIdPath'", "- $ref: '#/components/parameters/RunIdPath'\n        - {name: zone, in: path, required: true, description: It., schema: {type: string}}");
    let calls = calls(&[("  /v1/credits:\n", &format!("{widget}\n  /v1/credits:\n"))]);
    assert!(calls.contains("(zone:impl Into<std::string::String>, id:impl Into<RunId>) ->Call<RetryRun>"), "{calls}");
}

#[test]
fn an_incompletely_described_paginated_list_is_rejected() {
    let mut lines = String::new();
    for (what, find, replace) in [
        ("no total", "        total:\n", "        count:\n"),
        (
            "two arrays",
            "        total:\n",
            "        more: {type: array, description: It., items: {type: string}}\n        total:\n",
        ),
        (
            "items without an id",
            "            $ref: '#/components/schemas/RunSummary'\n",
            "            $ref: '#/components/schemas/RunCost'\n",
        ),
        ("an optional array", "      required: [data]\n", "      required: [total]\n"),
    ] {
        let start = CONTRACT.find("    RunPage:\n").unwrap();
        let text = format!("{}{}", &CONTRACT[..start], CONTRACT[start..].replacen(find, replace, 1));
        assert!(text != CONTRACT, "{what}");
        let error = build::generate(&text).err().map_or_else(|| "generated".to_owned(), |error| error.to_string());
        writeln!(lines, "{what}\n    {error}").unwrap();
    }
    insta::assert_snapshot!(lines);
}

#[test]
fn a_new_resource_becomes_a_handle_and_a_method_of_the_client() {
    let retry = RETRY.replace("tags: [runs]", "tags: [retry-plans]");
    let calls = calls(&[("  /v1/credits:\n", &format!("{retry}\n  /v1/credits:\n"))]);
    assert!(calls.contains("    retry_plans() ->RetryPlans\n"), "{calls}");
    assert!(calls.contains("RetryPlans\n    retry_run(id:impl Into<RunId>) ->Call<RetryRun>\n"), "{calls}");
}

#[test]
fn a_new_parameter_or_request_field_becomes_a_setter() {
    let calls = calls(&[
        (
            "      parameters:\n        - $ref: '#/components/parameters/RunStatusFilter'\n",
            "      parameters:\n        - {name: zone, in: query, description: It., schema: {type: string}}\n        \
             - $ref: '#/components/parameters/RunStatusFilter'\n",
        ),
        (
            GATE_PLAN,
            &format!("        labels: {{type: array, items: {{type: string}}, description: It.}}\n{GATE_PLAN}"),
        ),
    ]);
    let expected = "    labels(labels:impl IntoIterator<Item=impl Into<std::string::String>>) ->Self\n";
    assert!(calls.contains(expected), "{calls}");
    assert!(calls.contains("    zone(zone:impl Into<std::string::String>) ->Self\n"), "{calls}");
}

#[test]
fn a_renamed_parameter_is_sent_under_its_original_name() {
    let text = CONTRACT.replacen("      name: tenantId\n      x-rust-name: tenant\n", "      name: zone\n", 1);
    assert_ne!(text, CONTRACT);
    let generated = build::generate(&text).map_err(|error| error.to_string()).unwrap();
    let expected = "self.limit,self.offset,self.status.as_ref(),self.tenant_user_id.as_deref(),self.zone.as_deref()";
    let calls: String = generated.calls.split_whitespace().collect();
    assert!(calls.contains(expected), "{calls}");
    assert!(signatures(&generated.calls).contains("    zone(zone:impl Into<std::string::String>) ->Self\n"));
}

#[test]
fn a_deprecated_operation_becomes_a_deprecated_method_with_a_note() {
    let calls = calls(&[(
        "      operationId: getCredits\n",
        "      operationId: getCredits\n      deprecated: true\n      x-deprecated-reason: Use the usage.\n",
    )]);
    assert!(calls.contains("    balance() ->Call<GetCredits> (deprecated)\n"), "{calls}");
}

#[test]
fn a_setter_with_a_reserved_name_is_rejected_with_advice() {
    let mut lines = String::new();
    for (what, property) in [
        ("a method of every call", "timeout: {type: integer"),
        ("a method of every call that adds to the request", "extra_body: {type: object"),
        ("a method of lists", "items: {type: integer"),
        ("a method of a trait", "clone: {type: integer"),
        ("a method of this call", "tenant: {type: string"),
        ("a method of this call, by its Rust name", "search: {x-rust-name: reconcile, type: boolean"),
        ("a keyword", "as: {type: integer"),
        ("an argument of the call", "order: {x-rust-name: task_prompt, type: integer"),
        ("a missing handwritten setter", "order: {x-rust-setter: false, type: integer"),
    ] {
        let text = CONTRACT.replacen(GATE_PLAN, &format!("        {property}, description: It.}}\n{GATE_PLAN}"), 1);
        writeln!(lines, "{what}\n    {}", build::generate(&text).err().expect(what)).unwrap();
    }
    insta::assert_snapshot!(lines);
}
