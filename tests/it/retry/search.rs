//! The search for a lost submission, in lists that lie, through caches and outages. A model service responds.

use std::collections::HashMap;
use std::future::IntoFuture as _;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agentgate::chrono::{DateTime, TimeDelta, Utc};
use agentgate::events::CallEvent;
use agentgate::resources::{SubmissionState, SubmissionToken};
use agentgate::serde_json::{self, Value, json};
use agentgate::test_util::{Replay, Reply, TokioClock};
use agentgate::types::{RunId, WorkOrderCreated};
use agentgate::{Client, Clock as _, Error, RateLimitMode, Result, WorkspaceSource};
use common::clock::WrongClock;
use fastrand::Rng;

const SECOND: Duration = Duration::from_secs(1);

/// The outcome of a submission at the service.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Post {
    Accepted,
    /// The order is accepted, and the response lost.
    Lost,
    /// As before, and nothing responds for this many seconds.
    LostInOutage(u64),
    /// A proxy has sent it twice, and lost both responses.
    Doubled,
    /// It has not reached the service.
    NotArrived,
    Refused,
}

/// What a list reports as its total.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Total {
    Right,
    Missing,
    TooSmall,
    TooLarge,
    OfPage,
}

#[derive(Clone, Copy, Debug)]
struct Cache {
    ignores_query: bool,
    /// The header that shows a response to be cached. None can be seen without it, unless the query is varied.
    header: Option<&'static str>,
    seconds: u64,
}

#[derive(Clone, Debug)]
struct Order {
    token: Value,
    created_at: DateTime<Utc>,
}

struct Service {
    clock: TokioClock,
    orders: Vec<Order>,
    posts: Vec<Post>,
    outage: Range<DateTime<Utc>>,
    total: Total,
    short_pages: bool,
    /// Lists have no entries.
    empty_lists: bool,
    cache: Option<Cache>,
    /// The difference of the `Date` of responses to the times of runs.
    ahead: TimeDelta,
    cached: HashMap<String, (DateTime<Utc>, u64, Value)>,
    responses: u64,
    rng: Rng,
}

type Shared = Arc<Mutex<Service>>;

impl Service {
    fn respond(&mut self, method: &str, target: &str, body: &[u8]) -> Reply {
        let now = self.clock.now();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        if self.outage.contains(&now) {
            return bad_gateway();
        }
        match (method, path) {
            ("POST", _) => self.submit(body),
            ("GET", "/v1/runs") => self.cached(target, |service| service.list(query)),
            ("GET", path) => {
                let number: usize = path.rsplit('_').next().unwrap().parse().unwrap();
                let order = &self.orders[number];
                Reply::json(json!({
                    "id": format!("wo_{number}"), "taskPrompt": "Another", "workspaceSource": { "type": "git", "repository": "r" },
                    "metadata": if order.token.is_null() { json!({}) } else { json!({ "agentgate-submission": order.token }) },
                }))
            }
            _ => panic!("{method} {target}"),
        }
    }

    fn submit(&mut self, body: &[u8]) -> Reply {
        let body: Value = serde_json::from_slice(body).unwrap();
        let post = self.posts.pop().unwrap_or(Post::Accepted);
        let count = match post {
            Post::NotArrived | Post::Refused => 0,
            Post::Doubled => 2,
            _ => 1,
        };
        let (token, created_at) = (body["metadata"]["agentgate-submission"].clone(), self.clock.now());
        self.orders.extend((0..count).map(|_| Order { token: token.clone(), created_at }));
        if let Post::LostInOutage(seconds) = post {
            self.outage = created_at..created_at + TimeDelta::seconds(seconds.try_into().unwrap());
        }
        match post {
            Post::Accepted => {
                let number = self.orders.len() - 1;
                Reply::json(json!({
                    "workOrderId": format!("wo_{number}"), "runId": format!("run_{number}"),
                    "status": "pending", "createdAt": created_at,
                }))
            }
            Post::Refused => Reply::error("INSUFFICIENT_CREDITS"),
            Post::NotArrived if self.rng.bool() => Reply::timeout(),
            Post::Lost if self.rng.bool() => Reply::interruption(),
            _ => bad_gateway(),
        }
    }

    fn list(&mut self, query: &str) -> Value {
        let number = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)).unwrap().parse().unwrap();
        let (limit, offset): (usize, usize) = (number("limit="), number("offset="));
        let size = if self.short_pages { self.rng.usize(1..=limit) } else { limit };
        let listed = if self.empty_lists { &[] } else { &*self.orders };
        let runs = listed.iter().enumerate().rev().skip(offset).take(size).map(|(number, order)| {
            json!({ "id": format!("run_{number}"), "workOrderId": format!("wo_{number}"), "status": "running", "createdAt": order.created_at })
        });
        let data: Vec<Value> = runs.collect();
        let count = self.orders.len();
        let total = match self.total {
            Total::Right => json!(count),
            Total::Missing => Value::Null,
            Total::TooSmall => json!(count / 3),
            Total::TooLarge => json!(count + 57),
            Total::OfPage => json!(data.len()),
        };
        json!({ "data": data, "total": total, "limit": limit, "offset": offset })
    }

    /// Responds from the cache, if it has the response.
    fn cached(&mut self, target: &str, respond: impl FnOnce(&mut Self) -> Value) -> Reply {
        let now = self.clock.now();
        self.responses += 1;
        let Some(cache) = self.cache else {
            let id = format!("req_{}", self.responses);
            let date = (now + self.ahead).format("%a, %d %b %Y %H:%M:%S GMT").to_string();
            return Reply::json(respond(self)).header("x-request-id", &id).header("date", &date);
        };
        let key = if cache.ignores_query { "runs" } else { target };
        let lasts = TimeDelta::seconds(cache.seconds.try_into().unwrap());
        let fresh = self.cached.get(key).filter(|(at, ..)| now - *at < lasts).cloned();
        let (at, id, body) = fresh.unwrap_or_else(|| {
            let entry = (now, self.responses, respond(self));
            self.cached.insert(key.to_owned(), entry.clone());
            entry
        });
        let reply = Reply::json(body);
        match cache.header {
            Some("age") => reply.header("age", &(now - at).num_seconds().to_string()),
            Some(name) => reply.header(name, &format!("req_{id}")),
            None => reply,
        }
    }

    fn own(&self, token: SubmissionToken) -> Vec<usize> {
        let token = json!(token.to_string());
        (0..self.orders.len()).filter(|number| self.orders[*number].token == token).collect()
    }
}

fn bad_gateway() -> Reply {
    Reply::text("<html><h1>502 Bad Gateway</h1></html>").status(502)
}

/// Orders of others, the newest last. Some have no token, or one that no SDK of this kind wrote.
fn others(clock: &TokioClock, count: usize) -> Vec<Order> {
    let token = |number: usize| match number % 4 {
        0 => json!(SubmissionToken::random().to_string()),
        1 => json!("none"),
        2 => json!("00000000-0000-0000-0000-000000000000"),
        _ => Value::Null,
    };
    let age = |number: usize| TimeDelta::minutes(10 * i64::try_from(count - number).unwrap());
    (0..count).map(|number| Order { token: token(number), created_at: clock.now() - age(number) }).collect()
}

fn service(others_count: usize, posts: impl IntoIterator<Item = Post>) -> Service {
    let clock = TokioClock::new();
    let mut posts: Vec<_> = posts.into_iter().collect();
    posts.reverse();
    Service {
        orders: others(&clock, others_count),
        outage: clock.now()..clock.now(),
        clock,
        posts,
        total: Total::Right,
        short_pages: false,
        empty_lists: false,
        cache: None,
        ahead: TimeDelta::zero(),
        cached: HashMap::new(),
        responses: 0,
        rng: Rng::with_seed(7),
    }
}

/// Returns the service, a client of it, the requests, and the runs that are reported as duplicates.
fn start(service: Service) -> (Shared, Client, Replay, Arc<Mutex<Vec<RunId>>>) {
    start_with(service, TimeDelta::zero())
}

/// Starts a service and a client whose clock is ahead of the service's.
fn start_with(service: Service, ahead: TimeDelta) -> (Shared, Client, Replay, Arc<Mutex<Vec<RunId>>>) {
    let clock = WrongClock(service.clock, ahead);
    let shared = Arc::new(Mutex::new(service));
    let replay = Replay::with({
        let shared = Arc::clone(&shared);
        move |request| {
            let target = request.uri().path_and_query().unwrap().as_str();
            shared.lock().unwrap().respond(request.method().as_str(), target, request.body())
        }
    });
    let duplicates = Arc::new(Mutex::new(Vec::new()));
    let client = Client::builder().replay(&replay).clock(clock).rate_limit_mode(RateLimitMode::Off).on_event({
        let duplicates = Arc::clone(&duplicates);
        move |event| {
            if let CallEvent::Duplicate(duplicate) = event {
                duplicates.lock().unwrap().push(duplicate.run_id.clone());
            }
        }
    });
    (shared, client.build().unwrap(), replay, duplicates)
}

fn create(client: &Client) -> agentgate::resources::Call<agentgate::resources::CreateWorkOrder> {
    client.work_orders().create("Fix it", WorkspaceSource::git("r"))
}

fn posts(replay: &Replay) -> usize {
    replay.requests().iter().filter(|request| request.method() == "POST").count()
}

#[tokio::test(start_paused = true)]
async fn an_order_is_found_if_the_client_and_a_gateway_agree_on_another_time_than_the_service() {
    for hours in [-48, -2, 0, 2, 48] {
        for others in [0, 1, 30, 70] {
            let ahead = TimeDelta::hours(hours);
            let mut service = service(others, [Post::LostInOutage(3)]);
            service.ahead = ahead;
            let (_, client, replay, _) = start_with(service, ahead);
            create(&client).reconcile().await.unwrap();
            assert_eq!(posts(&replay), 1, "{hours} hours, {others} others");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_is_found_after_an_outage_that_began_with_its_submission() {
    for seconds in [3, 6, 12, 25] {
        for reconcile in [false, true] {
            let (_, client, replay, _) = start(service(5, [Post::LostInOutage(seconds)]));
            let call = if reconcile { create(&client).reconcile() } else { create(&client) };
            assert_eq!(call.await.unwrap().run_id, "run_5", "{seconds} s");
            assert_eq!(posts(&replay), 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_submitted_again_after_an_outage_of_all_looks_or_a_look_that_failed() {
    for seconds in [40, 400] {
        let (_, client, replay, _) = start(service(5, [Post::LostInOutage(seconds)]));
        let error = create(&client).reconcile().await.unwrap_err();
        assert!(error.may_have_reached_server(), "{error}");
        assert_eq!(posts(&replay), 1);
    }
    // The first look fails, and the others do not find the order, which is not there.
    let mut service = service(5, [Post::NotArrived]);
    service.outage = service.clock.now() + SECOND..service.clock.now() + 6 * SECOND;
    let (_, client, replay, _) = start(service);
    let error = create(&client).reconcile().timeout(SECOND / 2).await.unwrap_err();
    assert!(error.may_have_reached_server(), "{error}");
    assert_eq!(posts(&replay), 1);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_empty_against_its_total_proves_nothing() {
    for resumed in [false, true] {
        let (shared, client, replay, _) = start(Service { empty_lists: true, ..service(57, [Post::Lost]) });
        let call = create(&client).submission_token(SubmissionToken::random());
        let result = if resumed { call.resume(client_now(&shared)).await } else { call.reconcile().await };
        let error = result.unwrap_err();
        assert!(error.to_string().contains("the service reports 5"), "{error}");
        assert_eq!(posts(&replay), usize::from(!resumed));
    }
}

fn client_now(shared: &Shared) -> DateTime<Utc> {
    shared.lock().unwrap().clock.now()
}

#[tokio::test(start_paused = true)]
async fn a_list_from_a_cache_proves_nothing_and_another_page_size_is_another_request() {
    for (ignores_query, header, is_found) in [
        (false, None, true),
        (false, Some("age"), true),
        (true, Some("age"), false),
        (true, Some("x-request-id"), false),
    ] {
        let cache = Cache { ignores_query, header, seconds: 600 };
        let (shared, client, replay, _) = start(Service { cache: Some(cache), ..service(30, [Post::Lost]) });
        // Somebody has listed the runs shortly before.
        for offset in [0, 29, 30] {
            client.runs().list().limit(100).offset(offset).await.unwrap();
        }
        tokio::time::advance(5 * SECOND).await;
        let result = create(&client).reconcile().await;
        assert_eq!(result.is_ok(), is_found, "{ignores_query} {header:?}");
        if let Err(error) = result {
            assert!(error.may_have_reached_server() && error.to_string().contains("cache"), "{error}");
        }
        assert_eq!((posts(&replay), shared.lock().unwrap().orders.len()), (1, 31));
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_order_of_a_submission_is_reported_with_the_id_of_its_run() {
    for reconcile in [false, true] {
        let (_, client, _, duplicates) = start(service(5, [Post::Doubled]));
        let call = if reconcile { create(&client).reconcile() } else { create(&client) };
        assert_eq!(call.await.unwrap().run_id, "run_6");
        assert_eq!(*duplicates.lock().unwrap(), ["run_5"]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_whose_token_is_no_token_of_this_crate_is_nobodys() {
    let (shared, client, _, _) = start(service(8, []));
    let since = client_now(&shared) - TimeDelta::days(1);
    // Without a token, there is nothing to resume.
    let begun = tokio::time::Instant::now();
    assert_eq!(create(&client).resume(since).await.unwrap().run_id, "run_8");
    assert!(begun.elapsed() < SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_response_with_a_wrong_date_hides_no_order() {
    for hours in [-30, -3, 3, 30] {
        let ahead = TimeDelta::hours(hours);
        let (_, client, replay, _) = start(Service { ahead, ..service(5, [Post::Lost]) });
        assert_eq!(create(&client).reconcile().await.unwrap().run_id, "run_5", "{hours} h");
        assert_eq!(posts(&replay), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_submission_that_was_not_sent_is_not_looked_for() {
    let (_, client, replay, _) = start(service(5, []));
    let (submission, call) = create(&client).tracked();
    drop(call);
    let begun = tokio::time::Instant::now();
    assert_eq!(submission.find().await.unwrap(), None);
    assert!(replay.requests().is_empty() && begun.elapsed() < SECOND);
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_request_left_unknown_stays_unknown() {
    let (_, client, _, _) = start(service(5, [Post::NotArrived, Post::Refused]));
    let (submission, call) = create(&client).reconcile().tracked();
    assert!(call.await.unwrap_err().may_have_reached_server());
    assert_eq!(submission.state(), SubmissionState::Unknown);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_and_the_longest_wait_hold_for_the_search_and_the_submissions_together() {
    for resumed in [false, true] {
        let (shared, client, replay, _) = start(service(5, [Post::NotArrived, Post::NotArrived]));
        let call = create(&client).submission_token(SubmissionToken::random()).reconcile();
        let call = call.deadline(40 * SECOND).request_header("x-team", "a");
        let begun = tokio::time::Instant::now();
        let result = if resumed { call.resume(client_now(&shared)).await } else { call.await };
        assert!(result.unwrap_err().may_have_reached_server());
        assert!(begun.elapsed() <= 41 * SECOND, "{:?}", begun.elapsed());
        assert!(replay.requests().iter().all(|request| request.headers()["x-team"] == "a"));
    }
    // The window is used up after the submission.
    let clock = TokioClock::new();
    let reset = (clock.now() + 50 * SECOND).timestamp().to_string();
    let replay = Replay::with(move |request| {
        let reply =
            if request.method() == "POST" { bad_gateway() } else { Reply::json(json!({ "data": [], "total": 0 })) };
        reply
            .header("x-ratelimit-limit", "100")
            .header("x-ratelimit-remaining", "0")
            .header("x-ratelimit-reset", &reset)
    });
    let client = Client::builder().replay(&replay).clock(clock).build().unwrap();
    let begun = tokio::time::Instant::now();
    create(&client).reconcile().max_wait(SECOND).await.unwrap_err();
    assert!(begun.elapsed() < 35 * SECOND, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn reads_ask_caches_for_a_new_response() {
    let (_, client, replay, _) = start(service(5, []));
    client.runs().list().limit(5).offset(0).await.unwrap();
    create(&client).await.unwrap();
    let asked: Vec<_> =
        replay.requests().iter().map(|request| request.headers().get("cache-control").cloned()).collect();
    assert_eq!(asked, [Some("no-cache".parse().unwrap()), None]);
}

/// Submits through a random service. Returns the service, the token and the result.
async fn random_history(seed: u64) -> (Shared, SubmissionToken, Result<WorkOrderCreated, Error>, Vec<RunId>, bool) {
    let mut rng = Rng::with_seed(seed);
    let posts: Vec<_> = (0..rng.usize(1..4))
        .map(|_| match rng.u32(..8) {
            0 => Post::Accepted,
            1..3 => Post::Lost,
            3..5 => Post::LostInOutage(rng.u64(..40)),
            5 => Post::Doubled,
            6 => Post::NotArrived,
            _ => Post::Refused,
        })
        .collect();
    let cache = (rng.u32(..3) == 0).then(|| {
        let ignores_query = rng.bool();
        let header = [Some("age"), Some("x-request-id"), None][rng.usize(..if ignores_query { 2 } else { 3 })];
        Cache { ignores_query, header, seconds: rng.u64(1..100) }
    });
    let total =
        [Total::Right, Total::Right, Total::Missing, Total::TooSmall, Total::TooLarge, Total::OfPage][rng.usize(..6)];
    let service = Service {
        total,
        cache,
        short_pages: rng.u32(..3) == 0,
        empty_lists: rng.u32(..20) == 0 && total == Total::Right,
        rng: rng.fork(),
        ..service(rng.usize(..40), posts)
    };
    let (shared, client, _, duplicates) = start(service);
    for offset in [0, 1, 2].map(|_| rng.u32(..40)) {
        client.runs().list().limit(100).offset(offset).await.unwrap();
    }
    tokio::time::advance(SECOND.mul_f64(rng.f64() * 20.0)).await;
    let token = SubmissionToken::random();
    let call = create(&client).submission_token(token);
    let is_resumed = rng.u32(..4) == 0;
    let result = match rng.bool() {
        _ if is_resumed => call.resume(client_now(&shared)).await,
        true => call.reconcile().into_future().await,
        false => call.into_future().await,
    };
    let duplicates = duplicates.lock().unwrap().clone();
    (shared, token, result, duplicates, is_resumed)
}

/// Set `HISTORIES` for more than the 1,000 that each test run tries.
#[tokio::test(start_paused = true)]
async fn in_random_histories_no_order_is_doubled_or_foreign_and_each_is_reported_or_unknown() {
    let histories: u32 = std::env::var("HISTORIES").map_or(1_000, |count| count.parse().unwrap());
    let (mut found, mut unknown) = (0, 0);
    for seed in 0..histories {
        println!("seed {seed}");
        let (shared, token, result, duplicates, is_resumed) = random_history(seed.into()).await;
        let service = shared.lock().unwrap();
        let own = service.own(token);
        // A proxy that sends twice makes two orders. The client makes no third.
        let doubled =
            own.windows(2).any(|pair| service.orders[pair[0]].created_at == service.orders[pair[1]].created_at);
        assert!(own.len() <= 1 + usize::from(doubled), "{own:?}");
        match result {
            Ok(order) => {
                let number: usize = order.run_id.as_str().strip_prefix("run_").unwrap().parse().unwrap();
                assert!(own.contains(&number), "{order:?}, {own:?}");
                let others = own.iter().filter(|own| **own != number).map(|own| RunId::from(format!("run_{own}")));
                assert_eq!(duplicates, others.collect::<Vec<_>>());
                found += 1;
            }
            Err(error) => {
                assert!(own.is_empty() || error.may_have_reached_server() || is_resumed, "{error}");
                unknown += u32::from(!own.is_empty());
            }
        }
    }
    println!("{found} of {histories} found, {unknown} reported as unknown");
    assert!(found > histories / 2 && unknown > 0, "{found} found, {unknown} unknown");
}
