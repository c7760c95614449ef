//! Waits on several runtimes, of which some are parked, busy or shut down, with wakers and callbacks that poll, drop
//! and begin waits, make calls, and panic.
//!
//! A wait that is polled ends with its run, whatever happens to others. Time stands still until a test advances it, and
//! a runtime only goes on while a test drives it. `RANDOM_PROGRAMS=10000` tries as many programs.

use std::any::Any;
use std::cell::Cell;
use std::future::{Future, IntoFuture, poll_fn};
use std::mem::take;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Once, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use agentgate::events::CallEvent;
use agentgate::follow::Watcher;
use agentgate::serde_json::{Value, json};
use agentgate::test_util::{Replay, Reply};
use agentgate::types::{RunId, RunStatus};
use agentgate::webhook::Event;
use agentgate::{Client, Clock as _, Error, ErrorKind, RateLimitMode};
use common::clock::ManualClock;
use fastrand::Rng;
use tokio::runtime::{Builder, Handle, Id, Runtime};
use tokio::task::JoinHandle;

const PROGRAMS: u64 = 300;

/// Time limit in real time. Only a program that hangs reaches it.
const GUARD: Duration = Duration::from_secs(120);

const SECOND: Duration = Duration::from_secs(1);

/// The message of the panics of callbacks, wakers and responses.
const ON_PURPOSE: &str = "on purpose";

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A service without a network.
#[derive(Clone)]
struct Service {
    clock: ManualClock,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    runs: Vec<Planned>,
    faults: Vec<Fault>,
    requests: u32,
}

#[derive(Clone)]
struct Planned {
    id: RunId,
    ends: Duration,
    status: RunStatus,
}

#[derive(Clone, Copy)]
enum Fault {
    Error(&'static str),
    Html,
    Panic,
}

impl Planned {
    fn has_ended(&self, clock: &ManualClock) -> bool {
        clock.monotonic() >= self.ends
    }

    fn json(&self, clock: &ManualClock) -> Value {
        let status = if self.has_ended(clock) { &self.status } else { &RunStatus::Running };
        json!({ "id": self.id, "workOrderId": "wo_1", "status": status })
    }

    /// Returns the delivery of its end.
    fn event(&self) -> Event {
        let kind = if self.status == RunStatus::Cancelled { "run.cancelled" } else { "run.completed" };
        Event::from_json(json!({ "id": "evt_1", "type": kind, "data": { "runId": self.id } })).unwrap()
    }
}

impl Service {
    fn new() -> Self {
        Self { clock: ManualClock::default(), state: Arc::default() }
    }

    /// Adds a run that ends after this time.
    fn run(&self, after: Duration) -> Planned {
        let mut state = self.state.lock().unwrap();
        let id = RunId::from(format!("run_{}", state.runs.len()));
        let run = Planned { id, ends: self.clock.monotonic() + after, status: RunStatus::Succeeded };
        state.runs.push(run.clone());
        run
    }

    fn inject(&self, fault: Fault) {
        self.state.lock().unwrap().faults.push(fault);
    }

    /// Returns a run as it is now.
    fn get(&self, id: &RunId) -> Planned {
        self.state.lock().unwrap().runs.iter().find(|run| run.id == *id).unwrap().clone()
    }

    fn respond(&self, path: &str) -> Reply {
        let mut state = self.state.lock().unwrap();
        state.requests += 1;
        match state.faults.pop() {
            Some(Fault::Error(code)) => return Reply::error(code),
            Some(Fault::Html) => return Reply::text("<html>"),
            Some(Fault::Panic) => {
                drop(state);
                panic_any(ON_PURPOSE);
            }
            None => {}
        }
        let mut path = path.strip_prefix("/v1/runs").unwrap_or_default().split('/').skip(1);
        let Some(id) = path.next() else {
            let running = state.runs.iter().rev().filter(|run| !run.has_ended(&self.clock));
            let data: Vec<_> = running.map(|run| run.json(&self.clock)).collect();
            return Reply::json(json!({ "total": data.len(), "data": data }));
        };
        let run = state.runs.iter_mut().find(|run| run.id.as_str() == id).unwrap();
        if path.next().is_some() {
            if run.has_ended(&self.clock) {
                return Reply::error("CONFLICT");
            }
            (run.ends, run.status) = (self.clock.monotonic(), RunStatus::Cancelled);
        }
        Reply::json(run.json(&self.clock))
    }

    fn client(&self, on_event: impl Fn(CallEvent<'_>) + Send + Sync + 'static) -> Client {
        let service = self.clone();
        let replay = Replay::with(move |request| service.respond(request.uri().path()));
        let builder = Client::builder().replay(&replay).clock(self.clock.clone());
        builder.rate_limit_mode(RateLimitMode::Off).on_event(on_event).build().unwrap()
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Lets the tasks of a runtime run until they are idle.
fn drive(runtime: &Runtime) {
    runtime.block_on(async {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    });
}

/// Drives a runtime for this number of seconds.
fn drive_for(runtime: &Runtime, clock: &ManualClock, seconds: u32) {
    for _ in 0..seconds {
        drive(runtime);
        clock.advance(SECOND);
    }
    drive(runtime);
}

fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(waker))
}

/// Does not report the panics on purpose.
fn silence_panics() {
    static SILENCED: Once = Once::new();
    SILENCED.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info.payload().downcast_ref() != Some(&ON_PURPOSE) {
                report(info);
            }
        }));
    });
}

/// Panics if this takes longer than [`GUARD`], even if it never returns.
fn guarded<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    let worker = thread::spawn(move || drop(sender.send(work())));
    match receiver.recv_timeout(GUARD) {
        Ok(output) => output,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("{name} hangs"),
        Err(mpsc::RecvTimeoutError::Disconnected) => resume_unwind(worker.join().unwrap_err()),
    }
}

// Runtimes

#[test]
fn a_wait_ends_although_the_runtime_of_an_earlier_wait_is_parked_busy_or_gone() {
    for rounds in [0, 1, 2, 5] {
        for is_gone in [false, true] {
            let service = Service::new();
            let client = service.client(|_| {});
            let (first, second) = (runtime(), runtime());
            let run = service.run(20 * SECOND);
            for runtime in [&first, &second] {
                runtime.spawn(client.runs().wait(&run.id).into_future());
            }
            // Where the first poller stops: before, in or after a request.
            drive(&first);
            for _ in 0..rounds {
                drive_for(&first, &service.clock, 1);
            }
            let first = (!is_gone).then_some(first);
            let wait = second.spawn(client.runs().wait(&run.id).into_future());
            drive_for(&second, &service.clock, 29);
            assert!(wait.is_finished(), "{rounds} rounds, gone: {is_gone}");
            if let Some(first) = first {
                drive_for(&first, &service.clock, 1);
            }
            assert!(client.runs().watcher().is_empty());
        }
    }
}

#[test]
fn waits_on_three_runtimes_poll_as_often_as_on_one() {
    let service = Service::new();
    let client = service.client(|_| {});
    let run = service.run(600 * SECOND);
    let runtimes = [runtime(), runtime(), runtime()];
    let _waits = runtimes.each_ref().map(|runtime| runtime.spawn(client.runs().wait(&run.id).into_future()));
    for _ in 0..600 {
        runtimes.iter().for_each(drive);
        service.clock.advance(Duration::from_millis(100));
    }
    let requests = service.state.lock().unwrap().requests;
    assert!((20..=26).contains(&requests), "{requests} requests in a minute");
}

#[test]
fn a_wait_goes_on_where_it_is_polled() {
    let service = Service::new();
    let client = service.client(|_| {});
    let run = service.run(20 * SECOND);
    let runtimes = [runtime(), runtime(), runtime()];
    let mut wait = client.runs().wait(&run.id).into_future();
    for runtime in &runtimes {
        runtime.block_on(poll_fn(|context| {
            assert!(wait.as_mut().poll(context).is_pending());
            Poll::Ready(())
        }));
        drive(runtime);
    }
    let [.., last] = runtimes;
    let wait = last.spawn(wait);
    drive_for(&last, &service.clock, 29);
    assert!(wait.is_finished());
}

#[test]
fn a_panic_on_the_thread_of_the_poller_fails_no_wait_elsewhere() {
    silence_panics();
    let service = Service::new();
    let client = service.client(|_| {});
    let run = service.run(10 * SECOND);
    let (first, second) = (runtime(), runtime());
    let [_, wait] = [&first, &second].map(|runtime| {
        let wait = runtime.spawn(client.runs().wait(&run.id).into_future());
        drive(runtime);
        wait
    });
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let first = first;
        first.block_on(async { panic_any(ON_PURPOSE) })
    }));
    drop::<Box<dyn Any + Send>>(unwound.unwrap_err());
    drive_for(&second, &service.clock, 15);
    assert!(wait.is_finished());
    let _ = second.block_on(wait).unwrap().unwrap();
}

#[test]
fn a_panic_of_the_source_fails_the_waits_with_an_error() {
    silence_panics();
    let service = Service::new();
    let client = service.client(|_| {});
    let run = service.run(60 * SECOND);
    let runtime = runtime();
    let waits = [(); 3].map(|()| runtime.spawn(client.runs().wait(&run.id).into_future()));
    drive(&runtime);
    service.inject(Fault::Panic);
    drive_for(&runtime, &service.clock, 10);
    for wait in waits {
        let error = runtime.block_on(wait).unwrap().unwrap_err();
        assert_eq!((error.kind(), error.run_id()), (ErrorKind::Configuration, Some(&run.id)));
    }
}

// Wakers

/// A waker that does something when it is woken and when it is dropped.
struct BusyWaker(Box<dyn Fn() + Send + Sync>);

impl Wake for BusyWaker {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

impl Drop for BusyWaker {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// What wakes a wait or drops its waker: its name, and what to do with the client, the wait and its run.
type Trigger = (&'static str, fn(&Service, &Client, &mut Option<Runtime>, &mut Option<Task>, &Planned));

const TRIGGERS: [Trigger; 8] = [
    ("a delivery", |_, client, _, _, run| client.runs().watcher().notify(&run.event())),
    ("a poll", |service, _, runtime, _, _| drive_for(runtime.as_ref().unwrap(), &service.clock, 15)),
    ("a refused key", |service, _, runtime, _, _| {
        service.inject(Fault::Error("EXPIRED_API_KEY"));
        drive_for(runtime.as_ref().unwrap(), &service.clock, 5);
    }),
    ("a cancellation", |_, client, runtime, _, run| {
        let cancellation = client.runs().cancel(&run.id).into_future();
        let _ = runtime.as_ref().unwrap().block_on(cancellation).unwrap();
    }),
    ("a panic of the source", |service, _, runtime, _, _| {
        service.inject(Fault::Panic);
        drive_for(runtime.as_ref().unwrap(), &service.clock, 5);
    }),
    ("the end of the runtime", |_, _, runtime, _, _| drop(runtime.take())),
    ("another poll", |_, _, runtime, wait, _| {
        let _entered = runtime.as_ref().unwrap().enter();
        let _ = poll_once(wait.as_mut().unwrap().as_mut(), Waker::noop());
    }),
    ("its drop", |_, _, _, wait, _| drop(wait.take())),
];

/// Returns a waker that begins a wait, polls and drops it, drops the wait that it finds, and calls the watcher.
fn busy(client: &Client, runtime: &Runtime) -> BusyWaker {
    let (client, handle) = (client.clone(), runtime.handle().clone());
    BusyWaker(Box::new(move || {
        let _entered = handle.enter();
        let watcher = client.runs().watcher();
        for mut future in [
            Box::pin(drop_output(client.runs().wait("run_0").into_future())) as Task,
            Box::pin(drop_output(client.runs().get("run_0").into_future())),
        ] {
            let _ = poll_once(future.as_mut(), Waker::noop());
        }
        let other = Planned { id: "run_other".into(), ends: Duration::ZERO, status: RunStatus::Succeeded };
        watcher.notify(&other.event());
        let _ = (watcher.len(), watcher.clone().share(0.2));
    }))
}

async fn drop_output<T>(future: impl Future<Output = T>) {
    future.await;
}

#[test]
fn wakers_may_use_the_client_whatever_wakes_or_drops_them() {
    silence_panics();
    for (name, trigger) in TRIGGERS {
        guarded(name, move || {
            for is_watch in [false, true] {
                let service = Service::new();
                let client = service.client(|_| {});
                let (runtime, run) = (runtime(), service.run(10 * SECOND));
                let woken = Arc::new(AtomicU32::new(0));
                let waker = {
                    let (busy, woken) = (busy(&client, &runtime), Arc::clone(&woken));
                    Waker::from(Arc::new(BusyWaker(Box::new(move || {
                        woken.fetch_add(1, Ordering::Relaxed);
                        (busy.0)();
                    }))))
                };
                let mut watch = client.runs().watch(&run.id);
                let wait = client.runs().wait(&run.id).into_future();
                let mut task: Option<Task> = Some(if is_watch {
                    Box::pin(async move { while watch.next().await.is_some() {} })
                } else {
                    Box::pin(drop_output(wait))
                });
                let entered = runtime.enter();
                assert!(poll_once(task.as_mut().unwrap().as_mut(), &waker).is_pending());
                drop((entered, waker));
                let mut runtime = Some(runtime);
                trigger(&service, &client, &mut runtime, &mut task, &run);
                drop(task);
                assert!(woken.load(Ordering::Relaxed) > 0, "{name}");
                runtime.iter().for_each(drive);
                assert!(client.runs().watcher().is_empty(), "{name}");
            }
        });
    }
}

// Random programs

/// A runtime, and the number of rounds for which it is not driven.
struct Place {
    runtime: Runtime,
    parked: u32,
}

/// What callbacks and wakers share with the program.
struct Shared {
    service: Service,
    client: Mutex<Option<Client>>,
    random: Mutex<Rng>,
    /// Waits that nobody polls now.
    held: Mutex<Vec<Task>>,
    /// The runtimes that are driven or parked.
    handles: Mutex<Vec<Handle>>,
    /// A callback or a response has panicked, so waits may have failed.
    has_panicked: AtomicBool,
    /// Something may go wrong.
    is_wild: AtomicBool,
    ended: AtomicU32,
    problems: Mutex<Vec<String>>,
}

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

impl Shared {
    fn chance(&self, one_in: u32) -> bool {
        self.random.lock().unwrap().u32(0..one_in) == 0
    }

    fn any<T: Clone>(&self, items: &[T]) -> T {
        items[self.random.lock().unwrap().usize(..items.len())].clone()
    }

    fn client(&self) -> Client {
        self.client.lock().unwrap().clone().unwrap()
    }

    fn take_held(&self) -> Option<Task> {
        let mut held = self.held.lock().unwrap();
        let index = self.random.lock().unwrap().usize(0..held.len().max(1));
        (index < held.len()).then(|| held.swap_remove(index))
    }

    /// Does what a program may do anywhere: in a callback, and when a waker is woken or dropped.
    fn act(self: &Arc<Self>, may_panic: bool) {
        if !self.is_wild.load(Ordering::Relaxed) || DEPTH.get() > 2 {
            return;
        }
        DEPTH.set(DEPTH.get() + 1);
        let choice = self.random.lock().unwrap().u8(0..12);
        match choice {
            0 => drop(self.take_held()),
            1 | 2 => {
                let Some(mut wait) = self.take_held() else { return DEPTH.set(DEPTH.get() - 1) };
                let handle = self.any(&self.handles.lock().unwrap());
                let _entered = handle.enter();
                if poll_once(wait.as_mut(), &self.waker(Waker::noop().clone())).is_pending() {
                    self.held.lock().unwrap().push(wait);
                }
            }
            3 => {
                let wait = self.wait();
                self.held.lock().unwrap().push(wait);
            }
            4 => {
                let handle = self.any(&self.handles.lock().unwrap());
                let _entered = handle.enter();
                let mut call = self.client().runs().list().into_future();
                let _ = poll_once(call.as_mut(), Waker::noop());
            }
            5 => self.notify(),
            6 if may_panic => {
                DEPTH.set(DEPTH.get() - 1);
                panic_any(ON_PURPOSE);
            }
            _ => {}
        }
        DEPTH.set(DEPTH.get() - 1);
    }

    /// Delivers the end of a run.
    fn notify(&self) {
        let runs = self.service.state.lock().unwrap().runs.clone();
        let ended: Vec<_> = runs.into_iter().filter(|run| run.has_ended(&self.service.clock)).collect();
        if !ended.is_empty() {
            let run = self.any(&ended);
            self.client().runs().watcher().notify(&run.event());
        }
    }

    fn waker(self: &Arc<Self>, inner: Waker) -> Waker {
        Waker::from(Arc::new(WildWaker { inner, shared: Arc::clone(self) }))
    }

    /// Returns an unpolled wait.
    fn wait(self: &Arc<Self>) -> Task {
        let (length, kind) = {
            let mut random = self.random.lock().unwrap();
            (Duration::from_millis(random.u64(0..60_000)), random.u8(0..8))
        };
        let known = self.service.state.lock().unwrap().runs.clone();
        let run = if known.is_empty() || self.chance(2) { self.service.run(length) } else { self.any(&known) };
        let (shared, client, id) = (Arc::clone(self), self.client(), run.id);
        let wait = client.runs().wait(&id);
        let task: Task = match kind {
            0 => Box::pin(async move {
                let (mut watch, mut last) = (client.runs().watch(&id), None);
                while let Some(run) = watch.next().await {
                    last = Some(run);
                }
                shared.check(&id, &last.unwrap().map(|run| run.status), false);
            }),
            1 => Box::pin(async move {
                let outcome = wait.timeout(length).await;
                shared.check(&id, &outcome.map(|run| run.status().clone()), true);
            }),
            _ => Box::pin(async move {
                let wait = if kind % 2 == 0 { wait.summary_only() } else { wait };
                let outcome = wait.await;
                shared.check(&id, &outcome.map(|run| run.status().clone()), false);
            }),
        };
        if self.chance(2) {
            return task;
        }
        let (mut task, shared) = (task, Arc::clone(self));
        Box::pin(poll_fn(move |context| poll_once(task.as_mut(), &shared.waker(context.waker().clone()))))
    }

    /// Checks the outcome of a wait.
    fn check(&self, id: &RunId, outcome: &Result<RunStatus, Error>, may_time_out: bool) {
        let run = self.service.get(id);
        let is_right = match outcome {
            Ok(status) => *status == run.status && run.has_ended(&self.service.clock),
            Err(error) if error.kind() == ErrorKind::Configuration => self.has_panicked.load(Ordering::Relaxed),
            Err(error) => may_time_out && error.kind() == ErrorKind::WaitTimeout,
        };
        self.ended.fetch_add(1, Ordering::Relaxed);
        if !is_right {
            self.problems.lock().unwrap().push(format!("{id}: {outcome:?}"));
        }
    }
}

struct WildWaker {
    inner: Waker,
    shared: Arc<Shared>,
}

impl Wake for WildWaker {
    fn wake(self: Arc<Self>) {
        self.inner.wake_by_ref();
        self.shared.act(true);
    }
}

impl Drop for WildWaker {
    fn drop(&mut self) {
        if !thread::panicking() {
            // A call that it makes may panic.
            let _ = catch_unwind(AssertUnwindSafe(|| self.shared.act(false)));
        }
    }
}

struct Program {
    random: Rng,
    shared: Arc<Shared>,
    places: Vec<Place>,
    tasks: Vec<Spawned>,
}

struct Spawned {
    task: JoinHandle<()>,
    runtime: Id,
    /// It was polled on another runtime before, where a call of it may be under way.
    is_moved: bool,
}

impl Program {
    fn new(seed: u64) -> Self {
        fastrand::seed(seed);
        let mut random = Rng::with_seed(seed);
        let shared = Arc::new(Shared {
            service: Service::new(),
            client: Mutex::default(),
            random: Mutex::new(random.fork()),
            held: Mutex::default(),
            handles: Mutex::default(),
            has_panicked: AtomicBool::new(false),
            is_wild: AtomicBool::new(true),
            ended: AtomicU32::new(0),
            problems: Mutex::default(),
        });
        let weak = Arc::downgrade(&shared);
        let client = shared.service.client(move |event| {
            let Some(shared) = weak.upgrade().filter(|shared| shared.chance(4)) else { return };
            // A panic of the callback of a poll fails the waits.
            if matches!(event, CallEvent::End(_)) {
                shared.act(false);
            } else if let Err(panic) = catch_unwind(AssertUnwindSafe(|| shared.act(true))) {
                shared.has_panicked.store(true, Ordering::Relaxed);
                resume_unwind(panic);
            }
        });
        *shared.client.lock().unwrap() = Some(client);
        let mut program = Self { random, shared, places: Vec::new(), tasks: Vec::new() };
        for _ in 0..program.random.u8(1..4) {
            program.start_runtime();
        }
        program
    }

    fn start_runtime(&mut self) {
        self.places.push(Place { runtime: runtime(), parked: 0 });
        self.record_handles();
    }

    fn record_handles(&self) {
        let handles = self.places.iter().map(|place| place.runtime.handle().clone()).collect();
        *self.shared.handles.lock().unwrap() = handles;
    }

    /// Shuts a runtime down, and its tasks with it.
    fn shut_down(&mut self) {
        let place = self.places.swap_remove(self.random.usize(..self.places.len()));
        if self.places.is_empty() {
            self.start_runtime();
        }
        self.record_handles();
        self.tasks.retain(|task| task.runtime != place.runtime.handle().id());
        if self.random.bool() {
            drop(place);
        } else {
            // While a panic unwinds.
            let unwound = catch_unwind(AssertUnwindSafe(|| {
                let place = place;
                place.runtime.block_on(async { panic_any(ON_PURPOSE) })
            }));
            drop::<Box<dyn Any + Send>>(unwound.unwrap_err());
        }
    }

    fn spawn(&mut self, task: Task, is_moved: bool) {
        let place = &self.places[self.random.usize(..self.places.len())];
        self.tasks.push(Spawned { task: place.runtime.spawn(task), runtime: place.runtime.handle().id(), is_moved });
    }

    fn step(&mut self) {
        let shared = Arc::clone(&self.shared);
        match self.random.u8(0..16) {
            0..=2 => self.spawn(shared.wait(), false),
            3 => {
                let (mut one, mut other) = (shared.wait(), shared.wait());
                let race = poll_fn(move |context| {
                    let is_over = one.as_mut().poll(context).is_ready() || other.as_mut().poll(context).is_ready();
                    if is_over { Poll::Ready(()) } else { Poll::Pending }
                });
                self.spawn(Box::pin(race), false);
            }
            4 => {
                let wait = shared.wait();
                shared.held.lock().unwrap().push(wait);
            }
            5 | 6 => {
                if let Some(wait) = shared.take_held() {
                    self.spawn(wait, true);
                }
            }
            7 if !self.tasks.is_empty() => {
                self.tasks.swap_remove(self.random.usize(..self.tasks.len())).task.abort();
            }
            8 => {
                let rounds = self.random.u32(1..40);
                let index = self.random.usize(..self.places.len());
                self.places[index].parked = rounds;
            }
            9 if self.random.u8(0..3) == 0 => self.shut_down(),
            9 if self.places.len() < 4 => self.start_runtime(),
            10 => shared.notify(),
            11 => {
                let known = shared.service.state.lock().unwrap().runs.clone();
                if !known.is_empty() {
                    let cancel = shared.client().runs().cancel(&shared.any(&known).id).into_future();
                    self.spawn(Box::pin(async move { drop(cancel.await) }), false);
                }
            }
            12 => {
                let fault = self.random.choice([Fault::Error("INTERNAL_ERROR"), Fault::Html, Fault::Panic]).unwrap();
                let is_panic = matches!(fault, Fault::Panic);
                // In the mind of a wait, a panic comes from nowhere.
                if !is_panic || self.random.u8(0..4) == 0 {
                    shared.has_panicked.fetch_or(is_panic, Ordering::Relaxed);
                    shared.service.inject(fault);
                }
            }
            _ => {}
        }
    }

    /// Drives the runtimes that are not parked, and advances time.
    fn drive(&mut self, by: Duration) {
        for place in &mut self.places {
            if place.parked == 0 {
                drive(&place.runtime);
            }
            place.parked = place.parked.saturating_sub(1);
        }
        self.shared.service.clock.advance(by);
    }

    /// Drives the runtimes while a task is left, for a quarter of an hour at most.
    fn drive_while(&mut self, is_left: impl Fn(&Spawned) -> bool) {
        for _ in 0..450 {
            self.drive(2 * SECOND);
            if !self.tasks.iter().any(&is_left) {
                return;
            }
        }
    }

    /// Returns the number of waits that ended.
    fn run(mut self) -> u32 {
        for _ in 0..self.random.u32(1..100) {
            self.step();
            let by = Duration::from_millis(self.random.u64(0..3_000));
            self.drive(by);
        }
        self.shared.is_wild.store(false, Ordering::Relaxed);
        let held = take(&mut *self.shared.held.lock().unwrap());
        for wait in held {
            if self.random.bool() {
                self.spawn(wait, true);
            }
        }
        // The waits on runtimes that are driven end, whatever happens to the others.
        self.places[0].parked = 0;
        let driven: Vec<_> =
            self.places.iter().filter(|place| place.parked == 0).map(|place| place.runtime.handle().id()).collect();
        for place in self.places.iter_mut().filter(|place| place.parked > 0) {
            place.parked = u32::MAX;
        }
        let is_left = |task: &Spawned| !task.task.is_finished() && !task.is_moved && driven.contains(&task.runtime);
        self.drive_while(is_left);
        assert!(!self.tasks.iter().any(is_left), "waits have not ended");
        // The others end when they are driven again.
        for place in &mut self.places {
            place.parked = 0;
        }
        self.drive_while(|task| !task.task.is_finished());
        assert!(self.tasks.iter().all(|task| task.task.is_finished()), "waits on parked runtimes have not ended");
        // Twice for the tasks that these wake elsewhere.
        self.drive(SECOND);
        self.drive(SECOND);
        let problems = self.shared.problems.lock().unwrap();
        assert!(problems.is_empty(), "{problems:#?}");
        assert!(self.watcher().is_empty(), "something awaits a run");
        let alive: usize = self.places.iter().map(|place| place.runtime.metrics().num_alive_tasks()).sum();
        assert_eq!(alive, 0, "tasks are left");
        self.shared.ended.load(Ordering::Relaxed)
    }

    fn watcher(&self) -> Watcher {
        self.shared.client().runs().watcher()
    }
}

#[test]
fn every_polled_wait_ends_in_random_programs() {
    silence_panics();
    let programs = std::env::var("RANDOM_PROGRAMS").map_or(PROGRAMS, |count| count.parse().unwrap());
    let first = std::env::var("FIRST_PROGRAM").map_or(0, |first| first.parse().unwrap());
    let ended: u32 = (first..first + programs)
        .map(|seed| {
            guarded(&format!("program {seed}"), move || {
                catch_unwind(|| Program::new(seed).run()).unwrap_or_else(|panic| {
                    println!("program {seed}");
                    resume_unwind(panic)
                })
            })
        })
        .sum();
    println!("{programs} programs, {ended} waits");
    assert!(u64::from(ended) > programs);
}
