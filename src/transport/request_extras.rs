//! Additions to the request of a call: headers, query parameters and fields of the body.

use std::collections::BTreeMap;
use std::fmt;

use reqwest::Request;
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::{Map, Value};

use super::reserved_headers::RESERVED_HEADERS;
use crate::{Error, Result};

/// Additions to a request. They are checked when it is sent, as setters cannot fail.
#[derive(Clone, Default)]
pub(crate) struct RequestExtras {
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) body: BTreeMap<String, Value>,
}

impl RequestExtras {
    /// Returns the headers only, for a request of another operation that is part of the same call.
    pub(crate) fn headers_only(&self) -> Self {
        Self { headers: self.headers.clone(), ..Self::default() }
    }

    pub(super) fn apply(&self, request: &mut Request) -> Result<()> {
        self.add_headers(request)?;
        self.add_query(request)?;
        self.add_fields(request)
    }

    fn add_headers(&self, request: &mut Request) -> Result<()> {
        for (name, value) in &self.headers {
            let (name, value) = header(name, value)?;
            request.headers_mut().append(name, value);
        }
        Ok(())
    }

    fn add_query(&self, request: &mut Request) -> Result<()> {
        if self.query.is_empty() {
            return Ok(());
        }
        let is_taken = |name: &str| request.url().query_pairs().any(|(taken, _)| taken == name);
        if let Some((name, _)) = self.query.iter().find(|(name, _)| is_taken(name)) {
            let problem = format!("the call sets the query parameter `{name}` itself");
            return Err(Error::invalid_request(problem, "Use the method of the call that sets it."));
        }
        request.url_mut().query_pairs_mut().extend_pairs(&self.query);
        Ok(())
    }

    /// Adds the fields to the text of the body, so that the other fields stay as they were written.
    fn add_fields(&self, request: &mut Request) -> Result<()> {
        if self.body.is_empty() {
            return Ok(());
        }
        let no_object = || {
            Error::invalid_request(
                "the request has no JSON object as its body, to which a field could be added",
                "Leave `extra_body` out, or use `extra_query`.",
            )
        };
        let bytes = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default();
        let taken: Map<String, Value> = serde_json::from_slice(bytes).map_err(|_| no_object())?;
        if let Some(name) = self.body.keys().find(|name| taken.contains_key(*name)) {
            let problem = format!("the call sets the field `{name}` of the body itself");
            return Err(Error::invalid_request(problem, "Use the argument or the method of the call that sets it."));
        }
        let added = serde_json::to_vec(&self.body).map_err(|_| no_object())?;
        let (Some(start), Some(end)) = (bytes.trim_ascii_end().strip_suffix(b"}"), added.strip_prefix(b"{")) else {
            return Err(no_object());
        };
        let comma: &[u8] = if taken.is_empty() { b"" } else { b"," };
        *request.body_mut() = Some([start, comma, end].concat().into());
        Ok(())
    }
}

/// Checks a header that the client does not set itself.
pub(super) fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue)> {
    let Ok(header) = HeaderName::from_bytes(name.as_bytes()) else {
        let problem = format!("`{name}` is not a name that a header can have");
        return Err(Error::invalid_request(problem, "Use letters, digits and hyphens, such as `x-trace-id`."));
    };
    if RESERVED_HEADERS.contains(&header.as_str()) {
        let problem = format!("the header `{header}` is set by the client");
        let advice = "Leave it out, or use the method of the client or the call that sets it.";
        return Err(Error::invalid_request(problem, advice));
    }
    let Ok(mut value) = HeaderValue::from_str(value) else {
        let problem = format!("the header `{header}` has a value that no header can have");
        return Err(Error::invalid_request(problem, "Use printable ASCII, without line ends."));
    };
    // The value may be a secret, such as the token of a gateway. Sensitive values are not logged by the HTTP client.
    value.set_sensitive(true);
    Ok((header, value))
}

/// Shows the names, and none of the values.
impl fmt::Debug for RequestExtras {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn names<V>(pairs: &[(String, V)]) -> Vec<&str> {
            pairs.iter().map(|(name, _)| name.as_str()).collect()
        }
        f.debug_struct("RequestExtras")
            .field("headers", &names(&self.headers))
            .field("query", &names(&self.query))
            .field("body", &self.body.keys().collect::<Vec<_>>())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::RequestExtras;
    use reqwest::{Method, Request};
    use serde_json::json;

    fn with_field(body: &'static str) -> Result<String, String> {
        let mut request = Request::new(Method::POST, "http://127.0.0.1/".parse().unwrap());
        *request.body_mut() = Some(body.into());
        let extras = RequestExtras { body: [("new".to_owned(), json!([1]))].into(), ..RequestExtras::default() };
        extras.apply(&mut request).map_err(|error| error.to_string())?;
        Ok(String::from_utf8(request.body().unwrap().as_bytes().unwrap().to_vec()).unwrap())
    }

    #[test]
    fn a_field_is_added_and_the_others_stay_as_they_were_written() {
        for (body, expected) in [
            ("{}", r#"{"new":[1]}"#),
            (" { } \n", r#" { "new":[1]}"#),
            (r#"{"b": 1.10, "a": {"new": "}"}}"#, r#"{"b": 1.10, "a": {"new": "}"},"new":[1]}"#),
        ] {
            assert_eq!(with_field(body).unwrap(), expected);
        }
    }

    #[test]
    fn a_field_is_refused_if_the_body_is_no_object_or_has_the_field() {
        for body in ["", "[]", "null", "7", "{"] {
            assert!(with_field(body).unwrap_err().contains("no JSON object"), "{body}");
        }
        assert!(with_field(r#"{"new": null}"#).unwrap_err().contains("sets the field `new`"));
    }
}
