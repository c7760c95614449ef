//! Responses, and their headers as text.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::Value;

pub(crate) type Response = http::Response<Vec<u8>>;

pub(crate) fn new(status: StatusCode, body: impl Into<Vec<u8>>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response
}

pub(crate) fn json(status: StatusCode, body: &Value) -> Response {
    let mut response = new(status, body.to_string());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

pub(crate) fn ok(body: &Value) -> Response {
    json(StatusCode::OK, body)
}

pub(crate) fn created(body: &Value) -> Response {
    json(StatusCode::CREATED, body)
}

pub(crate) fn no_content() -> Response {
    new(StatusCode::NO_CONTENT, "")
}

/// Sets a header unless the response has it.
pub(crate) fn default_header(response: &mut Response, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().entry(HeaderName::from_static(name)).or_insert(value);
    }
}

/// Removes the null fields of an object: the API omits unknown values.
pub(crate) fn without_nulls(mut object: Value) -> Value {
    if let Some(fields) = object.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    object
}

/// Returns the headers as text, in their order. Bytes that are not UTF-8 are replaced.
pub(crate) fn header_texts(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

/// Returns the value of the first header with this name, ignoring case.
pub(crate) fn header_text<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}
