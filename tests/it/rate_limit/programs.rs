//! Random programs of calls, streams and waits that are polled, left unpolled, raced, dropped and aborted, with
//! callbacks that call, drop and panic, and with runtimes that stop and end: every polled call completes, no permit is
//! lost, and no order is submitted twice.
//!
//! Each program has an hour of simulated time, and needs only a part of it. The variable `RANDOM_PROGRAMS` sets their
//! number.

use std::collections::BTreeMap;
use std::future::IntoFuture as _;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use agentgate::events::CallEvent;
use agentgate::resources::{CallFuture, Items};
use agentgate::simulator::{Fault, RunPlan, Simulator};
use agentgate::types::{RunId, RunSummary};
use agentgate::{Client, ClientBuilder, Clock as _, Error, ErrorKind, Operation, RateLimitMode, WorkspaceSource};
use common::time::SimulatedTime;
use fastrand::Rng;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use super::fake::FakeLimit;
use super::{first, poll_once, within_an_hour};

const PROGRAMS: u64 = 40;
const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn every_polled_call_completes() {
    let programs = std::env::var("RANDOM_PROGRAMS").map_or(PROGRAMS, |count| count.parse().unwrap());
    let (mut calls, mut longest) = (0, Duration::ZERO);
    for seed in 0..programs {
        let program = Program::new(seed);
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        match runtime.block_on(program.run()) {
            Ok((made, took)) => (calls, longest) = (calls + made, longest.max(took)),
            Err(problem) => panic!("program {seed}: {problem}\n{program:#?}"),
        }
    }
    println!("{programs} programs, {calls} calls; the longest took {longest:?}");
}

/// The settings of one program.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
struct Program {
    seed: u64,
    limit: u32,
    submission_limit: u32,
    mode: RateLimitMode,
    actors: u32,
    /// Maximum number of requests: those of about ten windows.
    calls: u32,
    /// Some requests are never responded to.
    stalls: bool,
    beside_another: bool,
    /// Permits come from a shared limit that fails at times.
    leases: bool,
    /// Callbacks drop and make calls, and panic in calls of one operation.
    callbacks: bool,
}

impl Program {
    fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let limit = if random.bool() { random.u32(1..=4) } else { random.u32(5..=40) };
        Self {
            seed,
            limit,
            submission_limit: random.u32(1..=20),
            mode: if random.u8(0..8) == 0 { RateLimitMode::FailFast } else { RateLimitMode::Wait },
            actors: random.u32(1..=4),
            calls: (limit * 10).min(80),
            stalls: random.u8(0..4) == 0,
            beside_another: limit > 4 && random.u8(0..4) == 0,
            leases: random.u8(0..3) == 0,
            callbacks: random.u8(0..3) == 0,
        }
    }

    /// Returns the number of calls and the elapsed time, or a description of the failure.
    async fn run(&self) -> Result<(u32, Duration), String> {
        let simulator = Simulator::builder()
            .rate_limit(self.limit)
            .submission_limit(self.submission_limit)
            .concurrent_runs(3)
            .default_run(RunPlan::succeeds().running(Duration::from_secs(45)));
        let time = SimulatedTime::start_with_tokio(simulator).await;
        let mut random = Rng::with_seed(self.seed ^ 0x5eed);
        time.advance(Duration::from_millis(random.u64(0..60_000)));
        let client = time.builder().rate_limit_mode(self.mode).submissions_per_minute(self.submission_limit);
        let client = if self.leases {
            client.shared_rate_limit(FakeLimit::random(&time, self.limit, random.fork()))
        } else {
            client
        };
        let shared = Arc::new(Shared { calls_left: AtomicU32::new(self.calls), ..Shared::default() });
        let client = if self.callbacks { shared.meddle(client, random.fork()) } else { client };
        let client = client.build().unwrap();
        let _ = shared.client.set(client.clone());
        for _ in 0..random.u8(0..4) {
            time.simulator().inject(fault(&mut random, self.stalls));
        }

        let mut others = JoinSet::new();
        if self.beside_another {
            let other = time.builder().rate_limit_mode(RateLimitMode::Off).max_retries(0).build().unwrap();
            let (time, mut random, burst) = (time.clone(), random.fork(), self.limit / 3);
            others.spawn(async move {
                loop {
                    for _ in 0..random.u32(0..=burst) {
                        let _ = other.credits().balance().await;
                    }
                    time.sleep(MINUTE).await;
                }
            });
        }
        let mut actors = JoinSet::new();
        for number in 0..self.actors {
            let actor = Actor {
                number,
                client: client.clone(),
                time: time.clone(),
                shared: Arc::clone(&shared),
                random: random.fork(),
                stalls: self.stalls,
                held: Vec::new(),
                streams: Vec::new(),
                runs: Vec::new(),
                parked: Vec::new(),
            };
            actors.spawn(actor.run());
        }
        let began = time.passed();
        let end = within_an_hour(&time, async {
            while let Some(actor) = actors.join_next().await {
                actor.unwrap();
            }
            // Dropped calls must not block later ones.
            client.clone().credits().balance().await.map_err(|error| shared.note(&error))
        })
        .await;
        if end.is_none() {
            return Err(format!("it hangs; the last steps: {:#?}", shared.steps.lock().unwrap()));
        }
        // The callbacks make no more calls.
        let calls_left = shared.calls_left.swap(0, Ordering::Relaxed);
        let rest = std::mem::take(&mut *shared.loose_calls.lock().unwrap());
        drop(rest);
        let submissions = shared.submissions.load(Ordering::Relaxed) as usize;
        if time.simulator().work_order_count() > submissions {
            return Err(format!("{submissions} submissions made {} work orders", time.simulator().work_order_count()));
        }
        if !self.stalls && !self.beside_another && !self.leases {
            self.check_permits(&time, &client).await?;
        }
        let timeouts = shared.timeouts.load(Ordering::Relaxed);
        if timeouts > 0 && !self.stalls {
            return Err(format!("{timeouts} time-outs, and the service responds at once"));
        }
        Ok((self.calls - calls_left, time.passed_since(began)))
    }

    /// Checks that all requests of a window can be sent at once.
    async fn check_permits(&self, time: &SimulatedTime, client: &Client) -> Result<(), String> {
        time.run(time.sleep(3 * MINUTE)).await;
        // The first response reports the window, and its faults.
        while time.run(client.credits().balance().into_future()).await.is_err() {
            time.run(time.sleep(MINUTE)).await;
        }
        time.run(time.sleep(MINUTE)).await;
        let before = time.passed();
        let calls: JoinSet<_> = (0..self.limit).map(|_| client.credits().balance().into_future()).collect();
        let failed = time.run(calls.join_all()).await.iter().filter(|call| call.is_err()).count();
        let took = time.passed_since(before);
        if failed == 0 && took.is_zero() { Ok(()) } else { Err(format!("a window took {took:?}, and {failed} failed")) }
    }
}

/// Returns a random fault.
fn fault(random: &mut Rng, stalls: bool) -> Fault {
    let wait = random.u32(0..60).to_string();
    let fault = match random.u8(0..if stalls { 8 } else { 7 }) {
        0 | 1 => Fault::bad_gateway(),
        2 => Fault::error("RATE_LIMITED").header("retry-after", &wait),
        3 => Fault::error("RATE_LIMITED").header("retry-after", &wait).header("x-ratelimit-remaining", "3"),
        4 => Fault::response(429, "text/html", "Slow down").header("retry-after", &wait),
        5 => Fault::error("SERVICE_UNAVAILABLE"),
        6 => Fault::reset(),
        _ => Fault::stall(),
    };
    fault.times(random.u32(1..=4))
}

/// The shared state of the actors of a program.
#[derive(Default)]
struct Shared {
    calls_left: AtomicU32,
    timeouts: AtomicU32,
    submissions: AtomicU32,
    steps: Mutex<BTreeMap<u32, String>>,
    client: OnceLock<Client>,
    /// Calls that callbacks make and drop.
    loose_calls: Mutex<Vec<CallFuture<()>>>,
}

impl Shared {
    /// Makes callbacks drop and begin calls, and panic.
    fn meddle(self: &Arc<Self>, client: ClientBuilder, random: Rng) -> ClientBuilder {
        let (shared, random) = (Arc::downgrade(self), Mutex::new(random));
        client.on_event(move |event| {
            let (Some(shared), kind) = (shared.upgrade(), random.lock().unwrap().u8(0..8)) else { return };
            match (kind, event) {
                (0 | 1, CallEvent::Attempt(attempt)) if attempt.operation == Operation::GET_WEBHOOK => {
                    panic!("the callback panics")
                }
                (2, _) => drop(shared.loose_calls.lock().map(|mut calls| calls.pop())),
                (3, _) => {
                    if let Some(mut call) = shared.call(&shared.client.get().unwrap().clone(), &mut Rng::with_seed(7))
                        && call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending()
                    {
                        shared.loose_calls.lock().unwrap().push(call);
                    }
                }
                _ => {}
            }
        })
    }

    /// Returns an unpolled call, if the program has calls left.
    fn call(&self, client: &Client, random: &mut Rng) -> Option<CallFuture<()>> {
        self.calls_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).ok()?;
        let deadline = (random.u8(0..6) == 0).then(|| Duration::from_secs(random.u64(1..200)));
        // A passed deadline is an expected timeout.
        let client = client.clone();
        Some(match random.u8(0..7) {
            0 => Box::pin(async move { client.runs().list().limit(5).await.map(drop) }),
            1 => Box::pin(async move { client.runs().get("run_1").await.map(drop).or_else(found) }),
            2 | 3 => {
                self.submissions.fetch_add(1, Ordering::Relaxed);
                let source = WorkspaceSource::template("python-flask");
                Box::pin(async move { client.work_orders().create("Fix it", source).await.map(drop) })
            }
            4 if deadline.is_some() => Box::pin(async move {
                let call = client.credits().balance().deadline(deadline.unwrap_or_default());
                call.await.map(drop).or_else(in_time)
            }),
            5 => Box::pin(async move {
                // A callback may panic.
                let mut call = JoinSet::from_iter([client.webhooks().get("wh_1").into_future()]);
                call.join_next().await.and_then(Result::ok).map_or(Ok(()), |result| result.map(drop).or_else(found))
            }),
            _ => Box::pin(async move { client.credits().balance().await.map(drop) }),
        })
    }

    fn note(&self, error: &Error) {
        if error.kind() == ErrorKind::Timeout {
            self.timeouts.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A task of a program. It does not poll the calls that it holds.
struct Actor {
    number: u32,
    client: Client,
    time: SimulatedTime,
    shared: Arc<Shared>,
    random: Rng,
    stalls: bool,
    held: Vec<CallFuture<()>>,
    streams: Vec<Items<RunSummary>>,
    runs: Vec<RunId>,
    /// Runtimes that nobody drives, with calls that began there.
    parked: Vec<(Runtime, CallFuture<()>)>,
}

impl Drop for Actor {
    fn drop(&mut self) {
        let parked = std::mem::take(&mut self.parked);
        thread::spawn(|| drop(parked)).join().unwrap();
    }
}

impl Actor {
    async fn run(mut self) {
        for step in 0..self.random.u32(3..=20) {
            let kind = self.random.u8(0..17);
            self.shared.steps.lock().unwrap().insert(self.number, format!("step {step}: {kind}"));
            self.step(kind).await;
        }
        self.shared.steps.lock().unwrap().insert(self.number, format!("the end, holding {}", self.held.len()));
        while let Some(call) = self.take_held() {
            if self.random.u8(0..3) > 0 {
                self.finish(call).await;
            }
        }
    }

    async fn step(&mut self, kind: u8) {
        match kind {
            0 | 1 => {
                if let Some(call) = self.call() {
                    self.finish(call).await;
                }
            }
            2..=4 => {
                if let Some(call) = self.call() {
                    self.begin(call).await;
                }
            }
            5 => {
                let pause = Duration::from_millis(self.random.u64(0..90_000));
                self.time.sleep(pause).await;
            }
            6 => drop(self.take_held()),
            7 => {
                if let Some(call) = self.take_held() {
                    self.finish(call).await;
                }
            }
            8 => {
                // Either call can win the race.
                if let (Some(one), Some(other)) = (self.call(), self.take_held()) {
                    self.race(one, other).await;
                }
            }
            9 => {
                if let Some(call) = self.call() {
                    self.select(call).await;
                }
            }
            10 => {
                let reads_ahead = self.random.u8(0..4) > 0;
                let runs = self.client.runs().list().limit(self.random.u32(1..=4)).items().read_ahead(reads_ahead);
                self.read(runs).await;
            }
            11 => {
                if let Some(runs) = self.streams.pop() {
                    self.read(runs).await;
                }
            }
            12 => {
                if let Some(id) = self.runs.pop() {
                    let wait = self.client.runs().wait(&id).timeout(3 * MINUTE).await;
                    _ = wait.map_err(|error| self.shared.note(&error));
                }
            }
            13 => {
                let mut calls = JoinSet::new();
                for call in (0..self.random.u8(1..6)).map_while(|_| self.call()) {
                    calls.spawn(call);
                }
                if self.random.u8(0..4) > 0 {
                    for result in calls.join_all().await {
                        _ = result.map_err(|error| self.shared.note(&error));
                    }
                }
            }
            14 => {
                if let Some(call) = self.call() {
                    let begun = begin_elsewhere(call, self.random.u8(1..4));
                    self.parked.extend(begun);
                }
            }
            15 => {
                if let Some((runtime, call)) = self.call().and_then(|call| begin_elsewhere(call, 2)) {
                    thread::spawn(|| drop(runtime)).join().unwrap();
                    self.finish(call).await;
                }
            }
            _ => {
                if self.random.bool() {
                    self.time.simulator().inject(fault(&mut self.random, self.stalls));
                }
            }
        }
    }

    fn call(&mut self) -> Option<CallFuture<()>> {
        self.shared.call(&self.client, &mut self.random)
    }

    async fn begin(&mut self, mut call: CallFuture<()>) {
        for _ in 0..self.random.u8(1..4) {
            if poll_once(call.as_mut()).await.is_ready() {
                return;
            }
            tokio::task::yield_now().await;
        }
        self.held.push(call);
    }

    async fn finish(&mut self, call: CallFuture<()>) {
        _ = call.await.map_err(|error| self.shared.note(&error));
    }

    /// Polls both until one ends, and holds the other.
    async fn race(&mut self, mut one: CallFuture<()>, mut other: CallFuture<()>) {
        let (result, rest) = match first(&mut one, &mut other).await {
            Ok(result) => (result, other),
            Err(result) => (result, one),
        };
        _ = result.map_err(|error| self.shared.note(&error));
        self.held.push(rest);
    }

    /// Polls a call in a loop like `select!`, while the other branch makes calls.
    async fn select(&mut self, mut call: CallFuture<()>) {
        for _ in 0..self.random.u8(1..5) {
            let pause = Duration::from_secs(self.random.u64(0..40));
            match first(&mut call, self.time.sleep(pause)).await {
                Ok(result) => {
                    _ = result.map_err(|error| self.shared.note(&error));
                    return;
                }
                Err(()) => {
                    if let Some(other) = self.call() {
                        self.finish(other).await;
                    }
                }
            }
        }
        self.held.push(call);
    }

    /// Reads some items. Between them it makes calls, waits, or does nothing.
    async fn read(&mut self, mut runs: Items<RunSummary>) {
        for _ in 0..self.random.u8(1..8) {
            // Each item may take a request.
            let Some(call) = self.call() else { break };
            let pause = Duration::from_secs(self.random.u64(1..60));
            let next = if self.random.u8(0..4) == 0 {
                // A dropped `next` continues at the next call.
                let next = pin!(runs.next());
                first(next, self.time.sleep(pause)).await.ok().flatten()
            } else {
                runs.next().await
            };
            match next {
                Some(Ok(run)) => self.runs.push(run.id),
                Some(Err(error)) => self.shared.note(&error),
                None => break,
            }
            match self.random.u8(0..4) {
                0 | 1 => self.finish(call).await,
                2 => self.time.sleep(pause).await,
                _ => {}
            }
        }
        if self.random.u8(0..3) > 0 {
            self.streams.push(runs);
        }
    }

    fn take_held(&mut self) -> Option<CallFuture<()>> {
        if self.held.is_empty() { None } else { Some(self.held.swap_remove(self.random.usize(..self.held.len()))) }
    }
}

/// Begins a call on a runtime of its own, which is then left alone.
fn begin_elsewhere(mut call: CallFuture<()>, polls: u8) -> Option<(Runtime, CallFuture<()>)> {
    let begin = move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let is_pending = runtime.block_on(async {
            for _ in 0..polls {
                if poll_once(call.as_mut()).await.is_ready() {
                    return false;
                }
                tokio::task::yield_now().await;
            }
            true
        });
        is_pending.then_some((runtime, call))
    };
    thread::spawn(begin).join().unwrap()
}

/// Accepts a missing run.
fn found(error: Error) -> Result<(), Error> {
    if error.is_not_found() { Ok(()) } else { Err(error) }
}

/// Accepts a passed deadline.
fn in_time(error: Error) -> Result<(), Error> {
    if error.kind() == ErrorKind::Timeout { Ok(()) } else { Err(error) }
}
