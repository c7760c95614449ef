//! What is sent: the event's bytes, and the headers that say what they are and prove where they come from.

use axum::body::Bytes;
use axum::http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};

use crate::simulator::delivery::destination::host_and_port;
use crate::simulator::delivery::queue::{Delivery, Target};
use crate::simulator::delivery::signature::sign;
use crate::simulator::model::organization::Organization;

/// The header that carries the signature.
const SIGNATURE: HeaderName = HeaderName::from_static("x-agentgate-signature");

/// Who sends it.
const AGENT: &str = concat!("agentgate-simulator/", env!("CARGO_PKG_VERSION"));

/// The headers that a webhook's own ones must not replace: they say how to read a delivery and whether to trust it.
const RESERVED: [&str; 13] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-agentgate-signature",
];

/// Whether a webhook may not choose this header.
pub(crate) fn is_reserved(name: &HeaderName) -> bool {
    RESERVED.contains(&name.as_str())
}

/// Whether a header's value is one that the simulator itself made up, and so gives away nothing.
pub(crate) fn is_own(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// A delivery as it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    /// Where it goes, as it was asked for.
    pub(crate) url: String,
    pub(crate) uri: Uri,
    pub(crate) webhook_id: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Parcel {
    /// What is sent for this delivery as things stand: a webhook may have been changed since the last attempt. `None` if
    /// it was disabled or deleted.
    pub(crate) fn new(delivery: &Delivery, organization: &Organization) -> Option<Self> {
        let (url, webhook) = match &delivery.target {
            Target::Url(url) => (url.as_ref(), None),
            Target::Webhook(number) => {
                let webhook = organization.webhook(*number).filter(|webhook| webhook.enabled)?;
                (webhook.url.as_str(), Some(webhook))
            }
        };
        // An HTTPS URL may hold what this type cannot. It is never sent to, and without a scheme neither is the default.
        let uri: Uri = url.parse().unwrap_or_default();
        let body = delivery.event.body.clone();
        let secret = webhook.map_or(&*organization.webhook_secret, |webhook| webhook.secret.expose_secret());

        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_str(host_and_port(&uri)).ok()?);
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers.extend(webhook.map(|webhook| webhook.headers.clone()).unwrap_or_default());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        headers.insert(SIGNATURE, HeaderValue::from_str(&sign(secret, &body)).ok()?);
        // Each delivery has a connection of its own.
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        let webhook_id = webhook.map(|webhook| webhook.id.clone());
        Some(Self { url: url.to_owned(), uri, webhook_id, headers, body })
    }
}
