//! An AgentGate on 127.0.0.1, for demonstrations and tests.
//!
//! A test of a program that uses AgentGate wants a server that remembers what it was told, that costs nothing, and that
//! fails on demand. The [`Simulator`] is one: it knows API keys and their scopes, work orders and the runs they start,
//! credits, rate limits, webhooks, templates, and every documented error. It speaks plain HTTP, so anything can be
//! pointed at it: this crate's client, `curl`, or a program in another language.
//!
//! Two things make tests exact. **Time is the test's to set**: runs, rate limits and timestamps follow a [`SimulatedClock`] that
//! stands still until [`Simulator::advance`] moves it, so no test has to sleep. [`Simulator::clock`] is the same time for
//! clients: their waits and retries let it pass. **Failures are the test's to order**:
//! [`Simulator::inject`] makes requests fail by any documented error, by what a proxy in between might answer, or by what
//! a bad network does to an answer; [`Fault::catalogue`] lists them all. Whatever was sent is kept in
//! [`Simulator::requests`].
//!
//! Ids count from one (`run_000001`, `wh_000001`), so that they are the same whenever a test is run.
//!
//! ```
//! use std::time::Duration;
//! use agentgate::simulator::{Fault, RunPlan, Simulator};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let simulator = Simulator::start().await?;
//! // Point your program at `simulator.url()`, with `simulator.api_key()` for its key.
//!
//! // The next work order's run fails after a minute:
//! let plan = RunPlan::fails("TESTS_FAILED", "2 of 14 tests failed");
//! simulator.next_run(plan.running(Duration::from_secs(60)));
//! // And the next two requests are told to come back later:
//! simulator.inject(Fault::error("SERVICE_UNAVAILABLE").times(2));
//!
//! // ... submit a work order here ...
//!
//! simulator.advance(Duration::from_secs(90));
//! // ... and see the run fail.
//! # assert_eq!(simulator.request_count(), 0);
//! # Ok(())
//! # }
//! ```
//!
//! # What is delivered
//!
//! Webhooks that are created by the API, and the `webhookUrl` of work orders, get real requests: what happens to a run is
//! posted to every enabled webhook that has subscribed to it, signed with its secret, and to the `webhookUrl` of its work
//! order, signed with [`Simulator::webhook_secret`]. [`Simulator::deliveries`] shows every attempt.
//!
//! | Event | When |
//! |---|---|
//! | `run.created` | the work order is accepted |
//! | `run.started` | the run is no longer pending |
//! | `verification.started` | four fifths of its running time are over |
//! | `verification.passed` or `verification.failed` | right before the run ends |
//! | `run.completed` or `run.failed` | the run ends by itself |
//! | `run.cancelled` | the run is cancelled; nothing comes after that |
//! | `webhook.test` | a webhook is tested, whether or not it has subscribed to this |
//!
//! The body is `{"id": "evt_000001", "type": .., "createdAt": .., "data": ..}`. The `data` of a run's event is the run as
//! `GET /v1/runs/{id}` showed it at that moment; that of a verification has `runId`, `workOrderId`, `iterations` and
//! `tenantContext`. Events count from one in the order in which they happen, told or not. `webhook.test` and the fields of
//! `data` are not documented; the service may choose others.
//!
//! Deliveries go by `http://` to this machine alone. The service demands HTTPS; the simulator accepts `http://` URLs of this
//! machine besides. A delivery to an `https://` address is recorded as undeliverable and never sent. A webhook's own headers
//! are sent with each delivery, except those that the delivery sets itself or that HTTP does not allow. Each receiver gets one delivery at a time, in the order in which they are due; one that
//! hangs does not hold up the others, up to 128 of them. What is not answered with 2xx within [`Builder::delivery_timeout`] is sent again
//! after the pauses of [`Builder::delivery_retries`]. Until then, other events overtake it. A disabled or deleted webhook
//! gets nothing more, and what failed before that is not tried again.
//!
//! All of that follows the simulator's clock. So a test orders, advances, and lets the simulator
//! [settle](Simulator::settle), which waits for all that is due:
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
//! Receivers have to cope with deliveries that come twice, late, out of order or not at all. So a test can order that, too:
//! [`Simulator::duplicate_deliveries`], [`Simulator::hold_deliveries`] and [`Simulator::lose_deliveries`].
//!
//! # What it accepts
//!
//! A request is valid here exactly if `openapi.yaml` allows it, except for the URLs of this machine. Everything else is refused
//! with 400 and the fields concerned, before the resource is looked for. A body needs `Content-Type: application/json`.
//!
//! # What it is not
//!
//! Where the documentation of AgentGate leaves something open, the simulator does one of the plausible things. Its
//! answers are examples of what the service may say, not a promise that it says nothing else.

mod auto_advance;
mod builder;
mod clock;
mod deliveries;
mod delivery;
mod faults;
mod model;
mod routes;
mod server;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::task::JoinHandle;

pub use crate::simulator::builder::Builder;
pub use crate::simulator::clock::sleepers::ClockHandle;
pub use crate::simulator::clock::time::SimulatedClock;
pub use crate::simulator::delivery::{DeliveryOrder, DeliveryOutcome, RecordedDelivery};
pub use crate::simulator::faults::Fault;
pub use crate::simulator::model::plan::{Outcome, RunPlan};
pub use crate::simulator::server::record::RecordedRequest;

use crate::simulator::server::listener::Listener;
use crate::simulator::server::service::Shared;
use crate::simulator::server::tally::Tally;

/// A running simulator. It stops when it is dropped, and cuts the connections that are still open, those to receivers of
/// webhooks included.
pub struct Simulator {
    url: String,
    api_key: String,
    webhook_secret: Arc<str>,
    shared: Arc<Shared>,
    listener: Listener,
    server: JoinHandle<()>,
    courier: JoinHandle<()>,
}

impl Simulator {
    /// Starts a simulator with the defaults of [`Builder`], on a free port and on the current tokio runtime.
    ///
    /// It answers only while that runtime runs: a client that blocks the only thread of the runtime waits forever.
    ///
    /// # Errors
    ///
    /// If no port can be listened on.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Sets up a simulator.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The base URL, such as `http://127.0.0.1:49152`, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A key that is allowed everything.
    #[must_use]
    pub fn api_key(&self) -> &str {
        &self.api_key
    }

    /// Makes another key, with these scopes (such as `runs:read`, or `*` for all).
    #[must_use = "the key is not shown again"]
    pub fn add_key(&self, scopes: &[&str]) -> String {
        self.shared.lock().organization.keys.add(scopes)
    }

    /// Lets a key expire: from now on it is refused with `EXPIRED_API_KEY`. Does nothing if there is no such key.
    pub fn expire_key(&self, key: &str) {
        self.shared.lock().organization.keys.expire(key);
    }

    /// Suspends the organization, or lifts that: while suspended, every request is refused with
    /// `ORGANIZATION_SUSPENDED`.
    pub fn suspend_organization(&self, suspended: bool) {
        self.shared.lock().organization.suspended = suspended;
    }

    /// The time on the simulator's clock.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.shared.lock().time.now()
    }

    /// Moves the clock forward. Time ends with the year 9999.
    ///
    /// What happens until then is on its way to the webhooks when this returns; [`settle`](Self::settle) waits for it to
    /// arrive.
    pub fn advance(&self, by: Duration) {
        let now = self.shared.act(|state| {
            state.time.advance(by);
            state.time.now()
        });
        self.shared.sleepers.wake(now);
        // On a clock that goes by itself, what comes next comes sooner than these thought.
        self.shared.bells.courier.notify_one();
        self.shared.sleepers.changed.notify_one();
    }

    /// Returns the simulator's time as a [`Clock`](crate::Clock), so that a client waits, retries and delays in simulated time.
    ///
    /// Without a hand on it, time passes when everybody sleeps: when nothing is pending but sleeps on this clock, it advances to the end
    /// of the first of them, or to what happens before that to a run. So an hour takes no time, and everything happens in its order:
    ///
    /// ```
    /// # #[cfg(not(feature = "client"))]
    /// # fn main() {}
    /// # #[cfg(feature = "client")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    ///
    /// use agentgate::simulator::{RunPlan, Simulator};
    /// use agentgate::{Client, WorkspaceSource};
    ///
    /// let simulator = Simulator::start().await?;
    /// let client = Client::builder()
    ///     .base_url(simulator.url())
    ///     .api_key(simulator.api_key())
    ///     .clock(simulator.clock())
    ///     .build()?;
    ///
    /// simulator.next_run(RunPlan::succeeds().running(Duration::from_secs(20 * 60)));
    /// let order = client.work_orders().create("Fix it", WorkspaceSource::template("python-flask")).await?;
    /// let run = client.runs().wait(&order.run_id).timeout(Duration::from_secs(1800)).await?.succeeded()?;
    /// assert!(run.pr_url.is_some());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The clock does not advance by itself
    ///
    /// - while nobody sleeps on it: between two calls, time stands still. A test that wants a minute to pass sleeps for it:
    ///   `simulator.clock().sleep(Duration::from_secs(60)).await`;
    /// - while a request of a client on this clock, or a delivery, is under way. The time-out of an attempt is real time, and a receiver
    ///   of deliveries has a second of it;
    /// - while a value of [`Clock::hold`](crate::Clock::hold) exists. What else a program waits for (a database, a thread) is not seen:
    ///   hold the clock meanwhile.
    ///
    /// [`advance`](Self::advance) wakes all whose sleep ends by then, in that order. With [`ClockHandle::auto_advance`] turned off,
    /// nothing else does. On a [scaled](SimulatedClock::Scaled) clock, sleeps take their share of real time.
    #[must_use]
    pub fn clock(&self) -> ClockHandle {
        ClockHandle::new(&self.shared, true)
    }

    /// Says what becomes of the next run. Plans wait in line: the first is for the next work order that is accepted,
    /// the second for the one after it. Without a plan in line, [`Builder::default_run`] holds.
    pub fn next_run(&self, plan: RunPlan) {
        self.shared.lock().organization.next_runs.push_back(plan);
    }

    /// The organization's credits, in cents. A new simulator has 10 000.
    #[must_use]
    pub fn credits(&self) -> i64 {
        self.shared.lock().organization.credits.total()
    }

    /// Replaces the organization's credits, all of them included ones, without a transaction.
    pub fn set_credits(&self, cents: i64) {
        self.shared.lock().organization.credits.set(cents);
    }

    /// Buys credits: adds this many cents to the purchased ones, and a transaction of type `purchase`.
    pub fn purchase_credits(&self, cents: u32) {
        let mut state = self.shared.lock();
        let now = state.time.now();
        state.organization.credits.purchase(i64::from(cents), now);
    }

    /// Lets something go wrong with the requests to come.
    pub fn inject(&self, fault: Fault) {
        self.shared.lock().faults.inject(fault);
    }

    /// Refuses connections, or accepts them again, as a service does that is down and comes back.
    ///
    /// While it refuses, nobody listens on the port: new connections are refused by the operating system, and those that
    /// were open are cut, with the requests on them. The port stays the simulator's own, and the state stays as it is.
    ///
    /// # Errors
    ///
    /// If the port could not be taken again, because another program was quicker. Connections are refused then, too.
    pub fn refuse_connections(&self, refuse: bool) -> io::Result<()> {
        if refuse { self.listener.refuse() } else { self.listener.admit() }
    }

    /// How many work orders were accepted, whether or not the client heard of it.
    #[must_use]
    pub fn work_order_count(&self) -> usize {
        self.shared.lock().organization.work_orders.len()
    }

    /// The requests since the start or the last [`clear_requests`](Self::clear_requests), oldest first, refused ones
    /// included. They are kept in memory with their bodies, unless [`Builder::record_requests`] says no.
    #[must_use]
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.shared.lock().requests.clone().unwrap_or_default()
    }

    /// How many requests came since the start or the last [`clear_requests`](Self::clear_requests), recorded or not.
    #[must_use]
    pub fn request_count(&self) -> usize {
        self.shared.lock().tally.requests
    }

    /// How many requests were answered with this status since the start or the last
    /// [`clear_requests`](Self::clear_requests), by the simulator or a fault.
    ///
    /// An answer that a fault damages on its way counts with the status it had, even if the client never saw it. A
    /// request that a fault leaves without an answer counts in [`request_count`](Self::request_count) alone.
    ///
    /// ```
    /// # fn share_of_refusals(simulator: &agentgate::simulator::Simulator) {
    /// let refused = simulator.response_count(429) * 100 / simulator.request_count();
    /// assert!(refused < 5, "{refused} % of the requests were too many");
    /// # }
    /// ```
    #[must_use]
    pub fn response_count(&self, status: u16) -> usize {
        self.shared.lock().tally.answers(status)
    }

    /// Forgets the requests and deliveries that were recorded, and starts counting requests, answers and deliveries anew.
    /// Nothing else changes: ids count on, and what waits to be delivered is delivered.
    pub fn clear_requests(&self) {
        let mut state = self.shared.lock();
        state.tally = Tally::default();
        if let Some(requests) = &mut state.requests {
            requests.clear();
        }
        state.deliveries.count = 0;
        if let Some(deliveries) = &mut state.deliveries.record {
            deliveries.clear();
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.server.abort();
        self.courier.abort();
        self.listener.close();
    }
}

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulator").field("url", &self.url).finish_non_exhaustive()
    }
}
