//! Errors as JSON, for structured logs.

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{Error, ErrorKind};

/// Serializes the error as an object with names in snake case. Fields without a value are left out. Secrets are
/// redacted. Bodies and headers of requests and responses are not included.
///
/// | field | content |
/// |---|---|
/// | `kind` | [`kind`](Error::kind), as its [`as_str`](ErrorKind::as_str) |
/// | `message` | the text of `Display` |
/// | `operation` | the id of the [`operation`](Error::operation), such as `getRun` |
/// | `status`, `code`, `request_id` | those of the response |
/// | `attempts` | the number of attempts, if anything was sent |
/// | `retry_after` | seconds |
/// | `may_have_reached_server` | `true` or `false` |
/// | `run_id`, `run_status` | those of the run that was waited for |
/// | `field_errors`, `required_scope`, `credits`, `rate_limit` | the documented details |
///
/// ```
/// use agentgate::Client;
///
/// let error = Client::new("").unwrap_err();
/// let json = agentgate::serde_json::to_value(&error).unwrap();
/// assert_eq!(json["kind"], "configuration");
/// ```
impl Serialize for Error {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("kind", &self.kind())?;
        map.serialize_entry("message", &self.to_string())?;
        entry(&mut map, "operation", self.operation())?;
        entry(&mut map, "status", self.status().map(|status| status.as_u16()))?;
        entry(&mut map, "code", self.code())?;
        entry(&mut map, "request_id", self.request_id())?;
        entry(&mut map, "attempts", Some(self.attempts()).filter(|attempts| *attempts > 0))?;
        entry(&mut map, "retry_after", self.retry_after().map(|wait| wait.as_secs_f64()))?;
        map.serialize_entry("may_have_reached_server", &self.may_have_reached_server())?;
        entry(&mut map, "run_id", self.run_id())?;
        entry(&mut map, "run_status", self.run_status())?;
        entry(&mut map, "field_errors", Some(self.field_errors()).filter(|errors| !errors.is_empty()))?;
        entry(&mut map, "required_scope", self.required_scope())?;
        entry(&mut map, "credits", self.credits())?;
        entry(&mut map, "rate_limit", self.rate_limit())?;
        map.end()
    }
}

fn entry<M: SerializeMap>(map: &mut M, name: &'static str, value: Option<impl Serialize>) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| map.serialize_entry(name, &value))
}

/// Serializes [`as_str`](Self::as_str).
impl Serialize for ErrorKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
