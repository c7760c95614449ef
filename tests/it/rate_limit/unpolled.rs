//! Started calls that are not polled: they go on, and do not block other calls.

use std::future::{Future, IntoFuture};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use agentgate::blocking::{BlockingStream as _, Call as _};
use agentgate::chrono::{DateTime, Utc};
use agentgate::events::CallEvent;
use agentgate::resources::CallFuture;
use agentgate::simulator::{Fault, RunPlan, Simulator};
use agentgate::types::Run;
use agentgate::{Client, Clock, ErrorKind, Response, Result, WorkspaceSource};
use common::time::SimulatedTime;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::runtime::Builder;

use super::{exhaust, first, poll_once, submit_runs, within_an_hour};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const TIMEOUT: Duration = Duration::from_secs(30);

/// Time limit in real time. Only a test that hangs reaches it.
const GUARD: Duration = Duration::from_secs(300);

fn simulator(limit: u32) -> agentgate::simulator::Builder {
    let plan = RunPlan::succeeds().running(Duration::from_secs(24 * 60 * 60));
    Simulator::builder().rate_limit(limit).submission_limit(1_000).concurrent_runs(1_000).default_run(plan)
}

fn submission(client: &Client) -> CallFuture<agentgate::types::WorkOrderCreated> {
    client.work_orders().create("Fix it", WorkspaceSource::template("python-flask")).into_future()
}

// The rate limit

#[tokio::test]
async fn a_prefetching_stream_does_not_block_calls_in_its_loop_body() {
    for limit in 1..=8 {
        let time = SimulatedTime::start(simulator(limit)).await;
        submit_runs(&time, 5).await;
        let client = time.client();
        let program = async {
            let mut runs = client.runs().list().limit(2).items();
            let mut count = 0;
            while let Some(run) = runs.next().await {
                client.runs().get(&run?.id).await?;
                count += 1;
            }
            Result::<u32>::Ok(count)
        };
        let count = within_an_hour(&time, program).await.map(Result::unwrap);
        assert_eq!(count, Some(5), "with {limit} requests a minute");
    }
}

#[tokio::test]
async fn a_select_on_a_call_does_not_block_calls_in_the_other_branch() {
    for limit in 2..=4 {
        let time = SimulatedTime::start(simulator(limit)).await;
        submit_runs(&time, 1).await;
        let client = time.client();
        exhaust(&time, &client, limit).await;
        let program = async {
            let mut call = client.runs().list().into_future();
            let mut others = 0;
            while let Err(()) = first(&mut call, time.sleep(SECOND)).await {
                client.credits().balance().await.unwrap();
                others += 1;
            }
            others
        };
        let others = within_an_hour(&time, program).await;
        assert!(others.is_some_and(|others| others > 0), "with {limit} requests a minute: {others:?}");
    }
}

/// A clock whose sleeps advance the simulator's clock.
#[derive(Clone, Debug)]
struct MovingClock(Arc<Simulator>);

impl Clock for MovingClock {
    fn now(&self) -> DateTime<Utc> {
        self.0.now()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.0.advance(duration);
        Box::pin(tokio::task::yield_now())
    }
}

#[test]
fn a_prefetching_blocking_iterator_does_not_block_calls_in_its_loop_body() {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    for limit in 1..=8 {
        let clock = MovingClock(Arc::new(runtime.block_on(simulator(limit).start()).unwrap()));
        let (url, key) = (clock.0.url().to_owned(), clock.0.api_key().to_owned());
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let client = Client::builder().base_url(url).api_key(key).clock(clock);
            let client = agentgate::blocking::Client::from_async(client.build().unwrap()).unwrap();
            for _ in 0..5 {
                let source = WorkspaceSource::template("python-flask");
                client.work_orders().create("Fix it", source).send().unwrap();
            }
            let runs = client.runs().list().limit(2).items().blocking();
            let runs = runs.map(|run| client.runs().get(&run.unwrap().id).send().unwrap());
            sender.send(runs.count()).unwrap();
        });
        assert_eq!(receiver.recv_timeout(GUARD), Ok(5), "with {limit} requests a minute");
    }
}

#[test]
fn a_callback_of_a_blocking_call_that_waits_can_make_a_call_that_waits() {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let clock = MovingClock(Arc::new(runtime.block_on(simulator(1).start()).unwrap()));
    let (url, key) = (clock.0.url().to_owned(), clock.0.api_key().to_owned());
    let own = Arc::new(OnceLock::<agentgate::blocking::Client>::new());
    let (nested, is_nested) = (Arc::clone(&own), AtomicBool::new(false));
    let client = Client::builder().base_url(url).api_key(key).clock(clock).on_event(move |event| {
        if matches!(event, CallEvent::Wait(_)) && !is_nested.swap(true, Ordering::Relaxed) {
            nested.get().unwrap().credits().balance().send().unwrap();
        }
    });
    own.set(agentgate::blocking::Client::from_async(client.build().unwrap()).unwrap()).unwrap();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for _ in 0..2 {
            own.get().unwrap().credits().balance().send().unwrap();
        }
        sender.send(()).unwrap();
    });
    assert_eq!(receiver.recv_timeout(GUARD), Ok(()));
}

#[tokio::test]
async fn unpolled_calls_go_on_and_take_no_longer_than_polled_ones() {
    for limit in [1, 2, 5] {
        let time = SimulatedTime::start(simulator(limit)).await;
        let client = time.client();
        exhaust(&time, &client, limit).await;
        // More reads and submissions than fit into the limits of a minute.
        let mut unpolled: Vec<CallFuture<()>> = Vec::new();
        for number in 0..30 {
            let read = client.credits().balance().into_future();
            let submission = submission(&client);
            unpolled.push(if number % 2 == 0 {
                Box::pin(async { submission.await.map(drop) })
            } else {
                Box::pin(async { read.await.map(drop) })
            });
        }
        for call in &mut unpolled {
            assert!(poll_once(call.as_mut()).await.is_pending());
        }
        let before = time.passed();
        assert!(within_an_hour(&time, client.credits().balance().into_future()).await.is_some());
        assert!(time.passed_since(before) <= 31 * MINUTE / limit + MINUTE, "{:?}", time.passed_since(before));
        for call in &mut unpolled {
            assert!(matches!(poll_once(call.as_mut()).await, Poll::Ready(Ok(()))));
        }
    }
}

#[tokio::test]
async fn a_stalled_runtime_does_not_block_clients_on_another() {
    let time = SimulatedTime::start(simulator(1)).await;
    let client = time.client();
    exhaust(&time, &client, 1).await;
    // This call is the first in the queue, and its runtime does not take the permit.
    let call = client.credits().balance().into_future();
    let still = thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let mut call = call;
        runtime.block_on(async {
            assert!(poll_once(call.as_mut()).await.is_pending());
            tokio::task::yield_now().await;
        });
        (runtime, call)
    });
    let still = still.join().unwrap();
    let before = time.passed();
    assert!(within_an_hour(&time, client.credits().balance().into_future()).await.is_some());
    assert!(time.passed_since(before) <= MINUTE + 2 * SECOND, "{:?}", time.passed_since(before));
    thread::spawn(|| drop(still)).join().unwrap();
}

// Timeouts

/// Returns a run with a body of about this size.
fn run_of_size(bytes: usize) -> String {
    let padding = "x".repeat(bytes);
    format!(r#"{{"id":"run_1","workOrderId":"wo_1","status":"running","prUrl":"{padding}"}}"#)
}

/// Polls a call this many times, leaves it unpolled for twice its timeout, and awaits it.
async fn left_alone(time: &SimulatedTime, call: CallFuture<Response<Run>>, polls: u32) -> Result<Response<Run>> {
    let mut call = call;
    for _ in 0..polls {
        if let Poll::Ready(result) = poll_once(call.as_mut()).await {
            return result;
        }
        tokio::task::yield_now().await;
    }
    time.sleep(2 * TIMEOUT).await;
    call.await
}

#[tokio::test]
async fn a_call_unpolled_beyond_its_timeout_returns_the_received_response() {
    let time = SimulatedTime::start_with_tokio(simulator(1_000)).await;
    for bytes in [10, 5_000_000] {
        for polls in [1, 2, 3, 5, 8, 13, 21, 34] {
            time.simulator().clear_requests();
            time.simulator().inject(Fault::response(200, "application/json", run_of_size(bytes)).times(2));
            let client = time.builder().timeout(TIMEOUT).build().unwrap();
            // On a new connection, and on an open one.
            for _ in 0..2 {
                let call = client.runs().get("run_1").with_response();
                let response = time.run(left_alone(&time, call, polls)).await.unwrap();
                assert_eq!(response.attempts(), 1, "{bytes} bytes, polled {polls} times");
            }
            assert_eq!(time.simulator().request_count(), 2);
        }
    }
}

#[tokio::test]
async fn an_unpolled_call_without_a_response_times_out() {
    let time = SimulatedTime::start_with_tokio(simulator(1_000)).await;
    time.simulator().inject(Fault::stall());
    let client = time.builder().timeout(TIMEOUT).max_retries(0).build().unwrap();
    let call = client.runs().get("run_1").with_response();
    let error = time.run(left_alone(&time, call, 1)).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Timeout, 1));
}

#[tokio::test]
async fn a_reader_slower_than_the_timeout_sends_no_more_requests_than_a_fast_one() {
    let mut sent = Vec::new();
    let time = SimulatedTime::start_with_tokio(simulator(1_000)).await;
    submit_runs(&time, 30).await;
    for pause in [Duration::ZERO, TIMEOUT + 10 * SECOND] {
        time.simulator().clear_requests();
        let client = time.builder().timeout(TIMEOUT).build().unwrap();
        let read = async {
            let mut runs = client.runs().list().limit(10).items();
            let mut count = 0;
            while let Some(run) = runs.next().await {
                run.unwrap();
                count += 1;
                time.sleep(pause).await;
            }
            count
        };
        assert_eq!(time.run(read).await, 30);
        sent.push(time.simulator().request_count());
    }
    assert_eq!(sent[0], sent[1]);
}

// Cancellation

#[tokio::test]
async fn a_call_that_is_dropped_is_cancelled() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let client = Client::builder().api_key("org_live_test").base_url(url).build().unwrap();
    let mut call = client.credits().balance().into_future();
    let service = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        assert!(socket.read(&mut [0; 4096]).await.unwrap() > 0);
        socket
    };
    let mut socket = first(&mut call, pin!(service)).await.unwrap_err();
    drop(call);
    assert_eq!(tokio::time::timeout(GUARD, socket.read(&mut [0; 4096])).await.unwrap().unwrap_or_default(), 0);
}

#[test]
fn a_call_whose_runtime_was_shut_down_fails_on_another() {
    let service = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let simulator = service.block_on(Simulator::start()).unwrap();
    let client = Client::builder().api_key(simulator.api_key()).base_url(simulator.url()).max_retries(0);
    let mut call = client.build().unwrap().credits().balance().into_future();
    let first = Builder::new_current_thread().enable_all().build().unwrap();
    assert!(first.block_on(poll_once(call.as_mut())).is_pending());
    drop(first);
    let second = Builder::new_current_thread().enable_all().build().unwrap();
    let error = second.block_on(call).unwrap_err();
    assert_eq!((error.kind(), error.may_have_reached_server()), (ErrorKind::Interrupted, true));
}

#[test]
fn a_call_without_a_runtime_fails_instead_of_panicking() {
    let client = Client::new("org_live_test").unwrap();
    let mut call = client.credits().balance().into_future();
    let Poll::Ready(result) = call.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("the call is pending");
    };
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Configuration);
}
