//! The failed response that an [`Error`](super::Error) contains.

use std::fmt;

use bytes::Bytes;
use serde_json::Value;

use super::body::ErrorBody;
use super::text::{excerpt, one_line};
use crate::redact::{redact, redact_text};
use crate::response::{RawResponse, request_id};

/// The maximum size of a body that an error keeps, in bytes.
pub(crate) const KEPT_BODY: usize = 64 * 1024;

#[derive(Clone)]
pub(super) struct FailedResponse {
    /// Its body is no longer than [`KEPT_BODY`].
    pub(super) raw: RawResponse,
    /// The start of the body, or the text of a page, without secrets.
    pub(super) excerpt: String,
    /// The headers that name what responded, without secrets.
    pub(super) senders: String,
    pub(super) read: ErrorBody,
    pub(super) request_id: Option<String>,
}

impl FailedResponse {
    pub(super) fn new(mut raw: RawResponse, read: ErrorBody) -> Self {
        // A copy, so that an error does not keep a large body in memory.
        raw.body = Bytes::copy_from_slice(&raw.body[..raw.body.len().min(KEPT_BODY)]);
        let request_id = request_id(&raw.headers).or(read.request_id.as_deref()).map(str::to_owned);
        let mut response = Self { raw, excerpt: String::new(), senders: String::new(), read, request_id };
        response.redact(&[]);
        response
    }

    /// Returns the status with its name. A content delivery network has 520 to 530 of its own.
    pub(super) fn status(&self) -> String {
        let status = self.raw.status;
        match (status.canonical_reason(), status.as_u16()) {
            (Some(name), status) => format!("{status} {name}"),
            (None, 520..=530) => format!("{} Origin Error", status.as_u16()),
            (None, status) => status.to_string(),
        }
    }

    /// Returns the headers that name what responded, unless that was the service for certain. A redirect to a sign-in
    /// page names its place, without the query.
    fn senders(&self, key: &[u8]) -> String {
        let names = ["server", "via", "x-cache", "location"].iter().filter(|_| self.read.code.is_none());
        let values = names.flat_map(|name| self.raw.headers.get_all(*name).into_iter().map(move |value| (name, value)));
        let shown = values.map(|(name, value)| {
            let value = value.as_bytes().split(|byte| *byte == b'?').next().unwrap_or_default();
            format!("{name}: {}", excerpt(&redact(value, key), false))
        });
        shown.collect::<Vec<_>>().join("; ")
    }

    /// Removes secrets from everything that is shown.
    pub(super) fn redact(&mut self, key: &[u8]) {
        let coding = self.raw.coding().map(|coding| format!("[compressed with {}]", one_line(coding)));
        self.excerpt = coding.unwrap_or_else(|| excerpt(&redact(&self.raw.body, key), self.raw.is_page()));
        self.senders = self.senders(key);
        let ErrorBody { code, message, request_id, details, .. } = &mut self.read;
        for text in [code, message, request_id, &mut self.request_id].into_iter().flatten() {
            *text = redact_text(text, key).into_owned();
        }
        if let Some(details) = details {
            redact_value(details, key);
        }
    }
}

fn redact_value(value: &mut Value, key: &[u8]) {
    match value {
        Value::String(text) => *text = redact_text(text, key).into_owned(),
        Value::Array(values) => values.iter_mut().for_each(|value| redact_value(value, key)),
        Value::Object(object) => {
            for (name, mut value) in std::mem::take(object) {
                redact_value(&mut value, key);
                object.insert(redact_text(&name, key).into_owned(), value);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Hides the body, as the response to the creation of a webhook contains its secret.
impl fmt::Debug for FailedResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FailedResponse").field("raw", &self.raw).field("read", &self.read).finish_non_exhaustive()
    }
}
