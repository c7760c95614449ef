//! A simulated AgentGate on 127.0.0.1, for demonstrations and tests.
//!
//! The [`Simulator`] implements API keys and scopes, work orders and their runs, credits, rate limits, webhooks,
//! templates, and every documented error. It records the requests, costs nothing, and fails on demand. It speaks plain
//! HTTP, so it can be used by this crate's client, by `curl`, or by a program in another language.
//!
//! Tests control two things. **Time**: runs, rate limits and timestamps follow a [`SimulatedClock`]. By default, it
//! advances in two ways only: by [`Simulator::advance`], and by sleeps on [`Simulator::clock`], such as the waits and
//! retries of a client that uses it. Neither takes real time. **Failures**: [`Simulator::inject`] makes requests fail
//! with a documented error, with the response of a proxy, or with a broken connection. [`Fault::catalogue`] lists the
//! kinds.
//!
//! [`Simulator::requests`] returns the recorded requests. Ids count from one (`run_000001`, `wh_000001`), so that they
//! are the same in every run of a test.
//!
//! ```
//! use std::time::Duration;
//! use agentgate::simulator::{Fault, RunPlan, Simulator};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let simulator = Simulator::start().await?;
//! // Point your program at `simulator.url()`, with the key `simulator.api_key()`.
//!
//! // The run of the next work order fails after a minute:
//! let plan = RunPlan::fails("TESTS_FAILED", "2 of 14 tests failed");
//! simulator.next_run(plan.running(Duration::from_secs(60)));
//! // And the next two requests fail:
//! simulator.inject(Fault::error("SERVICE_UNAVAILABLE").times(2));
//!
//! // ... submit a work order here ...
//!
//! simulator.advance(Duration::from_secs(90));
//! // ... and check that the run has failed.
//! # assert_eq!(simulator.request_count(), 0);
//! # Ok(())
//! # }
//! ```
//!
//! # Deliveries
//!
//! The events of a run are delivered to every enabled webhook that is subscribed to them, signed with its secret, and
//! to the `webhookUrl` of the work order, signed with [`Simulator::webhook_secret`]. [`Simulator::deliveries`] returns
//! every attempt.
//!
//! | Event | When |
//! |---|---|
//! | `run.created` | the work order is accepted |
//! | `run.started` | the run is no longer pending |
//! | `verification.started` | four fifths of its running time are over |
//! | `verification.passed` or `verification.failed` | right before the run ends |
//! | `run.completed` or `run.failed` | the run ends by itself |
//! | `run.cancelled` | the run is cancelled; it has no further events |
//! | `webhook.test` | a webhook is tested, whether it is subscribed to this type or not |
//!
//! The body is `{"id": "evt_000001", "type": .., "createdAt": .., "data": ..}`. The `data` of a run's event is the
//! response of `GET /v1/runs/{id}` at that time. The `data` of a verification has `runId`, `workOrderId`, `iterations`
//! and `tenantContext`. The ids of events count from one, including events without a receiver. AgentGate does not
//! document `webhook.test` and the fields of `data`; the service may use others.
//!
//! The simulator delivers to `http://` URLs on this machine only, which it accepts in addition to HTTPS. A delivery to
//! an `https://` URL is recorded as undeliverable. The headers of a webhook are sent with each delivery, except those
//! that the delivery sets itself or that HTTP does not allow. Each receiver gets one delivery at a time, in the order
//! in which they are due. A receiver that hangs does not delay others, up to 128 of them. A delivery that does not get
//! a 2xx response within [`Builder::delivery_timeout`] is retried after the delays of [`Builder::delivery_retries`].
//! Other events are delivered meanwhile. A webhook that is disabled or deleted gets no more deliveries, including
//! retries.
//!
//! All of this follows the simulator's clock. A test advances it and waits until the deliveries that are due have
//! [settled](Simulator::settle):
//!
//! ```
//! use std::time::Duration;
//! use agentgate::simulator::{DeliveryOutcome, Simulator};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let simulator = Simulator::start().await?;
//! // ... create a webhook for `run.completed` and submit a work order here ...
//!
//! simulator.advance(Duration::from_secs(60));
//! simulator.settle().await;
//! for delivery in simulator.deliveries() {
//!     assert_eq!(delivery.event_kind, "run.completed");
//!     assert_eq!(delivery.outcome, DeliveryOutcome::Responded(200));
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Receivers have to expect deliveries that are duplicated, late, out of order or lost. A test causes these with
//! [`Simulator::duplicate_deliveries`], [`Simulator::hold_deliveries`] and [`Simulator::lose_deliveries`].
//!
//! # Validation
//!
//! A request is valid if `openapi.yaml` allows it, or if it differs from that only by `http://` URLs of this machine.
//! Other requests fail with 400 and the invalid fields, before the resource is looked up. A body needs
//! `Content-Type: application/json`.
//!
//! # Limits
//!
//! Where AgentGate does not document its behavior, the simulator makes an assumption. The service may respond
//! differently.

mod auto_advance;
mod builder;
mod clock;
mod delivery;
mod faults;
mod handle;
mod model;
mod routes;
mod server;

pub use self::builder::Builder;
pub use self::clock::handle::ClockHandle;
pub use self::clock::time::SimulatedClock;
pub use self::delivery::delivery_faults::DeliveryOrder;
pub use self::delivery::record::{DeliveryOutcome, RecordedDelivery};
pub use self::faults::fault::Fault;
pub use self::handle::Simulator;
pub use self::model::plan::{Outcome, RunPlan};
pub use self::server::record::RecordedRequest;
