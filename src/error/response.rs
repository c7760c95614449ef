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
    /// The start of the body, without secrets.
    pub(super) excerpt: String,
    pub(super) read: ErrorBody,
    pub(super) request_id: Option<String>,
}

impl FailedResponse {
    pub(super) fn new(mut raw: RawResponse, read: ErrorBody) -> Self {
        // A copy, so that an error does not keep a large body in memory.
        raw.body = Bytes::copy_from_slice(&raw.body[..raw.body.len().min(KEPT_BODY)]);
        let request_id = request_id(&raw.headers).or(read.request_id.as_deref()).map(str::to_owned);
        let mut response = Self { raw, excerpt: String::new(), read, request_id };
        response.redact(&[]);
        response
    }

    /// Removes secrets from everything that is shown.
    pub(super) fn redact(&mut self, key: &[u8]) {
        let coding = self.raw.coding().map(|coding| format!("[compressed with {}]", one_line(coding)));
        self.excerpt = coding.unwrap_or_else(|| excerpt(&redact(&self.raw.body, key)));
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
