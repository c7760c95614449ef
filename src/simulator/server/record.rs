//! The requests that the simulator has seen, for a test to look at.

use std::fmt;

use axum::http::HeaderMap;
use serde_json::Value;

/// A request, as the simulator saw it.
///
/// `Debug` shows everything but the value of the `authorization` header.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedRequest {
    /// The method, in upper case.
    pub method: String,
    /// The path, as it was sent: neither decoded nor normalised.
    pub path: String,
    /// The query, as it was sent, without its question mark. `None` if the request had none.
    pub query: Option<String>,
    /// The headers in their order, names in lower case. Bytes that are not UTF-8 are replaced.
    pub headers: Vec<(String, String)>,
    /// The body. Empty if it was cut off, or larger than the 10 MiB the simulator reads.
    pub body: Vec<u8>,
    /// The operation that method and path mean, such as `createWorkOrder`. `None` if they mean none.
    pub operation_id: Option<&'static str>,
}

/// Headers for a test to look at, in their order. Bytes that are not UTF-8 are replaced.
pub(crate) fn header_texts(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes()))).collect()
}

impl RecordedRequest {
    /// The value of the first header of this name, in whichever case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    ///
    /// # Errors
    ///
    /// If the body is not JSON. An empty one is not.
    pub fn body_json(&self) -> serde_json::Result<Value> {
        serde_json::from_slice(&self.body)
    }
}

impl fmt::Debug for RecordedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), if name == "authorization" { "[redacted]" } else { value.as_str() }))
            .collect();
        f.debug_struct("RecordedRequest")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("query", &self.query)
            .field("headers", &headers)
            .field("body", &String::from_utf8_lossy(&self.body))
            .field("operation_id", &self.operation_id)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> RecordedRequest {
        RecordedRequest {
            method: "POST".to_owned(),
            path: "/v1/work-orders".to_owned(),
            query: None,
            headers: vec![
                ("authorization".to_owned(), "Bearer org_live_secret".to_owned()),
                ("accept".to_owned(), "*/*".to_owned()),
            ],
            body: br#"{"taskPrompt":"x"}"#.to_vec(),
            operation_id: Some("createWorkOrder"),
        }
    }

    #[test]
    fn debug_never_shows_the_key() {
        let debug = format!("{:?}", request());
        assert!(!debug.contains("org_live_secret"), "{debug}");
        assert!(debug.contains("*/*") && debug.contains("taskPrompt"), "{debug}");
    }

    #[test]
    fn a_header_is_found_in_any_case() {
        assert_eq!(request().header("Accept"), Some("*/*"));
        assert_eq!(request().header("x-missing"), None);
    }

    #[test]
    fn a_body_that_is_json_can_be_read_as_such() {
        assert_eq!(request().body_json().unwrap()["taskPrompt"], "x");
        assert!(RecordedRequest { body: Vec::new(), ..request() }.body_json().is_err());
    }
}
