//! The deliveries that were attempted, for a test to look at.

use std::fmt;

use serde_json::Value;

use crate::simulator::delivery::queue::Delivery;
use crate::simulator::delivery::signed_request::{self, Parcel};
use crate::simulator::server::record::header_texts;

/// An attempt to deliver an event, as the simulator made it.
///
/// `Debug` shows no secret: of the headers' values only those that every delivery has, and of the URL neither a password
/// nor the query.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedDelivery {
    /// The id of the event, such as `evt_000001`. It is the same for every attempt and every receiver.
    pub event_id: String,
    /// The type of the event, such as `run.completed`.
    pub event_kind: String,
    /// Where it was to go.
    pub url: String,
    /// The webhook it was for. `None` if it was for the `webhookUrl` of a work order.
    pub webhook_id: Option<String>,
    /// Which attempt it was to bring this event to this receiver, from one. Retries count, and so do duplicates.
    pub attempt: u32,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, as it was signed.
    pub body: Vec<u8>,
    /// What came of it.
    pub outcome: DeliveryOutcome,
}

/// What came of an attempt to deliver an event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeliveryOutcome {
    /// The receiver answered with this status. 2xx is success; anything else, redirects included, is tried again.
    Responded(u16),
    /// There was no answer, for this reason. It is tried again.
    Failed(String),
    /// It cannot be delivered, for this reason, and is not tried again: the simulator delivers to `http://` on this
    /// machine alone.
    Undeliverable(String),
    /// It was lost, as [`Simulator::lose_deliveries`](crate::simulator::Simulator::lose_deliveries) had ordered. It was
    /// never sent, and is not tried again.
    Lost,
}

impl DeliveryOutcome {
    /// Whether the receiver has it, and says so.
    #[must_use]
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Responded(200..=299))
    }
}

impl RecordedDelivery {
    pub(crate) fn new(delivery: &Delivery, parcel: Parcel, outcome: DeliveryOutcome) -> Self {
        Self {
            event_id: delivery.event.id.clone(),
            event_kind: delivery.event.word.to_owned(),
            url: parcel.url,
            webhook_id: parcel.webhook_id,
            attempt: delivery.attempt,
            headers: header_texts(&parcel.headers),
            body: parcel.body.to_vec(),
            outcome,
        }
    }

    /// The value of the first header of this name, in whichever case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    ///
    /// # Errors
    ///
    /// If the body is not JSON. The simulator's own bodies are.
    pub fn body_json(&self) -> serde_json::Result<Value> {
        serde_json::from_slice(&self.body)
    }

    /// The URL without what may be a secret in it.
    fn public_url(&self) -> String {
        let (address, query) =
            self.url.split_once('?').map_or((self.url.as_str(), ""), |(url, _)| (url, "?[redacted]"));
        let Some((scheme, rest)) = address.split_once("://") else { return format!("{address}{query}") };
        let authority = rest.split('/').next().unwrap_or_default();
        let public = authority.rfind('@').map_or(rest, |at| rest.get(at + 1..).unwrap_or_default());
        format!("{scheme}://{public}{query}")
    }
}

impl fmt::Debug for RecordedDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = |name: &str, value| if signed_request::is_own(name) { value } else { "[redacted]" };
        let headers: Vec<_> =
            self.headers.iter().map(|(name, text)| (name.as_str(), value(name, text.as_str()))).collect();
        f.debug_struct("RecordedDelivery")
            .field("event_id", &self.event_id)
            .field("event_kind", &self.event_kind)
            .field("url", &self.public_url())
            .field("webhook_id", &self.webhook_id)
            .field("attempt", &self.attempt)
            .field("headers", &headers)
            .field("body", &String::from_utf8_lossy(&self.body))
            .field("outcome", &self.outcome)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(url: &str) -> RecordedDelivery {
        RecordedDelivery {
            event_id: "evt_000001".to_owned(),
            event_kind: "run.created".to_owned(),
            url: url.to_owned(),
            webhook_id: Some("wh_000001".to_owned()),
            attempt: 1,
            headers: vec![
                ("x-internal-token".to_owned(), "hunter2".to_owned()),
                ("x-agentgate-signature".to_owned(), "sha256=00".to_owned()),
            ],
            body: br#"{"id":"evt_000001"}"#.to_vec(),
            outcome: DeliveryOutcome::Responded(204),
        }
    }

    #[test]
    fn debug_shows_the_signature_but_no_secret() {
        let debug = format!("{:?}", delivery("http://me:hunter2@localhost:80/hooks?token=hunter2"));
        assert!(!debug.contains("hunter2"), "{debug}");
        for shown in ["sha256=00", "x-internal-token", "http://localhost:80/hooks?[redacted]", "evt_000001"] {
            assert!(debug.contains(shown), "{shown} in {debug}");
        }
        assert_eq!(delivery("http://localhost/a@b").public_url(), "http://localhost/a@b");
    }

    #[test]
    fn what_was_sent_can_be_looked_at() {
        let delivery = delivery("http://localhost/");
        assert_eq!(delivery.header("X-AgentGate-Signature"), Some("sha256=00"));
        assert_eq!(delivery.header("x-missing"), None);
        assert_eq!(delivery.body_json().unwrap()["id"], "evt_000001");
    }

    #[test]
    fn only_2xx_is_success() {
        for (outcome, success) in [
            (DeliveryOutcome::Responded(200), true),
            (DeliveryOutcome::Responded(299), true),
            (DeliveryOutcome::Responded(302), false),
            (DeliveryOutcome::Responded(500), false),
            (DeliveryOutcome::Failed("no".to_owned()), false),
            (DeliveryOutcome::Lost, false),
        ] {
            assert_eq!(outcome.is_success(), success, "{outcome:?}");
        }
    }
}
