//! What handlers of web frameworks take.

use bytes::Bytes;

use super::error::Error;
use super::event::Event;
use super::verifier::Verifier;

/// An event whose delivery was verified, as an argument of a handler: an extractor for axum (feature `axum`) and for actix-web
/// (feature `actix-web`).
///
/// The body is read no further than [`Verifier::max_body_size`], verified, and then parsed. A delivery that is refused
/// is answered with [`Error::status`] and no detail; the reason is a warning by `tracing` if that feature is on. To decide
/// otherwise, take a `Result<Delivery, Error>`.
///
/// The verifier is in the state of an axum router (itself, or by `FromRef`), or in the `app_data` of an actix-web app (itself, or in
/// `web::Data`).
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery(pub Event);

/// The raw body of a delivery that was verified, as an argument of a handler, like [`Delivery`]. Nothing is parsed, and no age is
/// checked: for those who queue deliveries as they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedBody(pub Bytes);

/// A verified delivery in one of its forms.
pub(super) trait Unwrap: Sized {
    /// What the delivery comes to, by its body and all its signature headers.
    fn unwrap<'a, I>(verifier: &Verifier, body: Bytes, signatures: impl Fn() -> I) -> Result<Self, Error>
    where
        I: Iterator<Item = &'a [u8]>;
}

impl Unwrap for Delivery {
    fn unwrap<'a, I>(verifier: &Verifier, body: Bytes, signatures: impl Fn() -> I) -> Result<Self, Error>
    where
        I: Iterator<Item = &'a [u8]>,
    {
        verifier.unwrap_values(&body, signatures).map(Self)
    }
}

impl Unwrap for VerifiedBody {
    fn unwrap<'a, I>(verifier: &Verifier, body: Bytes, signatures: impl Fn() -> I) -> Result<Self, Error>
    where
        I: Iterator<Item = &'a [u8]>,
    {
        verifier.verify_values(&body, signatures).map(|()| Self(body))
    }
}

impl Error {
    /// Leaves the reason for the receiver's log; the sender gets none.
    pub(super) fn log(&self) {
        #[cfg(feature = "tracing")]
        tracing::warn!(error = %self, status = self.status().as_u16(), "a webhook delivery was refused");
    }
}
