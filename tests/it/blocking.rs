//! The blocking client, against the simulator.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use agentgate::blocking::{BlockingStream, Call, Client};
use agentgate::http::Method;
use agentgate::simulator::{self, Fault, RunPlan, Simulator};
use agentgate::types::{Run, RunId, RunStatus};
use agentgate::{ClientBuilder, Error, ErrorKind, Operation, RateLimitMode, WorkspaceSource};
use common::clock::InstantClock;
use common::script::{Server, Step};
use common::{call, prepare};
use tokio::runtime::{Builder, Runtime};
use tokio::task::{LocalSet, block_in_place, spawn_blocking};

/// Time limit for a test. Only a test that hangs reaches it.
const GUARD: Duration = Duration::from_secs(300);

/// A simulator on a runtime of its own.
struct Service {
    simulator: Simulator,
    runtime: Runtime,
}

impl Service {
    fn start() -> Self {
        Self::start_with(Simulator::builder())
    }

    fn start_with(simulator: simulator::Builder) -> Self {
        let runtime = many_threads();
        let simulator = simulator.rate_limit(1_000_000).submission_limit(1_000_000).concurrent_runs(1_000);
        Self { simulator: runtime.block_on(simulator.start()).unwrap(), runtime }
    }

    /// Returns a builder for a client whose delays take no time.
    fn builder(&self) -> ClientBuilder {
        let (url, key) = (self.simulator.url(), self.simulator.api_key());
        Client::builder().base_url(url).api_key(key).rate_limit_mode(RateLimitMode::Off).clock(InstantClock::default())
    }

    fn client(&self) -> Client {
        self.builder().build_blocking().unwrap()
    }
}

fn many_threads() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn source() -> WorkspaceSource {
    WorkspaceSource::template("python-flask").into()
}

fn order(client: &Client) -> RunId {
    client.work_orders().create("Fix it", source()).send().unwrap().run_id
}

/// Panics if this takes longer than [`GUARD`], even if it never returns.
fn guarded<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    let worker = thread::spawn(move || {
        let _ = sender.send(work());
    });
    match receiver.recv_timeout(GUARD) {
        Ok(output) => output,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("timed out"),
        Err(mpsc::RecvTimeoutError::Disconnected) => std::panic::resume_unwind(worker.join().unwrap_err()),
    }
}

#[test]
fn every_operation_returns_the_same_value_as_the_async_client() {
    for &operation in Operation::ALL {
        let (one, other) = (Service::start(), Service::start());
        let (blocking, asynchronous) = (one.client(), other.client());
        let id = one.runtime.block_on(prepare(&blocking, operation));
        let same_id = other.runtime.block_on(prepare(&asynchronous, operation));
        assert_eq!(id, same_id);
        let mut sent = call(&blocking, operation.id(), &id).send().unwrap();
        let mut awaited = other.runtime.block_on(call(&asynchronous, operation.id(), &id)).unwrap();
        // The token is random.
        for outcome in [&mut sent, &mut awaited] {
            if let Some(token) = outcome.value.pointer_mut("/metadata/agentgate-submission") {
                *token = "[random]".into();
            }
        }
        assert_eq!((sent.status, sent.attempts), (awaited.status, awaited.attempts), "{operation}");
        // The secret is random.
        if operation != Operation::CREATE_WEBHOOK {
            assert_eq!(sent.value, awaited.value, "{operation}");
        }
        assert_eq!(one.simulator.request_count(), other.simulator.request_count(), "{operation}");
    }
}

#[test]
fn every_operation_fails_with_the_same_error_as_the_async_client() {
    let (one, other) = (Service::start(), Service::start());
    let (blocking, asynchronous) = (one.client(), other.client());
    for fault in ["RESOURCE_NOT_FOUND", "INTERNAL_ERROR", "INSUFFICIENT_CREDITS"] {
        for operation in Operation::ALL {
            for service in [&one, &other] {
                service.simulator.inject(Fault::error(fault).times(4).on(operation.id()));
            }
            let sent = call(&blocking, operation.id(), "x").send();
            let awaited = other.runtime.block_on(call(&asynchronous, operation.id(), "x"));
            let line =
                |result: agentgate::Result<common::Outcome>| format!("{:?}", result.map(|outcome| outcome.status));
            assert_eq!(line(sent), line(awaited), "{operation}");
        }
    }
}

/// `send` is a method of the generic call, so one call of each type is enough.
#[test]
fn every_call_type_can_be_sent() {
    let service = Service::start();
    let client = service.builder().api_key(service.simulator.add_key(&["nothing:read"])).build_blocking().unwrap();
    let errors = [
        client.work_orders().create("x", source()).send().err(),
        client.runs().list().send().err(),
        client.runs().get("x").send().err(),
        client.templates().delete("x").send().err(),
        client.request(Method::GET, "/v1/runs").send().err(),
        client.request(Method::GET, "/v1/runs").send_as::<Run>().send().err(),
    ];
    assert!(errors.iter().all(|error| error.as_ref().is_some_and(Error::is_permission_denied)), "{errors:?}");
}

#[test]
fn with_response_returns_the_headers() {
    let service = Service::start();
    let response = service.client().credits().balance().with_response().send().unwrap();
    assert_eq!(response.value().total_credits_cents, Some(10_000));
    assert!(response.request_id().is_some());
}

#[test]
fn connections_are_reused_between_calls() {
    const CALLS: usize = 20;
    let runtime = many_threads();
    let connection = vec![[Step::Read, Step::Write(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec())]; CALLS].concat();
    let server = runtime.block_on(Server::start(vec![connection; CALLS]));
    let client = Client::builder().api_key("k").base_url(server.url()).build_blocking().unwrap();
    for _ in 0..CALLS {
        client.templates().delete("ours").send().unwrap();
    }
    // A call that starts before the connection returns to the pool opens another.
    assert!(server.connections() < CALLS / 2, "{} connections", server.connections());
}

#[test]
fn a_wait_returns_when_the_run_ends() {
    let service = Service::start();
    let client = service.client();
    let id = order(&client);
    service.simulator.advance(Duration::from_secs(60));
    let run = guarded(move || client.runs().wait(id).send()).unwrap().succeeded().unwrap();
    assert!(run.pr_url.is_some());
}

#[test]
fn a_wait_that_times_out_returns_an_error_with_the_run_id() {
    let service = Service::start_with(Simulator::builder().default_run(RunPlan::succeeds().forever()));
    let client = service.client();
    let id = order(&client);
    let wait = client.runs().wait(&id).timeout(Duration::from_secs(45));
    let error = guarded(move || wait.send()).unwrap_err();
    assert_eq!((error.kind(), error.run_id()), (ErrorKind::WaitTimeout, Some(&id)));
}

#[test]
fn a_work_order_is_submitted_and_waited_for() {
    let plan = RunPlan::fails("TESTS_FAILED", "2 of 14 tests failed").pending(Duration::ZERO).running(Duration::ZERO);
    let service = Service::start_with(Simulator::builder().default_run(plan));
    let wait = service.client().work_orders().create("Fix it", source()).and_wait();
    let error = guarded(move || wait.send()).unwrap().succeeded().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RunFailed);
}

#[test]
fn a_submission_whose_response_is_lost_is_reconciled() {
    let service = Service::start();
    let client = service.client();
    service.simulator.inject(Fault::reset().after_acting().on("createWorkOrder"));
    let found = guarded(move || client.work_orders().create("Fix it", source()).reconcile().send()).unwrap();
    assert_eq!(service.simulator.work_order_count(), 1);
    assert_eq!(found.run_id, "run_000001");
}

#[test]
fn a_watch_is_an_iterator_over_run_updates() {
    const SECOND: Duration = Duration::from_secs(1);
    let plan = RunPlan::succeeds().pending(SECOND).running(SECOND);
    let service = Service::start_with(Simulator::builder().default_run(plan));
    let client = service.client();
    let id = order(&client);
    let simulator = service.simulator;
    let seen = guarded(move || {
        let mut changes = client.runs().watch(id).blocking();
        // The iterator does not need the client.
        drop(client);
        let mut seen = Vec::new();
        for run in &mut changes {
            let status = run.unwrap().status;
            if seen.last() != Some(&status) {
                seen.push(status);
            }
            simulator.advance(SECOND);
        }
        assert!(changes.next().is_none());
        seen
    });
    assert_eq!(seen, [RunStatus::Pending, RunStatus::Running, RunStatus::Succeeded]);
}

#[test]
fn an_iterator_ends_after_an_error_of_its_stream() {
    let service = Service::start();
    let items: Vec<_> = guarded({
        let client = service.client();
        move || client.runs().watch("run_0").blocking().collect()
    });
    assert_eq!(items.len(), 1);
    assert!(items[0].as_ref().unwrap_err().is_not_found());
}

#[test]
fn threads_can_share_a_client() {
    let service = Service::start();
    let client = service.client();
    thread::scope(|scope| {
        for _ in 0..8 {
            let client = client.clone();
            scope.spawn(move || {
                for _ in 0..10 {
                    let id = order(&client);
                    assert_eq!(client.runs().get(&id).send().unwrap().id, id);
                }
            });
        }
    });
    assert_eq!(service.simulator.work_order_count(), 80);
}

#[test]
fn the_client_is_send_sync_and_clone() {
    fn check<T: Send + Sync + Clone + std::fmt::Debug + 'static>() {}
    check::<Client>();
    let client = Client::builder().api_key("secret").base_url("http://localhost:1").build_blocking().unwrap();
    assert_eq!(format!("{client:?}"), r#"blocking::Client { base_url: "http://localhost:1", .. }"#);
}

#[test]
fn an_invalid_configuration_fails_with_the_same_error_as_the_async_client() {
    let blocking = Client::builder().api_key("a key").build_blocking().unwrap_err();
    let asynchronous = agentgate::Client::builder().api_key("a key").build().unwrap_err();
    assert_eq!(blocking.to_string(), asynchronous.to_string());
}

/// Returns the errors of blocking calls and a blocking iterator inside an async runtime.
fn attempts(client: &Client) -> Vec<Error> {
    let changes: Vec<_> = client.runs().watch("run_000001").blocking().collect();
    assert_eq!(changes.len(), 1, "the iterator ends with the error");
    let mut errors: Vec<_> = changes.into_iter().map(Result::unwrap_err).collect();
    errors.push(client.credits().balance().send().unwrap_err());
    errors.push(client.runs().wait("run_000001").send().unwrap_err());
    errors
}

/// Runs the work on every kind of runtime: in `block_on`, as a task, and in a `LocalSet`.
fn in_every_runtime<T, F>(work: impl Fn() -> F) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let mut outputs = Vec::new();
    for runtime in [one_thread(), many_threads()] {
        outputs.push(runtime.block_on(work()));
        let task = runtime.spawn(work());
        outputs.push(runtime.block_on(task).unwrap());
        outputs.push(LocalSet::new().block_on(&runtime, work()));
    }
    outputs
}

#[test]
fn a_call_inside_a_runtime_fails_at_once_with_advice() {
    let service = Service::start();
    let client = service.client();
    order(&client);
    service.simulator.clear_requests();
    let errors = guarded(move || {
        in_every_runtime(|| {
            let client = client.clone();
            async move { attempts(&client) }
        })
    });
    for error in errors.iter().flatten() {
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert_eq!(
            error.to_string(),
            "could not make a blocking call: it would block the async runtime that this thread drives; \
             nothing was sent. Use `agentgate::Client` and `.await`, or make the call in `tokio::task::spawn_blocking`."
        );
    }
    assert_eq!(errors.len(), 6);
    assert_eq!(service.simulator.request_count(), 0);
}

#[tokio::test]
async fn a_blocking_call_in_an_async_test_fails_instead_of_hanging() {
    let simulator = Simulator::start().await.unwrap();
    let builder = Client::builder().base_url(simulator.url()).api_key(simulator.api_key());
    let client = builder.build_blocking().unwrap();
    assert_eq!(client.credits().balance().send().unwrap_err().kind(), ErrorKind::Configuration);
    // The advice of the error works.
    client.credits().balance().await.unwrap();
    let in_place = client.clone();
    spawn_blocking(move || in_place.credits().balance().send()).await.unwrap().unwrap();
}

#[test]
fn calls_succeed_where_a_runtime_allows_blocking() {
    let service = Service::start();
    let client = service.client();
    let id = order(&client);
    service.simulator.advance(Duration::from_secs(60));
    guarded(move || {
        in_every_runtime(|| {
            let (client, id) = (client.clone(), id.clone());
            async move {
                let blocking = move || {
                    client.credits().balance().send().unwrap();
                    client.runs().watch(&id).blocking().last().unwrap().unwrap();
                    client.runs().wait(&id).send().unwrap().succeeded().unwrap();
                };
                spawn_blocking(blocking).await.unwrap();
            }
        });
        let runtime = many_threads();
        let client = service.client();
        let task = runtime.spawn(async move { block_in_place(|| client.credits().balance().send()) });
        runtime.block_on(task).unwrap().unwrap();
    });
}

#[test]
fn a_client_can_be_created_and_dropped_inside_a_runtime() {
    let service = Service::start();
    let url = service.simulator.url().to_owned();
    in_every_runtime(|| {
        let builder = Client::builder().api_key("k").base_url(&url);
        async move {
            let client = builder.build_blocking().unwrap();
            drop(client.runs().watch("run_1").blocking());
            drop(client);
        }
    });
}

#[test]
fn a_pending_call_completes_after_its_client_is_dropped() {
    let service = Service::start();
    let client = service.client();
    let id = order(&client);
    service.simulator.clear_requests();
    let wait = client.runs().wait(id);
    let waiting = thread::spawn(move || wait.send());
    while service.simulator.request_count() == 0 {
        thread::yield_now();
    }
    drop(client);
    service.simulator.advance(Duration::from_secs(60));
    guarded(move || waiting.join()).unwrap().unwrap().succeeded().unwrap();
}

#[test]
fn a_panic_in_a_callback_affects_only_its_own_call() {
    let service = Service::start();
    let panics = AtomicBool::new(true);
    let client = service.builder().on_retry(move |_| assert!(!panics.swap(false, Ordering::Relaxed), "no"));
    let client = client.build_blocking().unwrap();
    service.simulator.inject(Fault::error("SERVICE_UNAVAILABLE").times(2));
    catch_unwind(AssertUnwindSafe(|| client.credits().balance().send())).unwrap_err();
    let response = client.credits().balance().with_response().send().unwrap();
    assert_eq!(response.attempts(), 2);
}

#[test]
fn a_callback_can_make_a_call() {
    let service = Service::start();
    let other = service.client();
    let client = service.builder().on_retry(move |_| {
        other.runs().list().send().unwrap();
    });
    let client = client.build_blocking().unwrap();
    service.simulator.inject(Fault::error("SERVICE_UNAVAILABLE").on("getCredits"));
    guarded(move || client.credits().balance().send()).unwrap();
}

#[test]
fn a_call_of_an_async_client_can_be_sent_blocking() {
    let service = Service::start();
    let asynchronous = service.builder().build().unwrap();
    asynchronous.credits().balance().send().unwrap();
    let blocking = Client::from_async(asynchronous.clone()).unwrap();
    blocking.credits().balance().send().unwrap();
    asynchronous.credits().balance().send().unwrap();
    service.runtime.block_on(asynchronous.credits().balance().into_future()).unwrap();
}
