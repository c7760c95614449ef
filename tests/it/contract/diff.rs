//! What changes of the contract mean to users.

use std::fmt::Write as _;

use super::fixture::CONTRACT;
use serde_json::Value;

use crate::build::diff::Class::{self, Additive, Breaking, Documentation};
use crate::build::diff::{compare, report};
use crate::build::yaml;

/// A JSON pointer, and the JSON to put there; nothing to remove what is there. The segment `-` appends to a list.
type Edit = (&'static str, Option<&'static str>);

/// What changes, how, and the strongest class of all differences for HTTP and for Rust.
const CHANGES: &[(&str, &[Edit], Class, Class)] = &[
    ("a path is removed", &[("/paths/~1v1~1credits", None)], Breaking, Breaking),
    ("an operation is removed", &[("/paths/~1v1~1runs/get", None)], Breaking, Breaking),
    ("a path is new", &[("/paths/~1v1~1news", Some(r#"{"get": {"operationId": "news"}}"#))], Additive, Additive),
    ("another operationId", &[("/paths/~1v1~1runs/get/operationId", Some(r#""allRuns""#))], Documentation, Breaking),
    ("another scope", &[("/paths/~1v1~1runs/get/x-required-scope", Some(r#""runs:list""#))], Breaking, Breaking),
    ("an operation is idempotent", &[("/paths/~1v1~1runs/get/x-idempotent", Some("true"))], Breaking, Breaking),
    ("an operation is deprecated", &[("/paths/~1v1~1runs/get/deprecated", Some("true"))], Documentation, Documentation),
    ("another summary", &[("/paths/~1v1~1runs/get/summary", Some(r#""Runs""#))], Documentation, Documentation),
    (
        "the Rust name of an operation",
        &[("/paths/~1v1~1credits/get/x-rust-name", Some(r#""saldo""#))],
        Documentation,
        Breaking,
    ),
    (
        "the resource of an operation",
        &[("/paths/~1v1~1credits/get/tags/0", Some(r#""runs""#))],
        Documentation,
        Breaking,
    ),
    ("a tag's description", &[("/tags/1/description", Some(r#""Runs.""#))], Documentation, Documentation),
    (
        "a success without a body",
        &[("/paths/~1v1~1webhooks~1{id}/patch/responses/204", Some(r#"{"description": "Nothing."}"#))],
        Additive,
        Breaking,
    ),
    (
        "a success with the same body",
        &[(
            "/paths/~1v1~1credits/get/responses/203",
            Some(
                r##"{"description": "It.", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/CreditBalance"}}}}"##,
            ),
        )],
        Additive,
        Additive,
    ),
    ("a parameter is removed", &[("/paths/~1v1~1runs/get/parameters/0", None)], Breaking, Breaking),
    (
        "an optional parameter",
        &[(
            "/paths/~1v1~1runs/get/parameters/-",
            Some(r#"{"name": "q", "in": "query", "schema": {"type": "string"}}"#),
        )],
        Additive,
        Additive,
    ),
    (
        "a required parameter",
        &[(
            "/paths/~1v1~1runs/get/parameters/-",
            Some(r#"{"name": "q", "in": "query", "required": true, "schema": {"type": "string"}}"#),
        )],
        Breaking,
        Breaking,
    ),
    ("a parameter becomes required", &[("/components/parameters/Offset/required", Some("true"))], Breaking, Breaking),
    ("another name of a parameter", &[("/components/parameters/RunLimit/name", Some(r#""size""#))], Breaking, Breaking),
    (
        "a default of a request",
        &[("/components/parameters/RunLimit/schema/default", Some("50"))],
        Breaking,
        Documentation,
    ),
    ("a lower maximum", &[("/components/parameters/RunLimit/schema/maximum", Some("50"))], Breaking, Documentation),
    ("a higher maximum", &[("/components/parameters/RunLimit/schema/maximum", Some("500"))], Additive, Documentation),
    ("a minimum is removed", &[("/components/parameters/Offset/schema/minimum", None)], Additive, Breaking),
    ("a wider integer", &[("/components/parameters/Offset/schema/format", Some(r#""int64""#))], Breaking, Breaking),
    ("another style", &[("/components/parameters/Offset/style", Some(r#""spaceDelimited""#))], Breaking, Breaking),
    (
        "a header of a signature",
        &[("/components/parameters/Signature/name", Some(r#""X-Signature""#))],
        Breaking,
        Breaking,
    ),
    (
        "an optional property of a request",
        &[("/components/schemas/CreateWorkOrder/properties/title", Some(r#"{"type": "string"}"#))],
        Additive,
        Additive,
    ),
    (
        "a required property of a request",
        &[
            ("/components/schemas/CreateWorkOrder/properties/title", Some(r#"{"type": "string"}"#)),
            ("/components/schemas/CreateWorkOrder/required/-", Some(r#""title""#)),
        ],
        Breaking,
        Breaking,
    ),
    (
        "a property of a request becomes required",
        &[("/components/schemas/CreateWorkOrder/required/-", Some(r#""maxIterations""#))],
        Breaking,
        Breaking,
    ),
    (
        "a property of a request becomes optional",
        &[("/components/schemas/CreateWorkOrder/required/1", None)],
        Additive,
        Breaking,
    ),
    (
        "a longer text is demanded",
        &[("/components/schemas/CreateWorkOrder/properties/taskPrompt/minLength", Some("10"))],
        Breaking,
        Documentation,
    ),
    (
        "a pattern is removed",
        &[("/components/schemas/CreateWorkOrder/properties/webhookUrl/pattern", None)],
        Additive,
        Documentation,
    ),
    ("a property of a response is removed", &[("/components/schemas/Run/properties/prUrl", None)], Breaking, Breaking),
    (
        "a property of a response becomes required",
        &[("/components/schemas/Run/required/-", Some(r#""cost""#))],
        Additive,
        Breaking,
    ),
    ("a property of a response becomes optional", &[("/components/schemas/Run/required/2", None)], Breaking, Breaking),
    ("null in a response", &[("/components/schemas/Run/properties/prUrl/nullable", Some("true"))], Breaking, Breaking),
    ("another type", &[("/components/schemas/Run/properties/prUrl/type", Some(r#""integer""#))], Breaking, Breaking),
    (
        "a minimum in a response",
        &[("/components/schemas/Run/properties/iterations/minimum", Some("1"))],
        Additive,
        Documentation,
    ),
    (
        "another schema",
        &[("/components/schemas/Run/properties/cost/$ref", Some(r##""#/components/schemas/RunTiming""##))],
        Breaking,
        Breaking,
    ),
    ("a word", &[("/components/schemas/RunStatus/anyOf/0/enum/-", Some(r#""paused""#))], Additive, Additive),
    ("a word is removed", &[("/components/schemas/RunStatus/anyOf/0/enum/5", None)], Breaking, Breaking),
    (
        "another alias",
        &[("/components/schemas/RunStatus/x-aliases/canceled", Some(r#""failed""#))],
        Documentation,
        Documentation,
    ),
    (
        "an event type",
        &[
            ("/components/schemas/WebhookEventType/anyOf/0/enum/-", Some(r#""run.paused""#)),
            ("/components/schemas/WebhookEventType/x-eventData/run.paused", Some(r#""RunEventData""#)),
        ],
        Additive,
        Additive,
    ),
    (
        "an event type is removed",
        &[("/components/schemas/WebhookEventType/x-eventData/run.failed", None)],
        Breaking,
        Breaking,
    ),
    (
        "other data of an event",
        &[("/components/schemas/WebhookEventType/x-eventData/run.failed", Some(r#""VerificationEventData""#))],
        Breaking,
        Breaking,
    ),
    ("a member of a union is removed", &[("/components/schemas/WorkspaceSource/oneOf/2", None)], Breaking, Breaking),
    (
        "a response",
        &[("/paths/~1v1~1runs/get/responses/409", Some(r##"{"$ref": "#/components/responses/Conflict"}"##))],
        Additive,
        Additive,
    ),
    ("a response is removed", &[("/paths/~1v1~1runs/get/responses/400", None)], Breaking, Breaking),
    (
        "a header is removed",
        &[("/paths/~1v1~1runs/get/responses/200/headers/X-RateLimit-Reset", None)],
        Breaking,
        Breaking,
    ),
    ("another server", &[("/servers/0/url", Some(r#""https://api.example.com""#))], Breaking, Breaking),
    ("no security", &[("/paths/~1v1~1runs/get/security", Some("[]"))], Breaking, Breaking),
    ("another version", &[("/info/version", Some(r#""1.1.0""#))], Documentation, Documentation),
    (
        "another status of an error code",
        &[("/components/schemas/ErrorCode/x-errors/BILLING_ERROR/status", Some("400"))],
        Breaking,
        Breaking,
    ),
    (
        "another advice of an error code",
        &[("/components/schemas/ErrorCode/x-errors/BILLING_ERROR/advice", Some(r#""Pay the bill.""#))],
        Documentation,
        Documentation,
    ),
    (
        "another advice of an operation",
        &[("/paths/~1v1~1runs~1{id}~1cancel/post/x-advice/409", Some(r#""Fetch the run.""#))],
        Documentation,
        Documentation,
    ),
];

fn contract() -> Value {
    yaml::read(CONTRACT).unwrap()
}

fn edit(document: &mut Value, (pointer, json): Edit) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let json = json.map(|json| serde_json::from_str::<Value>(json).unwrap());
    match (document.pointer_mut(parent).unwrap(), json) {
        (Value::Array(list), Some(value)) if key == "-" => list.push(value),
        (Value::Array(list), Some(value)) => list[key.parse::<usize>().unwrap()] = value,
        (Value::Array(list), None) => drop(list.remove(key.parse().unwrap())),
        (Value::Object(map), Some(value)) => drop(map.insert(key.replace("~1", "/"), value)),
        (Value::Object(map), None) => drop(map.remove(&key.replace("~1", "/")).unwrap()),
        _ => panic!("nothing to edit at {pointer}"),
    }
}

#[test]
fn each_change_has_its_classes() {
    let old = contract();
    let mut text = String::new();
    let mut wrong = Vec::new();
    for (what, edits, http, rust) in CHANGES {
        let mut new = old.clone();
        edits.iter().for_each(|it| edit(&mut new, *it));
        let differences = compare(&old, &new);
        let strongest = (differences.iter().map(|it| it.http).max(), differences.iter().map(|it| it.rust).max());
        if strongest != (Some(*http), Some(*rust)) {
            wrong.push(format!("{what}: {strongest:?} instead of {:?}", (http, rust)));
        }
        writeln!(text, "# {what}\n{}", report(&differences)).unwrap();
    }
    assert!(wrong.is_empty(), "{}\n{text}", wrong.join("\n"));
    insta::assert_snapshot!(text);
}

#[test]
fn no_change_gives_no_line() {
    assert_eq!(report(&compare(&contract(), &contract())), "");
}

#[test]
fn another_name_of_a_schema_matters_to_rust_alone() {
    let old = contract();
    let text = old.to_string().replace("schemas/RunCost\"", "schemas/Price\"").replace("\"RunCost\":", "\"Price\":");
    let differences = compare(&old, &serde_json::from_str(&text).unwrap());
    assert_eq!(
        report(&differences).lines().nth(1),
        Some("    components.schemas.RunCost: the schema is now called `Price` (HTTP: documentation, Rust: breaking)")
    );
    assert_eq!(differences.len(), 1);
}
