//! Submissions through gateways that replace responses, before and after they forward a request.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use agentgate::chrono::{DateTime, TimeDelta, Utc};
use agentgate::simulator::{RunPlan, Simulator};
use agentgate::types::WorkOrderCreated;
use agentgate::{Client, Clock, RateLimitMode, Result, WorkspaceSource};
use common::gateway::{Behaviour, Gateway};
use tokio::task::JoinSet;

/// Number of concurrent submissions.
const AT_ONCE: usize = 8;

/// The number of submissions; `AGENTGATE_TEST_SUBMISSIONS` changes it.
fn submissions() -> usize {
    std::env::var("AGENTGATE_TEST_SUBMISSIONS").map_or(400, |number| number.parse().unwrap())
}

/// The simulator's clock with an offset. Sleeps end at once.
#[derive(Debug)]
struct SkewedClock(Arc<Simulator>, TimeDelta);

impl Clock for SkewedClock {
    fn now(&self) -> DateTime<Utc> {
        self.0.now() + self.1
    }

    fn sleep(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::task::yield_now())
    }
}

/// The kind of submission.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Plain,
    Reconcile,
}

/// The result of a submission for the caller.
enum Outcome {
    Returned(Box<Result<WorkOrderCreated>>),
    Dropped,
}

async fn submit(client: &Client, key: String, way: Way) -> Result<WorkOrderCreated> {
    let source = WorkspaceSource::git("https://github.com/your-org/your-repo");
    let call = client.work_orders().create("Fix it", source).metadata("ticket", "API-42").idempotency_key(key);
    if way == Way::Reconcile { call.reconcile() } else { call }.await
}

/// Polls a future so many times, then drops it.
async fn dropped_after<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let (mut future, mut left) = (Box::pin(future), polls);
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

#[derive(Debug, Default)]
struct Counts {
    returned: usize,
    unknown: usize,
    dropped: usize,
    work_orders: usize,
}

/// Two clients submit the same work order repeatedly, each through its own gateway, and drop some of the calls.
async fn program(seed: u64, submissions: usize, way: Way, drops: f64) -> Counts {
    println!("seed {seed}, {submissions} submissions, {way:?}");
    let mut random = fastrand::Rng::with_seed(seed);
    let limits = Simulator::builder().rate_limit(u32::MAX).submission_limit(u32::MAX).concurrent_runs(u32::MAX);
    let simulator = limits.default_run(RunPlan::succeeds()).record_requests(false).start().await.unwrap();
    let simulator = Arc::new(simulator);
    simulator.set_credits(i64::MAX / 2);
    let mut minutes = || TimeDelta::seconds(random.i64(-900..=900));
    let (mut clients, mut gateways) = (Vec::new(), Vec::new());
    for number in 0..2 {
        let behaviour = Behaviour { share: 0.3, shift: minutes() };
        let gateway = Gateway::start(simulator.url(), seed + number, behaviour).await;
        // Follows redirects, as a client configured for other purposes may.
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let client = Client::builder()
            .http_client(http)
            .base_url(gateway.url())
            .api_key(simulator.api_key())
            .rate_limit_mode(RateLimitMode::Off)
            .max_retries(25)
            .clock(SkewedClock(Arc::clone(&simulator), minutes()))
            .build()
            .unwrap();
        clients.push(client);
        gateways.push(gateway);
    }
    let mut tasks = JoinSet::new();
    let mut outcomes = Vec::new();
    for number in 0..submissions {
        // The time range of a search contains no more foreign work orders than it fetches.
        simulator.advance(Duration::from_secs(200));
        let (client, is_dropped, polls) = (clients[number % 2].clone(), random.f64() < drops, random.usize(1..6));
        tasks.spawn(async move {
            let call = submit(&client, number.to_string(), way);
            if is_dropped {
                let result = dropped_after(polls, call).await;
                return (number, result.map_or(Outcome::Dropped, |result| Outcome::Returned(Box::new(result))));
            }
            (number, Outcome::Returned(Box::new(call.await)))
        });
        while tasks.len() >= AT_ONCE {
            outcomes.push(tasks.join_next().await.unwrap().unwrap());
        }
    }
    outcomes.extend(tasks.join_all().await);

    let direct = Client::builder().base_url(simulator.url()).api_key(simulator.api_key());
    let direct = direct.rate_limit_mode(RateLimitMode::Off).build().unwrap();
    let mut orders_of: HashMap<String, Vec<String>> = HashMap::new();
    for number in 1..=simulator.work_order_count() {
        let order = direct.work_orders().get(format!("wo_{number:06}")).await.unwrap();
        let token = order.metadata["agentgate-submission"].as_str().unwrap().to_owned();
        assert_eq!(order.metadata["ticket"], "API-42");
        orders_of.entry(token).or_default().push(order.id.to_string());
    }
    let mut counts = Counts { work_orders: simulator.work_order_count(), ..Counts::default() };
    for (number, outcome) in outcomes {
        let token = gateways[number % 2].token(&number.to_string());
        let own = token.and_then(|token| orders_of.get(&token)).cloned().unwrap_or_default();
        assert!(own.len() <= 1, "submission {number} was duplicated: {own:?}");
        match outcome {
            Outcome::Dropped => counts.dropped += 1,
            Outcome::Returned(result) => match *result {
                Ok(created) => {
                    assert_eq!(
                        own,
                        [created.work_order_id.as_str()],
                        "submission {number} returned a foreign work order"
                    );
                    counts.returned += 1;
                }
                Err(error) => {
                    assert!(error.may_have_reached_server(), "submission {number}: {error}");
                    assert!(way == Way::Plain || drops > 0.0, "submission {number}: {error}");
                    counts.unknown += 1;
                }
            },
        }
    }
    println!("{counts:?}");
    counts
}

#[tokio::test]
async fn no_submission_through_gateways_is_duplicated_or_mistaken_for_another() {
    let counts = program(fastrand::u32(..).into(), submissions(), Way::Plain, 0.0).await;
    assert_eq!(counts.returned + counts.unknown, submissions());
    assert!(counts.unknown > 0 && counts.work_orders > counts.returned / 2, "{counts:?}");
}

#[tokio::test]
async fn with_reconcile_every_submission_through_gateways_creates_one_work_order() {
    let counts = program(fastrand::u32(..).into(), submissions(), Way::Reconcile, 0.0).await;
    assert_eq!((counts.returned, counts.work_orders), (submissions(), submissions()), "{counts:?}");
}

#[tokio::test]
async fn dropped_submissions_do_not_affect_others() {
    for way in [Way::Plain, Way::Reconcile] {
        let counts = program(fastrand::u32(..).into(), submissions() / 4, way, 0.3).await;
        assert!(counts.dropped > 0 && counts.returned > 0, "{counts:?}");
    }
}
