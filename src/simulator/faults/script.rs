//! Bytes that are written to a connection in place of a valid response.

use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{Method, StatusCode};

use crate::simulator::model::response::Response;

#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) bytes: Vec<u8>,
    pub(crate) end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The connection is closed: the client reads the end of the stream.
    Close,
    /// The connection is reset: the client's reads fail.
    Reset,
    /// The connection stays open without another byte.
    Stall,
}

impl Script {
    /// Writes a response up to the middle of its body. A response without a body (204, or one to `HEAD`) is complete.
    pub(crate) fn truncated(method: &Method, response: &Response, end: End) -> Self {
        let status = response.status();
        let has_body = method != Method::HEAD && !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let mut bytes = format!("HTTP/1.1 {status}\r\n").into_bytes();
        let mut header = |name: &str, value: &[u8]| {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        };
        for (name, value) in response.headers() {
            if ![CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING].contains(name) {
                header(name.as_str(), value.as_bytes());
            }
        }
        let body = response.body();
        if has_body {
            header("content-length", body.len().to_string().as_bytes());
        }
        header("connection", b"close");
        bytes.extend_from_slice(b"\r\n");
        if !has_body {
            return Self { bytes, end: End::Close };
        }
        bytes.extend_from_slice(body.get(..body.len() / 2).unwrap_or_default());
        Self { bytes, end }
    }
}
