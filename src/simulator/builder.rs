//! How a simulator is set up.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;

use crate::simulator::clock::time::{SimulatedClock, Time};
use crate::simulator::delivery::{self, worker};
use crate::simulator::model::organization::{Organization, Settings};
use crate::simulator::model::plan::{DefaultRun, RunPlan};
use crate::simulator::server::listener::Listener;
use crate::simulator::server::service::{self, Shared, State};
use crate::simulator::server::wire::Wire;
use crate::simulator::{Simulator, auto_advance};

/// The settings of a [`Simulator`], from [`Simulator::builder`].
///
/// The defaults are those of the hosted service, on a clock that stands still. Limits count on the simulator's clock,
/// so a test that sends more than 100 requests has to [`advance`](Simulator::advance) it or raise
/// [`rate_limit`](Self::rate_limit).
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is started"]
pub struct Builder {
    port: u16,
    clock: SimulatedClock,
    record: bool,
    settings: Settings,
    deliveries: delivery::Settings,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            port: 0,
            clock: SimulatedClock::default(),
            record: true,
            settings: Settings {
                price: 50,
                requests: 100,
                submissions: 20,
                concurrent_runs: 10,
                default_run: DefaultRun::default(),
                webhook_secret: "whsec_simulator".into(),
            },
            deliveries: delivery::Settings::default(),
        }
    }
}

impl Builder {
    /// Listens on this port of 127.0.0.1. 0, the default, takes a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// How time passes. By default it stands still: [`SimulatedClock::Manual`].
    pub fn clock(mut self, clock: SimulatedClock) -> Self {
        self.clock = clock;
        self
    }

    /// What becomes of runs for which [`Simulator::next_run`] says nothing else. [`RunPlan::succeeds`] by default.
    pub fn default_run(mut self, plan: RunPlan) -> Self {
        self.settings.default_run = DefaultRun::Same(plan);
        self
    }

    /// Draws the plan of each run for which [`Simulator::next_run`] says nothing else at random: it is pending for up to 3 s, runs for 2
    /// to 15 s in 1 to 8 iterations, and fails in one of five cases. The same seed gives the same plans.
    pub fn random_runs(mut self, seed: u64) -> Self {
        self.settings.default_run = DefaultRun::Random(fastrand::Rng::with_seed(seed));
        self
    }

    /// Sets the secret that signs deliveries to the `webhookUrl` of work orders: [`Simulator::webhook_secret`]. Defaults to
    /// `whsec_simulator`.
    pub fn webhook_secret(mut self, secret: impl Into<String>) -> Self {
        self.settings.webhook_secret = secret.into().into();
        self
    }

    /// What submitting a work order costs, in cents. 50 by default.
    pub fn price(mut self, cents: u32) -> Self {
        self.settings.price = cents;
        self
    }

    /// How many requests are allowed in a minute. 100 by default; figures above 2³¹ − 1 count as that.
    pub fn rate_limit(mut self, requests: u32) -> Self {
        self.settings.requests = requests;
        self
    }

    /// How many work orders may be submitted in a minute. 20 by default; figures above 2³¹ − 1 count as that.
    pub fn submission_limit(mut self, work_orders: u32) -> Self {
        self.settings.submissions = work_orders;
        self
    }

    /// How many runs may be pending or running at the same time. 10 by default.
    pub fn concurrent_runs(mut self, runs: u32) -> Self {
        self.settings.concurrent_runs = runs;
        self
    }

    /// How long the receiver of a delivery may take to answer, on the simulator's clock. 30 s by default, as documented.
    ///
    /// On a clock that stands still, this time begins when the delivery is due, so [`advance`](Simulator::advance) ends it.
    /// But every receiver is waited for at least one second of real time, whatever the simulator's clock says. So a test
    /// may advance the clock by an hour while a delivery is under way, and a receiver that answers is still heard; one that
    /// hangs times out that second later.
    pub fn delivery_timeout(mut self, timeout: Duration) -> Self {
        self.deliveries.timeout = timeout;
        self
    }

    /// The pauses before a delivery that failed is tried again, on the simulator's clock: the first one after the first
    /// attempt, and so on. When they are used up, it is given up. None at all tries only once.
    ///
    /// On a clock that stands still, each attempt is made when it is due, however far the clock was advanced meanwhile: after
    /// an advance by an hour, all retries of that hour are made.
    ///
    /// The service's own schedule is not documented. The default is plausible: 10 s, 1 min, 10 min, 1 h.
    ///
    /// ```
    /// use std::time::Duration;
    /// use agentgate::simulator::Simulator;
    ///
    /// let builder = Simulator::builder().delivery_retries([1, 2, 4].map(Duration::from_secs));
    /// # drop(builder);
    /// ```
    pub fn delivery_retries(mut self, pauses: impl IntoIterator<Item = Duration>) -> Self {
        self.deliveries.retries = pauses.into_iter().collect();
        self
    }

    /// Whether requests are kept for [`Simulator::requests`] to show, and deliveries for [`Simulator::deliveries`]. They
    /// are by default; a test that has a great many may do without. They are counted either way.
    pub fn record_requests(mut self, record: bool) -> Self {
        self.record = record;
        self
    }

    /// Starts the simulator on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// If the port cannot be listened on, or the clock has a factor that is negative or not finite.
    pub async fn start(self) -> io::Result<Simulator> {
        let time = Time::start(self.clock)?;
        let listener = Listener::bind((Ipv4Addr::LOCALHOST, self.port).into()).await?;
        let url = format!("http://{}", listener.address());

        let webhook_secret = Arc::clone(&self.settings.webhook_secret);
        let mut organization = Organization::new(self.settings);
        let api_key = organization.keys.add(&["*"]);
        let shared = Arc::new(Shared::new(State::new(time, organization, self.deliveries, self.record)));

        let router = Router::new().fallback(service::serve).with_state(Arc::clone(&shared));
        let server = axum::serve(listener.clone(), router.into_make_service_with_connect_info::<Wire>());
        let server = tokio::spawn(async move {
            // It ends only by being aborted.
            let _ = server.await;
        });
        let courier = tokio::spawn(worker::run(Arc::clone(&shared)));
        tokio::spawn(auto_advance::run(Arc::downgrade(&shared), Arc::clone(&shared.sleepers)));
        Ok(Simulator { url, api_key, webhook_secret, shared, listener, server, courier })
    }
}
