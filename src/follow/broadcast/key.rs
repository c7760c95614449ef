//! [`BroadcastKey`]: the authentication of messages between replicas.

use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::message::Envelope;

type HmacSha256 = Hmac<Sha256>;

/// The version of the format. Messages of another version are not authenticated.
const VERSION: &str = "agentgate1";

/// The largest difference between the time of a message and the receiver's clock. It limits for how long a message can
/// be repeated.
const TIME_TOLERANCE: TimeDelta = TimeDelta::minutes(15);

/// The key and the channel name that all clients with the same API key and base URL derive.
///
/// A message is `agentgate1 <HMAC-SHA256 in hex> <JSON>`.
pub(crate) struct BroadcastKey {
    key: HmacSha256,
    channel: String,
}

/// The reason why a message is ignored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Rejection {
    /// The message was not made with this key.
    Unauthenticated,
    /// The message is old, or the clock of its sender differs.
    WrongTime,
    /// The message is authentic, and of a kind that this version of the crate does not know.
    Unknown,
}

impl BroadcastKey {
    /// Derives the key. The name of the channel reveals neither this key nor the API key.
    pub(crate) fn new(api_key: &[u8], base_url: &str) -> Self {
        let derive = |purpose: &str| mac(api_key).chain_update(purpose).chain_update([0]).chain_update(base_url);
        let name = derive("agentgate broadcast channel 1").finalize().into_bytes();
        let channel = format!("agentgate:runs:{:x}", base16ct::HexDisplay(&name[..16]));
        Self { key: mac(&derive("agentgate broadcast key 1").finalize().into_bytes()), channel }
    }

    pub(super) fn channel(&self) -> &str {
        &self.channel
    }

    pub(super) fn seal(&self, envelope: &Envelope) -> serde_json::Result<String> {
        Ok(self.sign(&serde_json::to_string(envelope)?))
    }

    pub(in crate::follow) fn sign(&self, json: &str) -> String {
        let tag = self.key.clone().chain_update(json).finalize().into_bytes();
        format!("{VERSION} {:x} {json}", base16ct::HexDisplay(&tag))
    }

    pub(super) fn open(&self, message: &[u8], now: DateTime<Utc>) -> Result<Envelope, Rejection> {
        let json = self.authenticated(message).ok_or(Rejection::Unauthenticated)?;
        let envelope: Envelope = serde_json::from_slice(json).map_err(|_| Rejection::Unknown)?;
        if (now - envelope.sent_at).abs() > TIME_TOLERANCE {
            return Err(Rejection::WrongTime);
        }
        Ok(envelope)
    }

    /// Returns the JSON of a message that was made with this key.
    fn authenticated<'a>(&self, message: &'a [u8]) -> Option<&'a [u8]> {
        let (tag, json) = message.strip_prefix(VERSION.as_bytes())?.strip_prefix(b" ")?.split_at_checked(64)?;
        let json = json.strip_prefix(b" ")?;
        let mut bytes = [0; 32];
        let tag = base16ct::lower::decode(tag, &mut bytes).ok()?;
        self.key.clone().chain_update(json).verify_slice(tag).ok()?;
        Some(json)
    }
}

fn mac(key: &[u8]) -> HmacSha256 {
    match HmacSha256::new_from_slice(key) {
        Ok(mac) => mac,
        Err(_) => unreachable!("HMAC accepts keys of any length"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::Message;
    use super::*;

    const URL: &str = "https://agentgate.example";

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_767_225_600, 0).unwrap()
    }

    fn envelope() -> Envelope {
        Envelope { sender: "replica".to_owned(), sent_at: now(), message: Message::Awaiting }
    }

    #[test]
    fn a_message_is_read_by_clients_with_the_same_key_and_base_url() {
        let key = BroadcastKey::new(b"org_live_1", URL);
        let message = key.seal(&envelope()).unwrap();
        for (api_key, url, is_read) in
            [("org_live_1", URL, true), ("org_live_2", URL, false), ("org_live_1", "https://other.example", false)]
        {
            let other = BroadcastKey::new(api_key.as_bytes(), url);
            assert_eq!(other.open(message.as_bytes(), now()).is_ok(), is_read, "{api_key} {url}");
            assert_eq!(other.channel() == key.channel(), is_read, "{api_key} {url}");
        }
        assert!(!message.contains("org_live") && !key.channel().contains("org_live"));
    }

    #[test]
    fn a_message_with_one_changed_bit_is_ignored() {
        let key = BroadcastKey::new(b"org_live_1", URL);
        let message = key.seal(&envelope()).unwrap().into_bytes();
        for index in 0..message.len() {
            for bit in 0..8 {
                let mut changed = message.clone();
                changed[index] ^= 1 << bit;
                assert_eq!(key.open(&changed, now()).unwrap_err(), Rejection::Unauthenticated, "byte {index}");
            }
            assert_eq!(key.open(&message[..index], now()).unwrap_err(), Rejection::Unauthenticated);
        }
    }

    #[test]
    fn a_message_is_ignored_more_than_fifteen_minutes_from_its_time() {
        let key = BroadcastKey::new(b"org_live_1", URL);
        let message = key.seal(&envelope()).unwrap();
        for (minutes, rejection) in [(-16, true), (-14, false), (14, false), (16, true)] {
            let read = key.open(message.as_bytes(), now() + TimeDelta::minutes(minutes));
            assert_eq!(read.err(), rejection.then_some(Rejection::WrongTime), "{minutes}");
        }
    }

    #[test]
    fn an_authentic_message_of_an_unknown_kind_is_not_unauthenticated() {
        let key = BroadcastKey::new(b"org_live_1", URL);
        let json = r#"{"sender":"replica","sentAt":"2026-01-01T00:00:00Z","kind":"noSuchKind"}"#;
        assert_eq!(key.open(key.sign(json).as_bytes(), now()).unwrap_err(), Rejection::Unknown);
    }
}
