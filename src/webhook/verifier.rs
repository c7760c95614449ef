//! Whether a delivery is from AgentGate.

use std::env::VarError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use hmac::digest::{CtOutput, Output};
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, Request};
use sha2::Sha256;

use super::age::AgeLimit;
use super::error::{Error, SecretError};
use super::event::Event;
use super::signature::{candidates, count, signatures, write};
use crate::secret::Secret;

type HmacSha256 = Hmac<Sha256>;

/// The environment variable with the secrets: `AGENTGATE_WEBHOOK_SECRET`.
const VARIABLE: &str = "AGENTGATE_WEBHOOK_SECRET";

/// The largest body by default: 256 KiB. An event has a few KiB, most of them metadata of the tenant.
const MAX_BODY_SIZE: usize = 256 * 1024;

/// The beginning of every secret that the service makes.
const SECRET_PREFIX: &str = "whsec_";

/// Verifies deliveries, and unwraps the events in them.
///
/// Make one when the program starts, and keep it: what can be computed from a secret alone is computed once. Clones are cheap
/// and share it. The keys are wiped from memory with the last clone, as far as the compiler left no copy on the stack, and show in no
/// `Debug`.
///
/// ```
/// use agentgate::webhook::Verifier;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let verifier = Verifier::new(["whsec_0123456789"])?;
///
/// let body = br#"{"id": "evt_1", "type": "run.completed", "data": {"runId": "run_1"}}"#;
/// let signature = verifier.sign(body); // what AgentGate does
///
/// verifier.verify(body, &signature)?;
/// assert!(verifier.verify(b"something else", &signature).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Verifier {
    /// Never empty. The state of HMAC after its key: all that is needed of a secret.
    keys: Arc<Vec<HmacSha256>>,
    max_body_size: usize,
    age_limit: AgeLimit,
}

impl Verifier {
    /// Verifies by these secrets; a delivery is accepted if it was signed with any of them. Give the whole string that
    /// `client.webhooks().create(..)` answered, `whsec_` included.
    ///
    /// A comma is a part of a secret here; only [`from_env`](Self::from_env) splits there. Several are for the time in which one
    /// webhook takes the place of another, as a secret cannot be changed. [`sign`](Self::sign) uses the first.
    ///
    /// # Errors
    ///
    /// If there is no secret, or one cannot be right: it is empty, has white space or an invisible character in it, stands in
    /// quotation marks, or is a placeholder such as `whsec_...`. The [`SecretError`] says which. One of nothing but NUL characters
    /// counts as empty.
    pub fn new<S: Into<Secret>>(secrets: impl IntoIterator<Item = S>) -> Result<Self, SecretError> {
        let secrets: Vec<Secret> = secrets.into_iter().map(Into::into).collect();
        if secrets.is_empty() {
            return Err(SecretError::None);
        }
        // Room for all from the beginning: a vector that grows leaves what was in it behind, and nobody wipes that.
        let mut keys = Vec::with_capacity(secrets.len());
        for (index, secret) in secrets.iter().enumerate() {
            keys.push(key(secret, index)?);
        }
        Ok(Self { keys: Arc::new(keys), max_body_size: MAX_BODY_SIZE, age_limit: AgeLimit::default() })
    }

    /// Verifies by the secrets in the environment variable `AGENTGATE_WEBHOOK_SECRET`, separated by commas if there are
    /// several. White space around them is ignored.
    ///
    /// # Errors
    ///
    /// If the variable is not set, or holds no secret, or one that [`new`](Self::new) refuses.
    pub fn from_env() -> Result<Self, SecretError> {
        let secrets = std::env::var(VARIABLE).map_err(|error| match error {
            VarError::NotPresent => SecretError::NotSet,
            VarError::NotUnicode(_) => SecretError::NotText,
        })?;
        let secrets = Secret::from(secrets);
        if secrets.expose_secret().trim().is_empty() {
            return Err(SecretError::NotSet);
        }
        Self::new(secrets.expose_secret().split(',').map(str::trim))
    }

    /// Refuses larger bodies, in bytes. Defaults to 256 KiB.
    ///
    /// The extractors read no further than this. That limits the memory of one request, and neither the time that it takes nor how many
    /// come at once: limit these in the server, or in a proxy before it.
    #[must_use]
    pub fn max_body_size(mut self, bytes: usize) -> Self {
        self.max_body_size = bytes;
        self
    }

    /// Refuses events that happened longer ago. Not checked by default.
    ///
    /// The signature covers no time of the delivery, so a delivery that somebody got hold of stays valid for ever. This bounds
    /// for how long it is of use, and so for how long a [`ReplayGuard`](super::ReplayGuard) has to remember: longer than `max_age` and
    /// [`max_clock_skew`](Self::max_clock_skew) together.
    ///
    /// It is the event's own time that is checked, and a retry delivers the event as it was: choose more than the service takes
    /// for its last retry (which it does not document), or deliveries are lost after an outage of your receiver. A day is
    /// a sensible start. An event without a time is refused, too.
    ///
    /// Events of the simulator carry its own time, which by default stands at the beginning of 2026: give the verifier
    /// that clock by [`clock`](Self::clock), or do without the check in such tests.
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.age_limit.past = Some(age);
        self
    }

    /// How far in the future an event may lie, because clocks differ, if [`max_age`](Self::max_age) is checked. Five minutes by
    /// default.
    #[must_use]
    pub fn max_clock_skew(mut self, skew: Duration) -> Self {
        self.age_limit.future = skew;
        self
    }

    /// What tells the time for [`max_age`](Self::max_age). The system's clock by default.
    #[must_use]
    pub fn clock(mut self, now: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        self.age_limit.now = Arc::new(now);
        self
    }

    /// Verifies a raw body by the value of its signature header. The age is not checked: that takes the event.
    ///
    /// Hand over the body as it was received, before anything parses it. It need not be text. The value may hold several
    /// signatures, separated by commas. Comparisons take the same time wherever they fail. Nothing is allocated.
    ///
    /// # Errors
    ///
    /// If no signature fits, or the body is too large.
    pub fn verify(&self, body: &[u8], signature: impl AsRef<[u8]>) -> Result<(), Error> {
        self.verify_values(body, || std::iter::once(signature.as_ref()))
    }

    /// Like [`verify`](Self::verify), with the values of all signature headers; one that fits is enough. For
    /// frameworks that have headers of their own.
    ///
    /// # Errors
    ///
    /// Those of [`verify`](Self::verify), or if there is no value.
    pub fn verify_any<V: AsRef<[u8]>>(&self, body: &[u8], signatures: &[V]) -> Result<(), Error> {
        self.verify_values(body, || signatures.iter().map(AsRef::as_ref))
    }

    /// Verifies by the values of the signature headers, which may be gone through more than once.
    pub(super) fn verify_values<'a, I>(&self, body: &[u8], values: impl Fn() -> I) -> Result<(), Error>
    where
        I: Iterator<Item = &'a [u8]>,
    {
        if body.len() > self.max_body_size {
            return Err(Error::BodyTooLarge { limit: self.max_body_size });
        }
        // Whoever sends nonsense is not worth hashing the body for.
        let signatures = count(values())?;
        for key in self.keys.iter() {
            // The body is hashed once for each secret, however many signatures there are.
            let expected = key.clone().chain_update(body).finalize();
            if candidates(values()).flatten().any(|tag| expected == CtOutput::from(Output::<HmacSha256>::from(tag))) {
                return Ok(());
            }
        }
        Err(Error::NoMatch { signatures, secrets: self.keys.len() })
    }

    /// Verifies a delivery, then parses the event in it. Of the headers, only `X-AgentGate-Signature` is looked at.
    ///
    /// An event of a type that this version does not know, or with data that does not fit, is an event all the same: its JSON
    /// is at hand in [`Event::json`].
    ///
    /// # Errors
    ///
    /// Those of [`verify`](Self::verify); or if the body is not an event; or if the event is too old or lies in the
    /// future, where that is checked.
    ///
    /// ```
    /// use agentgate::{http::HeaderMap, webhook::Verifier};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let verifier = Verifier::new(["whsec_0123456789"])?;
    /// # let body = br#"{"id": "evt_1", "type": "run.failed", "data": {"runId": "run_1"}}"#;
    /// # let headers = HeaderMap::from_iter([("x-agentgate-signature".parse()?, verifier.sign(body).parse()?)]);
    /// let event = verifier.unwrap(body, &headers)?;
    /// assert_eq!(event.kind, "run.failed");
    /// assert_eq!(event.run_id().map(|id| id.as_str()), Some("run_1"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn unwrap(&self, body: &[u8], headers: &HeaderMap) -> Result<Event, Error> {
        self.unwrap_values(body, || signatures(headers))
    }

    /// Like [`unwrap`](Self::unwrap), for a request of the `http` crate whose body has been read: hyper, warp, lambda and others.
    ///
    /// ```
    /// use agentgate::http::{Request, Response, StatusCode};
    /// use agentgate::webhook::Verifier;
    ///
    /// fn receive(verifier: &Verifier, request: &Request<Vec<u8>>) -> Response<&'static str> {
    ///     let (status, text) = match verifier.unwrap_request(request) {
    ///         Ok(event) => {
    ///             println!("{} {:?}", event.kind, event.run_id());
    ///             (StatusCode::NO_CONTENT, "")
    ///         }
    ///         Err(error) => {
    ///             eprintln!("{error}");
    ///             (error.status(), error.public_message())
    ///         }
    ///     };
    ///     let mut response = Response::new(text);
    ///     *response.status_mut() = status;
    ///     response
    /// }
    /// # let verifier = Verifier::new(["whsec_0123456789"]).unwrap();
    /// # assert_eq!(receive(&verifier, &Request::new(Vec::new())).status(), 401);
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`unwrap`](Self::unwrap).
    pub fn unwrap_request<B: AsRef<[u8]>>(&self, request: &Request<B>) -> Result<Event, Error> {
        self.unwrap(request.body().as_ref(), request.headers())
    }

    /// Like [`unwrap`](Self::unwrap), with the values of all signature headers. For frameworks that have headers of their own.
    ///
    /// # Errors
    ///
    /// Those of [`unwrap`](Self::unwrap).
    pub fn unwrap_any<V: AsRef<[u8]>>(&self, body: &[u8], signatures: &[V]) -> Result<Event, Error> {
        self.unwrap_values(body, || signatures.iter().map(AsRef::as_ref))
    }

    pub(super) fn unwrap_values<'a, I>(&self, body: &[u8], values: impl Fn() -> I) -> Result<Event, Error>
    where
        I: Iterator<Item = &'a [u8]>,
    {
        self.verify_values(body, values)?;
        let event = Event::parse_unverified(body)?;
        self.age_limit.check(event.created_at)?;
        Ok(event)
    }

    /// Signs a body with the first secret, as AgentGate does: the value of the signature header. For tests of a receiver.
    #[must_use]
    pub fn sign(&self, body: &[u8]) -> String {
        // There is always a first: `new` sees to it.
        self.keys.first().map_or_else(String::new, |key| write(&key.clone().chain_update(body).finalize().into_bytes()))
    }

    /// The largest body that is accepted, in bytes.
    #[cfg(any(feature = "axum", feature = "actix-web"))]
    pub(super) fn body_limit(&self) -> usize {
        self.max_body_size
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("secrets", &self.keys.len())
            .field("max_body_size", &self.max_body_size)
            .field("age_limit", &self.age_limit)
            .finish()
    }
}

fn key(secret: &Secret, index: usize) -> Result<HmacSha256, SecretError> {
    let secret = secret.expose_secret();
    check(secret, index)?;
    // HMAC takes keys of every length, so this error cannot come.
    HmacSha256::new_from_slice(secret.as_bytes()).map_err(|_| SecretError::Empty { index })
}

/// Refuses what cannot be a secret of the service, and would only show when the first delivery comes.
fn check(secret: &str, index: usize) -> Result<(), SecretError> {
    const QUOTATION_MARKS: [char; 7] = ['"', '\'', '`', '\u{2018}', '\u{2019}', '\u{201c}', '\u{201d}'];
    // HMAC fills short keys up with zeros: to it, a secret of zeros is an empty one.
    if secret.bytes().all(|byte| byte == 0) {
        return Err(SecretError::Empty { index });
    }
    if secret.trim() != secret {
        return Err(SecretError::Padded { index });
    }
    if let Some(character) = secret.chars().find(|character| is_invisible(*character)) {
        return Err(SecretError::Invisible { index, character });
    }
    if secret.starts_with(QUOTATION_MARKS) || secret.ends_with(QUOTATION_MARKS) {
        return Err(SecretError::Quoted { index });
    }
    if !secret.strip_prefix(SECRET_PREFIX).unwrap_or(secret).contains(char::is_alphanumeric) {
        return Err(SecretError::Placeholder { index });
    }
    Ok(())
}

/// Whether a character is white space, a control character, or of no width such as a byte order mark.
fn is_invisible(character: char) -> bool {
    let has_no_width = matches!(
        character,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    );
    has_no_width || character.is_whitespace() || character.is_control()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of RFC 4231, section 4, and the one of GitHub's documentation whose keys are no secrets of the service: they have
    /// white space in them, or are not text. Case 5 is about tags that were cut.
    #[test]
    fn the_published_signatures_of_any_key_are_made_and_accepted() {
        let long = [0xaa; 131];
        let counted: Vec<u8> = (1..=25).collect();
        let vectors: [(&[u8], &[u8], &str); 6] = [
            (&[0x0b; 20], b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
            (&[0xaa; 20], &[0xdd; 50], "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
            (&counted, &[0xcd; 50], "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
            (
                &long,
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
            (
                &long,
                b"This is a test using a larger than block-size key and a larger than block-size data. The key needs to be \
                  hashed before being used by the HMAC algorithm.",
                "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
            ),
            (
                b"It's a Secret to Everybody",
                b"Hello, World!",
                "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
            ),
        ];
        for (key, body, tag) in vectors {
            let keys = Arc::new(vec![HmacSha256::new_from_slice(key).unwrap()]);
            let verifier = Verifier { keys, max_body_size: MAX_BODY_SIZE, age_limit: AgeLimit::default() };
            assert_eq!(verifier.sign(body), format!("sha256={tag}"));
            assert!(verifier.verify(body, verifier.sign(body)).is_ok(), "{tag}");
        }
    }
}
