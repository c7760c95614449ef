//! Reads the error body of a response leniently.

use serde_json::{Map, Value};

use crate::response::RawResponse;

/// The error body of a response. Every field may be missing: the body may be HTML from a proxy, empty or truncated.
#[derive(Clone, Debug, Default)]
pub(super) struct ErrorBody {
    /// The code of the service. It proves that the service itself responded, and not something in front of it.
    pub(super) code: Option<String>,
    /// The message of the service, or else the reason in the JSON of a framework or gateway.
    pub(super) message: Option<String>,
    pub(super) details: Option<Value>,
    pub(super) request_id: Option<String>,
}

/// Returns whether the service itself responded, as far as that can be told: a success that is no page, or an error of
/// the service.
pub(crate) fn is_own(response: &RawResponse) -> bool {
    if response.status.is_success() { !response.is_page() } else { ErrorBody::read(&response.body).code.is_some() }
}

impl ErrorBody {
    /// Reads the service's `{"error": {"code", "message", "details"}}`. Of other JSON, only the reason is read.
    pub(super) fn read(body: &[u8]) -> Self {
        let Ok(Value::Object(top)) = crate::json::read(body) else {
            return Self::default();
        };
        let text = |object: &Map<String, Value>, name| object.get(name).and_then(reason);
        // The codes of gateways may be numbers, such as `"404"`.
        let is_code = |code: &str| code.contains(|letter: char| letter.is_ascii_alphabetic());
        let has_code = |error: &&Map<_, _>| error.get("code").and_then(Value::as_str).is_some_and(is_code);
        match top.get("error").and_then(Value::as_object).filter(has_code) {
            Some(error) => Self {
                code: text(error, "code"),
                message: text(error, "message"),
                details: error.get("details").filter(|details| !details.is_null()).cloned(),
                request_id: text(error, "requestId").or_else(|| text(&top, "requestId")),
            },
            None => Self { message: reason_of(&top), request_id: text(&top, "requestId"), ..Self::default() },
        }
    }
}

/// The members with the reason in the errors of frameworks and gateways. Those that say more come first.
const REASONS: [&str; 10] =
    ["message", "Message", "faultstring", "detail", "error_description", "msg", "title", "fault", "error", "code"];

/// The members with the place of an error.
const PLACES: [&str; 4] = ["field", "loc", "path", "property"];

/// Returns the reason that an object gives, with the errors that it lists.
fn reason_of(object: &Map<String, Value>) -> Option<String> {
    let first = |names: &[&str]| names.iter().find_map(|name| object.get(*name).and_then(reason));
    match (first(&REASONS), first(&["errors", "fields", "violations"])) {
        (Some(said), Some(errors)) => Some(format!("{}: {errors}", said.trim_end_matches('.'))),
        (said, errors) => said.or(errors),
    }
}

fn reason(value: &Value) -> Option<String> {
    let joined = |parts: Vec<String>| Some(parts.join("; ")).filter(|text| !text.is_empty());
    match value {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Array(values) => joined(values.iter().filter_map(reason).collect()),
        Value::Object(object) => {
            let named = |(name, value)| Some(format!("{name}: {}", reason(value)?));
            let Some(said) = reason_of(object) else { return joined(object.iter().filter_map(named).collect()) };
            let place = PLACES.iter().find_map(|name| object.get(*name).and_then(reason));
            Some(place.map_or_else(|| said.clone(), |place| format!("{}: {said}", place.replace("; ", "."))))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::ErrorBody;

    #[test]
    fn the_documented_form_is_read() {
        let body = ErrorBody::read(br#"{"error":{"code":"X","message":"m","details":{"a":1}},"requestId":"r"}"#);
        assert_eq!(body.code.as_deref(), Some("X"));
        assert_eq!(body.message.as_deref(), Some("m"));
        assert_eq!(body.details.unwrap()["a"], 1);
        assert_eq!(body.request_id.as_deref(), Some("r"));
    }

    #[test]
    fn of_the_json_of_frameworks_and_gateways_the_reason_is_read_and_no_code() {
        for (body, reason) in [
            // NestJS, Fastify, hapi
            (r#"{"statusCode":400,"error":"Bad Request","message":"branch is not valid"}"#, "branch is not valid"),
            (
                r#"{"statusCode":400,"message":["a is empty","b is long"],"error":"Bad Request"}"#,
                "a is empty; b is long",
            ),
            // FastAPI, Django
            (r#"{"detail":"Not authenticated"}"#, "Not authenticated"),
            (
                r#"{"detail":[{"loc":["body","branch"],"msg":"field required","type":"missing"}]}"#,
                "body.branch: field required",
            ),
            // Spring
            (r#"{"timestamp":1,"status":400,"error":"Bad Request","message":"","path":"/v1/runs"}"#, "Bad Request"),
            // Problem details, as of ASP.NET
            (r#"{"type":"about:blank","title":"Forbidden","status":403,"detail":"Not from here."}"#, "Not from here."),
            (
                r#"{"title":"Not valid.","status":400,"errors":{"Branch":["is required"]}}"#,
                "Not valid: Branch: is required",
            ),
            // GraphQL, JSON:API, Rails, Laravel
            (r#"{"errors":[{"message":"m","path":["run"]},{"title":"t"}]}"#, "run: m; t"),
            (r#"{"errors":{"branch":["is empty"]},"message":"Not valid."}"#, "Not valid: branch: is empty"),
            (r#"{"detail":"Not valid.","fields":{"a":{"detail":"b"}}}"#, "Not valid: a: b"),
            // Kong, AWS, Apigee, OAuth, Google, Vercel, and an error without a code
            (r#"{"message":"no Route matched with those values"}"#, "no Route matched with those values"),
            (r#"{"Message":"User is not authorized"}"#, "User is not authorized"),
            (r#"{"fault":{"faultstring":"Invalid ApiKey","detail":{"errorcode":"oauth"}}}"#, "Invalid ApiKey"),
            (r#"{"error":"invalid_token","error_description":"It has expired"}"#, "It has expired"),
            (r#"{"error":{"code":503,"status":"UNAVAILABLE"}}"#, "status: UNAVAILABLE"),
            (r#"{"error":{"code":"404","message":"No such page"}}"#, "No such page"),
            (r#"{"error":{"message":"Refused"}}"#, "Refused"),
            (r#"{"code":"RESOURCE_NOT_FOUND"}"#, "RESOURCE_NOT_FOUND"),
            (r#"{"error":"gone"}"#, "gone"),
        ] {
            let read = ErrorBody::read(body.as_bytes());
            assert_eq!((read.message.as_deref(), read.code), (Some(reason), None), "{body}");
        }
    }

    #[test]
    fn other_bodies_have_no_fields() {
        for body in
            [&b""[..], b"<html>", b"{\"error\": {\"code\": \"X", b"[1]", b"\xff\xfe", b"null", b"{\"up\":false}"]
        {
            let body = ErrorBody::read(body);
            assert!(body.code.is_none() && body.message.is_none(), "{body:?}");
        }
    }
}
