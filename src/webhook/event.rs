//! An event, as a delivery brings it.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::de::{DeserializeOwned, DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;
use serde_json::de::SliceRead;

use super::checked::Checked;
use super::error::{Error, EventFault};
use super::lazy_json::LazyJson;
use crate::json;
use crate::types::{
    EventData, EventId, RunEventData, RunId, TenantContext, VerificationEventData, WebhookEventType, WorkOrderId,
};

/// The names under which an event may tell its time. The documentation names none.
const TIMES: [&str; 5] = ["createdAt", "timestamp", "occurredAt", "time", "created"];

/// What happened, as a delivery tells it: from [`Verifier::unwrap`](super::Verifier::unwrap).
///
/// It is read leniently: what is not there, or is not what the documentation says, is `None`. The whole of it is in
/// [`json`](Self::json). By `serde`, an event is written as that JSON, so that it can be put into a queue and taken out again: the same
/// values, though not the same bytes. To queue the bytes with their signature, take the raw body, which the extractors give as
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
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// The event's id. All deliveries of the event have the same, retries and duplicates included: see
    /// [`ReplayGuard`](super::ReplayGuard).
    pub id: EventId,
    /// What happened.
    pub kind: WebhookEventType,
    /// When it happened.
    pub created_at: Option<DateTime<Utc>>,
    /// What it happened to.
    pub data: EventData,
    json: LazyJson,
}

impl Event {
    /// Reads an event, whoever it is from. To read a delivery, use [`Verifier::unwrap`](super::Verifier::unwrap), which verifies
    /// it first; this is for events that were stored, and for tests.
    ///
    /// # Errors
    ///
    /// If the bytes are not JSON, even to the parsers of JavaScript and Python, or the JSON has no `id` and `type`.
    pub fn parse_unverified(body: &[u8]) -> Result<Self, Error> {
        if let Some(event) = Self::read_typed(body) {
            return Ok(event);
        }
        let json = json::read(body).map_err(Error::NotJson)?;
        Self::from_json(json).map_err(Error::NotAnEvent)
    }

    /// Reads an event from its text alone, which saves the [`Value`] of it: few receivers look at that.
    ///
    /// `None` leaves what is not as the service writes it to [`from_json`](Self::from_json): JSON that is not strict, a key that occurs
    /// twice, no `id` or `type`, and data that does not fit.
    fn read_typed(body: &[u8]) -> Option<Self> {
        // `serde_json` checks little of what it passes over, so all is read once, and then the data by its type.
        let Envelope { id, kind, times } = read(body, |deserializer| deserializer.deserialize_map(EnvelopeVisitor))?;
        let (id, kind) = (id?, kind?);
        let data = read(body, |deserializer| deserializer.deserialize_map(DataVisitor(&kind)))?;
        let created_at = times.iter().flatten().find_map(time);
        Some(Self { id, kind, created_at, data, json: LazyJson::from_strict(body) })
    }

    /// The event that this JSON is.
    ///
    /// # Errors
    ///
    /// If it has no `id` and `type`.
    pub fn from_json(json: Value) -> Result<Self, EventFault> {
        let object = json.as_object().ok_or(EventFault::NotAnObject)?;
        let text = |name: &str| object.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let id = EventId::from(text("id").ok_or(EventFault::NoId)?);
        let kind = WebhookEventType::from(text("type").ok_or(EventFault::NoType)?);
        let created_at = TIMES.iter().find_map(|name| time(object.get(*name)?));
        let data = EventData::read(&kind, object.get("data").unwrap_or(&Value::Null));
        Ok(Self { id, kind, created_at, data, json: json.into() })
    }

    /// The whole event. Its values are those that were delivered, as far as a [`Value`] can hold them: of a key that occurs twice, the last
    /// value counts, and integers beyond 64 bits become floating-point numbers. An unpaired surrogate (`"\ud83d"`) and bytes that are not
    /// UTF-8 become U+FFFD; numbers beyond `f64`, `NaN`, `Infinity`, and arrays and objects inside of 127 others become `null`.
    #[must_use]
    pub fn json(&self) -> &Value {
        self.json.get()
    }

    /// The event's `data`, as a type of yours. For events that this version does not know.
    ///
    /// # Errors
    ///
    /// If it does not fit.
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

    /// The run that an event is about whose type is known to be about one, as far as the event tells. `None` for others, even
    /// those whose name begins with `run.`, and if the data is no object: read [`json`](Self::json) or [`data_as`](Self::data_as).
    #[must_use]
    pub fn run(&self) -> Option<&RunEventData> {
        match &self.data {
            EventData::Run(run) => Some(run),
            _ => None,
        }
    }

    /// The verification that an event is about whose type is known to be about one, as far as the event tells.
    #[must_use]
    pub fn verification(&self) -> Option<&VerificationEventData> {
        match &self.data {
            EventData::Verification(verification) => Some(verification),
            _ => None,
        }
    }

    /// The id of the run concerned, for events of the types that are known to be about one. Prefer it to the fields of the
    /// data: the service may write the id as `id` or as `runId`.
    #[must_use]
    pub fn run_id(&self) -> Option<&RunId> {
        self.data.run_id()
    }

    /// The id of the work order concerned, for events of the types that are known to be about one.
    #[must_use]
    pub fn work_order_id(&self) -> Option<&WorkOrderId> {
        self.data.work_order_id()
    }

    /// The tenant for whom the work order was submitted, for events of the types that are known to tell it.
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

fn read<'a, T>(
    body: &'a [u8],
    by: impl FnOnce(&mut serde_json::Deserializer<SliceRead<'a>>) -> serde_json::Result<T>,
) -> Option<T> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = by(&mut deserializer).ok()?;
    deserializer.end().ok().map(|()| value)
}

/// The name of a member of an event.
enum Name {
    Id,
    Type,
    /// One of [`TIMES`].
    Time(usize),
    Data,
    Other,
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_identifier(NameVisitor)
    }
}

struct NameVisitor;

impl Visitor<'_> for NameVisitor {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Name, E> {
        Ok(match name {
            "id" => Name::Id,
            "type" => Name::Type,
            "data" => Name::Data,
            _ => TIMES.iter().position(|time| *time == name).map_or(Name::Other, Name::Time),
        })
    }
}

/// What the text of an event tells beside its data.
#[derive(Default)]
struct Envelope {
    id: Option<EventId>,
    kind: Option<WebhookEventType>,
    times: [Option<Value>; TIMES.len()],
}

struct EnvelopeVisitor;

impl<'de> Visitor<'de> for EnvelopeVisitor {
    type Value = Envelope;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Envelope, A::Error> {
        let mut envelope = Envelope::default();
        while let Some(name) = members.next_key()? {
            match name {
                Name::Id => set(&mut envelope.id, not_empty(members.next_value()?)?)?,
                Name::Type => set(&mut envelope.kind, not_empty(members.next_value()?)?)?,
                Name::Time(place) => set(&mut envelope.times[place], members.next_value()?)?,
                Name::Data | Name::Other => {
                    members.next_value::<Checked>()?;
                }
            }
        }
        Ok(envelope)
    }
}

fn not_empty<T: From<String>, E: de::Error>(text: String) -> Result<T, E> {
    if text.is_empty() { Err(de::Error::custom("an empty text")) } else { Ok(text.into()) }
}

fn set<T, E: de::Error>(place: &mut Option<T>, value: T) -> Result<(), E> {
    if place.replace(value).is_none() { Ok(()) } else { Err(de::Error::custom("a key that occurs twice")) }
}

/// Reads the data of an event of this type.
struct DataVisitor<'a>(&'a WebhookEventType);

impl<'de> Visitor<'de> for DataVisitor<'_> {
    type Value = EventData;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<EventData, A::Error> {
        let mut data = None;
        while let Some(name) = members.next_key()? {
            match name {
                Name::Data => set(&mut data, members.next_value_seed(DataOf(self.0))?)?,
                _ => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(data.unwrap_or(EventData::Other(Value::Null)))
    }
}

struct DataOf<'a>(&'a WebhookEventType);

impl<'de> DeserializeSeed<'de> for DataOf<'_> {
    type Value = EventData;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<EventData, D::Error> {
        EventData::read_strictly(self.0, deserializer)
    }
}

/// A time in ISO 8601, or in seconds or milliseconds since 1970.
#[expect(clippy::cast_possible_truncation, reason = "what does not fit is no time")]
fn time(value: &Value) -> Option<DateTime<Utc>> {
    /// Seconds beyond this would lie after the year 5000, so it is milliseconds.
    const SECONDS: f64 = 1e11;
    let number = match value {
        Value::String(text) => match crate::types::parse_time(text) {
            Some(time) => return Some(time),
            None => text.trim().parse().ok()?,
        },
        _ => value.as_f64()?,
    };
    if !number.is_finite() {
        return None;
    }
    let seconds = if number.abs() < SECONDS { number } else { number / 1000.0 };
    // A cast that does not fit ends at the bound, which is no time that can be.
    DateTime::from_timestamp_micros((seconds * 1e6).round() as i64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(json: Value) -> Event {
        Event::from_json(json).unwrap()
    }

    #[test]
    fn a_run_event_tells_of_its_run() {
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
    fn a_verification_event_tells_of_its_run() {
        let event = event(json!({ "id": "evt_1", "type": "verification.passed", "data": { "runId": "run_1" } }));
        assert_eq!(event.run_id().unwrap(), "run_1");
        assert!(event.verification().is_some() && event.run().is_none());
    }

    #[test]
    fn what_is_not_known_is_handed_over_as_it_came() {
        let json = json!({ "id": "evt_1", "type": "run.archived", "data": ["anything"], "more": 1 });
        let event = event(json.clone());
        assert_eq!(event.kind, WebhookEventType::Unknown("run.archived".to_owned()));
        assert_eq!(event.data, EventData::Other(json!(["anything"])));
        assert_eq!(event.json(), &json);
        assert_eq!(event.run_id(), None);
    }

    #[test]
    fn data_that_does_not_fit_or_is_missing_spoils_no_event() {
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
