//! Waiting for runs and watching them, against the simulator in its own time.

#![allow(clippy::async_yields_async, reason = "a wait is made on one runtime and awaited on another")]
#![allow(clippy::needless_pass_by_value, reason = "JSON is written where it is handed over")]

use std::future::{Future, IntoFuture};
use std::task::Poll;
use std::time::Duration;

use agentgate::resources::{Call, CreateWorkOrder};
use agentgate::serde_json::json;
use agentgate::simulator::{Fault, RunPlan, Simulator};
use agentgate::test_util::{Replay, Reply};
use agentgate::types::{RunId, RunStatus};
use agentgate::{Client, Clock, ErrorKind, RateLimitMode, WorkspaceSource};
use common::assert_chain_repeats_nothing;
use common::time::SimulatedTime;

const MINUTE: Duration = Duration::from_secs(60);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn simulator() -> agentgate::simulator::Builder {
    Simulator::builder().submission_limit(1_000_000).concurrent_runs(1_000_000).record_requests(false)
}

/// Runs that end by these plans, submitted past the client's limits.
async fn submit(time: &SimulatedTime, plans: impl IntoIterator<Item = RunPlan>) -> Vec<RunId> {
    let client = time.builder().rate_limit_mode(RateLimitMode::Off).build().unwrap();
    let mut ids = Vec::new();
    for (number, plan) in plans.into_iter().enumerate() {
        if number % 90 == 89 {
            time.advance(MINUTE);
        }
        time.simulator().next_run(plan);
        ids.push(order(&client).await);
    }
    time.advance(MINUTE);
    time.simulator().clear_requests();
    ids
}

async fn order(client: &Client) -> RunId {
    let source = WorkspaceSource::template("python-flask");
    client.work_orders().create("Fix it", source).tenant("acme-corp", "user_123").await.unwrap().run_id
}

fn running(for_seconds: u64) -> RunPlan {
    RunPlan::succeeds().pending(Duration::ZERO).running(seconds(for_seconds))
}

#[tokio::test]
async fn a_wait_ends_with_the_finished_run() {
    let time = SimulatedTime::start(simulator()).await;
    let ids = submit(&time, [running(300)]).await;
    let client = time.client();
    let finished = time.run(client.runs().wait(&ids[0]).into_future()).await.unwrap();
    assert_eq!(finished.status(), &RunStatus::Succeeded);
    let run = finished.succeeded().unwrap();
    assert!(run.pr_url.is_some() && run.cost.is_some());
    assert_eq!(run.tenant_context.unwrap().tenant_id.as_deref(), Some("acme-corp"));
    let late = time.passed().checked_sub(seconds(300)).unwrap();
    assert!(late < seconds(4), "noticed {late:?} late");
}

#[tokio::test]
async fn a_finished_run_needs_one_request_and_no_time() {
    let time = SimulatedTime::start(simulator()).await;
    let ids = submit(&time, [running(1)]).await;
    let client = time.client();
    let began = time.passed();
    time.run(client.runs().wait(&ids[0]).into_future()).await.unwrap().succeeded().unwrap();
    assert_eq!(time.simulator().request_count(), 1);
    assert_eq!(time.passed(), began);
}

#[tokio::test]
async fn a_wait_can_return_the_response_of_the_run() {
    let time = SimulatedTime::start(simulator()).await;
    let client = time.client();
    let submitted = client.work_orders().create("Fix it", WorkspaceSource::template("python-flask")).and_wait();
    let id = order(&client).await;
    for wait in [submitted, client.runs().wait(&id), client.runs().wait(&id).summary_only().timeout(seconds(600))] {
        let response = time.run(wait.with_response()).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(body["id"], response.value().run().id.as_str());
        assert!(response.request_id().is_some() && response.rate_limit().is_some());
        response.into_inner().succeeded().unwrap();
    }
}

#[tokio::test]
async fn a_run_that_did_not_succeed_is_an_error_with_the_run_only_by_succeeded() {
    let time = SimulatedTime::start(simulator()).await;
    let plans = [RunPlan::fails("TESTS_FAILED", "2 of 14 tests have failed."), running(9_999).forever()];
    let ids = submit(&time, plans).await;
    let client = time.client();
    client.runs().cancel(&ids[1]).await.unwrap();
    let failed = time.run(client.runs().wait(&ids[0]).into_future()).await.unwrap();
    let cancelled = time.run(client.runs().wait(&ids[1]).into_future()).await.unwrap();
    assert_eq!((failed.status(), cancelled.status()), (&RunStatus::Failed, &RunStatus::Cancelled));

    let (failed, cancelled) = (failed.succeeded().unwrap_err(), cancelled.succeeded().unwrap_err());
    assert_eq!((failed.kind(), cancelled.kind()), (ErrorKind::RunFailed, ErrorKind::RunCancelled));
    assert_eq!(failed.run().unwrap().error.as_ref().unwrap().code.as_deref(), Some("TESTS_FAILED"));
    assert_eq!(cancelled.run_id(), Some(&ids[1]));
    insta::assert_snapshot!(format!("{failed}\n{cancelled}"));
}

#[tokio::test]
async fn a_wait_that_times_out_has_the_last_status_and_does_not_cancel_the_run() {
    let time = SimulatedTime::start(simulator()).await;
    let ids = submit(&time, [running(9_999)]).await;
    let client = time.client();
    let error = time.run(client.runs().wait(&ids[0]).timeout(seconds(45)).into_future()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WaitTimeout);
    assert_eq!((error.run_id(), error.run_status()), (Some(&ids[0]), Some(&RunStatus::Running)));
    assert_eq!(client.runs().get(&ids[0]).await.unwrap().status, RunStatus::Running);
    insta::assert_snapshot!(error);
}

#[tokio::test]
async fn a_wait_that_times_out_cancels_the_run_if_set() {
    for accepted in [None, Some((202, "")), Some((200, r#"{"success": true}"#))] {
        let time = SimulatedTime::start(simulator()).await;
        let ids = submit(&time, [running(9_999)]).await;
        let client = time.client();
        let response = accepted.map(|(status, body)| Fault::response(status, "application/json", body));
        if let Some(fault) = response {
            time.simulator().inject(fault.on("cancelRun").after_acting());
        }
        let wait = client.runs().wait(&ids[0]).timeout(seconds(45)).cancel_on_timeout();
        let error = time.run(wait.into_future()).await.unwrap_err();
        assert_eq!(client.runs().get(&ids[0]).await.unwrap().status, RunStatus::Cancelled);
        insta::allow_duplicates! { insta::assert_snapshot!(error) }
    }
}

#[tokio::test]
async fn a_failed_cancellation_is_the_source_of_the_time_out() {
    let time = SimulatedTime::start(simulator()).await;
    let ids = submit(&time, [running(9_999)]).await;
    let client = time.client();
    time.simulator().inject(Fault::error("SCOPE_REQUIRED").on("cancelRun"));
    let wait = client.runs().wait(&ids[0]).timeout(seconds(45)).cancel_on_timeout();
    let error = time.run(wait.into_future()).await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap().downcast_ref::<agentgate::Error>().unwrap();
    assert_eq!((error.kind(), source.kind()), (ErrorKind::WaitTimeout, ErrorKind::PermissionDenied));
    assert_chain_repeats_nothing(&error);
}

#[tokio::test]
async fn a_run_that_ended_before_its_cancellation_is_returned() {
    let time = SimulatedTime::start(simulator()).await;
    let ids = submit(&time, [running(61)]).await;
    let client = time.client();
    // The first poll sees it running, and the second comes after the time-out.
    let wait = client.runs().wait(&ids[0]).timeout(Duration::from_millis(1_500)).cancel_on_timeout();
    let finished = time.run(wait.into_future()).await.unwrap();
    assert_eq!(finished.status(), &RunStatus::Succeeded);
}

#[tokio::test]
async fn transient_failures_of_polls_do_not_end_a_wait() {
    for fault in ["INTERNAL_ERROR", "SERVICE_UNAVAILABLE", "RATE_LIMITED"] {
        let time = SimulatedTime::start(simulator()).await;
        let ids = submit(&time, [running(200)]).await;
        let client = time.client();
        time.simulator().inject(Fault::error(fault).times(12));
        let finished = time.run(client.runs().wait(&ids[0]).into_future()).await.unwrap();
        assert_eq!(finished.status(), &RunStatus::Succeeded, "{fault}");
    }
}

#[tokio::test]
async fn a_refused_poll_ends_a_wait_with_an_error_that_names_the_run() {
    let mut lines = Vec::new();
    for fault in ["RESOURCE_NOT_FOUND", "EXPIRED_API_KEY", "SCOPE_REQUIRED", "ORGANIZATION_SUSPENDED"] {
        let time = SimulatedTime::start(simulator()).await;
        let ids = submit(&time, [running(200)]).await;
        let client = time.client();
        time.simulator().inject(Fault::error(fault));
        let error = time.run(client.runs().wait(&ids[0]).into_future()).await.unwrap_err();
        assert_eq!(error.run_id(), Some(&ids[0]));
        assert_eq!(time.simulator().request_count(), 1, "{fault}");
        lines.push(error.to_string());
    }
    insta::assert_snapshot!(lines.join("\n"));
}

#[tokio::test]
async fn responses_of_another_end_a_wait_after_a_quarter_of_an_hour_with_the_last_poll_as_the_source() {
    let mut lines = Vec::new();
    for (status, body) in [(301, ""), (401, "<h1>Sign in</h1>"), (404, ""), (200, "<html>"), (200, r#"{"id": 7}"#)] {
        let time = SimulatedTime::start(simulator()).await;
        let ids = submit(&time, [running(9_999)]).await;
        let client = time.client();
        time.simulator().inject(Fault::response(status, "text/html", body).times(1_000));
        let began = time.passed();
        let error = time.run(client.runs().wait(&ids[0]).into_future()).await.unwrap_err();
        assert!((15 * MINUTE..17 * MINUTE).contains(&time.passed_since(began)), "{error}");
        let last = std::error::Error::source(&error).unwrap().downcast_ref::<agentgate::Error>().unwrap();
        assert_chain_repeats_nothing(&error);
        assert_eq!((last.kind(), last.attempts()), (error.kind(), 1));
        assert_eq!(error.run_id(), Some(&ids[0]));
        lines.push(error.to_string());
    }
    insta::assert_snapshot!(lines.join("\n"));
}

#[tokio::test]
async fn a_wait_that_times_out_has_the_error_of_the_last_poll() {
    let time = SimulatedTime::start(simulator()).await;
    let ids = submit(&time, [running(9_999)]).await;
    let client = time.client();
    let wait = tokio::spawn(client.runs().wait(&ids[0]).timeout(seconds(60)).into_future());
    let error = time
        .run(async {
            time.sleep(seconds(20)).await;
            time.simulator().inject(Fault::error("INTERNAL_ERROR").times(1_000));
            wait.await.unwrap().unwrap_err()
        })
        .await;
    assert_eq!((error.kind(), error.run_status()), (ErrorKind::WaitTimeout, Some(&RunStatus::Running)));
    let last = std::error::Error::source(&error).unwrap().downcast_ref::<agentgate::Error>().unwrap();
    assert_chain_repeats_nothing(&error);
    assert_eq!(last.kind(), ErrorKind::Server);
    insta::assert_snapshot!(error);
}

#[tokio::test]
async fn failed_polls_leave_the_retry_budget_to_other_calls() {
    let time = SimulatedTime::start(simulator()).await;
    let ids = submit(&time, (0..20).map(|_| running(9_999))).await;
    let client = time.client();
    time.simulator().inject(Fault::error("INTERNAL_ERROR").on("getRun").times(100_000));
    time.simulator().inject(Fault::error("INTERNAL_ERROR").on("listRuns").times(100_000));
    let waits: Vec<_> = ids.iter().map(|id| tokio::spawn(client.runs().wait(id).into_future())).collect();
    time.run(async {
        time.sleep(30 * MINUTE).await;
        for _ in 0..20 {
            time.simulator().inject(Fault::error("INTERNAL_ERROR").on("getCredits").times(3));
            client.credits().balance().await.unwrap();
        }
    })
    .await;
    waits.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn a_key_that_expires_ends_every_wait_with_its_own_error() {
    let time = SimulatedTime::start(simulator()).await;
    let ids = submit(&time, (0..30).map(|_| running(9_999))).await;
    let key = time.simulator().add_key(&["*"]);
    let client = time.builder().api_key(&key).build().unwrap();
    let waits: Vec<_> = ids.iter().map(|id| tokio::spawn(client.runs().wait(id).into_future())).collect();
    time.run(async {
        time.sleep(MINUTE).await;
        time.simulator().expire_key(&key);
        for (wait, id) in waits.into_iter().zip(&ids) {
            let error = wait.await.unwrap().unwrap_err();
            assert!(error.is_authentication(), "{error}");
            assert_eq!(error.run_id(), Some(id));
        }
    })
    .await;
}

#[tokio::test]
async fn an_invalid_id_is_refused_without_a_request() {
    let time = SimulatedTime::start(simulator()).await;
    let error = time.client().runs().wait(" ").await.unwrap_err();
    assert!(error.is_invalid_request(), "{error}");
    assert_eq!(time.simulator().request_count(), 0);
}

#[tokio::test]
async fn submitting_and_waiting_is_one_call_whose_errors_name_the_run() {
    let time = SimulatedTime::start(simulator().default_run(running(20))).await;
    let client = time.client();
    let call = || client.work_orders().create("Fix it", WorkspaceSource::template("python-flask")).and_wait();
    let run = time.run(call().into_future()).await.unwrap().succeeded().unwrap();
    assert_eq!(run.id, RunId::from("run_000001"));

    let error = time.run(call().timeout(seconds(5)).into_future()).await.unwrap_err();
    assert_eq!(error.run_id(), Some(&RunId::from("run_000002")));
    assert_eq!(time.simulator().work_order_count(), 2);
}

/// Waits for a submission and returns how many work orders there are then, and how many POSTs it took.
async fn submitted(fault: &Fault, call: impl Fn(Call<CreateWorkOrder>) -> Call<CreateWorkOrder>) -> (usize, usize) {
    let time = SimulatedTime::start(Simulator::builder().default_run(running(20))).await;
    let client = time.client();
    time.simulator().inject(fault.clone());
    let order = client.work_orders().create("Fix it", WorkspaceSource::template("python-flask"));
    time.run(call(order).and_wait().into_future()).await.unwrap().succeeded().unwrap();
    let posts = time.simulator().requests().iter().filter(|request| request.method == "POST").count();
    (time.simulator().work_order_count(), posts)
}

#[tokio::test]
async fn the_options_of_a_submission_apply_with_a_wait() {
    let lost = Fault::bad_gateway().on("createWorkOrder");
    let acted = lost.clone().after_acting();
    assert_eq!(submitted(&lost, Call::reconcile).await, (1, 2));
    assert_eq!(submitted(&acted, Call::reconcile).await, (1, 1));
    assert_eq!(submitted(&acted, Call::repeatable).await, (2, 2));
    // The later one counts.
    assert_eq!(submitted(&acted, |call| call.repeatable().reconcile()).await, (1, 1));
    assert_eq!(submitted(&acted, |call| call).await, (1, 1));

    let time = SimulatedTime::start(simulator()).await;
    let call = time.client().work_orders().create("Fix it", WorkspaceSource::template("python-flask"));
    let error = call.deadline(Duration::ZERO).and_wait().await.unwrap_err();
    assert_eq!((error.kind(), error.attempts(), error.run_id()), (ErrorKind::Timeout, 0, None));
}

/// The poll could be repeated, and a program that repeats the call by that would pay for a second run.
#[tokio::test]
async fn the_failure_of_a_poll_does_not_make_a_submission_with_its_wait_retryable() {
    let time = SimulatedTime::start(simulator().default_run(running(9_999))).await;
    let client = time.client();
    for operation in ["getRun", "listRuns"] {
        time.simulator().inject(Fault::error("INTERNAL_ERROR").on(operation).times(100_000));
    }
    let wait = client.work_orders().create("Fix it", WorkspaceSource::template("python-flask")).and_wait();
    let error = time.run(wait.into_future()).await.unwrap_err();
    assert_eq!((error.kind(), error.run_id()), (ErrorKind::Server, Some(&RunId::from("run_000001"))));
    assert!(error.operation().unwrap().is_idempotent() && !error.is_retryable(), "{error}");
}

/// Returns the number of requests of waits for this number of runs of ten minutes.
async fn cost(runs: usize) -> usize {
    let time = SimulatedTime::start(simulator()).await;
    let ids = submit(&time, (0..runs).map(|_| running(600))).await;
    let client = time.client();
    let waits: Vec<_> =
        ids.iter().map(|id| tokio::spawn(client.runs().wait(id).summary_only().into_future())).collect();
    time.run(async {
        for wait in waits {
            assert_eq!(wait.await.unwrap().unwrap().status(), &RunStatus::Succeeded);
        }
    })
    .await;
    assert_eq!(time.simulator().response_count(429), 0);
    time.simulator().request_count()
}

#[tokio::test]
async fn sixty_waits_take_hardly_more_requests_than_one() {
    let (one, sixty) = (cost(1).await, cost(60).await);
    assert!(one < 26 * 10, "{one} requests for ten minutes of one run");
    assert!(2 * sixty < 3 * one, "{sixty} requests for sixty runs, {one} for one");
}

#[tokio::test]
async fn an_unknown_status_is_no_end() {
    let time = SimulatedTime::start(simulator()).await;
    let ids = submit(&time, [running(100)]).await;
    let client = time.client();
    let body = format!(r#"{{"id": "{}", "workOrderId": "wo_1", "status": "hibernating"}}"#, ids[0]);
    time.simulator().inject(Fault::response(200, "application/json", body).times(3));
    let finished = time.run(client.runs().wait(&ids[0]).into_future()).await.unwrap();
    assert_eq!(finished.status(), &RunStatus::Succeeded);
    assert!(time.passed() >= seconds(100));
}

#[tokio::test]
async fn an_unknown_status_with_the_time_of_its_end_is_neither_success_nor_failure() {
    let time = SimulatedTime::start(simulator()).await;
    let id = submit(&time, [running(5)]).await.remove(0);
    let client = time.client();
    let run = |status: &str, completed: &str| {
        let run = format!(
            r#"{{"id":"{id}","workOrderId":"wo_1","status":"{status}","timing":{{"completedAt":"{completed}"}}}}"#
        );
        Fault::response(200, "application/json", run).on("getRun")
    };
    time.simulator().inject(run("queued", "0001-01-01T00:00:00Z"));
    let finished = time.run(client.runs().wait(&id).into_future()).await.unwrap();
    assert_eq!(finished.status(), &RunStatus::Succeeded, "a zero is no end");

    time.simulator().inject(run("timed_out", "2026-01-01T00:00:00Z"));
    let finished = time.run(client.runs().wait(&id).into_future()).await.unwrap();
    let error = finished.succeeded().unwrap_err();
    assert_eq!((error.kind(), error.run_status().unwrap().as_str()), (ErrorKind::RunOutcomeUnknown, "timed_out"));
    insta::assert_snapshot!(error.to_string().replace(id.as_str(), "run_1"));
}

#[tokio::test]
async fn a_watch_returns_each_change_once_and_ends_with_the_run() {
    let time = SimulatedTime::start(simulator()).await;
    let plan = RunPlan::succeeds().pending(seconds(90)).running(seconds(120)).iterations(3);
    let ids = submit(&time, [plan]).await;
    let client = time.client();
    let seen = time
        .run(async {
            let (mut changes, mut seen) = (client.runs().watch(&ids[0]), Vec::new());
            while let Some(run) = changes.next().await {
                let run = run.unwrap();
                seen.push(format!("{} {} {}", run.status, run.iterations.unwrap(), run.pr_url.is_some()));
            }
            seen
        })
        .await;
    let expected = ["pending 0 false", "running 0 false", "running 1 false", "running 2 false", "succeeded 3 true"];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_watch_of_an_unknown_run_is_one_error() {
    let time = SimulatedTime::start(simulator()).await;
    let client = time.client();
    time.run(async {
        let mut changes = client.runs().watch("run_nowhere");
        assert!(changes.next().await.unwrap().unwrap_err().is_not_found());
        assert!(changes.next().await.is_none());
    })
    .await;
}

#[tokio::test]
async fn waits_end_without_lists() {
    let time = SimulatedTime::start(simulator()).await;
    let ids = submit(&time, (0..20).map(|_| running(300))).await;
    let client = time.builder().max_retries(0).build().unwrap();
    time.simulator().inject(Fault::error("INTERNAL_ERROR").on("listRuns").times(100_000));
    let waits: Vec<_> = ids.iter().map(|id| tokio::spawn(client.runs().wait(id).into_future())).collect();
    time.run(async {
        for wait in waits {
            assert_eq!(wait.await.unwrap().unwrap().status(), &RunStatus::Succeeded);
        }
    })
    .await;
}

#[tokio::test]
async fn a_response_with_another_id_updates_the_run_that_was_fetched() {
    let time = SimulatedTime::start(simulator()).await;
    let client = time.client();
    let body = r#"{"id": "run_1", "workOrderId": "wo_1", "status": "succeeded"}"#;
    time.simulator().inject(Fault::response(200, "application/json", body).on("getRun"));
    let finished = time.run(client.runs().wait("RUN_1").into_future()).await.unwrap();
    assert_eq!(finished.run().id, RunId::from("run_1"));
    assert_eq!(time.simulator().request_count(), 1);
}

#[tokio::test]
async fn a_run_that_cannot_be_read_delays_no_other() {
    use axum::extract::Path;
    use axum::http::StatusCode;
    use axum::routing::get;

    async fn run(Path(id): Path<String>) -> Result<String, StatusCode> {
        match id.as_str() {
            "run_broken" => Err(StatusCode::INTERNAL_SERVER_ERROR),
            id => Ok(format!(r#"{{"id": "{id}", "workOrderId": "wo_1", "status": "succeeded"}}"#)),
        }
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = axum::Router::new().route("/v1/runs/{id}", get(run));
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });

    let builder = Client::builder().base_url(url).api_key("org_live_x").max_retries(0);
    let client = builder.clock(common::clock::InstantClock::default()).build().unwrap();
    let broken = tokio::spawn(client.runs().wait("run_broken").into_future());
    for number in 0..20 {
        let finished = client.runs().wait(format!("run_{number}")).await.unwrap();
        assert_eq!(finished.status(), &RunStatus::Succeeded);
    }
    assert!(!broken.is_finished());
    broken.abort();
}

// Dropped

/// Polls of the runtime between two looks.
const TURNS: usize = 20;

/// Drops what `make` makes after it was driven for so many steps, and says how many requests it had sent; nothing may
/// go on after that.
async fn drop_after<F: Future<Output = ()> + Send + 'static>(
    steps: usize,
    make: impl Fn(Client, RunId) -> F,
) -> (usize, bool) {
    let time = SimulatedTime::start(simulator()).await;
    let ids = submit(&time, [running(9_999), running(9_999)]).await;
    let client = time.client();
    // The connection that is kept open has a task of its own.
    client.runs().get(&ids[0]).await.unwrap();
    time.settle().await;
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    time.simulator().clear_requests();

    let mut future = Box::pin(make(client.clone(), ids[1].clone()));
    let mut is_over = false;
    for step in 0..steps {
        is_over =
            is_over || std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await;
        if step % TURNS == TURNS - 1 {
            time.settle().await;
            time.advance(seconds(3));
        }
        tokio::task::yield_now().await;
    }
    drop(future);
    time.settle().await;
    let sent = time.simulator().request_count();
    time.advance(seconds(600));
    time.settle().await;
    assert_eq!(time.simulator().request_count(), sent, "something polls on after {steps} steps");
    assert!(client.runs().watcher().is_empty());
    // The connection that a request was dropped on is closed, so there may be one task less.
    assert!(tasks() <= before, "{} tasks and not {before} after {steps} steps", tasks());
    (sent, is_over)
}

#[tokio::test]
async fn dropping_a_wait_at_any_point_ends_its_tasks() {
    let mut most = 0;
    for steps in 0..70 {
        let (sent, _) = drop_after(steps, |client, id| async move {
            let _ = client.runs().wait(id).await;
        })
        .await;
        most = sent.max(most);
    }
    assert!(most >= 3, "it was never far enough to poll more than {most} times");
}

#[tokio::test]
async fn dropping_a_watch_at_any_point_ends_its_tasks() {
    for steps in 0..70 {
        drop_after(steps, |client, id| async move {
            let mut changes = client.runs().watch(id);
            while changes.next().await.is_some() {}
        })
        .await;
    }
}

#[tokio::test]
async fn dropping_the_future_of_the_next_change_loses_no_change() {
    let time = SimulatedTime::start(simulator()).await;
    let ids = submit(&time, [running(90)]).await;
    let client = time.client();
    let mut changes = client.runs().watch(&ids[0]);
    let mut seen = Vec::new();
    time.run(async {
        loop {
            let gave_up = std::future::poll_fn(|context| {
                let mut next = Box::pin(changes.next());
                Poll::Ready(next.as_mut().poll(context))
            })
            .await;
            match gave_up {
                Poll::Ready(Some(run)) => seen.push(run.unwrap().status),
                Poll::Ready(None) => break,
                Poll::Pending => time.sleep(Duration::from_millis(200)).await,
            }
        }
    })
    .await;
    seen.dedup();
    assert_eq!(seen, [RunStatus::Running, RunStatus::Succeeded]);
}

#[test]
fn a_wait_outside_of_a_runtime_is_an_error_with_advice() {
    let client = Client::builder().api_key("org_live_x").base_url("http://127.0.0.1:9").build().unwrap();
    let mut wait = client.runs().wait("run_1").into_future();
    let polled = wait.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
    let Poll::Ready(Err(error)) = polled else { panic!("{polled:?}") };
    assert_eq!(error.kind(), ErrorKind::Configuration);
    insta::assert_snapshot!(error);
}

#[test]
fn a_wait_continues_when_the_runtime_of_the_poller_shuts_down() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (home, first, second) = (runtime(), runtime(), runtime());
    let (simulator, id, client) = home.block_on(async {
        let simulator = simulator().start().await.unwrap();
        let client = Client::builder().base_url(simulator.url()).api_key(simulator.api_key()).build().unwrap();
        let id = order(&client).await;
        (simulator, id, client)
    });
    // The first wait polls on its runtime, which then goes.
    let polled = first.block_on(async {
        let mut wait = client.runs().wait(&id).into_future();
        std::future::poll_fn(|context| Poll::Ready(wait.as_mut().poll(context).is_ready())).await;
        wait
    });
    drop(first);
    simulator.advance(MINUTE);
    let served = std::thread::spawn(move || home.block_on(std::future::pending::<()>()));
    let finished = second.block_on(polled).unwrap();
    assert_eq!(finished.status(), &RunStatus::Succeeded);
    drop(served);
}

// Deliveries

mod deliveries {
    use agentgate::webhook::Event;
    use serde_json::json;

    use super::*;

    fn event(kind: &str, data: serde_json::Value) -> Event {
        Event::from_json(json!({ "id": "evt_1", "type": kind, "data": data })).unwrap()
    }

    #[tokio::test]
    async fn a_delivery_ends_a_wait_at_once_and_without_a_request_if_it_is_complete() {
        let time = SimulatedTime::start(simulator()).await;
        let ids = submit(&time, [running(9_999)]).await;
        let client = time.client();
        let watcher = client.runs().watcher();
        let wait = tokio::spawn(client.runs().wait(&ids[0]).into_future());
        time.settle().await;
        let (began, sent) = (time.passed(), time.simulator().request_count());
        let data = json!({ "id": ids[0], "workOrderId": "wo_1", "status": "succeeded", "prUrl": "https://x/pull/1" });
        watcher.notify(&event("run.completed", data));
        let run = time.run(wait).await.unwrap().unwrap().succeeded().unwrap();
        assert_eq!(run.pr_url.as_deref(), Some("https://x/pull/1"));
        assert_eq!((time.passed(), time.simulator().request_count()), (began, sent));
    }

    #[tokio::test]
    async fn after_an_incomplete_delivery_the_run_is_fetched() {
        let time = SimulatedTime::start(simulator()).await;
        let ids = submit(&time, [running(1)]).await;
        let client = time.client();
        client.runs().watcher().notify(&event("run.completed", json!({ "runId": ids[0] })));
        let run = time.run(client.runs().wait(&ids[0]).into_future()).await.unwrap().succeeded().unwrap();
        assert!(run.pr_url.is_some());
        assert_eq!(time.simulator().request_count(), 1);
    }

    #[tokio::test]
    async fn a_delivery_may_come_before_the_wait_begins() {
        let time = SimulatedTime::start(simulator()).await;
        let client = time.client();
        let data = json!({ "runId": "run_7", "workOrderId": "wo_7", "error": { "code": "TESTS_FAILED" } });
        client.runs().watcher().notify(&event("run.failed", data));
        for _ in 0..2 {
            let failed = time.run(client.runs().wait("run_7").into_future()).await.unwrap();
            assert_eq!(failed.succeeded().unwrap_err().run().unwrap().status, RunStatus::Failed);
        }
        assert_eq!(time.simulator().request_count(), 0);
    }

    #[tokio::test]
    async fn late_reordered_and_foreign_deliveries_change_nothing() {
        let time = SimulatedTime::start(simulator()).await;
        let ids = submit(&time, [running(200)]).await;
        let client = time.client();
        let watcher = client.runs().watcher();
        let seen = time
            .run(async {
                let (mut changes, mut seen) = (client.runs().watch(&ids[0]), Vec::new());
                while let Some(run) = changes.next().await {
                    seen.push(run.unwrap().status);
                    for kind in ["run.created", "run.started", "verification.passed", "run.no-such-event"] {
                        watcher.notify(&event(kind, json!({ "runId": ids[0], "workOrderId": "wo_1" })));
                    }
                    watcher.notify(&event("run.completed", json!({ "runId": "run_other" })));
                    watcher.notify(&event("run.completed", json!(["nothing"])));
                }
                seen
            })
            .await;
        let mut once = seen.clone();
        once.dedup();
        assert_eq!(once, [RunStatus::Running, RunStatus::Succeeded], "{seen:?}");
    }

    #[tokio::test]
    async fn polling_uses_the_fallback_share_until_the_first_missed_delivery() {
        let time = SimulatedTime::start(simulator()).await;
        let ids = submit(&time, (0..20).map(|_| running(3_600))).await;
        let client = time.client();
        let watcher = client.runs().watcher();
        let waits: Vec<_> =
            ids.iter().map(|id| tokio::spawn(client.runs().wait(id).summary_only().into_future())).collect();
        time.run(async {
            // The number of requests in five minutes.
            let requests = async || {
                let before = time.simulator().request_count();
                time.sleep(5 * MINUTE).await;
                time.simulator().request_count() - before
            };
            let alone = requests().await;
            assert!((110..=130).contains(&alone), "{alone} requests");
            let data = json!({ "runId": ids[0], "workOrderId": "wo_1", "prUrl": "https://x/pull/1" });
            watcher.notify(&event("run.completed", data));
            let with_deliveries = requests().await;
            assert!((20..=26).contains(&with_deliveries), "{with_deliveries} requests");
            // This end is delivered to another process.
            time.builder().build().unwrap().runs().cancel(&ids[1]).await.unwrap();
            time.sleep(seconds(20)).await;
            let after_a_miss = requests().await;
            assert!((110..=130).contains(&after_a_miss), "{after_a_miss} requests");
        })
        .await;
        waits.iter().for_each(tokio::task::JoinHandle::abort);
    }

    #[tokio::test]
    async fn stopped_deliveries_restore_the_full_share() {
        let time = SimulatedTime::start(simulator()).await;
        let ids = submit(&time, [running(200), running(200)]).await;
        let client = time.client();
        let watcher = client.runs().watcher();
        let waits: Vec<_> = ids.iter().map(|id| tokio::spawn(client.runs().wait(id).into_future())).collect();
        time.run(async {
            time.sleep(seconds(10)).await;
            watcher.notify(&event("run.completed", json!({ "runId": ids[0] })));
            time.sleep(seconds(170 - 60)).await;
            watcher.deliveries_stopped();
            for wait in waits {
                assert_eq!(wait.await.unwrap().unwrap().status(), &RunStatus::Succeeded);
            }
        })
        .await;
        let late = time.passed().checked_sub(seconds(200)).unwrap();
        assert!(late < seconds(6), "noticed {late:?} late");
    }

    #[tokio::test]
    async fn a_run_that_the_same_client_cancels_needs_no_poll_and_no_delivery() {
        let time = SimulatedTime::start(simulator()).await;
        let ids = submit(&time, [running(9_999)]).await;
        let client = time.client();
        let wait = tokio::spawn(client.runs().wait(&ids[0]).into_future());
        time.run(async {
            time.sleep(seconds(10)).await;
            let before = time.passed();
            client.clone().runs().cancel(&ids[0]).await.unwrap();
            assert_eq!(wait.await.unwrap().unwrap().status(), &RunStatus::Cancelled);
            assert_eq!(time.passed(), before);
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_times_out_says_so_if_its_responses_came_from_a_cache() {
    for (name, value) in [("age", "30"), ("x-request-id", "req_1"), ("x-none", "0")] {
        let run = json!({ "id": "run_1", "workOrderId": "wo_1", "status": "running" });
        let replay = Replay::with(move |_| Reply::json(run.clone()).header(name, value));
        let client = replay.client().unwrap();
        let error = client.runs().wait("run_1").timeout(Duration::from_secs(300)).await.unwrap_err();
        assert_eq!(error.to_string().contains("came from a cache"), name != "x-none", "{error}");
        assert_eq!(error.to_string().contains("The run continues"), name == "x-none", "{error}");
    }
}
