//! Webhooks: verifies deliveries, reads their events, and handles each event once.
//!
//! AgentGate reports events of runs by POST requests to a URL of yours, the **deliveries**. Anybody can send requests
//! to that URL, so each delivery is signed with the secret that `client.webhooks().create(..)` returned. A [`Verifier`]
//! checks the signature and reads the [`Event`]; a [`ReplayGuard`] remembers which events were handled.
//!
//! ```
//! use agentgate::http::HeaderMap;
//! use agentgate::webhook::{Error, Verifier};
//!
//! fn receive(verifier: &Verifier, body: &[u8], headers: &HeaderMap) -> Result<(), Error> {
//!     let event = verifier.unwrap(body, headers)?;
//!     match event.run() {
//!         Some(run) => println!("{}: {:?} is {:?}", event.kind, run.run_id(), run.status),
//!         None => println!("{}", event.json()),
//!     }
//!     Ok(())
//! }
//! # let verifier = Verifier::new(["whsec_0123456789"]).unwrap();
//! # let body = br#"{"id": "evt_1", "type": "run.completed", "data": {"id": "run_1", "status": "succeeded"}}"#;
//! # let headers = [("x-agentgate-signature".parse().unwrap(), verifier.sign(body).parse().unwrap())];
//! # receive(&verifier, body, &HeaderMap::from_iter(headers)).unwrap();
//! ```
//!
//! A receiver should:
//!
//! - **Verify the raw body** before anything parses it: JSON that was read and written again does not match the
//!   signature.
//! - **Respond within 30 seconds** with a 2xx status: otherwise the service retries the delivery. Put long work into a
//!   queue; `serde` writes and reads an `Event`.
//! - **Expect duplicates**, and events out of order: use [`once`].
//! - **Expect new types of events**: they are [`WebhookEventType::Unknown`](crate::types::WebhookEventType::Unknown),
//!   with their JSON.
//!
//! With the features `axum` and `actix-web`, `Delivery` is an extractor for handlers. For other frameworks, there are
//! [`Verifier::unwrap_request`], and [`Verifier::unwrap_any`] for headers that are not those of the `http` crate. This
//! module needs neither an HTTP client nor an async runtime nor TLS.

#[cfg(feature = "actix-web")]
mod actix;
mod age_limit;
#[cfg(feature = "axum")]
mod axum;
#[cfg(any(feature = "axum", feature = "actix-web"))]
mod delivery;
mod error;
mod event;
mod replay;
mod signature;
mod verifier;

#[cfg(any(feature = "axum", feature = "actix-web"))]
pub use self::delivery::{Delivery, VerifiedBody};
pub use self::error::{Error, EventFault, SecretError, SignatureFault};
pub use self::event::Event;
#[cfg(feature = "redis")]
pub use self::replay::RedisReplayGuard;
pub use self::replay::{
    Claim, ClaimToken, GuardError, GuardFuture, MemoryReplayGuard, Once, OnceError, ReplayGuard, once,
};
pub use self::signature::SIGNATURE_HEADER;
pub use self::verifier::Verifier;
