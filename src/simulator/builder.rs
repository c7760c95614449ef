//! The settings of a simulator.

use std::time::Duration;

use crate::simulator::clock::time::SimulatedClock;
use crate::simulator::delivery::dispatcher;
use crate::simulator::model::organization::Settings;
use crate::simulator::model::plan::{DefaultRun, RunPlan};

/// A builder of a [`Simulator`](crate::simulator::Simulator). Returned by
/// [`Simulator::builder`](crate::simulator::Simulator::builder).
///
/// The default limits are those of the hosted service. The default clock is [`SimulatedClock::Manual`], and rate limits
/// use it, so a test that sends more than 100 requests has to [`advance`](crate::simulator::Simulator::advance) it, or
/// to raise [`rate_limit`](Self::rate_limit).
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is started"]
pub struct Builder {
    pub(crate) port: u16,
    pub(crate) clock: SimulatedClock,
    pub(crate) record: bool,
    pub(crate) settings: Settings,
    pub(crate) deliveries: dispatcher::Settings,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            port: 0,
            clock: SimulatedClock::default(),
            record: true,
            settings: Settings::default(),
            deliveries: dispatcher::Settings::default(),
        }
    }
}

impl Builder {
    /// Sets the port on 127.0.0.1. Defaults to 0, a free port.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Sets the clock. Defaults to [`SimulatedClock::Manual`], which stands still.
    pub fn clock(mut self, clock: SimulatedClock) -> Self {
        self.clock = clock;
        self
    }

    /// Sets the plan of runs without a plan of [`Simulator::next_run`](crate::simulator::Simulator::next_run). Defaults
    /// to [`RunPlan::succeeds`].
    pub fn default_run(mut self, plan: RunPlan) -> Self {
        self.settings.default_run = DefaultRun::Same(plan);
        self
    }

    /// Draws the plans of runs without a plan of [`Simulator::next_run`](crate::simulator::Simulator::next_run) at
    /// random. The same seed results in the same plans.
    ///
    /// A run is pending for up to 3 seconds and running for 2 to 15 seconds in 1 to 8 iterations. One in five fails.
    pub fn random_runs(mut self, seed: u64) -> Self {
        self.settings.default_run = DefaultRun::Random(fastrand::Rng::with_seed(seed));
        self
    }

    /// Sets the secret that signs deliveries to the `webhookUrl` of work orders, see
    /// [`Simulator::webhook_secret`](crate::simulator::Simulator::webhook_secret). Defaults to `whsec_simulator`.
    pub fn webhook_secret(mut self, secret: impl Into<String>) -> Self {
        self.settings.webhook_secret = secret.into().into();
        self
    }

    /// Sets the price of a work order in cents. Defaults to 50.
    pub fn price(mut self, cents: u32) -> Self {
        self.settings.price = cents;
        self
    }

    /// Sets the number of requests allowed per minute, at most 2³¹ − 1. Defaults to 100.
    pub fn rate_limit(mut self, requests: u32) -> Self {
        self.settings.requests = requests;
        self
    }

    /// Sets the number of work orders allowed per minute, at most 2³¹ − 1. Defaults to 20.
    pub fn submission_limit(mut self, work_orders: u32) -> Self {
        self.settings.submissions = work_orders;
        self
    }

    /// Sets the number of runs that may be pending or running at the same time. Defaults to 10.
    pub fn concurrent_runs(mut self, runs: u32) -> Self {
        self.settings.concurrent_runs = runs;
        self
    }

    /// Sets the time limit for the response to a delivery, on the simulator's clock.
    ///
    /// On a manual clock, the time starts when the delivery is due, so
    /// [`advance`](crate::simulator::Simulator::advance) ends it. In addition, every receiver has at least one second
    /// of real time, no matter how far the clock is advanced. So a test may advance the clock by an hour during a
    /// delivery. Defaults to 30 seconds, as documented.
    pub fn delivery_timeout(mut self, timeout: Duration) -> Self {
        self.deliveries.timeout = timeout;
        self
    }

    /// Sets the delay before each retry of a failed delivery, on the simulator's clock. After the last retry, the
    /// delivery is given up. An empty list disables retries.
    ///
    /// On a manual clock, each attempt is made at the time at which it is due: after an advance by an hour, all retries
    /// of that hour are made. AgentGate does not document its own schedule. Defaults to 10 seconds, 1 minute, 10
    /// minutes and 1 hour.
    ///
    /// ```
    /// use std::time::Duration;
    /// use agentgate::simulator::Simulator;
    ///
    /// let builder = Simulator::builder().delivery_retries([1, 2, 4].map(Duration::from_secs));
    /// # drop(builder);
    /// ```
    pub fn delivery_retries(mut self, delays: impl IntoIterator<Item = Duration>) -> Self {
        self.deliveries.retries = delays.into_iter().collect();
        self
    }

    /// Sets whether requests are recorded for [`Simulator::requests`](crate::simulator::Simulator::requests), and
    /// deliveries for [`Simulator::deliveries`](crate::simulator::Simulator::deliveries). They are counted in any case.
    /// Defaults to `true`.
    pub fn record_requests(mut self, record: bool) -> Self {
        self.record = record;
        self
    }
}
