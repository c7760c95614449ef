//! The handle to a running simulator.

use std::fmt;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::task::JoinHandle;

use crate::simulator::auto_advance;
use crate::simulator::builder::Builder;
use crate::simulator::clock::handle::{ClockHandle, SharedClock};
use crate::simulator::clock::time::Time;
use crate::simulator::delivery::delivery_faults::DeliveryOrder;
use crate::simulator::delivery::dispatcher::Dispatcher;
use crate::simulator::delivery::record::RecordedDelivery;
use crate::simulator::delivery::state::SharedState;
use crate::simulator::delivery::worker;
use crate::simulator::faults::fault::Fault;
use crate::simulator::model::organization::Organization;
use crate::simulator::model::plan::RunPlan;
use crate::simulator::server::listener::Listener;
use crate::simulator::server::record::RecordedRequest;
use crate::simulator::server::service::Service;

/// A running simulator.
///
/// It stops when it is dropped. Open connections are closed, including those to receivers of deliveries.
pub struct Simulator {
    url: String,
    api_key: String,
    webhook_secret: Arc<str>,
    shared: Arc<SharedState>,
    service: Arc<Service>,
    listener: Arc<Listener>,
    tasks: [JoinHandle<()>; 2],
}

impl Builder {
    /// Starts the simulator on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// Fails if the port is not available, or if the factor of the clock is negative or not finite.
    pub async fn start(self) -> io::Result<Simulator> {
        let time = Time::start(self.clock)?;
        let clock = Arc::new(SharedClock { time, sleepers: Arc::default() });
        let listener = Arc::new(Listener::bind((Ipv4Addr::LOCALHOST, self.port).into()).await?);
        let url = format!("http://{}", listener.address());

        let webhook_secret = Arc::clone(&self.settings.webhook_secret);
        let mut organization = Organization::new(self.settings);
        let api_key = organization.keys.add(&["*"]);
        let dispatcher = Dispatcher::new(self.deliveries, self.record);
        let shared = Arc::new(SharedState::new(clock, organization, dispatcher));
        let service = Arc::new(Service::new(Arc::clone(&shared), self.record));

        tokio::spawn(auto_advance::run(Arc::downgrade(&shared.clock), Arc::downgrade(&shared)));
        let tasks = [
            tokio::spawn({
                let (listener, service) = (Arc::clone(&listener), Arc::clone(&service));
                async move { listener.run(service).await }
            }),
            tokio::spawn(worker::run(Arc::clone(&shared))),
        ];
        Ok(Simulator { url, api_key, webhook_secret, shared, service, listener, tasks })
    }
}

/// # Start
impl Simulator {
    /// Starts a simulator with the defaults of [`Builder`], on a free port and on the current tokio runtime.
    ///
    /// It responds only while that runtime runs: a client that blocks the only thread of the runtime waits forever.
    ///
    /// # Errors
    ///
    /// Fails if no port is available.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Returns a builder, for a simulator with other settings.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Returns the base URL without a trailing slash, such as `http://127.0.0.1:49152`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// # The organization
impl Simulator {
    /// Returns an API key with all scopes.
    #[must_use]
    pub fn api_key(&self) -> &str {
        &self.api_key
    }

    /// Adds an API key with these scopes, such as `runs:read`, or `*` for all.
    #[must_use = "the key is not shown again"]
    pub fn add_key(&self, scopes: &[&str]) -> String {
        self.shared.lock().organization.keys.add(scopes)
    }

    /// Expires an API key: its requests fail with `EXPIRED_API_KEY`. An unknown key is ignored.
    pub fn expire_key(&self, key: &str) {
        self.shared.lock().organization.keys.expire(key);
    }

    /// Suspends the organization, or ends the suspension. While it is suspended, all requests fail with
    /// `ORGANIZATION_SUSPENDED`.
    pub fn suspend_organization(&self, suspended: bool) {
        self.shared.lock().organization.suspended = suspended;
    }

    /// Sets the plan of the next run. Plans queue up: the first is for the next accepted work order, the second for the
    /// one after it. Without a plan, [`Builder::default_run`] applies.
    pub fn next_run(&self, plan: RunPlan) {
        self.shared.lock().organization.next_runs.push_back(plan);
    }

    /// Returns the credits of the organization in cents. Initially 10 000.
    #[must_use]
    pub fn credits(&self) -> i64 {
        self.shared.lock().organization.credits.total()
    }

    /// Sets the included credits of the organization and removes the purchased ones, without a transaction.
    pub fn set_credits(&self, cents: i64) {
        self.shared.lock().organization.credits.set(cents);
    }

    /// Adds purchased credits, with a transaction of the type `purchase`.
    pub fn purchase_credits(&self, cents: u32) {
        self.shared.act(|state, now| state.organization.credits.purchase(i64::from(cents), now));
    }

    /// Returns the number of accepted work orders, including those whose response was lost by a fault.
    #[must_use]
    pub fn work_order_count(&self) -> usize {
        self.shared.lock().organization.work_orders.len()
    }
}

/// # Time
impl Simulator {
    /// Returns the time on the simulator's clock.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.shared.clock.time.now()
    }

    /// Advances the clock, at most to the end of the year 9999.
    ///
    /// When this returns, the deliveries that are due have been queued. [`settle`](Self::settle) waits for them.
    pub fn advance(&self, by: Duration) {
        let clock = &self.shared.clock;
        self.shared.act(|_, _| clock.time.advance(by));
        clock.sleepers.wake(clock.time.now());
        // On a scaled clock, the next sleep ends sooner now.
        clock.sleepers.changed.notify_one();
    }

    /// Returns the simulator's time as a [`Clock`](crate::Clock), so that a client waits, retries and delays in
    /// simulated time.
    ///
    /// When nothing is pending but sleeps on this clock, it advances by itself: to the end of the first sleep, or to an
    /// event of a run before that. So an hour takes no real time, and everything happens in order:
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
    /// - while nothing sleeps on it: between two calls, time stands still. A test that needs a minute to pass sleeps:
    ///   `simulator.clock().sleep(Duration::from_secs(60)).await`;
    /// - while a request of a client on this clock, or a delivery, is pending. The time-out of an attempt is real time,
    ///   and the receiver of a delivery has one second of it;
    /// - while a value of [`Clock::hold`](crate::Clock::hold) exists. The simulator does not notice other pending work,
    ///   such as a database query or a thread: hold the clock meanwhile.
    ///
    /// [`advance`](Self::advance) wakes all sleeps that end by then, in order. With [`ClockHandle::auto_advance`]
    /// disabled, nothing else does. The time is exact on a current-thread runtime. If several threads use the clock, it
    /// advances when nothing has happened for 10 milliseconds, so work that takes longer has to hold it. On a
    /// [scaled](crate::simulator::SimulatedClock::Scaled) clock, sleeps take their share of real time.
    #[must_use]
    pub fn clock(&self) -> ClockHandle {
        ClockHandle::new(&self.shared.clock, true)
    }
}

/// # Requests and faults
impl Simulator {
    /// Injects a fault into the next requests.
    pub fn inject(&self, fault: Fault) {
        self.service.log().faults.inject(fault);
    }

    /// Refuses connections, or accepts them again, like a service that is down and recovers.
    ///
    /// While connections are refused, nothing listens on the port: the operating system refuses new connections. Open
    /// connections are closed, with their requests. The port stays bound, and the state does not change.
    ///
    /// # Errors
    ///
    /// Fails if another program has bound the port meanwhile. Connections are refused in this case, too.
    pub fn refuse_connections(&self, refuse: bool) -> io::Result<()> {
        if refuse { self.listener.refuse() } else { self.listener.accept_again() }
    }

    /// Returns the requests since the start or the last [`clear_requests`](Self::clear_requests), oldest first,
    /// including failed ones.
    ///
    /// They are kept in memory with their bodies, unless [`Builder::record_requests`] is `false`.
    #[must_use]
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.service.log().requests.clone().unwrap_or_default()
    }

    /// Returns the number of requests since the start or the last [`clear_requests`](Self::clear_requests), recorded or
    /// not.
    #[must_use]
    pub fn request_count(&self) -> usize {
        self.service.log().request_count
    }

    /// Returns the number of responses with this status since the start or the last
    /// [`clear_requests`](Self::clear_requests).
    ///
    /// Responses of faults count. So does an incomplete response, even if the client did not receive its status. A
    /// request without a response counts in [`request_count`](Self::request_count) only.
    ///
    /// ```
    /// # fn check_rate_limiting(simulator: &agentgate::simulator::Simulator) {
    /// let share = simulator.response_count(429) * 100 / simulator.request_count();
    /// assert!(share < 5, "{share} % of the requests were rate limited");
    /// # }
    /// ```
    #[must_use]
    pub fn response_count(&self, status: u16) -> usize {
        self.service.log().response_counts.get(&status).copied().unwrap_or_default()
    }

    /// Removes the recorded requests and deliveries, and resets the counts of requests, responses and deliveries.
    ///
    /// Nothing else changes: ids continue, and pending deliveries are sent.
    pub fn clear_requests(&self) {
        let mut log = self.service.log();
        log.request_count = 0;
        log.response_counts.clear();
        log.requests.iter_mut().for_each(Vec::clear);
        let deliveries = &mut self.shared.lock().deliveries;
        deliveries.count = 0;
        deliveries.record.iter_mut().for_each(Vec::clear);
    }
}

/// # Deliveries
impl Simulator {
    /// Returns the secret that signs deliveries to the `webhookUrl` of work orders.
    ///
    /// AgentGate does not document this secret. The simulator assumes one secret for the organization. Set it by
    /// [`Builder::webhook_secret`]. Defaults to `whsec_simulator`.
    #[must_use]
    pub fn webhook_secret(&self) -> &str {
        &self.webhook_secret
    }

    /// Waits until all deliveries that are due have succeeded or failed.
    ///
    /// So a test does not have to sleep: it submits a work order, [advances](Self::advance) the clock, waits until the
    /// simulator has settled, and checks what was received.
    ///
    /// This does not wait for retries that are due later, nor for [held](Self::hold_deliveries) deliveries. A receiver
    /// that hangs times out on the simulator's clock, see [`Builder::delivery_timeout`]: on a manual clock, only if
    /// that is advanced meanwhile.
    ///
    /// ```
    /// use std::time::Duration;
    /// use agentgate::simulator::Simulator;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let simulator = Simulator::start().await?;
    /// // ... create a webhook and submit a work order here ...
    /// simulator.advance(Duration::from_secs(60));
    /// simulator.settle().await;
    /// // ... and check that the receiver of the webhook knows that the run is completed.
    /// # assert_eq!(simulator.delivery_count(), 0);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn settle(&self) {
        loop {
            // Created before the check, so that no notification is missed in between.
            let delivered = self.shared.delivered.notified();
            if self.shared.act(|state, _| state.deliveries.queue.is_empty()) {
                return;
            }
            delivered.await;
        }
    }

    /// Sets the number of duplicates of each successful delivery. They are sent right after it, with the same event id
    /// and the same body. A duplicate that fails is not retried. Defaults to 0.
    pub fn duplicate_deliveries(&self, duplicates: u32) {
        self.shared.act(|state, _| state.deliveries.faults.duplicates = duplicates);
    }

    /// Loses the next deliveries: they are not sent and not retried. 0 ends the losses.
    ///
    /// Each receiver of an event has its own delivery, and each retry is one. Deliveries that are due already are not
    /// lost.
    pub fn lose_deliveries(&self, count: u32) {
        self.shared.act(|state, _| state.deliveries.faults.losses = count);
    }

    /// Holds all deliveries that become due, including retries, until they are [released](Self::release_deliveries).
    /// [`settle`](Self::settle) does not wait for them.
    pub fn hold_deliveries(&self) {
        self.shared.act(|state, _| {
            state.deliveries.faults.held.get_or_insert_default();
        });
    }

    /// Releases the [held](Self::hold_deliveries) deliveries in this order, and ends the hold.
    ///
    /// ```
    /// use std::time::Duration;
    /// use agentgate::simulator::{DeliveryOrder, Simulator};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let simulator = Simulator::start().await?;
    /// // ... create a webhook and submit a work order here ...
    /// simulator.hold_deliveries();
    /// simulator.advance(Duration::from_secs(60));
    /// simulator.release_deliveries(DeliveryOrder::Reversed);
    /// simulator.settle().await;
    /// // ... and check that the receiver can process the end of the run before its start.
    /// # Ok(())
    /// # }
    /// ```
    pub fn release_deliveries(&self, order: DeliveryOrder) {
        self.shared.act(|state, now| state.deliveries.release(order, &state.organization, now));
    }

    /// Returns the completed attempts to deliver an event since the start or the last
    /// [`clear_requests`](Self::clear_requests), in the order of their completion.
    ///
    /// They are kept in memory with their bodies, unless [`Builder::record_requests`] is `false`.
    ///
    /// ```
    /// # fn print_failures(simulator: &agentgate::simulator::Simulator) {
    /// for delivery in simulator.deliveries() {
    ///     if !delivery.outcome.is_success() {
    ///         println!("{} of {}: {:?}", delivery.event_kind, delivery.event_id, delivery.outcome);
    ///     }
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn deliveries(&self) -> Vec<RecordedDelivery> {
        self.shared.lock().deliveries.record.clone().unwrap_or_default()
    }

    /// Returns the number of completed attempts to deliver an event since the start or the last
    /// [`clear_requests`](Self::clear_requests), recorded or not.
    #[must_use]
    pub fn delivery_count(&self) -> usize {
        self.shared.lock().deliveries.count
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        self.listener.close();
    }
}

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulator").field("url", &self.url).finish_non_exhaustive()
    }
}
