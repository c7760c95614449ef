//! The signed request of a delivery.

use std::fmt::Write;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use sha2::Sha256;

use crate::simulator::delivery::destination::host_and_port;
use crate::simulator::delivery::queue::{Delivery, Target};
use crate::simulator::model::organization::Organization;

const SIGNATURE: HeaderName = HeaderName::from_static("x-agentgate-signature");

const AGENT: &str = concat!("agentgate-simulator/", env!("CARGO_PKG_VERSION"));

/// The headers that the headers of a webhook cannot replace.
const RESERVED: [&str; 13] = [
    "connection", "content-encoding", "content-length", "content-type", "expect", "host", "keep-alive",
    "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "x-agentgate-signature",
];

/// Returns `true` if a webhook cannot set this header. Its value is the simulator's own and contains no secret.
pub(crate) fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

#[derive(Clone, Debug)]
pub(crate) struct SignedRequest {
    /// The URL as it was registered.
    pub(crate) url: String,
    pub(crate) uri: Uri,
    pub(crate) webhook_id: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl SignedRequest {
    /// Creates the request of a delivery with the current state of the webhook. Returns `None` if that was disabled or
    /// deleted.
    pub(crate) fn new(delivery: &Delivery, organization: &Organization) -> Option<Self> {
        let (url, webhook) = match &delivery.target {
            Target::Url(url) => (url.as_ref(), None),
            Target::Webhook(id) => {
                let webhook = organization.webhooks.iter().find(|webhook| webhook.id == *id && webhook.enabled)?;
                (webhook.url.as_str(), Some(webhook))
            }
        };
        // Some valid HTTPS URLs cannot be parsed. They are undeliverable anyway, as is the default.
        let uri: Uri = url.parse().unwrap_or_default();
        let body = delivery.event.body.clone();
        let default_secret = &*organization.settings.webhook_secret;
        let secret = webhook.map_or(default_secret, |webhook| webhook.secret.expose_secret());

        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_str(host_and_port(&uri)).ok()?);
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers.extend(webhook.map(|webhook| webhook.headers.clone()).unwrap_or_default());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        headers.insert(SIGNATURE, HeaderValue::from_str(&sign(secret, &body)).ok()?);
        // Each delivery has its own connection.
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        let webhook_id = webhook.map(|webhook| webhook.id.to_string());
        Some(Self { url: url.to_owned(), uri, webhook_id, headers, body })
    }
}

/// Returns the value of `X-AgentGate-Signature`: the HMAC-SHA256 of the body in lower-case hex. The key is the whole
/// secret with its prefix.
fn sign(secret: &str, body: &[u8]) -> String {
    let mut signature = String::from("sha256=");
    // HMAC accepts keys of any length, and writing to a string cannot fail.
    if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) {
        mac.update(body);
        for byte in mac.finalize().into_bytes() {
            let _ = write!(signature, "{byte:02x}");
        }
    }
    signature
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_equal_those_of_other_implementations() {
        // RFC 4231, test case 2.
        assert_eq!(
            sign("Jefe", b"what do ya want for nothing?"),
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        // By OpenSSL, with a secret that is longer than a block.
        assert_eq!(
            sign(&"*".repeat(131), br#"{"id":"evt_000001"}"#),
            "sha256=3b424706810c28e759a75d5639eec74fbcac5d1bff6b08408522449c21a9b450"
        );
    }
}
