//! [`Verifier`]: verifies that deliveries are from AgentGate.

use std::env::VarError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use hmac::digest::{CtOutput, Output};
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, Request};
use sha2::Sha256;

use super::age_limit::AgeLimit;
use super::error::{Error, SecretError};
use super::event::Event;
use super::signature::{candidates, count, encode, header_values};
use crate::secret::{Secret, copying_mistake};

type HmacSha256 = Hmac<Sha256>;

const VARIABLE: &str = "AGENTGATE_WEBHOOK_SECRET";

/// An event has a few KiB, most of them metadata of the tenant.
const MAX_BODY_SIZE: usize = 256 * 1024;

/// The prefix of every secret that the service makes.
const SECRET_PREFIX: &str = "whsec_";

/// Verifies deliveries, and reads their events.
///
/// Create one when the program starts: it computes the keys once, and its clones share them. The keys are wiped from
/// memory with the last clone, except for copies that the compiler may have left on the stack, and `Debug` does not
/// show them.
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
    /// The state of HMAC after its key. Never empty.
    keys: Arc<Vec<HmacSha256>>,
    max_body_size: usize,
    age_limit: AgeLimit,
}

impl Verifier {
    /// Creates a verifier that accepts deliveries signed with any of these secrets. A secret is the whole string that
    /// `client.webhooks().create(..)` returned, including `whsec_`.
    ///
    /// Pass several secrets while a new webhook replaces an old one: the secret of a webhook cannot be changed.
    /// [`sign`](Self::sign) uses the first. Commas are not separators here, as they are in
    /// [`from_env`](Self::from_env).
    ///
    /// # Errors
    ///
    /// If there is no secret, or one that cannot be valid: it is empty or consists of NUL characters, contains white
    /// space or an invisible character, has quotation marks around it, or is a placeholder such as `whsec_...`.
    pub fn new<S: Into<Secret>>(secrets: impl IntoIterator<Item = S>) -> Result<Self, SecretError> {
        let secrets: Vec<Secret> = secrets.into_iter().map(Into::into).collect();
        if secrets.is_empty() {
            return Err(SecretError::Invalid(
                "there is no webhook secret to verify with; pass the one that the webhook was created with".to_owned(),
            ));
        }
        // With the final capacity, because a vector that grows leaves keys in freed memory.
        let mut keys = Vec::with_capacity(secrets.len());
        for (index, secret) in secrets.iter().enumerate() {
            keys.push(key(secret, index)?);
        }
        Ok(Self { keys: Arc::new(keys), max_body_size: MAX_BODY_SIZE, age_limit: AgeLimit::default() })
    }

    /// Creates a verifier from the environment variable `AGENTGATE_WEBHOOK_SECRET`. Several secrets are separated by
    /// commas. White space around them is ignored.
    ///
    /// # Errors
    ///
    /// If the variable is not set or is empty, or if [`new`](Self::new) refuses one of the secrets.
    pub fn from_env() -> Result<Self, SecretError> {
        let secrets = std::env::var(VARIABLE).map_err(|error| match error {
            VarError::NotPresent => SecretError::NotSet,
            VarError::NotUnicode(_) => SecretError::Invalid(
                "AGENTGATE_WEBHOOK_SECRET is not UTF-8; set it to the secret that the webhook was created with"
                    .to_owned(),
            ),
        })?;
        let secrets = Secret::from(secrets);
        if secrets.expose_secret().trim().is_empty() {
            return Err(SecretError::NotSet);
        }
        Self::new(secrets.expose_secret().split(',').map(str::trim))
    }

    /// Sets the largest body that is accepted, in bytes. The extractors read no further. This limits neither the time
    /// of a request nor the number of concurrent requests: limit these in the server or in a proxy. Defaults to 256
    /// KiB.
    #[must_use]
    pub fn max_body_size(mut self, bytes: usize) -> Self {
        self.max_body_size = bytes;
        self
    }

    /// Sets the largest age of an event. Events without a time are refused, too. Defaults to no limit.
    ///
    /// The signature does not include the time of delivery, so an intercepted delivery stays valid. `max_age` limits
    /// the time during which it can be replayed. The retention of a [`ReplayGuard`](super::ReplayGuard) should be
    /// longer than `max_age` and [`max_clock_skew`](Self::max_clock_skew) together.
    ///
    /// A retry delivers the event with its original time. Set more than the time of the service's last retry, which is
    /// not documented, or deliveries are lost after an outage of the receiver. A day is a reasonable start.
    ///
    /// Events of the simulator have its time, which starts at the beginning of 2026: set its clock by
    /// [`clock`](Self::clock), or set no `max_age` in such tests.
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.age_limit.past = Some(age);
        self
    }

    /// Sets the tolerated clock difference: the longest time by which an event may be in the future. Applies only if
    /// [`max_age`](Self::max_age) is set. Defaults to 5 minutes.
    #[must_use]
    pub fn max_clock_skew(mut self, skew: Duration) -> Self {
        self.age_limit.future = skew;
        self
    }

    /// Sets the clock for [`max_age`](Self::max_age). Defaults to the system clock.
    #[must_use]
    pub fn clock(mut self, now: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        self.age_limit.now = Arc::new(now);
        self
    }

    /// Verifies a raw body by the value of its signature header, without checking the age of the event.
    ///
    /// Pass the body as it was received, before anything parses it. It need not be UTF-8. The value may contain several
    /// signatures, separated by commas. Signatures are compared in constant time, without allocation.
    ///
    /// # Errors
    ///
    /// If no signature matches, or the body is too large.
    pub fn verify(&self, body: &[u8], signature: impl AsRef<[u8]>) -> Result<(), Error> {
        self.verify_values(body, || std::iter::once(signature.as_ref()))
    }

    /// Verifies a raw body like [`verify`](Self::verify), by the values of all signature headers, of which one has to
    /// match: for frameworks with their own type of headers.
    ///
    /// # Errors
    ///
    /// As for [`verify`](Self::verify), or if there is no value.
    pub fn verify_any<V: AsRef<[u8]>>(&self, body: &[u8], signatures: &[V]) -> Result<(), Error> {
        self.verify_values(body, || signatures.iter().map(AsRef::as_ref))
    }

    #[cfg(feature = "axum")]
    pub(super) fn verify_headers(&self, body: &[u8], headers: &HeaderMap) -> Result<(), Error> {
        self.verify_values(body, || header_values(headers))
    }

    fn verify_values<'a, I>(&self, body: &[u8], values: impl Fn() -> I) -> Result<(), Error>
    where
        I: Iterator<Item = &'a [u8]>,
    {
        if body.len() > self.max_body_size {
            return Err(Error::BodyTooLarge { limit: self.max_body_size });
        }
        // Rejects malformed signatures before hashing the body.
        let signatures = count(values())?;
        for key in self.keys.iter() {
            // Once for each secret, however many signatures there are.
            let expected = key.clone().chain_update(body).finalize();
            if candidates(values()).flatten().any(|tag| expected == CtOutput::from(Output::<HmacSha256>::from(tag))) {
                return Ok(());
            }
        }
        Err(Error::NoMatch { signatures, secrets: self.keys.len() })
    }

    /// Verifies a delivery, and reads its event. Of the headers, only `X-AgentGate-Signature` is used.
    ///
    /// An event of an unknown type, or with data that does not fit its type, is no error: [`Event::json`] has its JSON.
    ///
    /// # Errors
    ///
    /// As for [`verify`](Self::verify); or if the body is not an event; or if [`max_age`](Self::max_age) is set and the
    /// event is too old, in the future, or has no time.
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
        self.unwrap_values(body, || header_values(headers))
    }

    /// Verifies a delivery like [`unwrap`](Self::unwrap), from a request of the `http` crate whose body has been read:
    /// for hyper, warp, `lambda_http` and others.
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
    /// As for [`unwrap`](Self::unwrap).
    pub fn unwrap_request<B: AsRef<[u8]>>(&self, request: &Request<B>) -> Result<Event, Error> {
        self.unwrap(request.body().as_ref(), request.headers())
    }

    /// Verifies a delivery like [`unwrap`](Self::unwrap), by the values of all signature headers: for frameworks with
    /// their own type of headers.
    ///
    /// # Errors
    ///
    /// As for [`unwrap`](Self::unwrap).
    pub fn unwrap_any<V: AsRef<[u8]>>(&self, body: &[u8], signatures: &[V]) -> Result<Event, Error> {
        self.unwrap_values(body, || signatures.iter().map(AsRef::as_ref))
    }

    fn unwrap_values<'a, I>(&self, body: &[u8], values: impl Fn() -> I) -> Result<Event, Error>
    where
        I: Iterator<Item = &'a [u8]>,
    {
        self.verify_values(body, values)?;
        let event = Event::parse_unverified(body)?;
        self.age_limit.check(event.created_at)?;
        Ok(event)
    }

    /// Signs a body with the first secret, and returns the value of the signature header: for tests of a receiver.
    #[must_use]
    pub fn sign(&self, body: &[u8]) -> String {
        self.keys
            .first()
            .map_or_else(String::new, |key| encode(&key.clone().chain_update(body).finalize().into_bytes()))
    }

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
    let invalid = |problem| SecretError::Invalid(format!("webhook secret {index} (counted from 0) {problem}"));
    check(secret).map_err(invalid)?;
    HmacSha256::new_from_slice(secret.as_bytes()).map_err(|error| invalid(error.to_string()))
}

/// Refuses strings that cannot be a secret of the service. Otherwise, the first delivery would show the mistake.
fn check(secret: &str) -> Result<(), String> {
    let problem = if secret.bytes().all(|byte| byte == 0) {
        // HMAC pads short keys with zeros, so this is the empty key.
        "is empty; is there a comma too many?"
    } else if secret.trim() != secret {
        "begins or ends with white space; trim it"
    } else if secret.contains(char::is_whitespace) {
        "contains white space; pass several secrets one by one, in AGENTGATE_WEBHOOK_SECRET with commas between them, and nothing \
         after them"
    } else if let Some(mistake) = copying_mistake(secret) {
        return Err(mistake);
    } else if !secret.strip_prefix(SECRET_PREFIX).unwrap_or(secret).contains(char::is_alphanumeric) {
        "is a placeholder; pass the whole secret that the webhook was created with"
    } else {
        return Ok(());
    };
    Err(problem.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of RFC 4231, section 4, and of GitHub's documentation whose keys `Verifier::new` refuses: they
    /// contain white space, or are not UTF-8. Case 5 is about truncated signatures.
    #[test]
    fn published_signatures_are_made_and_accepted() {
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
