//! Reads the error body of a response leniently.

use serde_json::{Map, Value};

/// The error body of a response. Every field may be missing: the body may be HTML from a proxy, empty or truncated.
#[derive(Clone, Debug, Default)]
pub(super) struct ErrorBody {
    /// True if the code is in `error`, where the service documents it.
    pub(super) is_documented: bool,
    pub(super) code: Option<String>,
    pub(super) message: Option<String>,
    pub(super) details: Option<Value>,
    pub(super) request_id: Option<String>,
}

impl ErrorBody {
    /// Reads `{"error": {"code", "message", "details"}}`, and the near forms `{"code", "message"}` and
    /// `{"error": "text"}`.
    pub(super) fn read(body: &[u8]) -> Self {
        let Ok(Value::Object(mut top)) = crate::json::read(body) else {
            return Self::default();
        };
        let outer_id = take_text(&mut top, "requestId");
        let (is_documented, mut error) = match top.remove("error") {
            Some(Value::Object(error)) => (true, error),
            Some(Value::String(message)) => {
                top.insert("message".to_owned(), Value::String(message));
                (false, top)
            }
            _ => (false, top),
        };
        Self {
            is_documented,
            code: take_text(&mut error, "code"),
            message: take_text(&mut error, "message"),
            details: error.remove("details").filter(|details| !details.is_null()),
            request_id: take_text(&mut error, "requestId").or(outer_id),
        }
    }
}

fn take_text(object: &mut Map<String, Value>, key: &str) -> Option<String> {
    match object.remove(key) {
        Some(Value::String(text)) if !text.trim().is_empty() => Some(text),
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
    fn near_forms_are_read() {
        assert_eq!(ErrorBody::read(br#"{"code":"X"}"#).code.as_deref(), Some("X"));
        assert_eq!(ErrorBody::read(br#"{"error":"gone"}"#).message.as_deref(), Some("gone"));
    }

    #[test]
    fn a_body_that_is_not_json_has_no_fields() {
        for body in [&b""[..], b"<html>", b"{\"error\": {\"code\": \"X", b"[1]", b"\xff\xfe", b"null"] {
            let body = ErrorBody::read(body);
            assert!(body.code.is_none() && body.message.is_none(), "{body:?}");
        }
    }
}
