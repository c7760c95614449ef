//! What can be wrong with a delivery, and with the secrets it is verified by.

use std::fmt;
use std::time::Duration;

use http::StatusCode;

use crate::causes;

/// Why a delivery was refused.
///
/// The text is for the log of the receiver. The sender needs no more than the [`status`](Self::status): whoever forges
/// deliveries is not to be told how far they came.
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
    /// There is no signature header: somebody else sent this, or something on the way removed the header.
    MissingSignature,
    /// There is a signature header, and nothing in it is a signature.
    MalformedSignature(SignatureFault),
    /// No signature was made of this body with one of the secrets. Either the body was changed on the way (parsed and written
    /// again by a middleware, for example), or the secret is that of another webhook, or somebody forged the delivery.
    NoMatch {
        /// How many signatures were tried.
        signatures: usize,
        /// With how many secrets.
        secrets: usize,
    },
    /// The body is larger than [`Verifier::max_body_size`](super::Verifier::max_body_size) allows.
    BodyTooLarge {
        /// The most that is allowed, in bytes.
        limit: usize,
    },
    /// The body could not be read to its end: the connection was cut.
    IncompleteBody(Box<dyn std::error::Error + Send + Sync>),
    /// The signature is right, and the body is not JSON.
    NotJson(serde_json::Error),
    /// The signature is right, the body is JSON, and it is not an event.
    NotAnEvent(EventFault),
    /// The age of the event was to be checked, and it has no time that can be read.
    NoTime,
    /// The event is older than [`Verifier::max_age`](super::Verifier::max_age) allows: most likely, somebody sends an old delivery again.
    TooOld {
        /// How old it is.
        age: Duration,
        /// How old it may be.
        limit: Duration,
    },
    /// The event's time lies further ahead than [`Verifier::max_clock_skew`](super::Verifier::max_clock_skew) allows. Is this
    /// machine's clock slow?
    InFuture {
        /// How far ahead it lies.
        ahead: Duration,
        /// How far ahead it may lie.
        limit: Duration,
    },
    /// The application has no verifier: a mistake of the receiver's. Only the extractor for actix-web finds it so late.
    NoVerifier,
}

impl Error {
    /// The status to answer with: 413 for a body that is too large; 401 for a delivery that is not proven to be from
    /// AgentGate, or whose event is too old, lies in the future or tells no time although that is checked; 400 for one that cannot be
    /// understood; and 500 if the receiver has no verifier.
    ///
    /// The service delivers again what is not answered with 2xx, so a delivery that was refused for a mistake of the
    /// receiver's (a wrong secret, say) is not lost at once.
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

    /// What the sender may know: a line without any detail, to go with [`status`](Self::status).
    #[must_use]
    pub fn public_message(&self) -> &'static str {
        match self.status() {
            StatusCode::PAYLOAD_TOO_LARGE => "the body is too large",
            StatusCode::UNAUTHORIZED => "the delivery was not accepted",
            StatusCode::INTERNAL_SERVER_ERROR => "the receiver is not set up",
            _ => "the delivery was not understood",
        }
    }

    /// Leaves the reason for the receiver's log; the sender gets none.
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
                "the signature does not fit the body (tried {signatures} with {secrets} of your secrets): the secret is that of another \
                 webhook, or the body is not the raw one, or the delivery is forged"
            ),
            Self::BodyTooLarge { limit } => {
                write!(f, "the delivery is larger than {limit} bytes; raise `max_body_size` if that is to be expected")
            }
            Self::IncompleteBody(error) => write!(f, "the delivery's body broke off: {error}"),
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
                "the event lies {} s in the future, and at most {} s are allowed; is this machine's clock slow?",
                ahead.as_secs(),
                limit.as_secs()
            ),
            Self::NoVerifier => {
                f.write_str("the application has no webhook verifier; add `.app_data(web::Data::new(verifier))` to it")
            }
        }
    }
}

/// The text: what a program prints whose `main` returns the error is for people, too.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // Their own texts are in this one's.
            Self::IncompleteBody(error) => causes::unnamed(&error.to_string(), error.source()),
            Self::NotJson(error) => causes::unnamed(&error.to_string(), std::error::Error::source(error)),
            _ => None,
        }
    }
}

/// What is wrong with a signature header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignatureFault {
    /// It is empty.
    Empty,
    /// It does not begin with `sha256=`.
    NotSha256,
    /// It has another number of digits than 64.
    Length {
        /// How many it has.
        digits: usize,
    },
    /// It has 64 digits, of which some are not hexadecimal.
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

/// Why JSON is not an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
            Self::NoId => "it has no `id` that is a text",
            Self::NoType => "it has no `type` that is a text",
        })
    }
}

impl std::error::Error for EventFault {}

/// Why a [`Verifier`](super::Verifier) cannot be made of these secrets.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecretError {
    /// There is none.
    None,
    /// One is empty: everybody could sign with it.
    Empty {
        /// Which, counted from zero.
        index: usize,
    },
    /// One begins or ends with white space, such as the end of the line in a file. No delivery would fit it.
    Padded {
        /// Which, counted from zero.
        index: usize,
    },
    /// One holds white space, a control character, or a character of no width such as a byte order mark. No delivery would fit it.
    Invisible {
        /// Which, counted from zero.
        index: usize,
        /// The first such character in it.
        character: char,
    },
    /// One begins or ends with a quotation mark, which some readers of `.env` files keep. No delivery would fit it.
    Quoted {
        /// Which, counted from zero.
        index: usize,
    },
    /// One has no letter and no digit, or none after `whsec_`: it stands for a secret, as in `whsec_...`. Everybody could sign with it.
    Placeholder {
        /// Which, counted from zero.
        index: usize,
    },
    /// The environment variable `AGENTGATE_WEBHOOK_SECRET` is not set, or is empty.
    NotSet,
    /// The environment variable `AGENTGATE_WEBHOOK_SECRET` is not text.
    NotText,
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("there is no webhook secret to verify with; give the one that the webhook was created with"),
            Self::Empty { index } => write!(f, "webhook secret {index} (counted from 0) is empty; is there a comma too many?"),
            Self::Padded { index } => {
                write!(f, "webhook secret {index} (counted from 0) begins or ends with white space; trim it")
            }
            Self::Invisible { index, character } if character.is_whitespace() => write!(
                f,
                "webhook secret {index} (counted from 0) has white space in it; give several secrets one by one, in \
                 AGENTGATE_WEBHOOK_SECRET with commas between them, and nothing behind them"
            ),
            Self::Invisible { index, character } => write!(
                f,
                "webhook secret {index} (counted from 0) has the invisible character U+{:04X} in it; copy the secret again, and save a \
                 file that holds it without a byte order mark",
                u32::from(*character)
            ),
            Self::Quoted { index } => {
                write!(f, "webhook secret {index} (counted from 0) begins or ends with a quotation mark; remove the marks")
            }
            Self::Placeholder { index } => write!(
                f,
                "webhook secret {index} (counted from 0) is a placeholder; give the whole secret that the webhook was created with"
            ),
            Self::NotSet => f.write_str(
                "AGENTGATE_WEBHOOK_SECRET is not set, or empty; set it to the secret that the webhook was created with (`whsec_...`)",
            ),
            Self::NotText => f.write_str(
                "AGENTGATE_WEBHOOK_SECRET is not text (UTF-8); set it to the secret that the webhook was created with (`whsec_...`)",
            ),
        }
    }
}

/// The text: what a program prints whose `main` returns the error is for people, too.
impl fmt::Debug for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for SecretError {}
