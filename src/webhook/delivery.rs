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
/// otherwise, take a `Result<Delivery, Error>`, and log the error yourself.
///
/// **Time.** The extractor waits for the body as long as the server lets it: whoever sends a byte now and then, with any signature, holds a
/// connection. Set a time-out for bodies: a layer of `tower_http::timeout` for axum (`RequestBodyTimeoutLayer` between two parts of a
/// body, `TimeoutLayer` for the request as a whole); for actix-web, whose `client_request_timeout` ends with the head of the
/// request, a middleware that awaits the next service within `actix_web::rt::time::timeout`; or that of a proxy before either.
///
/// **axum.** The verifier is the state of the router, or comes from it by `FromRef`. The extractor reads the body, so it is the handler's
/// last argument; and the error in an [`OnceError`](super::OnceError) has to be `Display` (`Box<dyn Error + Send + Sync>` will do). If
/// the compiler says that `Handler` is not implemented, it is one of these. A state of your own:
///
/// ```
/// # #[cfg(feature = "axum")]
/// # mod example {
/// use agentgate::webhook::{MemoryReplayGuard, Verifier};
/// use axum::extract::FromRef;
///
/// #[derive(Clone)]
/// struct App {
///     verifier: Verifier,
///     guard: MemoryReplayGuard,
/// }
///
/// impl FromRef<App> for Verifier {
///     fn from_ref(app: &App) -> Self {
///         app.verifier.clone()
///     }
/// }
/// # }
/// ```
///
/// **actix-web.** The verifier is in the `app_data` of the application, itself or in `web::Data`.
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
