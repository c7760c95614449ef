//! Paginated lists as streams: against the simulator, and against services with wrong totals, repeated pages or endless
//! lists.

use std::future::{Future, poll_fn};
use std::ops::Range;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use agentgate::resources::{Items, Pages};
use agentgate::serde_json::{Value, json};
use agentgate::simulator::{Fault, RunPlan, Simulator};
use agentgate::types::{CreditTransactionType, RunPage, RunStatus, RunSummary};
use agentgate::{Client, ErrorKind, RateLimitMode, Result, WorkspaceSource};
use axum::extract::{RawQuery, State};
use axum::{Router, http::header::CONTENT_TYPE, response::IntoResponse, routing::get};
use tokio::sync::Semaphore;

// The simulator

async fn simulator() -> (Simulator, Client) {
    let simulator = Simulator::builder()
        .rate_limit(1_000_000)
        .submission_limit(1_000_000)
        .concurrent_runs(1_000_000)
        .price(1)
        .default_run(RunPlan::succeeds().pending(Duration::ZERO).running(Duration::from_secs(600)))
        .start()
        .await
        .unwrap();
    let client = client(simulator.url(), simulator.api_key());
    (simulator, client)
}

fn client(url: &str, key: &str) -> Client {
    let client = Client::builder().api_key(key).base_url(url).rate_limit_mode(RateLimitMode::Off);
    client.submissions_per_minute(1_000_000).max_retries(0).build().unwrap()
}

/// Submits `count` work orders. Returns the ids of their runs, newest first.
async fn submit(client: &Client, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..count {
        let order = client.work_orders().create("Fix it", WorkspaceSource::template("python-flask"));
        ids.push(order.tenant("acme-corp", "user_123").await.unwrap().run_id.to_string());
    }
    ids.reverse();
    ids
}

async fn ids(mut runs: Items<RunSummary>) -> Vec<String> {
    let mut ids = Vec::new();
    while let Some(run) = runs.next().await {
        ids.push(run.unwrap().id.to_string());
    }
    ids
}

/// Returns the queries of the received list requests.
fn queries(simulator: &Simulator) -> Vec<String> {
    simulator
        .requests()
        .into_iter()
        .filter(|request| request.method == "GET")
        .filter_map(|request| request.query)
        .collect()
}

#[tokio::test]
async fn all_runs_are_returned_in_list_order() {
    let (_simulator, client) = simulator().await;
    let expected = submit(&client, 250).await;
    assert_eq!(ids(client.runs().list().items()).await, expected);
    assert_eq!(ids(client.runs().list().limit(7).offset(13).items()).await, expected[13..]);
    let mut pages = client.runs().list().limit(99).pages();
    let (mut from_pages, mut sizes) = (Vec::new(), Vec::new());
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        sizes.push(page.data.len());
        assert_eq!((page.total, (&page).into_iter().count()), (Some(250), page.data.len()));
        from_pages.extend(page.into_iter().map(|run| run.id.to_string()));
    }
    assert_eq!((from_pages, sizes), (expected, vec![99, 99, 52]));
}

#[tokio::test]
async fn filters_and_page_size_are_sent_with_every_page() {
    let (simulator, client) = simulator().await;
    submit(&client, 25).await;
    simulator.clear_requests();
    let runs = client.runs().list().status(RunStatus::Running).tenant("acme-corp").tenant_user("user_123").limit(10);
    assert_eq!(ids(runs.items()).await.len(), 25);
    let filters = "status=running&tenantId=acme-corp&tenantUserId=user_123";
    // The last request proves the end.
    let expected = [0, 9, 18, 25].map(|offset| format!("limit=10&offset={offset}&{filters}"));
    assert_eq!(queries(&simulator), expected);
    simulator.clear_requests();
    assert_eq!(ids(client.runs().list().items()).await.len(), 25);
    assert_eq!(queries(&simulator), ["limit=100&offset=0", "limit=100&offset=25"]);
}

#[tokio::test]
async fn an_invalid_limit_is_an_error_that_ends_the_stream() {
    let (_simulator, client) = simulator().await;
    for limit in [0, 101] {
        let mut runs = client.runs().list().limit(limit).items();
        assert!(runs.next().await.unwrap().unwrap_err().is_invalid_request());
        assert!(runs.next().await.is_none());
    }
}

#[tokio::test]
async fn max_items_ends_the_stream_and_limits_the_page_size() {
    let (simulator, client) = simulator().await;
    let expected = submit(&client, 30).await;
    for (most, requests) in
        [(0, vec![]), (5, vec!["limit=5&offset=0"]), (12, vec!["limit=10&offset=0", "limit=10&offset=9"])]
    {
        simulator.clear_requests();
        let given = ids(client.runs().list().limit(10).items().max_items(most)).await;
        assert_eq!(given, expected[..most]);
        assert_eq!(queries(&simulator), requests);
    }
    simulator.clear_requests();
    let mut pages = client.runs().list().limit(10).pages().max_items(12);
    assert_eq!(pages.next().await.unwrap().unwrap().data.len(), 10);
    assert_eq!(pages.next().await.unwrap().unwrap().data.len(), 2);
    assert!(pages.next().await.is_none());
    assert_eq!(queries(&simulator), ["limit=10&offset=0", "limit=2&offset=10"]);
}

#[tokio::test]
async fn no_run_is_missed_if_earlier_ones_leave_the_filtered_list() {
    let (_simulator, client) = simulator().await;
    let expected = submit(&client, 60).await;
    let mut runs = client.runs().list().status(RunStatus::Running).limit(10).items().read_ahead(false);
    let mut given = Vec::new();
    while let Some(run) = runs.next().await {
        let run = run.unwrap();
        // A cancelled run leaves the filtered list.
        client.runs().cancel(&run.id).await.unwrap();
        given.push(run.id.to_string());
    }
    assert_eq!(given, expected);
}

#[tokio::test]
async fn no_run_is_duplicated_if_new_ones_are_added() {
    let (_simulator, client) = simulator().await;
    let expected = submit(&client, 60).await;
    for reads_ahead in [true, false] {
        let mut runs = client.runs().list().offset(0).limit(10).items().read_ahead(reads_ahead);
        let mut given = Vec::new();
        while let Some(run) = runs.next().await {
            given.push(run.unwrap().id.to_string());
            if given.len() % 20 == 0 {
                submit(&client, 15).await;
            }
        }
        given.retain(|id| expected.contains(id));
        assert_eq!(given, expected);
    }
}

#[tokio::test]
async fn credit_usage_is_paginated() {
    let (simulator, client) = simulator().await;
    submit(&client, 30).await;
    simulator.clear_requests();
    let mut usage = client.credits().usage().kind(CreditTransactionType::Deduction).limit(20).items();
    let mut count = 0;
    while let Some(transaction) = usage.next().await {
        assert!(transaction.unwrap().run_id.is_some());
        count += 1;
    }
    assert_eq!(count, 30);
    let expected = [0, 19, 30].map(|offset| format!("limit=20&offset={offset}&type=deduction"));
    assert_eq!(queries(&simulator), expected);
    let page = client.credits().usage().tenant("acme-corp").pages().next().await.unwrap().unwrap();
    assert_eq!((page.transactions.len(), page.into_iter().count()), (30, 30));
}

#[tokio::test]
async fn lists_whose_shape_is_not_known_are_read_to_their_end() {
    let (simulator, client) = simulator().await;
    assert!(client.webhooks().list().pages().next().await.is_none());
    for number in 0..45 {
        let url = format!("https://app.example.com/{number}");
        client.webhooks().create(url, ["run.completed"]).await.unwrap();
    }
    simulator.clear_requests();
    let webhooks: Vec<_> = client.webhooks().list().items().try_collect().await.unwrap();
    assert_eq!((webhooks.len(), webhooks[44].url.as_deref()), (45, Some("https://app.example.com/44")));
    // By the default size of a page, as the largest is not known.
    assert_eq!(queries(&simulator), [0, 19, 38, 45].map(|offset| format!("limit=20&offset={offset}")));
    let pages: Vec<_> = client.webhooks().list().pages().try_collect().await.unwrap();
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [20, 20, 5]);
    let mut built_in = client.templates().list().items().max_items(3);
    for _ in 0..3 {
        assert_eq!(built_in.next().await.unwrap().unwrap().built_in, Some(true));
    }
    assert!(built_in.next().await.is_none());
    assert_eq!(client.templates().list().tag("no-such").items().next().await.map(Result::unwrap), None);
}

#[tokio::test]
async fn items_with_json_returns_the_json_of_each_item_whatever_the_key_of_the_list() {
    let (simulator, client) = simulator().await;
    let run = |id: &str, new: &str| format!(r#"{{"id":"{id}","workOrderId":"wo_1","status":"pending","new":{new}}}"#);
    let runs = [run("run_2", "7"), run("run_1", r#"{"a":"\ud83d"}"#)].join(",");
    for body in [format!(r#"{{"data":[{runs}],"total":2}}"#), format!(r#"{{"data":{{"data":[{runs}],"total":2}}}}"#)] {
        simulator.inject(Fault::response(200, "application/json", body));
        let runs: Vec<_> = client.runs().list().items_with_json().try_collect().await.unwrap();
        let seen: Vec<_> = runs.iter().map(|run| (run.id.as_str(), run.json["new"].clone())).collect();
        assert_eq!(seen, [("run_2", json!(7)), ("run_1", json!({ "a": "\u{fffd}" }))]);
    }
    client.webhooks().create("https://example.com/a", ["run.failed"]).await.unwrap();
    let webhooks: Vec<_> = client.webhooks().list().items_with_json().try_collect().await.unwrap();
    assert_eq!((webhooks.len(), &webhooks[0].json["url"]), (1, &json!("https://example.com/a")));
    let webhook = r#"{"id":"wh_1","url":"https://h","events":[],"enabled":true,"new":7}"#;
    for body in ["[W]", r#"{"webhooks":[W],"total":1}"#, r#"{"data":{"items":[W],"total":1}}"#] {
        simulator.inject(Fault::response(200, "application/json", body.replace('W', webhook)));
        let first = client.webhooks().list().items_with_json().next().await.unwrap().unwrap();
        assert_eq!(first.json["new"], 7, "{body}");
    }
    submit(&client, 2).await;
    let usage: Vec<_> = client.credits().usage().items_with_json().try_collect().await.unwrap();
    assert_eq!((usage.len(), &usage[0].json["tenantId"]), (2, &json!("acme-corp")));
}

#[tokio::test]
async fn try_collect_returns_all_items_or_the_first_error() {
    let (simulator, client) = simulator().await;
    let submitted = submit(&client, 5).await;
    let runs: Vec<RunSummary> = client.runs().list().limit(2).items().try_collect().await.unwrap();
    assert_eq!(runs.len(), submitted.len());
    let pages: Vec<RunPage> = client.runs().list().limit(2).pages().try_collect().await.unwrap();
    assert_eq!(pages.iter().map(|page| page.data.len()).collect::<Vec<_>>(), [2, 2, 1]);
    simulator.inject(Fault::error("RESOURCE_NOT_FOUND"));
    let error = client.runs().list().items().try_collect::<Vec<_>>().await.unwrap_err();
    assert!(error.is_not_found());
}

#[tokio::test]
async fn a_transient_failure_loses_no_items() {
    let (simulator, client) = simulator().await;
    let expected = submit(&client, 35).await;
    let mut runs = client.runs().list().limit(10).items();
    let (mut given, mut errors) = (Vec::new(), Vec::new());
    while let Some(run) = runs.next().await {
        match run {
            Ok(run) => given.push(run.id.to_string()),
            Err(error) => errors.push(error.kind()),
        }
        if given.len() == 12 && errors.is_empty() {
            simulator.inject(Fault::error("SERVICE_UNAVAILABLE").times(2));
        }
    }
    assert_eq!(given, expected);
    assert_eq!(errors, [ErrorKind::Unavailable, ErrorKind::Unavailable]);
}

#[tokio::test]
async fn a_permanent_failure_ends_the_stream() {
    let (simulator, client) = simulator().await;
    submit(&client, 35).await;
    let mut runs = client.runs().list().limit(10).items().read_ahead(false);
    for _ in 0..10 {
        runs.next().await.unwrap().unwrap();
    }
    simulator.inject(Fault::error("EXPIRED_API_KEY").times(u32::MAX));
    assert!(runs.next().await.unwrap().unwrap_err().is_authentication());
    assert!(runs.next().await.is_none());
}

#[tokio::test]
async fn a_stream_ends_after_100_consecutive_failures() {
    let client = client("http://127.0.0.1:1", "org_live_1");
    let mut runs = client.runs().list().items();
    let mut failures = 0;
    while let Some(run) = runs.next().await {
        assert!(run.unwrap_err().is_connect());
        failures += 1;
    }
    assert_eq!(failures, 100);
}

// A scripted service

#[derive(Default)]
struct RunList {
    /// The numbers of runs, oldest first.
    runs: Vec<usize>,
    /// Runs still to be added, one after each response.
    growth: Range<usize>,
    requests: usize,
    responses: usize,
}

type Rule = dyn Fn(&mut RunList, usize, usize) -> Value + Send + Sync;

#[derive(Clone)]
struct Service {
    list: Arc<Mutex<RunList>>,
    rule: Arc<Rule>,
    /// Permits to respond.
    permits: Arc<Semaphore>,
}

fn run(number: usize) -> Value {
    json!({ "id": format!("run_{number}"), "workOrderId": "wo_1", "status": "running" })
}

/// Returns the requested page.
fn requested_page(list: &RunList, limit: usize, offset: usize) -> Vec<Value> {
    list.runs.iter().rev().skip(offset).take(limit).map(|number| run(*number)).collect()
}

async fn respond(State(service): State<Service>, RawQuery(query): RawQuery) -> impl IntoResponse {
    let query = query.unwrap();
    let number = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)).unwrap().parse().unwrap();
    let (limit, offset) = (number("limit="), number("offset="));
    service.list.lock().unwrap().requests += 1;
    service.permits.acquire().await.unwrap().forget();
    let mut list = service.list.lock().unwrap();
    let response = (service.rule)(&mut list, limit, offset);
    list.responses += 1;
    ([(CONTENT_TYPE, "application/json")], response.to_string())
}

/// Serves `count` runs by a rule.
async fn serve(
    count: usize,
    rule: impl Fn(&mut RunList, usize, usize) -> Value + Send + Sync + 'static,
) -> (Service, Client) {
    let list = RunList { runs: (0..count).collect(), ..RunList::default() };
    let permits = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS / 2));
    let service = Service { list: Arc::new(Mutex::new(list)), rule: Arc::new(rule), permits };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client(&format!("http://{}", listener.local_addr().unwrap()), "org_live_1");
    let router = Router::new().route("/v1/runs", get(respond)).with_state(service.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (service, client)
}

impl Service {
    fn requests(&self) -> usize {
        self.list.lock().unwrap().requests
    }

    fn responses(&self) -> usize {
        self.list.lock().unwrap().responses
    }
}

/// Returns the items, and the error at the end if there is one.
async fn read(mut runs: Items<RunSummary>) -> (Vec<usize>, Option<String>) {
    let (mut given, mut end) = (Vec::new(), None);
    while let Some(run) = runs.next().await {
        assert!(end.is_none(), "the stream continues after the error");
        match run {
            Ok(run) => given.push(run.id.as_str().strip_prefix("run_").unwrap().parse().unwrap()),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Pagination);
                end = Some(error.to_string());
            }
        }
    }
    (given, end)
}

async fn read_pages(mut pages: Pages<RunPage>) -> (usize, Option<String>) {
    let (mut count, mut end) = (0, None);
    while let Some(page) = pages.next().await {
        assert!(end.is_none(), "the stream continues after the error");
        match page {
            Ok(page) => count += page.data.len(),
            Err(error) => end = Some(error.to_string()),
        }
    }
    (count, end)
}

fn newest_first(count: usize) -> Vec<usize> {
    (0..count).rev().collect()
}

const REPEATS: &str = "could not list runs: the service returned the same page 4 times for different \
                       offsets. The list is incomplete; look for a proxy that caches responses or drops the query.";

#[tokio::test]
async fn a_list_with_smaller_pages_than_requested_is_read_to_the_end() {
    for cap in [1, 2, 7, 50] {
        let (service, client) = serve(120, move |list, limit, offset| {
            json!({ "data": requested_page(list, limit.min(cap), offset), "limit": cap, "offset": offset, "total": 120 })
        })
        .await;
        assert_eq!(read(client.runs().list().items()).await, (newest_first(120), None));
        assert!(service.requests() <= 10 + 120 / (cap - 1).max(1), "{cap}: {}", service.requests());
        assert_eq!(read_pages(client.runs().list().pages()).await, (120, None));
    }
}

#[tokio::test]
async fn a_total_that_is_missing_or_too_small_loses_no_items() {
    for total in [json!(null), json!(0), json!(3), json!(119), json!(249)] {
        let reported = total.clone();
        let (service, client) = serve(
            250,
            move |list, limit, offset| json!({ "data": requested_page(list, limit, offset), "total": reported }),
        )
        .await;
        assert_eq!(read(client.runs().list().items()).await, (newest_first(250), None));
        assert!(service.requests() <= 6, "{total}: {}", service.requests());
        assert_eq!(read_pages(client.runs().list().pages()).await, (250, None));
    }
}

#[tokio::test]
async fn a_list_that_ends_before_its_total_is_an_error_after_the_last_item() {
    for (count, total) in [(0, 57), (10, 57), (120, 121), (250, 1_000_000)] {
        let (service, client) = serve(
            count,
            move |list, limit, offset| json!({ "data": requested_page(list, limit, offset), "total": total }),
        )
        .await;
        let (given, end) = read(client.runs().list().items()).await;
        assert_eq!(given, newest_first(count));
        let expected = format!("the service reports {total} items in all, and sends none after the first {count}.");
        assert!(end.unwrap().contains(&expected));
        assert!(service.requests() <= 9, "{}", service.requests());
        let (given, end) = read_pages(client.runs().list().pages()).await;
        assert_eq!(given, count);
        assert!(end.unwrap().contains(&expected));
    }
}

#[tokio::test]
async fn a_short_page_does_not_end_a_list() {
    // By bytes, or filtered after it was read.
    let (_service, client) = serve(57, |list, limit, offset| {
        let limit = if offset == 9 { 1 } else { limit };
        json!({ "data": requested_page(list, limit, offset), "total": 57 })
    })
    .await;
    assert_eq!(read(client.runs().list().limit(10).items()).await, (newest_first(57), None));
    // The total is that of the page.
    let (_service, client) = serve(57, |list, limit, offset| {
        let page = requested_page(list, limit.min(3 + offset % 7), offset);
        json!({ "total": page.len(), "data": page })
    })
    .await;
    assert_eq!(read(client.runs().list().limit(10).items()).await, (newest_first(57), None));
    assert_eq!(read_pages(client.runs().list().limit(10).pages()).await, (57, None));
}

#[tokio::test]
async fn a_service_that_repeats_its_last_page_behind_the_end_is_read_to_the_end() {
    for limit in [10, 57] {
        let (_service, client) = serve(57, |list, limit, offset| {
            let offset = if offset >= 57 { 57 / limit * limit - usize::from(limit == 57) * 57 } else { offset };
            json!({ "data": requested_page(list, limit, offset), "total": 57 })
        })
        .await;
        assert_eq!(read(client.runs().list().limit(limit).items()).await, (newest_first(57), None));
        assert_eq!(read_pages(client.runs().list().limit(limit).pages()).await, (57, None));
    }
}

#[tokio::test]
async fn a_list_whose_filter_empties_a_page_ends_with_an_error() {
    // The service filters after it has read a page.
    let (_service, client) = serve(57, |list, limit, offset| {
        let page = requested_page(list, limit, offset);
        json!({ "data": if (20..40).contains(&offset) { Vec::new() } else { page }, "total": 57 })
    })
    .await;
    let (given, end) = read(client.runs().list().limit(10).items()).await;
    assert!(newest_first(57).starts_with(&given) && end.is_some(), "{given:?}");
}

#[tokio::test]
async fn a_page_from_a_cache_neither_ends_a_list_nor_counts_as_the_whole() {
    // A cache that ignores the query has one run of 250; it shows its age, or only the id of the request.
    for header in [("age", "30"), ("x-request-id", "req_1")] {
        for total in [json!(250), json!(null)] {
            let body = json!({ "data": [run(1)], "total": total }).to_string();
            let simulator = simulator().await.0;
            let client = client(simulator.url(), simulator.api_key());
            let page = Fault::response(200, "application/json", body).on("listRuns").header(header.0, header.1);
            simulator.inject(page.times(u32::MAX));
            let (given, end) = read(client.runs().list().items()).await;
            assert_eq!(given, [1]);
            assert!(end.unwrap().contains("the same page"), "{header:?} {total}");
        }
    }
}

#[tokio::test]
async fn an_ignored_offset_is_an_error_after_four_identical_pages() {
    for total in [json!(null), json!(250)] {
        let (service, client) =
            serve(250, move |list, limit, _| json!({ "data": requested_page(list, limit, 0), "total": total })).await;
        let (given, end) = read(client.runs().list().items()).await;
        assert_eq!((given.len(), end.as_deref(), service.requests()), (100, Some(REPEATS), 4));
        let (given, end) = read_pages(client.runs().list().pages()).await;
        assert_eq!((given, end.as_deref(), service.requests()), (100, Some(REPEATS), 8));
    }
}

#[tokio::test]
async fn a_list_returned_whole_on_every_request_is_read_once() {
    for (count, total) in [(250, json!(null)), (250, json!(250)), (100, json!(100))] {
        let (service, client) =
            serve(count, move |list, _, _| json!({ "data": requested_page(list, 1_000, 0), "total": total })).await;
        assert_eq!(read(client.runs().list().items()).await, (newest_first(count), None));
        assert!(service.requests() <= 4);
        assert_eq!(read_pages(client.runs().list().pages()).await, (count, None));
    }
}

#[tokio::test]
async fn a_list_that_grows_as_fast_as_it_is_read_is_an_error_after_1000_pages() {
    let (service, client) = serve(0, |_, limit, offset| {
        let data: Vec<_> = (offset..offset + limit).map(run).collect();
        json!({ "data": data, "total": offset + 2 * limit })
    })
    .await;
    let (given, end) = read(client.runs().list().limit(3).items()).await;
    assert_eq!((given.len(), service.requests()), (2_003, 1_001));
    assert_eq!(
        end.unwrap(),
        "could not list runs: the list grows as fast as it is read: after 1000 pages, as many items remain. Limit \
         the list with `max_items`, or narrow the list with a filter."
    );
}

#[tokio::test]
async fn a_list_that_never_shows_an_item_again_ends_with_an_error() {
    let (service, client) = serve(0, |list, limit, _| {
        let first = limit * list.responses;
        json!({ "data": (first..first + limit).map(run).collect::<Vec<_>>() })
    })
    .await;
    let (_, end) = read(client.runs().list().items()).await;
    assert!(service.requests() < 50, "{}", service.requests());
    assert_eq!(
        end.unwrap(),
        "could not list runs: all items that were returned have left the list, so the position in it is lost. Start \
         again without an `offset`, or without a filter by a transient status."
    );
}

#[tokio::test]
async fn an_empty_page_ends_the_stream() {
    let (service, client) = serve(0, |_, _, _| json!({ "data": [], "total": 0 })).await;
    assert_eq!(read(client.runs().list().items()).await, (vec![], None));
    assert_eq!(read_pages(client.runs().list().pages()).await, (0, None));
    assert_eq!(service.requests(), 2);
}

#[tokio::test]
async fn more_than_a_page_of_new_items_between_requests_neither_duplicates_nor_loses_items() {
    let (_service, client) = serve(500, |list, limit, offset| {
        let response = json!({ "data": requested_page(list, limit, offset), "total": list.runs.len() });
        let next = list.runs.len();
        if list.responses < 5 {
            list.runs.extend(next..next + 450);
        }
        response
    })
    .await;
    let (mut given, end) = read(client.runs().list().items()).await;
    let count = given.len();
    assert_eq!(given.iter().collect::<std::collections::HashSet<_>>().len(), count);
    given.retain(|number| *number < 500);
    assert_eq!((given, end), (newest_first(500), None));
}

// Dropping

#[tokio::test]
async fn the_next_page_is_requested_while_the_current_one_is_read() {
    let (service, client) =
        serve(30, |list, limit, offset| json!({ "data": requested_page(list, limit, offset), "total": 30 })).await;
    for (reads_ahead, most) in [(true, 2), (false, 1)] {
        service.list.lock().unwrap().requests = 0;
        let mut runs = client.runs().list().limit(10).items().read_ahead(reads_ahead);
        for _ in 0..9 {
            runs.next().await.unwrap().unwrap();
            while reads_ahead && service.requests() < most {
                // The request progresses only while other tasks run.
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(service.requests(), most);
    }
}

#[tokio::test]
async fn a_stream_dropped_at_any_point_sends_no_further_request() {
    let (service, client) =
        serve(30, |list, limit, offset| json!({ "data": requested_page(list, limit, offset), "total": 30 })).await;
    // Drops the stream after this many polls.
    for polls in 0..60 {
        let mut runs = client.runs().list().limit(10).items();
        let mut given = Vec::new();
        for _ in 0..polls {
            let next = poll_fn(|context| Poll::Ready(pin!(runs.next()).poll(context))).await;
            match next {
                Poll::Ready(Some(run)) => given.push(run.unwrap().id.to_string()),
                Poll::Ready(None) => break,
                // Dropping the future of `next` loses nothing.
                Poll::Pending => tokio::task::yield_now().await,
            }
        }
        let expected: Vec<_> = newest_first(30).iter().map(|number| format!("run_{number}")).collect();
        assert_eq!(given, expected[..given.len()]);
    }
    // A dropped stream requests no further page.
    let before = service.requests();
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert!(service.requests() <= before + 1);
    assert_eq!(ids(client.runs().list().limit(10).items()).await.len(), 30);
}

#[tokio::test]
async fn a_stream_dropped_while_waiting_closes_its_connection() {
    let (service, client) = serve(30, |_, _, _| panic!("no response is expected")).await;
    service.permits.forget_permits(usize::MAX);
    let mut runs = client.runs().list().items();
    while service.requests() == 0 {
        assert!(pin!(runs.next()).poll(&mut Context::from_waker(Waker::noop())).is_pending());
        tokio::task::yield_now().await;
    }
    // The handler holds a clone of the service, until hyper sees that the connection is closed.
    let waiting = Arc::strong_count(&service.list);
    drop(runs);
    while Arc::strong_count(&service.list) >= waiting {
        tokio::task::yield_now().await;
    }
    assert_eq!(service.responses(), 0);
}

// A long list

/// Reads to the end, and counts the occurrences of each run.
async fn count(mut runs: Items<RunSummary>, counts: &mut [u8]) {
    while let Some(run) = runs.next().await {
        let number: usize = run.unwrap().id.as_str().strip_prefix("run_").unwrap().parse().unwrap();
        if let Some(count) = counts.get_mut(number) {
            *count += 1;
        }
    }
}

/// Returns the peak memory and the number of requests for reading `runs` runs while `new` ones are added.
fn peak(runs: usize, new: usize) -> (u64, usize) {
    // The service runs on its own thread, so its memory is not counted.
    let (sender, receiver) = std::sync::mpsc::channel();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (service, client) = serve(runs, |list, limit, offset| {
                let response = json!({ "data": requested_page(list, limit, offset), "total": list.runs.len() });
                let number = list.growth.next();
                list.runs.extend(number);
                response
            })
            .await;
            service.list.lock().unwrap().growth = runs..runs + new;
            sender.send((service, client)).unwrap();
            let _ = stopped.await;
        });
    });
    let (service, client) = receiver.recv().unwrap();
    let mut counts = vec![0; runs];
    let measured = allocation_counter::measure(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(count(client.runs().list().items(), &mut counts));
    });
    assert!(counts.iter().all(|count| *count == 1));
    assert_eq!(service.list.lock().unwrap().growth.len(), 0);
    drop(stop);
    server.join().unwrap();
    (measured.bytes_max, service.requests())
}

#[test]
fn a_hundred_thousand_runs_are_read_once_in_100_bytes_per_run_while_others_are_added() {
    let (few, _) = peak(2_000, 20);
    let (many, requests) = peak(100_000, 1_000);
    println!("2,000 runs: {few} bytes at most; 100,000 runs: {many} bytes at most, {requests} requests");
    assert!(many < few + 100 * 98_000, "{few} bytes for 2,000 runs, {many} bytes for 100,000");
    assert!(requests < 1_100, "{requests}");
}
