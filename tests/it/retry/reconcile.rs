//! Reconciliation: one work order per submission, despite network failures.

use std::future::IntoFuture as _;
use std::time::Duration;

use agentgate::simulator::{Fault, RunPlan, Simulator};
use agentgate::types::{RunStatus, WorkOrderCreated};
use agentgate::{Client, Result, WorkspaceSource};
use common::clock::InstantClock;
use common::proxy::Proxy;
use serde_json::json;

/// Starts a simulator with high limits.
async fn simulator() -> Simulator {
    Simulator::builder()
        .rate_limit(1_000_000)
        .submission_limit(1_000_000)
        .concurrent_runs(1_000_000)
        .default_run(RunPlan::succeeds())
        .start()
        .await
        .unwrap()
}

fn client(simulator: &Simulator, url: &str) -> Client {
    simulator.set_credits(i64::MAX / 2);
    // One connection per request, so that each can be cut anywhere.
    let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
    Client::builder()
        .http_client(http)
        .base_url(url)
        .api_key(simulator.api_key())
        .submissions_per_minute(u32::MAX)
        .max_retries(20)
        .clock(InstantClock::default())
        .build()
        .unwrap()
}

/// The response is lost after the request was processed.
fn lost_response() -> Fault {
    Fault::response(502, "text/html", "<h1>Bad Gateway</h1>").on("createWorkOrder").after_acting()
}

/// The request is lost before it is processed.
fn lost_request() -> Fault {
    Fault::response(502, "text/html", "<h1>Bad Gateway</h1>").on("createWorkOrder")
}

async fn submit(client: &Client) -> Result<WorkOrderCreated> {
    client
        .work_orders()
        .create("Fix it", WorkspaceSource::git("https://github.com/your-org/your-repo"))
        .tenant("acme-corp", "user_123")
        .metadata("ticket", "API-42")
        .reconcile()
        .await
}

async fn orders(client: &Client) -> u64 {
    client.runs().list().limit(1).await.unwrap().total.unwrap()
}

#[tokio::test]
async fn a_submission_with_a_response_is_sent_once() {
    let simulator = simulator().await;
    let client = client(&simulator, simulator.url());
    let created = submit(&client).await.unwrap();
    assert_eq!(created.status, RunStatus::Pending);
    assert_eq!(simulator.request_count(), 1);
    let order = client.work_orders().get(&created.work_order_id).await.unwrap();
    assert_eq!(order.metadata["ticket"], "API-42");
    assert_eq!(order.metadata["agentgate-submission"].as_str().unwrap().len(), 36);
}

#[tokio::test]
async fn a_submission_whose_response_was_lost_is_found() {
    let simulator = simulator().await;
    let client = client(&simulator, simulator.url());
    simulator.inject(lost_response());
    let created = submit(&client).await.unwrap();
    assert_eq!(created.work_order_id, "wo_000001");
    assert_eq!(created.run_id, "run_000001");
    assert_eq!(orders(&client).await, 1);
}

#[tokio::test]
async fn a_lost_submission_is_sent_again() {
    let simulator = simulator().await;
    let client = client(&simulator, simulator.url());
    simulator.inject(lost_request());
    let created = submit(&client).await.unwrap();
    assert_eq!(created.work_order_id, "wo_000001");
    assert_eq!(orders(&client).await, 1);
    let keys: Vec<_> = simulator
        .requests()
        .iter()
        .filter(|request| request.method == "POST")
        .map(|request| request.header("idempotency-key").unwrap().to_owned())
        .collect();
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[0], keys[1]);
}

#[tokio::test]
async fn identical_work_orders_of_one_client_are_distinguished() {
    let simulator = simulator().await;
    let client = client(&simulator, simulator.url());
    let first = submit(&client).await.unwrap();
    simulator.inject(lost_request());
    let second = submit(&client).await.unwrap();
    simulator.inject(lost_response());
    let third = submit(&client).await.unwrap();
    assert_eq!([first.run_id, second.run_id, third.run_id], ["run_000001", "run_000002", "run_000003"]);
    assert_eq!(orders(&client).await, 3);
}

#[tokio::test]
async fn an_identical_work_order_of_another_client_is_not_mistaken_for_it() {
    let simulator = simulator().await;
    let (mine, other) = (client(&simulator, simulator.url()), client(&simulator, simulator.url()));
    let theirs = submit(&other).await.unwrap();
    simulator.inject(lost_request());
    let created = submit(&mine).await.unwrap();
    assert_ne!(created.work_order_id, theirs.work_order_id);
}

#[tokio::test]
async fn a_work_order_is_found_behind_pages_of_newer_ones() {
    let simulator = simulator().await;
    let (mine, other) = (client(&simulator, simulator.url()), client(&simulator, simulator.url()));
    simulator.inject(lost_response());
    // Others submit before the first search.
    let source = WorkspaceSource::git("https://github.com/your-org/your-repo");
    let pending = tokio::spawn({
        let call = mine.work_orders().create("Mine", source.clone()).reconcile();
        async move { call.await }
    });
    while simulator.request_count() == 0 {
        tokio::task::yield_now().await;
    }
    for _ in 0..250 {
        other.work_orders().create("Other", source.clone()).await.unwrap();
    }
    assert_eq!(pending.await.unwrap().unwrap().work_order_id, "wo_000001");
}

#[tokio::test]
async fn a_submission_without_reconcile_is_searched_for_but_never_resent() {
    for fault in [lost_response(), lost_request()] {
        let simulator = simulator().await;
        let client = client(&simulator, simulator.url());
        let is_done = fault.is_after_acting();
        simulator.inject(fault);
        let call = client.work_orders().create("Fix it", WorkspaceSource::git("r"));
        match call.with_response().await {
            Ok(response) => {
                assert!(is_done);
                assert_eq!(response.value().work_order_id, "wo_000001");
                assert_eq!((response.value().run_id.as_str(), response.status().as_u16()), ("run_000001", 200));
            }
            Err(error) => {
                assert!(!is_done && error.may_have_reached_server());
                assert_eq!(error.status().unwrap(), 502);
                let text = error.to_string();
                assert!(text.contains("the work order was not found among the recent runs"), "{text}");
            }
        }
        assert_eq!(simulator.requests().iter().filter(|request| request.method == "POST").count(), 1);
    }
}

#[tokio::test]
async fn a_repeatable_submission_is_resent_without_a_search() {
    let simulator = simulator().await;
    let client = client(&simulator, simulator.url());
    simulator.inject(lost_response());
    client.work_orders().create("Fix it", WorkspaceSource::git("r")).repeatable().await.unwrap();
    assert_eq!(simulator.requests().iter().filter(|request| request.method != "POST").count(), 0);
    assert_eq!(orders(&client).await, 2);
}

#[tokio::test]
async fn and_wait_continues_with_a_reconciled_submission() {
    let simulator = simulator().await;
    let client = client(&simulator, simulator.url());
    simulator.inject(lost_response());
    let wait = client.work_orders().create("Fix it", WorkspaceSource::git("r")).and_wait();
    simulator.advance(Duration::from_secs(600));
    let pending = tokio::spawn(wait.into_future());
    while simulator.work_order_count() == 0 {
        tokio::task::yield_now().await;
    }
    simulator.advance(Duration::from_secs(600));
    assert_eq!(pending.await.unwrap().unwrap().succeeded().unwrap().id, "run_000001");
}

#[tokio::test]
async fn identical_work_orders_without_the_token_are_never_mistaken_for_it() {
    // Without metadata, with other metadata, with the token of another submission, with an invalid token.
    let token = "agentgate-submission";
    for metadata in [json!(null), json!({ "ticket": "API-42" }), json!({ token: uuid(7) }), json!({ token: 7 })] {
        for reconcile in [false, true] {
            let simulator = simulator().await;
            let client = client(&simulator, simulator.url());
            simulator.inject(lost_request());
            let order = json!({
                "taskPrompt": "Fix it",
                "workspaceSource": { "type": "git", "repository": "https://github.com/your-org/your-repo" },
                "tenantContext": { "tenantId": "acme-corp", "tenantUserId": "user_123" },
                "metadata": metadata,
            });
            let call = client
                .work_orders()
                .create("Fix it", WorkspaceSource::git("https://github.com/your-org/your-repo"))
                .tenant("acme-corp", "user_123");
            let pending = tokio::spawn(if reconcile { call.reconcile() } else { call }.into_future());
            while simulator.request_count() == 0 {
                tokio::task::yield_now().await;
            }
            let raw = reqwest::Client::new();
            let post = raw.post(format!("{}/v1/work-orders", simulator.url())).bearer_auth(simulator.api_key());
            let order = if metadata.is_null() { without_metadata(order) } else { order };
            assert_eq!(post.json(&order).send().await.unwrap().status(), 201);
            match pending.await.unwrap() {
                Ok(created) => assert!(reconcile && created.work_order_id == "wo_000002", "{created:?}"),
                Err(error) => assert!(error.may_have_reached_server(), "{error}"),
            }
            assert!(simulator.work_order_count() <= 2);
        }
    }
}

fn uuid(number: u32) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

fn without_metadata(mut order: serde_json::Value) -> serde_json::Value {
    order.as_object_mut().unwrap().remove("metadata");
    order
}

#[tokio::test]
async fn the_client_replaces_the_submission_token_and_keeps_other_metadata() {
    let simulator = simulator().await;
    let client = client(&simulator, simulator.url());
    let source = || WorkspaceSource::git("r");
    let first = client.work_orders().create("Fix it", source()).metadata("ticket", 42).await.unwrap();
    let first = client.work_orders().get(&first.work_order_id).await.unwrap();
    // Reuses the metadata of an earlier work order, including its token.
    let mut copy = agentgate::types::NewWorkOrder::new("Fix it", source());
    copy.metadata = Some(first.metadata.clone());
    let mut call = client.work_orders().submit(copy);
    for (key, value) in first.metadata.clone() {
        call = call.metadata(key, value);
    }
    simulator.inject(lost_request());
    let created = call.reconcile().await.unwrap();
    assert_eq!(created.work_order_id, "wo_000002");
    let second = client.work_orders().get(&created.work_order_id).await.unwrap();
    assert_eq!(second.metadata["ticket"], 42);
    assert_ne!(second.metadata["agentgate-submission"], first.metadata["agentgate-submission"]);
}

#[tokio::test]
async fn a_search_is_bounded_and_an_incomplete_search_does_not_resend() {
    let simulator = simulator().await;
    let (mine, other) = (client(&simulator, simulator.url()), client(&simulator, simulator.url()));
    for _ in 0..60 {
        other.work_orders().create("Other", WorkspaceSource::git("r")).await.unwrap();
    }
    simulator.inject(lost_request());
    simulator.clear_requests();
    let error = submit(&mine).await.unwrap_err();
    assert!(error.may_have_reached_server());
    assert!(error.to_string().contains("too many recent work orders"), "{error}");
    // The submission, a page of runs and fifty work orders.
    assert_eq!(simulator.request_count(), 52);
    assert_eq!(simulator.work_order_count(), 60);
}

#[tokio::test]
async fn known_work_orders_are_not_fetched_again() {
    let simulator = simulator().await;
    let client = client(&simulator, simulator.url());
    for _ in 0..60 {
        client.work_orders().create("Other", WorkspaceSource::git("r")).await.unwrap();
    }
    simulator.inject(lost_request());
    simulator.clear_requests();
    submit(&client).await.unwrap();
    // Two submissions, and three searches without an unknown work order.
    assert!(simulator.requests().iter().all(|request| !request.path.starts_with("/v1/work-orders/")));
}

#[tokio::test]
async fn an_ambiguous_work_order_prevents_resubmission() {
    for metadata in [json!({}), json!({ "ticket": "API-42" })] {
        let simulator = simulator().await;
        let client = client(&simulator, simulator.url());
        simulator.inject(lost_response());
        // The service has dropped the token.
        let changed = json!({
            "id": "wo_000001",
            "taskPrompt": "Fix it",
            "workspaceSource": { "type": "git", "repository": "https://github.com/your-org/your-repo", "branch": "main" },
            "metadata": metadata,
        });
        simulator.inject(Fault::response(200, "application/json", changed.to_string()).on("getWorkOrder").times(100));
        assert!(submit(&client).await.unwrap_err().may_have_reached_server());
        assert_eq!(orders(&client).await, 1);
    }
}

#[tokio::test]
async fn a_run_without_a_work_order_prevents_resubmission() {
    let simulator = simulator().await;
    let client = client(&simulator, simulator.url());
    simulator.inject(lost_response());
    simulator.inject(Fault::error("RESOURCE_NOT_FOUND").on("getWorkOrder").times(100));
    assert!(submit(&client).await.unwrap_err().may_have_reached_server());
    assert_eq!(orders(&client).await, 1);
}

#[tokio::test]
async fn a_failed_search_prevents_resubmission() {
    let simulator = simulator().await;
    let client = client(&simulator, simulator.url());
    simulator.inject(lost_response());
    simulator.inject(Fault::error("SCOPE_REQUIRED").on("listRuns").times(100));
    let error = submit(&client).await.unwrap_err();
    assert_eq!(error.status().unwrap(), 502);
    assert!(error.may_have_reached_server());
    assert_eq!(simulator.requests().iter().filter(|request| request.method == "POST").count(), 1);
}

#[tokio::test]
async fn an_undecodable_success_prevents_resubmission() {
    let simulator = simulator().await;
    let client = client(&simulator, simulator.url());
    simulator.inject(Fault::response(201, "application/json", "{\"workOrderId\": \"wo").on("createWorkOrder"));
    let error = submit(&client).await.unwrap_err();
    assert!(error.is_decode() && error.may_have_reached_server());
    assert_eq!(simulator.requests().iter().filter(|request| request.method == "POST").count(), 1);
}

#[tokio::test]
async fn a_rejected_submission_is_not_searched_for() {
    let simulator = simulator().await;
    let client = client(&simulator, simulator.url());
    simulator.set_credits(0);
    let error = submit(&client).await.unwrap_err();
    assert!(error.is_insufficient_credits());
    assert_eq!(simulator.request_count(), 1);
}

#[tokio::test]
async fn the_last_error_mentions_the_search() {
    let simulator = simulator().await;
    let client = client(&simulator, simulator.url());
    simulator.inject(lost_request().times(100));
    let error = submit(&client).await.unwrap_err();
    assert!(error.may_have_reached_server());
    assert!(error.to_string().contains("the work order was not found among the recent runs"), "{error}");
    assert_eq!(simulator.requests().iter().filter(|request| request.method == "POST").count(), 21);
    assert_eq!(orders(&client).await, 0);
}

#[tokio::test]
async fn a_deadline_ends_the_search() {
    let simulator = simulator().await;
    let client = client(&simulator, simulator.url());
    simulator.inject(lost_response());
    let source = WorkspaceSource::git("r");
    let call = client.work_orders().create("x", source).deadline(Duration::from_millis(500)).reconcile();
    assert!(call.await.unwrap_err().may_have_reached_server());
    assert_eq!(orders(&client).await, 1);
}

/// Submits through a proxy that cuts connections. Returns the number of responses, and of work orders per submission.
async fn submit_through_lossy_network(seed: u64, submissions: usize, reconcile: bool) -> (usize, Vec<usize>) {
    println!("seed {seed}");
    let simulator = simulator().await;
    let proxy = Proxy::start(simulator.url(), seed, 0.3).await;
    let client = client(&simulator, &proxy.url());
    let mut responded = 0;
    // A few at a time, to limit the number of sockets.
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..submissions {
        simulator.advance(Duration::from_secs(3));
        let call = client.work_orders().create(format!("Task {number}"), WorkspaceSource::template("python-flask"));
        if reconcile {
            tasks.spawn(call.reconcile().into_future());
        } else {
            tasks.spawn(call.into_future());
        }
        while tasks.len() >= 8 {
            responded += usize::from(tasks.join_next().await.unwrap().unwrap().is_ok());
        }
    }
    while let Some(result) = tasks.join_next().await {
        responded += usize::from(result.unwrap().is_ok());
    }
    assert!(proxy.cuts() > submissions / 10, "{} cuts", proxy.cuts());

    let mut counts = vec![0; submissions];
    let direct = self::client(&simulator, simulator.url());
    let total = orders(&direct).await;
    for number in 1..=total {
        let order = direct.work_orders().get(format!("wo_{number:06}")).await.unwrap();
        let submission: usize = order.task_prompt.as_ref().unwrap()["Task ".len()..].parse().unwrap();
        counts[submission] += 1;
    }
    (responded, counts)
}

#[tokio::test]
async fn a_thousand_reconciled_submissions_over_a_lossy_network_create_a_thousand_work_orders() {
    let (responded, counts) = submit_through_lossy_network(fastrand::u64(..), 1_000, true).await;
    assert_eq!(responded, 1_000);
    assert!(counts.iter().all(|count| *count == 1), "{counts:?}");
}

#[tokio::test]
async fn without_reconcile_no_submission_over_a_lossy_network_is_duplicated() {
    let (responded, counts) = submit_through_lossy_network(fastrand::u64(..), 1_000, false).await;
    println!("{responded} responses, {} work orders", counts.iter().sum::<usize>());
    assert!(counts.iter().all(|count| *count <= 1), "{counts:?}");
    assert!(responded < 1_000, "the proxy cut no connection");
}
