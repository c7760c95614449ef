//! Typical changes of an API contract: a table for the tests of the generator and of `cargo xtask contract-diff`.

use serde_json::Value;

use crate::contract_differences::Class::{self, Additive, Breaking, Documentation};

/// A JSON pointer and its new JSON, or `None` to remove the value. The segment `-` appends to a list.
pub(crate) type Edit = (&'static str, Option<&'static str>);

/// The result of generating from a changed contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The crate compiles with the change.
    Works,
    /// The code is generated, but handwritten code uses what was removed.
    Generated,
    /// The generator rejects the contract with one line.
    Rejected,
}

use Outcome::{Generated, Rejected, Works};

/// A change: its name, its edits, the strongest class of all differences for HTTP and for Rust, and its outcome.
pub(crate) type Change = (&'static str, &'static [Edit], Class, Class, Outcome);

pub(crate) const CHANGES: &[Change] = &[
    ("a path is removed", &[("/paths/~1v1~1credits", None)], Breaking, Breaking, Generated),
    ("an operation is removed", &[("/paths/~1v1~1runs/get", None)], Breaking, Breaking, Generated),
    (
        "a path is new",
        &[(
            "/paths/~1v1~1no-such-thing",
            Some(
                r##"{"get": {"operationId": "getNoSuchThing", "tags": ["no-such-thing"], "summary": "Get news", "description": "Gets news.",
                    "x-required-scope": "news:read",
                    "responses": {"200": {"description": "It.", "content": {"application/json": {
                        "example": {"includedCreditsCents": 1, "purchasedCreditsCents": 2, "totalCreditsCents": 3}, "schema": {"$ref": "#/components/schemas/CreditBalance"}}}}}}}"##,
            ),
        )],
        Additive,
        Additive,
        Works,
    ),
    (
        "another operationId",
        &[("/paths/~1v1~1runs/get/operationId", Some(r#""allRuns""#))],
        Documentation,
        Breaking,
        Generated,
    ),
    ("another scope", &[("/paths/~1v1~1runs/get/x-required-scope", Some(r#""runs:list""#))], Breaking, Breaking, Works),
    (
        "an operation is idempotent",
        &[("/paths/~1v1~1runs/get/x-idempotent", Some("true"))],
        Documentation,
        Documentation,
        Works,
    ),
    (
        "an operation is deprecated",
        &[("/paths/~1v1~1runs/get/deprecated", Some("true"))],
        Documentation,
        Documentation,
        Works,
    ),
    ("another summary", &[("/paths/~1v1~1runs/get/summary", Some(r#""Runs""#))], Documentation, Documentation, Works),
    (
        "the Rust name of an operation",
        &[("/paths/~1v1~1credits/get/x-rust-name", Some(r#""saldo""#))],
        Documentation,
        Breaking,
        Generated,
    ),
    (
        "the resource of an operation",
        &[("/paths/~1v1~1credits/get/tags/0", Some(r#""runs""#))],
        Documentation,
        Breaking,
        Generated,
    ),
    ("a tag's description", &[("/tags/1/description", Some(r#""Runs.""#))], Documentation, Documentation, Works),
    (
        "a success without a body",
        &[("/paths/~1v1~1webhooks~1{id}/patch/responses/204", Some(r#"{"description": "Nothing."}"#))],
        Additive,
        Breaking,
        Works,
    ),
    (
        "a success with the same body",
        &[(
            "/paths/~1v1~1credits/get/responses/203",
            Some(
                r##"{"description": "It.", "content": {"application/json": {"example": {"includedCreditsCents": 1, "purchasedCreditsCents": 2, "totalCreditsCents": 3}, "schema": {"$ref": "#/components/schemas/CreditBalance"}}}}"##,
            ),
        )],
        Additive,
        Additive,
        Works,
    ),
    ("a parameter is removed", &[("/paths/~1v1~1runs/get/parameters/0", None)], Breaking, Breaking, Generated),
    (
        "an optional parameter",
        &[(
            "/paths/~1v1~1runs/get/parameters/-",
            Some(r#"{"name": "q", "in": "query", "description": "It.", "example": "a", "schema": {"type": "string"}}"#),
        )],
        Additive,
        Additive,
        Works,
    ),
    (
        "a required parameter",
        &[(
            "/paths/~1v1~1runs/get/parameters/-",
            Some(
                r#"{"name": "q", "in": "query", "required": true, "description": "It.", "example": "a", "schema": {"type": "string"}}"#,
            ),
        )],
        Breaking,
        Breaking,
        Generated,
    ),
    (
        "a parameter becomes required",
        &[("/components/parameters/Offset/required", Some("true"))],
        Breaking,
        Breaking,
        Generated,
    ),
    (
        "another name of a parameter",
        &[("/components/parameters/RunLimit/name", Some(r#""size""#))],
        Breaking,
        Breaking,
        Generated,
    ),
    (
        "a default of a request",
        &[("/components/parameters/RunLimit/schema/default", Some("50"))],
        Breaking,
        Documentation,
        Works,
    ),
    (
        "a lower maximum",
        &[("/components/parameters/RunLimit/schema/maximum", Some("50"))],
        Breaking,
        Documentation,
        Works,
    ),
    (
        "a higher maximum",
        &[("/components/parameters/RunLimit/schema/maximum", Some("500"))],
        Additive,
        Documentation,
        Works,
    ),
    ("a minimum is removed", &[("/components/parameters/Offset/schema/minimum", None)], Additive, Breaking, Generated),
    (
        "a wider integer",
        &[("/components/parameters/Offset/schema/format", Some(r#""int64""#))],
        Breaking,
        Breaking,
        Generated,
    ),
    (
        "another style",
        &[("/components/parameters/Offset/style", Some(r#""spaceDelimited""#))],
        Breaking,
        Breaking,
        Rejected,
    ),
    (
        "a header of a signature",
        &[("/components/parameters/Signature/name", Some(r#""X-Signature""#))],
        Breaking,
        Breaking,
        Works,
    ),
    (
        "an optional property of a request",
        &[(
            "/components/schemas/NewWorkOrder/properties/title",
            Some(r#"{"type": "string", "description": "It.", "example": "a"}"#),
        )],
        Additive,
        Additive,
        Works,
    ),
    (
        "a required property of a request",
        &[
            ("/components/schemas/NewWorkOrder/properties/title", Some(r#"{"type": "string", "description": "It."}"#)),
            ("/components/schemas/NewWorkOrder/required/-", Some(r#""title""#)),
        ],
        Breaking,
        Breaking,
        Generated,
    ),
    (
        "a property of a request becomes required",
        &[("/components/schemas/NewWorkOrder/required/-", Some(r#""maxIterations""#))],
        Breaking,
        Breaking,
        Generated,
    ),
    (
        "a property of a request becomes optional",
        &[("/components/schemas/NewWorkOrder/required/1", None)],
        Additive,
        Breaking,
        Generated,
    ),
    (
        "a longer text is demanded",
        &[("/components/schemas/NewWorkOrder/properties/taskPrompt/minLength", Some("10"))],
        Breaking,
        Documentation,
        Works,
    ),
    (
        "a pattern is removed",
        &[("/components/schemas/NewWorkOrder/properties/webhookUrl/pattern", None)],
        Additive,
        Documentation,
        Works,
    ),
    (
        "a property of a response is removed",
        &[("/components/schemas/Run/properties/prUrl", None)],
        Breaking,
        Breaking,
        Generated,
    ),
    (
        "a property of a response becomes required",
        &[("/components/schemas/Run/required/-", Some(r#""cost""#))],
        Additive,
        Breaking,
        Works,
    ),
    (
        "a property of a response becomes optional",
        &[("/components/schemas/Run/required/2", None)],
        Breaking,
        Breaking,
        Generated,
    ),
    (
        "null in a response",
        &[("/components/schemas/Run/properties/prUrl/nullable", Some("true"))],
        Breaking,
        Breaking,
        Works,
    ),
    (
        "another type",
        &[("/components/schemas/Run/properties/prUrl/type", Some(r#""integer""#))],
        Breaking,
        Breaking,
        Generated,
    ),
    (
        "a minimum in a response",
        &[("/components/schemas/Run/properties/iterations/minimum", Some("1"))],
        Additive,
        Documentation,
        Works,
    ),
    (
        "another schema",
        &[("/components/schemas/Run/properties/cost/$ref", Some(r##""#/components/schemas/RunTiming""##))],
        Breaking,
        Breaking,
        Works,
    ),
    (
        "a final word",
        &[
            ("/components/schemas/RunStatus/anyOf/0/enum/-", Some(r#""no-such-status""#)),
            ("/components/schemas/RunStatus/x-enumDescriptions/no-such-status", Some(r#""It.""#)),
            ("/components/schemas/RunStatus/x-terminal/-", Some(r#""no-such-status""#)),
        ],
        Additive,
        Additive,
        Works,
    ),
    (
        "a word is removed",
        &[
            ("/components/schemas/RunStatus/anyOf/0/enum/5", None),
            ("/components/schemas/RunStatus/x-enumDescriptions/canceled", None),
            ("/components/schemas/RunStatus/x-aliases", None),
        ],
        Breaking,
        Breaking,
        Works,
    ),
    (
        "another alias",
        &[("/components/schemas/RunStatus/x-aliases/canceled", Some(r#""failed""#))],
        Documentation,
        Documentation,
        Works,
    ),
    (
        "an event type",
        &[
            ("/components/schemas/WebhookEventType/anyOf/0/enum/-", Some(r#""run.no-such-event""#)),
            ("/components/schemas/WebhookEventType/x-enumDescriptions/run.no-such-event", Some(r#""It.""#)),
            ("/components/schemas/WebhookEventType/x-eventData/run.no-such-event", Some(r#""RunEventData""#)),
        ],
        Additive,
        Additive,
        Works,
    ),
    (
        "an event type is removed",
        &[
            ("/components/schemas/WebhookEventType/anyOf/0/enum/7", None),
            ("/components/schemas/WebhookEventType/x-enumDescriptions/verification.failed", None),
            ("/components/schemas/WebhookEventType/x-eventData/verification.failed", None),
        ],
        Breaking,
        Breaking,
        Generated,
    ),
    (
        "other data of an event",
        &[("/components/schemas/WebhookEventType/x-eventData/run.failed", Some(r#""VerificationEventData""#))],
        Breaking,
        Breaking,
        Works,
    ),
    (
        "a member of a union is removed",
        &[
            ("/components/schemas/WorkspaceSource/oneOf/2", None),
            ("/components/schemas/WorkspaceSource/discriminator/mapping/url", None),
        ],
        Breaking,
        Breaking,
        Generated,
    ),
    (
        "a response",
        &[("/paths/~1v1~1runs/get/responses/409", Some(r##"{"$ref": "#/components/responses/Conflict"}"##))],
        Additive,
        Additive,
        Works,
    ),
    ("a response is removed", &[("/paths/~1v1~1runs/get/responses/400", None)], Breaking, Breaking, Works),
    (
        "a header is removed",
        &[("/paths/~1v1~1runs/get/responses/200/headers/X-RateLimit-Reset", None)],
        Breaking,
        Breaking,
        Works,
    ),
    ("another server", &[("/servers/0/url", Some(r#""https://api.example.com""#))], Breaking, Breaking, Works),
    ("no security", &[("/paths/~1v1~1runs/get/security", Some("[]"))], Breaking, Breaking, Works),
    ("another version", &[("/info/version", Some(r#""1.1.0""#))], Documentation, Documentation, Works),
    (
        "another status of an error code",
        &[("/components/schemas/ErrorCode/x-errors/BILLING_ERROR/status", Some("400"))],
        Breaking,
        Breaking,
        Works,
    ),
    (
        "another advice of an error code",
        &[("/components/schemas/ErrorCode/x-errors/BILLING_ERROR/advice", Some(r#""Pay the bill.""#))],
        Documentation,
        Documentation,
        Works,
    ),
    (
        "another advice of an operation",
        &[("/paths/~1v1~1runs~1{id}~1cancel/post/x-advice/409", Some(r#""Fetch the run.""#))],
        Documentation,
        Documentation,
        Works,
    ),
    (
        "a required field in a response",
        &[
            (
                "/components/schemas/Run/properties/attempt",
                Some(r#"{"type": "integer", "format": "int32", "description": "It."}"#),
            ),
            ("/components/schemas/Run/required/-", Some(r#""attempt""#)),
        ],
        Additive,
        Additive,
        Works,
    ),
    (
        "a filter by another name",
        &[
            ("/components/parameters/TenantIdFilter/name", Some(r#""zone""#)),
            ("/components/parameters/TenantIdFilter/x-rust-name", None),
        ],
        Breaking,
        Breaking,
        Works,
    ),
    (
        "a list as a parameter",
        &[(
            "/paths/~1v1~1runs/get/parameters/-",
            Some(
                r#"{"name": "labels", "in": "query", "description": "It.", "example": ["a"], "schema": {"type": "array", "items": {"type": "string"}}}"#,
            ),
        )],
        Additive,
        Additive,
        Works,
    ),
    (
        "a description of a reference",
        &[(
            "/components/schemas/Run/properties/cost",
            Some(r##"{"description": "The price.", "allOf": [{"$ref": "#/components/schemas/RunCost"}]}"##),
        )],
        Documentation,
        Documentation,
        Works,
    ),
    (
        "a reference that may be null",
        &[(
            "/components/schemas/Run/properties/cost",
            Some(r##"{"nullable": true, "allOf": [{"$ref": "#/components/schemas/RunCost"}]}"##),
        )],
        Breaking,
        Breaking,
        Works,
    ),
    (
        "two objects in one",
        &[(
            "/components/schemas/RunCost",
            Some(
                r##"{"description": "A cost.", "allOf": [{"$ref": "#/components/schemas/RunTiming"},
                    {"type": "object", "properties": {"credits": {"type": "number", "format": "double", "description": "It."}}}]}"##,
            ),
        )],
        Additive,
        Breaking,
        Works,
    ),
    (
        "a union in a property",
        &[(
            "/components/schemas/Run/properties/result",
            Some(r#"{"description": "It.", "oneOf": [{"type": "string"}, {"type": "integer"}]}"#),
        )],
        Additive,
        Additive,
        Rejected,
    ),
    (
        "an id as a UUID",
        &[(
            "/components/schemas/Run/properties/trace",
            Some(r#"{"type": "string", "format": "uuid", "description": "It."}"#),
        )],
        Additive,
        Additive,
        Works,
    ),
    (
        "a day",
        &[(
            "/components/schemas/Run/properties/day",
            Some(r#"{"type": "string", "format": "date", "description": "It."}"#),
        )],
        Additive,
        Additive,
        Works,
    ),
    (
        "an address of a person",
        &[(
            "/components/schemas/Run/properties/owner",
            Some(r#"{"type": "string", "format": "email", "description": "It."}"#),
        )],
        Additive,
        Additive,
        Works,
    ),
    (
        "an open set of words in a property",
        &[(
            "/components/schemas/Run/properties/size",
            Some(r#"{"description": "It.", "anyOf": [{"type": "string", "enum": ["small"]}, {"type": "string"}]}"#),
        )],
        Additive,
        Additive,
        Rejected,
    ),
    (
        "a field that a request can clear",
        &[("/components/schemas/WebhookUpdate/properties/description/nullable", Some("true"))],
        Additive,
        Breaking,
        Works,
    ),
    (
        "a deprecated field",
        &[("/components/schemas/Run/properties/prUrl/deprecated", Some("true"))],
        Documentation,
        Documentation,
        Works,
    ),
    (
        "a deprecated parameter",
        &[("/components/parameters/TenantIdFilter/deprecated", Some("true"))],
        Documentation,
        Documentation,
        Works,
    ),
    (
        "a deprecated field of a request",
        &[("/components/schemas/NewWorkOrder/properties/webhookUrl/deprecated", Some("true"))],
        Documentation,
        Documentation,
        Works,
    ),
    (
        "another description",
        &[("/paths/~1v1~1runs/get/description", Some(r#""Lists runs.""#))],
        Documentation,
        Documentation,
        Works,
    ),
    (
        "a field of an event",
        &[(
            "/components/schemas/WebhookEvent/properties/attempt",
            Some(r#"{"type": "integer", "description": "It."}"#),
        )],
        Additive,
        Additive,
        Works,
    ),
    (
        "parameters without explode",
        &[("/components/parameters/Offset/explode", Some("false"))],
        Breaking,
        Breaking,
        Works,
    ),
    (
        "another scheme of security",
        &[("/components/securitySchemes/bearerAuth", Some(r#"{"type": "apiKey", "in": "header", "name": "X-Key"}"#))],
        Breaking,
        Breaking,
        Rejected,
    ),
    (
        "a property with a name of the generator",
        &[("/components/schemas/RunCost/properties/extra", Some(r#"{"type": "string", "description": "It."}"#))],
        Additive,
        Additive,
        Rejected,
    ),
    (
        "a schema with a name of Rust",
        &[
            (
                "/components/schemas/Option",
                Some(
                    r#"{"type": "object", "description": "It.", "properties": {"a": {"type": "string", "description": "It."}}}"#,
                ),
            ),
            ("/components/schemas/Run/properties/option", Some(r##"{"$ref": "#/components/schemas/Option"}"##)),
        ],
        Additive,
        Additive,
        Rejected,
    ),
    (
        "a schema with a name of the crate",
        &[
            (
                "/components/schemas/List",
                Some(
                    r#"{"type": "object", "description": "It.", "properties": {"a": {"type": "string", "description": "It."}}}"#,
                ),
            ),
            ("/components/schemas/Run/properties/other", Some(r##"{"$ref": "#/components/schemas/List"}"##)),
        ],
        Additive,
        Additive,
        Rejected,
    ),
    (
        "an operationId that is a name of Rust",
        &[("/paths/~1v1~1runs/get/operationId", Some(r#""new""#))],
        Documentation,
        Breaking,
        Rejected,
    ),
    (
        "an operationId that is a name of the crate",
        &[("/paths/~1v1~1runs/get/operationId", Some(r#""all""#))],
        Documentation,
        Breaking,
        Rejected,
    ),
    (
        "a mistyped keyword",
        &[("/components/schemas/Run/properties/prUrl/nulable", Some("true"))],
        Documentation,
        Documentation,
        Rejected,
    ),
    (
        "an object that holds itself",
        &[("/components/schemas/Run/properties/retryOf", Some(r##"{"$ref": "#/components/schemas/Run"}"##))],
        Additive,
        Additive,
        Works,
    ),
    (
        "a union that holds itself",
        &[(
            "/components/schemas/GitWorkspaceSource/properties/base",
            Some(r##"{"$ref": "#/components/schemas/WorkspaceSource"}"##),
        )],
        Additive,
        Additive,
        Rejected,
    ),
    (
        "a new operation",
        &[(
            "/paths/~1v1~1runs~1{runId}~1no-such-action",
            Some(
                r##"{"post": {"operationId": "noSuchActionRun", "tags": ["runs"], "summary": "Retry a run", "description": "Retries a run.",
                    "x-required-scope": "runs:write",
                    "parameters": [{"name": "runId", "in": "path", "required": true, "description": "Its id.",
                        "schema": {"$ref": "#/components/schemas/RunId"}}],
                    "responses": {"200": {"description": "The run.", "content": {"application/json": {
                        "example": {"id": "run_1", "workOrderId": "wo_1", "status": "pending"},
                        "schema": {"$ref": "#/components/schemas/Run"}}}}}}}"##,
            ),
        )],
        Additive,
        Additive,
        Works,
    ),
    (
        "a new event type with data of its own",
        &[
            (
                "/components/schemas/BuildEventData",
                Some(
                    r##"{"type": "object", "description": "It.", 
                "properties": {"runId": {"$ref": "#/components/schemas/RunId"}}}"##,
                ),
            ),
            ("/components/schemas/WebhookEventType/anyOf/0/enum/-", Some(r#""build.finished""#)),
            (
                "/components/schemas/WebhookEventType/x-enumDescriptions/build.finished",
                Some(r#""A build has finished.""#),
            ),
            ("/components/schemas/WebhookEventType/x-eventData/build.finished", Some(r#""BuildEventData""#)),
            (
                "/components/schemas/WebhookEvent/properties/data/anyOf/-",
                Some(r##"{"$ref": "#/components/schemas/BuildEventData"}"##),
            ),
        ],
        Additive,
        Additive,
        Works,
    ),
    (
        "an error code",
        &[
            ("/components/schemas/ErrorCode/anyOf/0/enum/-", Some(r#""QUOTA_EXCEEDED""#)),
            ("/components/schemas/ErrorCode/x-enumDescriptions/QUOTA_EXCEEDED", Some(r#""The quota is spent (403).""#)),
            (
                "/components/schemas/ErrorCode/x-errors/QUOTA_EXCEEDED",
                Some(r#"{"status": 403, "advice": "Ask for more."}"#),
            ),
        ],
        Additive,
        Additive,
        Works,
    ),
    (
        "a header of a response",
        &[(
            "/paths/~1v1~1runs/get/responses/200/headers/X-Cache",
            Some(r#"{"description": "It.", "example": "a", "schema": {"type": "string"}}"#),
        )],
        Additive,
        Additive,
        Works,
    ),
    (
        "another field",
        &[
            ("/components/schemas/Run/properties/pullRequest", Some(r#"{"type": "string", "description": "It."}"#)),
            ("/components/schemas/Run/properties/prUrl", None),
        ],
        Breaking,
        Breaking,
        Generated,
    ),
    (
        "a type of JSON that Rust tells apart",
        &[("/components/schemas/CreditTransaction/properties/amount/minimum", Some("0"))],
        Additive,
        Breaking,
        Works,
    ),
    (
        "an optional header of requests",
        &[(
            "/paths/~1v1~1runs/get/parameters/-",
            Some(
                r#"{"name": "X-Zone", "in": "header", "description": "It.", "example": "a", "schema": {"type": "string"}}"#,
            ),
        )],
        Additive,
        Additive,
        Works,
    ),
];

/// Applies the edits of a change. Returns an error if a place does not exist.
pub(crate) fn apply(contract: &Value, edits: &[Edit]) -> Result<Value, String> {
    let mut contract = contract.clone();
    edits.iter().try_for_each(|it| edit(&mut contract, *it))?;
    Ok(contract)
}

fn edit(document: &mut Value, (pointer, json): Edit) -> Result<(), String> {
    let missing = || format!("the contract has nothing to edit at {pointer}");
    let (parent, key) = pointer.rsplit_once('/').ok_or_else(missing)?;
    let json = json.map(serde_json::from_str::<Value>).transpose().map_err(|error| format!("{pointer}: {error}"))?;
    match (document.pointer_mut(parent), json) {
        (Some(Value::Array(list)), Some(value)) if key == "-" => list.push(value),
        (Some(Value::Array(list)), json) => {
            let index = key.parse().ok().filter(|index| *index < list.len()).ok_or_else(missing)?;
            match json {
                Some(value) => list[index] = value,
                None => drop(list.remove(index)),
            }
        }
        (Some(Value::Object(map)), Some(value)) => drop(map.insert(key.replace("~1", "/"), value)),
        (Some(Value::Object(map)), None) => drop(map.remove(&key.replace("~1", "/")).ok_or_else(missing)?),
        _ => return Err(missing()),
    }
    Ok(())
}
