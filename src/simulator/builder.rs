//! How a simulator is set up.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::Router;

use super::Simulator;
use super::clock::{SimulatedClock, Time};
use super::listener::Listener;
use super::organization::{Organization, Settings};
use super::plan::RunPlan;
use super::service::{self, Shared, State};
use super::wire::Wire;

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
}

impl Default for Builder {
    fn default() -> Self {
        let default_run = RunPlan::default();
        Self {
            port: 0,
            clock: SimulatedClock::default(),
            record: true,
            settings: Settings { price: 50, requests: 100, submissions: 20, concurrent_runs: 10, default_run },
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
        self.settings.default_run = plan;
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

    /// Whether requests are kept for [`Simulator::requests`] to show. They are by default; a test that sends a great many
    /// may do without. They are counted either way.
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

        let mut organization = Organization::new(self.settings);
        let api_key = organization.keys.add(&["*"]);
        let shared = Arc::new(Shared::new(State::new(time, organization, self.record)));

        let router = Router::new().fallback(service::serve).with_state(Arc::clone(&shared));
        let server = axum::serve(listener.clone(), router.into_make_service_with_connect_info::<Wire>());
        let server = tokio::spawn(async move {
            // It ends only by being aborted.
            let _ = server.await;
        });
        Ok(Simulator { url, api_key, shared, listener, server })
    }
}
