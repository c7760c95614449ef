//! Validation of JSON bodies. A response reports all invalid fields at once.

use http::Uri;
use serde_json::{Map, Value};

use crate::simulator::delivery::destination::is_loopback;
use crate::simulator::model::error::{ApiError, FieldError};

/// A JSON object in a body, and its path.
#[derive(Clone, Debug)]
pub(crate) struct Object<'a> {
    fields: &'a Map<String, Value>,
    path: String,
}

impl<'a> Object<'a> {
    pub(crate) fn root(body: &'a Value) -> Result<Self, ApiError> {
        let fields = body.as_object().ok_or_else(|| invalid_body("must be a JSON object".to_owned()))?;
        Ok(Self { fields, path: String::new() })
    }

    pub(crate) fn path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'a Value> {
        self.fields.get(name)
    }
}

pub(crate) fn parse(body: &[u8]) -> Result<Value, ApiError> {
    serde_json::from_slice(body).map_err(|error| invalid_body(format!("is not JSON: {error}")))
}

fn invalid_body(message: String) -> ApiError {
    ApiError::fields("INVALID_FORMAT", &[FieldError::new("body", message)])
}

/// Reads fields and collects their errors.
///
/// The methods return `None` for a missing field and for an invalid one; [`finish`](Self::finish) fails if one was
/// invalid.
#[derive(Debug, Default)]
pub(crate) struct Validator {
    errors: Vec<FieldError>,
    missing: bool,
}

impl Validator {
    pub(crate) fn error(&mut self, field: String, message: impl Into<String>) {
        self.errors.push(FieldError::new(field, message));
    }

    pub(crate) fn require(&mut self, object: &Object<'_>, name: &str) {
        if object.get(name).is_none() {
            self.missing = true;
            self.error(object.path(name), "is required");
        }
    }

    pub(crate) fn text<'a>(&mut self, object: &Object<'a>, name: &str) -> Option<&'a str> {
        self.read(object, name, "must be a string", Value::as_str)
    }

    pub(crate) fn non_empty_text<'a>(&mut self, object: &Object<'a>, name: &str) -> Option<&'a str> {
        let text = self.text(object, name)?;
        if text.is_empty() {
            self.error(object.path(name), "must not be empty");
            return None;
        }
        Some(text)
    }

    pub(crate) fn boolean(&mut self, object: &Object<'_>, name: &str) -> Option<bool> {
        self.read(object, name, "must be true or false", Value::as_bool)
    }

    pub(crate) fn positive_number(&mut self, object: &Object<'_>, name: &str) -> Option<u32> {
        self.read(object, name, "must be a whole number from 1 to 2147483647", |value| {
            let number = value.as_i64().and_then(|number| i32::try_from(number).ok())?;
            (number >= 1).then_some(number.unsigned_abs())
        })
    }

    pub(crate) fn object<'a>(&mut self, object: &Object<'a>, name: &str) -> Option<Object<'a>> {
        let fields = self.read(object, name, "must be an object", Value::as_object)?;
        Some(Object { fields, path: object.path(name) })
    }

    /// Reads an object whose values are strings.
    pub(crate) fn texts<'a>(&mut self, object: &Object<'a>, name: &str) -> Vec<(&'a str, &'a str)> {
        let Some(texts) = self.object(object, name) else { return Vec::new() };
        texts.fields.keys().filter_map(|name| Some((name.as_str(), self.text(&texts, name)?))).collect()
    }

    pub(crate) fn list(&mut self, object: &Object<'_>, name: &str) -> Option<Vec<String>> {
        self.items(object, name, "must be a string", |item, _| item.as_str().map(str::to_owned))
    }

    /// Reads a list of objects.
    pub(crate) fn objects<'a>(&mut self, object: &Object<'a>, name: &str) -> Vec<Object<'a>> {
        let read = |item: &'a Value, path: &str| Some(Object { fields: item.as_object()?, path: path.to_owned() });
        self.items(object, name, "must be an object", read).unwrap_or_default()
    }

    fn items<'a, T>(
        &mut self,
        object: &Object<'a>,
        name: &str,
        message: &str,
        read: impl Fn(&'a Value, &str) -> Option<T>,
    ) -> Option<Vec<T>> {
        let items = self.read(object, name, "must be a list", Value::as_array)?;
        let mut values = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let path = format!("{}[{index}]", object.path(name));
            match read(item, &path) {
                Some(value) => values.push(value),
                None => self.error(path, message),
            }
        }
        Some(values)
    }

    /// Reads a URL for deliveries: HTTPS, or HTTP on this machine.
    pub(crate) fn callback<'a>(&mut self, object: &Object<'a>, name: &str) -> Option<&'a str> {
        let url = self.non_empty_text(object, name)?;
        if !is_callback(url) {
            self.error(object.path(name), "must be an HTTPS URL");
            return None;
        }
        Some(url)
    }

    fn read<'a, T>(
        &mut self,
        object: &Object<'a>,
        name: &str,
        message: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Option<T> {
        let value = read(object.get(name)?);
        if value.is_none() {
            self.error(object.path(name), message);
        }
        value
    }

    /// Fails if a field was missing (`MISSING_FIELD`) or invalid (`INVALID_VALUE`).
    pub(crate) fn finish(self) -> Result<(), ApiError> {
        if self.errors.is_empty() {
            return Ok(());
        }
        Err(ApiError::fields(if self.missing { "MISSING_FIELD" } else { "INVALID_VALUE" }, &self.errors))
    }
}

/// Returns `true` if the contract allows deliveries to a URL, or if it is HTTP on this machine, whose receivers rarely
/// use HTTPS.
fn is_callback(url: &str) -> bool {
    if let Some(rest) = url.strip_prefix("https://") {
        return !rest.is_empty() && !rest.starts_with(['/', '?', '#']) && rest.bytes().all(|byte| byte > b' ');
    }
    url.parse::<Uri>().is_ok_and(|url| url.scheme_str() == Some("http") && url.host().is_some_and(is_loopback))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callbacks_are_https_or_on_this_machine() {
        for url in
            ["https://app.example.com/hooks", "http://localhost:8080/", "http://127.0.0.1:1/x", "http://[::1]:8080/"]
        {
            assert!(is_callback(url), "{url}");
        }
        for url in [
            "http://app.example.com/hooks",
            "http://localhost.example.com",
            "ftp://localhost/",
            "/hooks",
            "app.example.com",
            "https://",
            "https:///hooks",
            "https://?hooks",
            "https://app.example.com/two words",
        ] {
            assert!(!is_callback(url), "{url}");
        }
    }
}
