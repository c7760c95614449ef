//! The simulated time as the clock of clients.

use std::collections::BTreeSet;
use std::future::{Future, IntoFuture, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use agentgate::blocking::Call;
use agentgate::chrono::{DateTime, Utc};
use agentgate::follow::Watcher;
use agentgate::simulator::{Builder, ClockHandle, DeliveryOutcome, Fault, RunPlan, SimulatedClock, Simulator};
use agentgate::types::{RunId, RunStatus, WebhookEventType};
use agentgate::webhook::Verifier;
use agentgate::{Client, ClientBuilder, Clock, ErrorKind, WorkspaceSource};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// Longer than any of these tests takes, so that one that hangs fails.
const GUARD: Duration = Duration::from_secs(120);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

async fn within_guard<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(GUARD, work).await.expect("time stands still")
}

/// Yields more often than the clock does before it advances.
async fn yield_often() {
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
}

/// Returns `true` if the future is ready at its next poll.
async fn poll_once(future: &mut (impl Future<Output = ()> + Unpin)) -> bool {
    poll_fn(|context| Poll::Ready(Pin::new(&mut *future).poll(context).is_ready())).await
}

fn builder(simulator: &Simulator) -> ClientBuilder {
    Client::builder().base_url(simulator.url()).api_key(simulator.api_key()).clock(simulator.clock())
}

fn client(simulator: &Simulator) -> Client {
    builder(simulator).build().unwrap()
}

fn running(time: Duration) -> RunPlan {
    RunPlan::succeeds().pending(seconds(10)).running(time)
}

async fn submit(simulator: &Simulator, client: &Client, plan: RunPlan) -> RunId {
    simulator.next_run(plan);
    client.work_orders().create("Fix it", WorkspaceSource::template("python-flask")).await.unwrap().run_id
}

fn since(began: DateTime<Utc>, now: DateTime<Utc>) -> Duration {
    (now - began).to_std().unwrap()
}

// Clients

#[tokio::test]
async fn a_watched_run_passes_its_states_in_simulated_time() {
    let simulator = Simulator::start().await.unwrap();
    let client = client(&simulator);
    let began = simulator.now();
    let id = submit(&simulator, &client, running(seconds(50))).await;
    let mut changes = client.runs().watch(&id);
    let mut seen: Vec<(RunStatus, u64)> = Vec::new();
    while let Some(run) = within_guard(changes.next()).await {
        let run = run.unwrap();
        if seen.last().is_none_or(|(status, _)| *status != run.status) {
            seen.push((run.status, since(began, simulator.now()).as_secs()));
        }
    }
    let statuses: Vec<_> = seen.iter().map(|(status, _)| status.clone()).collect();
    assert_eq!(statuses, [RunStatus::Pending, RunStatus::Running, RunStatus::Succeeded], "{seen:?}");
    assert!((10..16).contains(&seen[1].1) && (60..66).contains(&seen[2].1), "{seen:?}");
}

#[tokio::test]
async fn a_wait_ends_with_its_run_or_with_its_time_out_whichever_is_first() {
    let simulator = Simulator::start().await.unwrap();
    let client = client(&simulator);
    let id = submit(&simulator, &client, running(seconds(1700))).await;
    let began = simulator.now();
    let error = within_guard(client.runs().wait(&id).timeout(seconds(60)).into_future()).await.unwrap_err();
    assert_eq!((error.kind(), error.run_status()), (ErrorKind::WaitTimeout, Some(&RunStatus::Running)));
    assert_eq!(since(began, simulator.now()), seconds(60));
    within_guard(client.runs().wait(&id).timeout(seconds(1800)).into_future()).await.unwrap().succeeded().unwrap();
}

#[tokio::test]
async fn retries_are_delayed_in_simulated_time() {
    let simulator = Simulator::start().await.unwrap();
    let client = client(&simulator);
    let began = simulator.now();
    simulator.inject(Fault::error("RATE_LIMITED"));
    within_guard(client.runs().list().into_future()).await.unwrap();
    assert_eq!(simulator.request_count(), 2);
    assert!(since(began, simulator.now()) >= seconds(1), "{}", simulator.now());
}

#[tokio::test]
async fn the_retries_of_a_client_end_after_its_simulator_has_been_dropped() {
    let simulator = Simulator::start().await.unwrap();
    let client = client(&simulator);
    drop(simulator);
    let error = within_guard(client.runs().list().into_future()).await.unwrap_err();
    assert!(error.is_connect() && error.attempts() == 4, "{error}");
}

#[tokio::test]
async fn no_task_of_a_simulator_outlives_it_and_its_clocks() {
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let simulator = Simulator::start().await.unwrap();
    let clock = simulator.clock();
    within_guard(clock.sleep(seconds(5))).await;
    assert!(tasks() > before);
    drop((simulator, clock));
    yield_often().await;
    assert_eq!(tasks(), before);
}

#[tokio::test]
async fn several_clients_share_the_limits_and_the_time_of_one_simulator() {
    let simulator = Simulator::builder().concurrent_runs(100).rate_limit(10_000).start().await.unwrap();
    let began = simulator.now();
    let mut waits = JoinSet::new();
    for minutes in 1..=10 {
        let client = client(&simulator);
        let id = submit(&simulator, &client, running(seconds(60 * minutes))).await;
        let clock = simulator.clock();
        waits.spawn(async move {
            client.runs().wait(&id).timeout(seconds(3600)).await.unwrap().succeeded().unwrap();
            (minutes, since(began, clock.now()))
        });
    }
    let ended = within_guard(waits.join_all()).await;
    for (minutes, ended) in ended {
        let late = ended.checked_sub(seconds(60 * minutes + 10)).unwrap();
        assert!(late < seconds(10), "a run of {minutes} min was noticed {late:?} late");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_wait_on_several_threads_ends_before_its_time_out() {
    let simulator = Simulator::start().await.unwrap();
    let client = client(&simulator);
    for _ in 0..5 {
        let id = submit(&simulator, &client, running(seconds(50))).await;
        let wait = tokio::spawn(client.runs().wait(&id).timeout(seconds(3600)).into_future());
        within_guard(wait).await.unwrap().unwrap().succeeded().unwrap();
    }
}

#[tokio::test]
async fn a_blocking_client_waits_in_simulated_time() {
    let simulator = Simulator::start().await.unwrap();
    let client = builder(&simulator);
    simulator.next_run(running(seconds(50)));
    let run = tokio::task::spawn_blocking(move || {
        let client = client.build_blocking()?;
        let order = client.work_orders().create("Fix it", WorkspaceSource::template("python-flask")).send()?;
        client.runs().wait(&order.run_id).timeout(seconds(3600)).send()?.succeeded()
    });
    within_guard(run).await.unwrap().unwrap();
}

#[tokio::test]
async fn the_clock_stands_still_while_a_request_is_pending() {
    let simulator = Simulator::start().await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (respond, may_respond) = oneshot::channel();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        may_respond.await.unwrap();
        let body = r#"{"includedCreditsCents": 1, "purchasedCreditsCents": 0, "totalCreditsCents": 1}"#;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        socket.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    });
    let client = builder(&simulator).base_url(url).build().unwrap();
    let (clock, began) = (simulator.clock(), simulator.now());
    let call = tokio::spawn(client.credits().balance().into_future());
    yield_often().await;
    let sleep = tokio::spawn(clock.sleep(seconds(3600)));
    yield_often().await;
    assert_eq!(clock.now(), began);
    respond.send(()).unwrap();
    within_guard(call).await.unwrap().unwrap();
    assert_eq!(clock.now(), began);
    within_guard(sleep).await.unwrap();
    assert_eq!(since(began, clock.now()), seconds(3600));
}

// Sleeps

#[tokio::test]
async fn the_clock_advances_only_during_sleeps() {
    let simulator = Simulator::start().await.unwrap();
    let (clock, began) = (simulator.clock(), simulator.now());
    let unpolled = clock.sleep(seconds(5));
    let mut dropped = clock.sleep(seconds(6));
    assert!(!poll_once(&mut dropped).await);
    drop(dropped);
    let by_hand = tokio::spawn(clock.clone().auto_advance(false).sleep(seconds(7)));
    let for_ever = tokio::spawn(clock.sleep(Duration::MAX));
    yield_often().await;
    assert_eq!(clock.now(), began);

    within_guard(clock.sleep(seconds(8))).await;
    assert_eq!(since(began, clock.now()), seconds(8));
    assert!(by_hand.is_finished() && !for_ever.is_finished());
    within_guard(unpolled).await;
    within_guard(clock.sleep(Duration::ZERO)).await;
    assert_eq!(since(began, clock.now()), seconds(8));
}

#[tokio::test]
async fn advancing_the_clock_wakes_all_sleeps_that_are_over() {
    let simulator = Simulator::start().await.unwrap();
    let clock = simulator.clock().auto_advance(false);
    let awake = Arc::new(Mutex::new(Vec::new()));
    let mut sleeps = JoinSet::new();
    for time in [30, 10, 20, 40] {
        let (clock, awake) = (clock.clone(), Arc::clone(&awake));
        sleeps.spawn(async move {
            clock.sleep(seconds(time)).await;
            awake.lock().unwrap().push(time);
        });
    }
    tokio::task::yield_now().await;
    simulator.advance(seconds(30));
    for _ in 0..3 {
        within_guard(sleeps.join_next()).await.unwrap().unwrap();
    }
    assert_eq!(*awake.lock().unwrap(), [10, 20, 30]);
    simulator.advance(seconds(10));
    within_guard(sleeps.join_next()).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_held_clock_does_not_advance_by_itself() {
    let simulator = Simulator::start().await.unwrap();
    let (clock, began) = (simulator.clock(), simulator.now());
    let held = clock.hold();
    let sleep = tokio::spawn(clock.sleep(seconds(60)));
    yield_often().await;
    assert_eq!(clock.now(), began);
    drop(held);
    within_guard(sleep).await.unwrap();
}

#[tokio::test]
async fn the_shorter_of_two_sleeps_in_a_select_ends() {
    let simulator = Simulator::start().await.unwrap();
    let clock = simulator.clock();
    for _ in 0..100 {
        let first = tokio::select! {
            biased;
            () = clock.sleep(Duration::from_nanos(2)) => "later",
            () = clock.sleep(Duration::from_nanos(1)) => "earlier",
        };
        assert_eq!(first, "earlier");
    }
}

#[tokio::test]
async fn a_sleep_on_a_scaled_clock_takes_its_share_of_real_time() {
    let simulator = Simulator::builder().clock(SimulatedClock::Scaled(1_000.0)).start().await.unwrap();
    let clock = simulator.clock();
    let (began, real) = (clock.now(), std::time::Instant::now());
    within_guard(clock.sleep(seconds(20))).await;
    assert!(since(began, clock.now()) >= seconds(20));
    assert!(real.elapsed() >= Duration::from_millis(20));
    let sleep = tokio::spawn(clock.sleep(seconds(1_000_000)));
    tokio::task::yield_now().await;
    simulator.advance(seconds(1_000_000));
    within_guard(sleep).await.unwrap();
}

/// Sleeps many times in different ways.
async fn sleeper(clock: ClockHandle, seed: u64, log: Arc<Mutex<Vec<DateTime<Utc>>>>, exact: bool) {
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..random.u32(1..8) {
        let clock = clock.clone().auto_advance(random.bool());
        // An empty sleep ends at once, before the sleeps that the same advance has ended are polled.
        let shortest = u64::from(!exact);
        let [first, second] = [(); 2].map(|()| Duration::from_millis(random.u64(shortest..50)));
        let now = clock.now();
        let until = match random.u8(0..4) {
            // The longer sleep is dropped.
            0 => {
                tokio::select! {
                    () = clock.sleep(first) => {}
                    () = clock.sleep(second) => {}
                }
                now + first.min(second)
            }
            // The second sleep continues while it is not polled. If the clock is advanced past both, it ends with the
            // first.
            1 if exact => {
                let mut later = clock.sleep(second);
                let is_over = poll_once(&mut later).await;
                clock.sleep(first).await;
                if !is_over {
                    later.await;
                }
                now + first.max(second)
            }
            _ => {
                clock.sleep(first).await;
                now + first
            }
        };
        assert!(clock.now() >= until, "woken {:?} early", until - clock.now());
        assert!(!exact || clock.now() == until, "woken {:?} late", clock.now() - until);
        log.lock().unwrap().push(until);
    }
}

#[tokio::test]
async fn sleepers_wake_in_order_and_never_early_and_none_is_lost() {
    for seed in 0..100 {
        let mut random = fastrand::Rng::with_seed(seed);
        let simulator = Simulator::start().await.unwrap();
        let log = Arc::default();
        let advances = random.bool();
        let mut sleepers = JoinSet::new();
        for _ in 0..random.u32(1..20) {
            sleepers.spawn(sleeper(simulator.clock(), random.u64(..), Arc::clone(&log), !advances));
        }
        // This sleep ends all others that do not advance the clock themselves.
        sleepers.spawn({
            let clock = simulator.clock();
            async move { clock.sleep(seconds(10)).await }
        });
        while !sleepers.is_empty() {
            if advances && random.bool() {
                simulator.advance(Duration::from_millis(random.u64(0..30)));
            }
            for _ in 0..random.u32(0..4) {
                tokio::task::yield_now().await;
            }
            if random.bool() {
                within_guard(sleepers.join_next()).await.unwrap().unwrap();
            }
        }
        let log = log.lock().unwrap();
        assert!(log.is_sorted(), "seed {seed}: {log:?}");
    }
}

// Deliveries

#[derive(Clone)]
struct Receiver {
    clock: ClockHandle,
    verifier: Verifier,
    watcher: Watcher,
    seen: Arc<Mutex<Vec<(String, u64)>>>,
    began: DateTime<Utc>,
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let event = receiver.verifier.unwrap(&body, &headers).unwrap();
    receiver.watcher.notify(&event);
    let now = since(receiver.began, receiver.clock.now()).as_secs();
    receiver.seen.lock().unwrap().push((event.kind.to_string(), now));
    StatusCode::NO_CONTENT
}

#[tokio::test]
async fn each_delivery_arrives_before_the_clock_advances_further() {
    let simulator = Simulator::start().await.unwrap();
    let client = client(&simulator);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let created = client.webhooks().create(url, WebhookEventType::KNOWN.iter().copied()).await.unwrap();
    let receiver = Receiver {
        clock: simulator.clock(),
        verifier: Verifier::new([created.secret]).unwrap(),
        watcher: client.runs().watcher(),
        seen: Arc::default(),
        began: simulator.now(),
    };
    let (seen, began) = (Arc::clone(&receiver.seen), receiver.began);
    let app = Router::new().route("/", post(receive)).with_state(receiver);
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });

    let id = submit(&simulator, &client, running(seconds(50))).await;
    within_guard(client.runs().wait(&id).timeout(seconds(3600)).into_future()).await.unwrap().succeeded().unwrap();
    assert_eq!(since(began, simulator.now()), seconds(60), "the delivery ends the wait at once");
    let expected = [
        ("run.created", 0),
        ("run.started", 10),
        ("verification.started", 50),
        ("verification.passed", 60),
        ("run.completed", 60),
    ];
    assert_eq!(*seen.lock().unwrap(), expected.map(|(event, second)| (event.to_owned(), second)));
}

#[tokio::test]
async fn a_receiver_that_hangs_times_out_and_delays_no_sleep() {
    let simulator = Builder::default().delivery_retries([seconds(5)]).start().await.unwrap();
    let client = client(&simulator);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    client.webhooks().create(url, [WebhookEventType::RunCreated]).await.unwrap();
    submit(&simulator, &client, running(seconds(50))).await;
    // Half of the 30 s of the first attempt, then to the end of the second.
    within_guard(simulator.clock().sleep(seconds(15))).await;
    assert_eq!(simulator.delivery_count(), 0);
    within_guard(simulator.clock().sleep(seconds(60))).await;
    let outcomes: BTreeSet<_> =
        simulator.deliveries().iter().map(|delivery| format!("{:?}", delivery.outcome)).collect();
    assert_eq!(outcomes, [format!("{:?}", DeliveryOutcome::Failed("no response within 30s".to_owned()))].into());
    assert_eq!(simulator.delivery_count(), 2);
}
