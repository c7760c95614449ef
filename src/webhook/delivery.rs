//! [`Delivery`] and [`VerifiedBody`]: the extractors for web frameworks.

use bytes::Bytes;

use super::event::Event;

/// An extractor of the event of a verified delivery, for axum (feature `axum`) and actix-web (feature `actix-web`).
///
/// It reads the body up to [`Verifier::max_body_size`](super::Verifier::max_body_size), verifies it, and then parses
/// it. A refused delivery has a response with [`Error::status`](super::Error::status) and no details; the reason is
/// logged as a warning (feature `tracing`). To respond otherwise, extract a `Result<Delivery, Error>`, and log the
/// error yourself.
///
/// **Time-outs.** The extractor has no time limit, so a client that sends its body slowly holds a connection. Set a
/// time-out for bodies: for axum, a layer of `tower_http::timeout` (`RequestBodyTimeoutLayer` between two parts of a
/// body, `TimeoutLayer` for the whole request); for actix-web, whose `client_request_timeout` ends with the head of the
/// request, a middleware that awaits the next service within `actix_web::rt::time::timeout`; or the time-out of a
/// proxy.
///
/// **axum.** The verifier is the state of the router, or derived from it by `FromRef`. The extractor reads the body, so
/// it is the last argument of the handler. The error in an [`OnceError`](super::OnceError) has to be `Display`, such as
/// `Box<dyn Error + Send + Sync>`. Check these if the compiler reports that `Handler` is not implemented. With a state
/// of your own:
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
/// **actix-web.** The verifier is in the `app_data` of the application, directly or in `web::Data`.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery(pub Event);

/// An extractor of the raw body of a verified delivery, like [`Delivery`]. The event is not parsed, and its age is not
/// checked: for receivers that queue raw deliveries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedBody(pub Bytes);
