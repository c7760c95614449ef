//! Webhooks: verified, typed, and each event handled once.
//!
//! AgentGate reports what happens to runs by POST requests, **deliveries**, to a URL of yours. Everybody can send requests
//! to a URL, so each delivery is signed with the secret that `client.webhooks().create(..)` answered. A
//! [`Verifier`] tells whether a delivery is genuine and unwraps the [`Event`] in it; a [`ReplayGuard`] tells whether the event was
//! handled before.
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
//! Four things that a receiver has to get right:
//!
//! - **Verify the raw body**, before anything parses it: JSON that was read and written again has another signature.
//! - **Answer within 30 seconds**, with 2xx: otherwise the service takes the delivery for failed and sends it again. Hand long
//!   work to a queue; an `Event` can be written to one by `serde`.
//! - **Expect an event more than once**, and not in order: use [`once`].
//! - **Expect types that do not exist today**: they come as [`WebhookEventType::Unknown`](crate::types::WebhookEventType::Unknown), with
//!   their JSON.
//!
//! With the features `axum` and `actix-web`, `Delivery` is an extractor for handlers. For everything else there is
//! [`Verifier::unwrap_request`], and [`Verifier::unwrap_any`] for headers that are not those of the `http` crate. This module
//! needs neither an HTTP client nor an async runtime nor TLS.

#[cfg(feature = "actix-web")]
mod actix;
mod age;
#[cfg(feature = "axum")]
mod axum;
mod checked;
#[cfg(any(feature = "axum", feature = "actix-web"))]
mod delivery;
mod error;
mod event;
mod lazy_json;
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
