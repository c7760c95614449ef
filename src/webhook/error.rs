//! The errors of a delivery, and of the secrets that verify it.

use std::fmt;
use std::time::Duration;

use http::StatusCode;

use crate::error_causes;

/// The reason why a delivery was refused.
///
/// Its text is for the receiver's log. Send only the [`status`](Self::status) to the sender, so that a forger does not
/// learn which check failed.
///
/// ```
/// use agentgate::webhook::{Error, Verifier};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let verifier = Verifier::new(["whsec_0123456789"])?;
/// let error = verifier.verify(b"{}", "sha1=0beec7b5").unwrap_err();
/// assert!(matches!(error, Error::MalformedSignature(_)));
/// assert_eq!(error.status(), 400);
/// # Ok(())
/// # }
/// ```
#[non_exhaustive]
pub enum Error {
    /// There is no signature header: the request is not from AgentGate, or a proxy removed the header.
    MissingSignature,
    /// The signature header contains no signature.
    MalformedSignature(SignatureFault),
    /// No signature of the body was made with one of the secrets. Either a middleware changed the body, for example by
    /// parsing and writing it, or the secret is that of another webhook, or the delivery is forged.
    NoMatch {
        /// The number of signatures in the headers.
        signatures: usize,
        /// The number of secrets of the verifier.
        secrets: usize,
    },
    /// The body is larger than [`Verifier::max_body_size`](super::Verifier::max_body_size).
    BodyTooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The connection was cut before the end of the body.
    IncompleteBody(Box<dyn std::error::Error + Send + Sync>),
    /// The signature is valid, and the body is not JSON.
    NotJson(serde_json::Error),
    /// The signature is valid, and the JSON is not an event.
    NotAnEvent(EventFault),
    /// The event has no time that can be read, so its age cannot be checked.
    NoTime,
    /// The event is older than [`Verifier::max_age`](super::Verifier::max_age): probably an old delivery that is sent
    /// again.
    TooOld {
        /// The age of the event.
        age: Duration,
        /// The largest age that is accepted.
        limit: Duration,
    },
    /// The event is further in the future than [`Verifier::max_clock_skew`](super::Verifier::max_clock_skew): the
    /// receiver's clock may be slow.
    InFuture {
        /// The time until the event.
        ahead: Duration,
        /// The longest time that is accepted.
        limit: Duration,
    },
    /// The application has no verifier. Only the extractor for actix-web returns this error.
    NoVerifier,
}

impl Error {
    /// Returns the status of the response: 413 for a body that is too large; 401 for a delivery that is not proven to
    /// be from AgentGate, or whose event is too old, in the future or without a time although the age is checked; 400
    /// for one that cannot be read; and 500 if the receiver has no verifier.
    ///
    /// The service retries a delivery without a 2xx response. So a delivery that is refused because of a fault of the
    /// receiver, such as a wrong secret, is not lost at once.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::MissingSignature
            | Self::NoMatch { .. }
            | Self::NoTime
            | Self::TooOld { .. }
            | Self::InFuture { .. } => StatusCode::UNAUTHORIZED,
            Self::MalformedSignature(_) | Self::IncompleteBody(_) | Self::NotJson(_) | Self::NotAnEvent(_) => {
                StatusCode::BAD_REQUEST
            }
            Self::NoVerifier => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Returns a line for the sender without details, to go with [`status`](Self::status).
    #[must_use]
    pub fn public_message(&self) -> &'static str {
        match self.status() {
            StatusCode::PAYLOAD_TOO_LARGE => "the body is too large",
            StatusCode::UNAUTHORIZED => "the delivery was not accepted",
            StatusCode::INTERNAL_SERVER_ERROR => "the receiver is not set up",
            _ => "the delivery was not understood",
        }
    }

    #[cfg(any(feature = "axum", feature = "actix-web"))]
    #[cfg_attr(not(feature = "tracing"), expect(clippy::unused_self, reason = "there is no log"))]
    pub(super) fn log(&self) {
        #[cfg(feature = "tracing")]
        if matches!(self, Self::NoVerifier) {
            tracing::error!(error = %self, "webhook deliveries cannot be verified");
        } else {
            tracing::warn!(error = %self, status = self.status().as_u16(), "a webhook delivery was refused");
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingSignature => f.write_str("the delivery has no X-AgentGate-Signature header"),
            Self::MalformedSignature(fault) => write!(f, "the X-AgentGate-Signature header {fault}"),
            Self::NoMatch { signatures, secrets } => write!(
                f,
                "the signature does not match the body (tried {signatures} with {secrets} of your secrets): the secret is that of \
                 another webhook, or the body is not the raw one, or the delivery is forged"
            ),
            Self::BodyTooLarge { limit } => {
                write!(f, "the delivery is larger than {limit} bytes; raise `max_body_size` if that is to be expected")
            }
            Self::IncompleteBody(error) => write!(f, "the body of the delivery is incomplete: {error}"),
            Self::NotJson(error) => write!(f, "the delivery is signed, but not JSON: {error}"),
            Self::NotAnEvent(fault) => write!(f, "the delivery is signed, but not an event: {fault}"),
            Self::NoTime => {
                f.write_str("the event has no time that can be read (`createdAt`), so its age cannot be checked")
            }
            Self::TooOld { age, limit } => {
                write!(f, "the event is {} s old, and at most {} s are allowed", age.as_secs(), limit.as_secs())
            }
            Self::InFuture { ahead, limit } => write!(
                f,
                "the event is {} s in the future, and at most {} s are allowed; is this machine's clock slow?",
                ahead.as_secs(),
                limit.as_secs()
            ),
            Self::NoVerifier => {
                f.write_str("the application has no webhook verifier; add `.app_data(web::Data::new(verifier))` to it")
            }
        }
    }
}

/// The text of `Display`, because a `main` that returns the error prints this.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // Their texts are part of the text of this error.
            Self::IncompleteBody(error) => error_causes::unnamed(&error.to_string(), error.source()),
            Self::NotJson(error) => error_causes::unnamed(&error.to_string(), std::error::Error::source(error)),
            _ => None,
        }
    }
}

/// The fault of a signature header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SignatureFault {
    /// It is empty.
    Empty,
    /// It does not begin with `sha256=`.
    NotSha256,
    /// It does not have 64 digits.
    Length {
        /// The number of its digits.
        digits: usize,
    },
    /// Some of its 64 digits are not hexadecimal.
    NotHex,
}

impl fmt::Display for SignatureFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("is empty"),
            Self::NotSha256 => f.write_str("does not begin with `sha256=`"),
            Self::Length { digits } => write!(f, "has {digits} hex digits instead of 64"),
            Self::NotHex => f.write_str("has digits that are not hexadecimal"),
        }
    }
}

impl std::error::Error for SignatureFault {}

/// The reason why JSON is not an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventFault {
    /// It is not an object.
    NotAnObject,
    /// Its `id` is missing, empty, or not a string.
    NoId,
    /// Its `type` is missing, empty, or not a string.
    NoType,
}

impl fmt::Display for EventFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAnObject => "it is not an object",
            Self::NoId => "it has no `id` that is a string",
            Self::NoType => "it has no `type` that is a string",
        })
    }
}

impl std::error::Error for EventFault {}

/// The reason why a [`Verifier`](super::Verifier) cannot be made.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecretError {
    /// The environment variable `AGENTGATE_WEBHOOK_SECRET` is not set, or is empty.
    NotSet,
    /// There is no secret, or a secret that cannot be one of the service. The text says which, why, and what to do.
    Invalid(String),
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotSet => {
                "AGENTGATE_WEBHOOK_SECRET is not set, or empty; set it to the secret that the webhook was created with (`whsec_...`)"
            }
            Self::Invalid(text) => text,
        })
    }
}

/// The text of `Display`, because a `main` that returns the error prints this.
impl fmt::Debug for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for SecretError {}
