//! Reading JSON bodies, and telling everything that is wrong with them at once, by field.

use axum::http::Uri;
use serde_json::{Map, Value};

use crate::simulator::delivery::is_loopback;
use crate::simulator::model::error::{ApiError, FieldError};

/// A JSON object within a body, and the path it is found at.
#[derive(Clone, Debug)]
pub(crate) struct Object<'a> {
    fields: &'a Map<String, Value>,
    path: String,
}

impl<'a> Object<'a> {
    /// The path of one of its fields.
    pub(crate) fn path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// One of its fields.
    pub(crate) fn get(&self, name: &str) -> Option<&'a Value> {
        self.fields.get(name)
    }

    /// A copy of one of its fields.
    pub(crate) fn copy(&self, name: &str) -> Option<Value> {
        self.get(name).cloned()
    }
}

/// Reads a body.
pub(crate) fn parse(body: &[u8]) -> Result<Value, ApiError> {
    serde_json::from_slice(body).map_err(|error| not_a_body(format!("is not JSON: {error}")))
}

/// The object that a body is.
pub(crate) fn root(body: &Value) -> Result<Object<'_>, ApiError> {
    let fields = body.as_object().ok_or_else(|| not_a_body("must be a JSON object".to_owned()))?;
    Ok(Object { fields, path: String::new() })
}

fn not_a_body(message: String) -> ApiError {
    ApiError::fields("INVALID_FORMAT", &[FieldError::new("body", message)])
}

/// Checks the fields of a body and remembers what is wrong with them.
///
/// The readers answer `None` both for a field that is left out and for one that is wrong; [`finish`](Self::finish)
/// tells the two apart.
#[derive(Debug, Default)]
pub(crate) struct Check {
    errors: Vec<FieldError>,
    missing: bool,
}

impl Check {
    /// Says that a field is wrong.
    pub(crate) fn refuse(&mut self, field: String, message: impl Into<String>) {
        self.errors.push(FieldError::new(field, message));
    }

    /// Says so if a field is left out.
    pub(crate) fn require(&mut self, object: &Object<'_>, name: &str) {
        if object.get(name).is_none() {
            self.missing = true;
            self.refuse(object.path(name), "is required");
        }
    }

    /// A string, if there.
    pub(crate) fn text<'a>(&mut self, object: &Object<'a>, name: &str) -> Option<&'a str> {
        self.read(object, name, "must be a string", Value::as_str)
    }

    /// A string of at least one character, if there.
    pub(crate) fn some_text<'a>(&mut self, object: &Object<'a>, name: &str) -> Option<&'a str> {
        let text = self.text(object, name)?;
        if text.is_empty() {
            self.refuse(object.path(name), "must not be empty");
            return None;
        }
        Some(text)
    }

    /// `true` or `false`, if there.
    pub(crate) fn boolean(&mut self, object: &Object<'_>, name: &str) -> Option<bool> {
        self.read(object, name, "must be true or false", Value::as_bool)
    }

    /// A number to count with, if there.
    pub(crate) fn count(&mut self, object: &Object<'_>, name: &str) -> Option<u32> {
        self.read(object, name, "must be a whole number from 1 to 2147483647", |value| {
            value
                .as_i64()
                .and_then(|number| i32::try_from(number).ok())
                .filter(|number| *number >= 1)
                .map(i32::unsigned_abs)
        })
    }

    /// An object, if there.
    pub(crate) fn object<'a>(&mut self, object: &Object<'a>, name: &str) -> Option<Object<'a>> {
        let fields = self.read(object, name, "must be an object", Value::as_object)?;
        Some(Object { fields, path: object.path(name) })
    }

    /// An object of which all values are strings: its names and values, if there.
    pub(crate) fn texts<'a>(&mut self, object: &Object<'a>, name: &str) -> Vec<(&'a str, &'a str)> {
        let Some(texts) = self.object(object, name) else { return Vec::new() };
        texts.fields.keys().filter_map(|name| Some((name.as_str(), self.text(&texts, name)?))).collect()
    }

    /// A list of strings, if there.
    pub(crate) fn list(&mut self, object: &Object<'_>, name: &str) -> Option<Vec<String>> {
        let items = self.items(object, name)?;
        let texts = items.into_iter().filter_map(|(item, path)| {
            self.convert(item, path, "must be a string", |item| item.as_str().map(str::to_owned))
        });
        Some(texts.collect())
    }

    /// A list of objects, if there.
    pub(crate) fn objects<'a>(&mut self, object: &Object<'a>, name: &str) -> Vec<Object<'a>> {
        let items = self.items(object, name).unwrap_or_default().into_iter();
        let objects = items.filter_map(|(item, path)| {
            let fields = self.convert(item, path.clone(), "must be an object", Value::as_object)?;
            Some(Object { fields, path })
        });
        objects.collect()
    }

    /// The items of a list and their paths, if there.
    fn items<'a>(&mut self, object: &Object<'a>, name: &str) -> Option<Vec<(&'a Value, String)>> {
        let items = self.read(object, name, "must be a list", Value::as_array)?;
        let path = object.path(name);
        Some(items.iter().enumerate().map(|(index, item)| (item, format!("{path}[{index}]"))).collect())
    }

    /// A URL that deliveries may be sent to, if there: HTTPS, or HTTP on this machine.
    pub(crate) fn callback<'a>(&mut self, object: &Object<'a>, name: &str) -> Option<&'a str> {
        let url = self.some_text(object, name)?;
        if !is_callback(url) {
            self.refuse(object.path(name), "must be an HTTPS URL");
            return None;
        }
        Some(url)
    }

    fn read<'a, T>(
        &mut self,
        object: &Object<'a>,
        name: &str,
        otherwise: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Option<T> {
        self.convert(object.get(name)?, object.path(name), otherwise, read)
    }

    fn convert<'a, T>(
        &mut self,
        value: &'a Value,
        path: String,
        otherwise: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Option<T> {
        let value = read(value);
        if value.is_none() {
            self.refuse(path, otherwise);
        }
        value
    }

    /// Fails if anything was wrong: as `MISSING_FIELD` if a field was left out, else as `INVALID_VALUE`.
    pub(crate) fn finish(self) -> Result<(), ApiError> {
        if self.errors.is_empty() {
            return Ok(());
        }
        Err(ApiError::fields(if self.missing { "MISSING_FIELD" } else { "INVALID_VALUE" }, &self.errors))
    }
}

/// Returns whether the contract allows deliveries to a URL, or this simulator does: the service demands HTTPS, which a
/// receiver on this machine rarely speaks.
fn is_callback(url: &str) -> bool {
    if let Some(rest) = url.strip_prefix("https://") {
        return !rest.is_empty() && !rest.starts_with(['/', '?', '#']) && rest.bytes().all(|byte| byte > b' ');
    }
    url.parse::<Uri>().is_ok_and(|url| url.scheme_str() == Some("http") && url.host().is_some_and(is_loopback))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let body =
            json!({ "name": "", "enabled": "yes", "count": 0, "list": ["x", 1], "map": { "a": 1 }, "nothing": null });
        let (object, mut check) = (root(&body).unwrap(), Check::default());
        check.some_text(&object, "name");
        check.boolean(&object, "enabled");
        check.count(&object, "count");
        check.list(&object, "list");
        check.texts(&object, "map");
        check.text(&object, "nothing");
        let fields: Vec<_> = check.errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, ["name", "enabled", "count", "list[1]", "map.a", "nothing"]);
        assert!(check.finish().is_err());
    }

    #[test]
    fn deliveries_go_by_https_or_stay_on_this_machine() {
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
