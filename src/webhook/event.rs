//! [`Event`]: the content of a delivery.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

use super::error::{Error, EventFault};
use crate::json;
use crate::types::{
    EventData, EventId, Redacted, RunEventData, RunId, TenantContext, VerificationEventData, WebhookEventType,
    WorkOrderId, read_time,
};

/// The keys under which an event may have its time, in the order in which they count. The service documents
/// none.
const TIME_KEYS: [&str; 5] = ["createdAt", "timestamp", "occurredAt", "time", "created"];

/// An event of a delivery: from [`Verifier::unwrap`](super::Verifier::unwrap).
///
/// It is read leniently: a field that is missing, or that differs from the documentation, is `None`.
/// [`json`](Self::json) has the whole event. `serde` writes and reads an event as that JSON, for a queue: the values
/// are the same, the bytes may differ. To queue the signed bytes, take the raw body, which the extractors provide as
/// `VerifiedBody`.
///
/// ```
/// use agentgate::types::WebhookEventType;
/// use agentgate::webhook::Event;
///
/// fn handle(event: &Event) {
///     match event.kind {
///         WebhookEventType::RunCompleted => {
///             let pull_request = event.run().and_then(|run| run.pr_url.as_deref());
///             println!("done: {}", pull_request.unwrap_or("without a pull request"));
///         }
///         WebhookEventType::RunFailed => {
///             let error = event.run().and_then(|run| run.error.as_ref());
///             println!("failed: {error:?}");
///         }
///         // More types may come.
///         _ => println!("{}: {}", event.kind, event.json()["data"]),
///     }
/// }
/// # let json = serde_json::json!({"id": "evt_1", "type": "run.completed", "data": {"runId": "run_1"}});
/// # handle(&Event::from_json(json).unwrap());
/// ```
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// The id of the event. All deliveries of the event have the same id, including retries and duplicates: see
    /// [`ReplayGuard`](super::ReplayGuard).
    pub id: EventId,
    /// The type of the event.
    pub kind: WebhookEventType,
    /// The time of the event.
    pub created_at: Option<DateTime<Utc>>,
    /// The data of the event, by its type.
    pub data: EventData,
    json: Value,
    ignored: Vec<String>,
}

impl Event {
    /// Reads an event without verifying its origin: for stored events and for tests. Read deliveries by
    /// [`Verifier::unwrap`](super::Verifier::unwrap), which verifies them first.
    ///
    /// # Errors
    ///
    /// If the bytes are not JSON (extensions that the parsers of JavaScript or Python accept, such as `NaN`, are
    /// allowed), or if the JSON has no `id` or no `type`.
    pub fn parse_unverified(body: &[u8]) -> Result<Self, Error> {
        let json = json::read(body).map_err(Error::NotJson)?;
        Self::from_json(json).map_err(Error::NotAnEvent)
    }

    /// Reads an event from its JSON.
    ///
    /// # Errors
    ///
    /// If it has no `id` and `type`.
    pub fn from_json(json: Value) -> Result<Self, EventFault> {
        let object = json.as_object().ok_or(EventFault::NotAnObject)?;
        let text = |name: &str| object.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let id = EventId::from(text("id").ok_or(EventFault::NoId)?);
        let kind = WebhookEventType::from(text("type").ok_or(EventFault::NoType)?);
        let created_at = TIME_KEYS.iter().find_map(|key| read_time(object.get(*key)?));
        let (data, mut ignored) = EventData::read(&kind, object.get("data").unwrap_or(&Value::Null));
        let ignored_time = TIME_KEYS.iter().find(|key| created_at.is_none() && !json[**key].is_null());
        ignored.extend(ignored_time.map(|key| (*key).to_owned()));
        Ok(Self { id, kind, created_at, data, json, ignored })
    }

    /// Returns the whole event. Its values are those that were delivered, as far as a [`Value`] can hold them: of
    /// duplicate keys, the last value counts, and integers beyond 64 bits become floating-point numbers. An unpaired
    /// surrogate (`"\ud83d"`) and bytes that are not UTF-8 become U+FFFD; numbers beyond `f64`, `NaN`, `Infinity`, and
    /// arrays and objects inside of 127 others become `null`.
    #[must_use]
    pub fn json(&self) -> &Value {
        &self.json
    }

    /// Returns the paths of the documented members that were left out because they do not fit, such as
    /// `data.timing.startedAt`. [`json`](Self::json) has them.
    #[must_use]
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// Deserializes the event's `data`: for types of events that this version of the crate does not know.
    ///
    /// # Errors
    ///
    /// If the data does not fit the type.
    ///
    /// ```
    /// use agentgate::webhook::Event;
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Build {
    ///     size: u64,
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let body = br#"{"id": "evt_1", "type": "run.no-such-event", "data": {"size": 7}}"#;
    /// let event = Event::parse_unverified(body)?;
    /// assert_eq!(event.data_as::<Build>()?.size, 7);
    /// # Ok(())
    /// # }
    /// ```
    pub fn data_as<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        T::deserialize(self.json().get("data").unwrap_or(&Value::Null))
    }

    /// Returns the data of an event about a run. `None` for events of other types, of unknown types even if their name
    /// begins with `run.`, and if the data is no object: read [`json`](Self::json) or [`data_as`](Self::data_as).
    #[must_use]
    pub fn run(&self) -> Option<&RunEventData> {
        match &self.data {
            EventData::Run(run) => Some(run),
            _ => None,
        }
    }

    /// Returns the data of an event about a verification. `None` in the same cases as for [`run`](Self::run).
    #[must_use]
    pub fn verification(&self) -> Option<&VerificationEventData> {
        match &self.data {
            EventData::Verification(verification) => Some(verification),
            _ => None,
        }
    }

    /// Returns the id of the run, for events of known types. Prefer it to the fields of the data: the service may write
    /// the id as `id` or as `runId`.
    #[must_use]
    pub fn run_id(&self) -> Option<&RunId> {
        self.data.run_id()
    }

    /// Returns the id of the work order, for events of known types.
    #[must_use]
    pub fn work_order_id(&self) -> Option<&WorkOrderId> {
        self.data.work_order_id()
    }

    /// Returns the tenant of the work order, for events of known types.
    #[must_use]
    pub fn tenant(&self) -> Option<&TenantContext> {
        self.data.tenant_context()
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.json().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_json(Value::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// Hides what looks like a secret in the JSON, too.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, kind, created_at, data, json, ignored } = self;
        let mut event = f.debug_struct("Event");
        event.field("id", id).field("kind", kind).field("created_at", created_at).field("data", data);
        event.field("json", &Redacted(json)).field("ignored", ignored).finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(json: Value) -> Event {
        Event::from_json(json).unwrap()
    }

    #[test]
    fn a_run_event_has_its_run() {
        let event = event(json!({
            "id": "evt_1", "type": "run.failed", "createdAt": "2026-01-01T00:00:00Z",
            "data": {
                "id": "run_1", "workOrderId": "wo_1", "status": "failed", "iterations": 3,
                "tenantContext": { "tenantId": "acme-corp" }, "error": { "code": "TESTS_FAILED" },
            },
        }));
        assert_eq!(event.kind, WebhookEventType::RunFailed);
        assert_eq!(event.run_id().unwrap(), "run_1");
        assert_eq!(event.work_order_id().unwrap(), "wo_1");
        assert_eq!(event.tenant().unwrap().tenant_id.as_deref(), Some("acme-corp"));
        assert_eq!(event.run().unwrap().error.as_ref().unwrap().code.as_deref(), Some("TESTS_FAILED"));
        assert!(event.verification().is_none());
    }

    #[test]
    fn a_verification_event_has_its_run() {
        let event = event(json!({ "id": "evt_1", "type": "verification.passed", "data": { "runId": "run_1" } }));
        assert_eq!(event.run_id().unwrap(), "run_1");
        assert!(event.verification().is_some() && event.run().is_none());
    }

    #[test]
    fn unknown_data_is_kept_as_json() {
        let json = json!({ "id": "evt_1", "type": "run.archived", "data": ["anything"], "more": 1 });
        let event = event(json.clone());
        assert_eq!(event.kind, WebhookEventType::Unknown("run.archived".to_owned()));
        assert_eq!(event.data, EventData::Other(json!(["anything"])));
        assert_eq!(event.json(), &json);
        assert_eq!(event.run_id(), None);
    }

    #[test]
    fn invalid_or_missing_data_does_not_invalidate_an_event() {
        for data in [json!(null), json!("x"), json!([1]), json!(7)] {
            let event = event(json!({ "id": "evt_1", "type": "run.completed", "data": data }));
            assert_eq!((event.run_id(), event.run()), (None, None), "{data}");
        }
        assert_eq!(event(json!({ "id": "evt_1", "type": "run.completed" })).run(), None);
    }

    #[test]
    fn every_plausible_time_is_read() {
        let expected = "2026-01-01T00:00:00Z".parse().unwrap();
        for (name, value) in [
            ("createdAt", json!("2026-01-01T00:00:00Z")),
            ("timestamp", json!("2026-01-01T01:00:00+01:00")),
            ("time", json!("2026-01-01T00:00:00")),
            ("created", json!(1_767_225_600)),
            ("createdAt", json!("2026-01-01T00:00:00+0000")),
            ("created", json!(1_767_225_600.0)),
            ("timestamp", json!("1767225600")),
            ("occurredAt", json!(1_767_225_600_000_i64)),
        ] {
            let event = event(json!({ "id": "evt_1", "type": "run.completed", name: value }));
            assert_eq!(event.created_at, Some(expected), "{name}");
        }
        for value in
            [json!("soon"), json!(null), json!(i64::MAX), json!(1e300), json!("NaN"), json!("-inf"), json!(true)]
        {
            let event = event(json!({ "id": "evt_1", "type": "run.completed", "createdAt": value }));
            assert_eq!(event.created_at, None, "{value}");
        }
    }

    #[test]
    fn what_has_no_id_or_type_is_no_event() {
        for (json, fault) in [
            (json!([]), EventFault::NotAnObject),
            (json!({ "type": "run.completed" }), EventFault::NoId),
            (json!({ "id": "", "type": "run.completed" }), EventFault::NoId),
            (json!({ "id": 7, "type": "run.completed" }), EventFault::NoId),
            (json!({ "id": "evt_1" }), EventFault::NoType),
            (json!({ "id": "evt_1", "type": "" }), EventFault::NoType),
        ] {
            assert_eq!(Event::from_json(json.clone()), Err(fault), "{json}");
        }
    }

    #[test]
    fn an_event_survives_a_queue() {
        let event = event(json!({ "id": "evt_1", "type": "run.completed", "data": { "runId": "run_1" }, "more": [1] }));
        let queued = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<Event>(&queued).unwrap(), event);
    }
}
