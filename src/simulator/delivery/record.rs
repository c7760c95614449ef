//! Recorded deliveries.

use std::fmt;

use serde_json::Value;

use crate::simulator::delivery::queue::Delivery;
use crate::simulator::delivery::signed_request::{SignedRequest, is_reserved};
use crate::simulator::model::response::{header_text, header_texts};

/// A completed attempt to deliver an event. Returned by
/// [`Simulator::deliveries`](crate::simulator::Simulator::deliveries).
///
/// `Debug` shows no secrets: it redacts the query and the password of the URL, and the values of the webhook's own
/// headers.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedDelivery {
    /// The id of the event, such as `evt_000001`. It is the same for all attempts and all receivers.
    pub event_id: String,
    /// The type of the event, such as `run.completed`.
    pub event_kind: String,
    /// The URL of the receiver.
    pub url: String,
    /// The id of the webhook. `None` if the receiver is the `webhookUrl` of a work order.
    pub webhook_id: Option<String>,
    /// The number of the attempt to deliver this event to this receiver, from 1. Retries and duplicates count.
    pub attempt: u32,
    /// The headers, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, as it was signed.
    pub body: Vec<u8>,
    /// The outcome.
    pub outcome: DeliveryOutcome,
}

/// The outcome of an attempt to deliver an event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeliveryOutcome {
    /// The receiver responded with this status. Only 2xx is a success; any other status, including a redirect, is
    /// retried.
    Responded(u16),
    /// There was no response, for this reason. The delivery is retried.
    Failed(String),
    /// The event cannot be delivered, for this reason: the simulator delivers to `http://` URLs on this machine only.
    /// The delivery is not retried.
    Undeliverable(String),
    /// The delivery was lost by [`Simulator::lose_deliveries`](crate::simulator::Simulator::lose_deliveries). It was
    /// not sent, and is not retried.
    Lost,
}

impl DeliveryOutcome {
    /// Returns `true` if the receiver responded with 2xx.
    #[must_use]
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Responded(200..=299))
    }
}

impl RecordedDelivery {
    pub(crate) fn new(delivery: &Delivery, request: SignedRequest, outcome: DeliveryOutcome) -> Self {
        Self {
            event_id: delivery.event.id.clone(),
            event_kind: delivery.event.kind.to_owned(),
            url: request.url,
            webhook_id: request.webhook_id,
            attempt: delivery.attempt,
            headers: header_texts(&request.headers),
            body: request.body.to_vec(),
            outcome,
        }
    }

    /// Returns the value of the first header with this name, ignoring case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        header_text(&self.headers, name)
    }

    /// Parses the body as JSON.
    ///
    /// # Errors
    ///
    /// Fails if the body is not JSON. The bodies of the simulator are.
    pub fn body_json(&self) -> serde_json::Result<Value> {
        serde_json::from_slice(&self.body)
    }

    /// Returns the URL without its password and query.
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
        let value = |name: &str, value| if is_reserved(name) { value } else { "[redacted]" };
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
