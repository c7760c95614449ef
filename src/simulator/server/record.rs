//! Recorded requests.

use std::fmt;

use http::request::Parts;
use serde_json::Value;

use crate::simulator::model::response::{header_text, header_texts};

/// A request that the simulator received. Returned by [`Simulator::requests`](crate::simulator::Simulator::requests).
///
/// `Debug` redacts the value of the `authorization` header.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedRequest {
    /// The method, in upper case.
    pub method: String,
    /// The path as it was sent, neither decoded nor normalized.
    pub path: String,
    /// The query as it was sent, without its question mark. `None` if the request had none.
    pub query: Option<String>,
    /// The headers in order, with names in lower case. Bytes that are not UTF-8 are replaced.
    pub headers: Vec<(String, String)>,
    /// The body. Empty if it was incomplete or larger than the limit of 10 MiB.
    pub body: Vec<u8>,
    /// The operation, such as `createWorkOrder`. `None` if the API has no operation with this method and path.
    pub operation_id: Option<&'static str>,
}

impl RecordedRequest {
    pub(crate) fn new(head: &Parts, body: &[u8], operation_id: Option<&'static str>) -> Self {
        Self {
            method: head.method.as_str().to_owned(),
            path: head.uri.path().to_owned(),
            query: head.uri.query().map(str::to_owned),
            headers: header_texts(&head.headers),
            body: body.to_vec(),
            operation_id,
        }
    }

    /// Returns the value of the first header with this name, ignoring case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        header_text(&self.headers, name)
    }

    /// Parses the body as JSON.
    ///
    /// # Errors
    ///
    /// Fails if the body is not JSON, for example because it is empty.
    pub fn body_json(&self) -> serde_json::Result<Value> {
        serde_json::from_slice(&self.body)
    }
}

impl fmt::Debug for RecordedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = |name: &str, value| if name == "authorization" { "[redacted]" } else { value };
        let headers: Vec<_> =
            self.headers.iter().map(|(name, text)| (name.as_str(), value(name, text.as_str()))).collect();
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
