//! A fake shared rate limit on the simulator's time, working or failing.

use std::fmt;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agentgate::Clock as _;
use agentgate::shared_rate_limit::{Lease, LeaseFuture, LeaseRequest, SharedRateLimit};
use common::time::SimulatedTime;
use fastrand::Rng;

const MINUTE: Duration = Duration::from_secs(60);

/// The behaviour of a fake shared limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behaviour {
    Works,
    /// Works after a delay.
    Slow(Duration),
    Fails,
    Hangs,
    Panics,
    /// Leases nothing, and can be retried at once.
    Nothing,
    /// Leases nothing, and can be retried after the maximum time.
    NothingForEver,
    /// Leases more than requested, for the maximum time.
    TooMuch,
    /// Leases permits that have expired.
    Expired,
}

const ALL: [Behaviour; 9] = [
    Behaviour::Works,
    Behaviour::Slow(Duration::from_millis(50)),
    Behaviour::Fails,
    Behaviour::Hangs,
    Behaviour::Panics,
    Behaviour::Nothing,
    Behaviour::NothingForEver,
    Behaviour::TooMuch,
    Behaviour::Expired,
];

#[derive(Clone)]
pub(super) struct FakeLimit(Arc<Inner>);

struct Inner {
    time: SimulatedTime,
    limit: u32,
    state: Mutex<State>,
}

struct State {
    behaviour: Behaviour,
    /// Changes the behaviour at random.
    random: Option<Rng>,
    requests_seen: Vec<(Duration, LeaseRequest)>,
    /// Number of permits leased while working.
    leased: u32,
    minute: u128,
    used: u32,
    submissions: u32,
}

impl FakeLimit {
    pub(super) fn new(time: &SimulatedTime, limit: u32, behaviour: Behaviour) -> Self {
        let state =
            State { behaviour, random: None, requests_seen: Vec::new(), leased: 0, minute: 0, used: 0, submissions: 0 };
        Self(Arc::new(Inner { time: time.clone(), limit, state: Mutex::new(state) }))
    }

    /// Creates a limit that changes its behaviour at random.
    pub(super) fn random(time: &SimulatedTime, limit: u32, random: Rng) -> Self {
        let fake = Self::new(time, limit, Behaviour::Works);
        fake.0.state.lock().unwrap().random = Some(random);
        fake
    }

    pub(super) fn set(&self, behaviour: Behaviour) {
        self.0.state.lock().unwrap().behaviour = behaviour;
    }

    /// Returns every request so far, with its time.
    pub(super) fn requests(&self) -> Vec<(Duration, LeaseRequest)> {
        self.0.state.lock().unwrap().requests_seen.clone()
    }

    pub(super) fn leased(&self) -> u32 {
        self.0.state.lock().unwrap().leased
    }

    /// Leases permits from the simulator's window, a minute of its clock.
    fn work(&self, request: &LeaseRequest) -> Lease {
        let mut state = self.0.state.lock().unwrap();
        let passed = self.0.time.passed();
        let minute = passed.as_nanos() / MINUTE.as_nanos();
        if minute > state.minute {
            (state.minute, state.used, state.submissions) = (minute, 0, 0);
        }
        if let Some(report) = request.report {
            state.used = state.used.max(report.limit.saturating_sub(report.remaining));
        }
        let left = self.0.limit.saturating_sub(state.used);
        let submissions = request.submissions.min(left).min(request.submission_limit.saturating_sub(state.submissions));
        let requests = request.requests.min(left - submissions);
        state.used += requests + submissions;
        state.submissions += submissions;
        state.leased += requests + submissions;
        let time_left = (MINUTE * u32::try_from(minute + 1).unwrap()).saturating_sub(passed);
        Lease::new(requests, time_left).submissions(submissions).retry_in(time_left).clients(2)
    }
}

impl SharedRateLimit for FakeLimit {
    fn lease(&self, request: LeaseRequest) -> LeaseFuture<'_> {
        let behaviour = {
            let mut state = self.0.state.lock().unwrap();
            state.requests_seen.push((self.0.time.passed(), request.clone()));
            if let Some(random) = &mut state.random
                && random.u8(0..4) == 0
            {
                state.behaviour = random.choice(ALL).unwrap();
            }
            state.behaviour
        };
        Box::pin(async move {
            Ok(match behaviour {
                Behaviour::Works => self.work(&request),
                Behaviour::Slow(time) => {
                    self.0.time.sleep(time / 2).await;
                    let lease = self.work(&request);
                    self.0.time.sleep(time / 2).await;
                    lease
                }
                Behaviour::Fails => return Err("it is broken".into()),
                Behaviour::Hangs => pending().await,
                Behaviour::Panics => panic!("the shared limit panics"),
                Behaviour::Nothing => Lease::new(0, Duration::ZERO),
                Behaviour::NothingForEver => Lease::new(0, Duration::MAX).retry_in(Duration::MAX).clients(u32::MAX),
                Behaviour::TooMuch => Lease::new(u32::MAX, Duration::MAX).submissions(u32::MAX).clients(0),
                Behaviour::Expired => Lease::new(request.requests, Duration::ZERO).submissions(request.submissions),
            })
        })
    }
}

impl fmt::Debug for FakeLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeLimit").finish_non_exhaustive()
    }
}
