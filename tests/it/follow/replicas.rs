//! Replicas that share deliveries through a Redis server of their own, which is stopped, paused and started again.
//!
//! Time on the simulator's clock stands still, so a wait that ends without it was ended by a message.

use std::future::IntoFuture;
use std::time::{Duration, Instant};

use agentgate::chrono::TimeDelta;
use agentgate::follow::{Broadcast as _, FinishedRun, RedisBroadcast, Watcher};
use agentgate::serde_json::json;
use agentgate::simulator::{RunPlan, Simulator};
use agentgate::types::{RunId, RunStatus};
use agentgate::webhook::Event;
use agentgate::{Client, Result, WorkspaceSource};
use common::clock::WrongClock;
use common::script;
use tokio::task::JoinHandle;

use crate::webhook::redis::{Redis, assert_asks_for_a_password, signal};

/// The longest that something takes in real time.
const PATIENCE: Duration = Duration::from_secs(20);

const RUNS_FOR: Duration = Duration::from_secs(10);

/// Longer than polling at no share of the limit takes: a request every ten minutes.
const UNTIL_POLLED: Duration = Duration::from_secs(700);

async fn simulator() -> Simulator {
    let plan = RunPlan::succeeds().pending(Duration::ZERO).running(RUNS_FOR);
    Simulator::builder().default_run(plan).start().await.unwrap()
}

/// The client of a replica, which polls as rarely as it may.
fn client(simulator: &Simulator, fast: TimeDelta) -> Client {
    let clock = WrongClock(simulator.clock().auto_advance(false), fast);
    let builder = Client::builder().base_url(simulator.url()).api_key(simulator.api_key()).clock(clock);
    let client = builder.build().unwrap();
    let _ = client.runs().watcher().share(0.0);
    client
}

/// Three replicas, once all of them have subscribed.
async fn replicas(simulator: &Simulator, redis: &Redis) -> Vec<Client> {
    let clients: Vec<_> = (0..3).map(|_| client(simulator, TimeDelta::zero())).collect();
    for client in &clients {
        let broadcast = RedisBroadcast::connect(&redis.url()).await.unwrap();
        let _ = client.runs().watcher().broadcast(broadcast).unwrap();
    }
    until_subscribed(redis, 3).await;
    clients
}

/// Waits until this many are subscribed to the one channel.
async fn until_subscribed(redis: &Redis, count: i64) {
    until(async || {
        let channels: Vec<String> = redis.ask(&["PUBSUB", "CHANNELS"]).await;
        let Some(channel) = channels.first() else { return false };
        assert_eq!(channels.len(), 1);
        redis.ask::<(String, i64)>(&["PUBSUB", "NUMSUB", channel]).await.1 == count
    })
    .await;
}

/// Waits until this is so.
async fn until(holds: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < PATIENCE, "it does not come to that");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Hands over an event so often that a `notify` which waited for Redis would be noticed.
fn notify_without_blocking(client: &Client, id: &RunId) {
    let began = Instant::now();
    for _ in 0..2_000 {
        watcher(client).notify(&end(id));
    }
    assert!(began.elapsed() < Duration::from_secs(2), "notify blocks");
}

async fn submit(client: &Client) -> RunId {
    client.work_orders().create("Fix it", WorkspaceSource::template("python-flask")).await.unwrap().run_id
}

/// Begins to wait for a run that goes on. If there is a first look at it, that is over.
async fn wait(client: &Client, id: &RunId) -> JoinHandle<Result<FinishedRun>> {
    let wait = tokio::spawn(client.runs().wait(id).summary_only().into_future());
    until(async || watcher(client).len() == 1).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    wait
}

fn end(id: &RunId) -> Event {
    let data = json!({ "runId": id, "workOrderId": "wo_1" });
    Event::parse_unverified(json!({ "id": "evt_1", "type": "run.completed", "data": data }).to_string().as_bytes())
        .unwrap()
}

fn watcher(client: &Client) -> Watcher {
    client.runs().watcher()
}

async fn has_succeeded(wait: JoinHandle<Result<FinishedRun>>) {
    let finished = tokio::time::timeout(PATIENCE, wait).await.expect("the wait ends").unwrap().unwrap();
    assert_eq!(finished.status(), &RunStatus::Succeeded);
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn a_delivery_to_one_replica_ends_the_waits_of_all() {
    let (simulator, redis) = (simulator().await, Redis::start());
    let clients = replicas(&simulator, &redis).await;
    for notified in &clients {
        let id = submit(&clients[0]).await;
        let mut waits = Vec::new();
        for client in &clients {
            waits.push(wait(client, &id).await);
        }
        simulator.advance(RUNS_FOR);
        watcher(notified).notify(&end(&id));
        for wait in waits {
            has_succeeded(wait).await;
        }
    }
    let keys: Vec<String> = redis.ask(&["KEYS", "*"]).await;
    assert!(keys.is_empty(), "{keys:?}");
    drop(clients);
    until(async || redis.ask::<Vec<String>>(&["PUBSUB", "CHANNELS"]).await.is_empty()).await;
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn polling_finds_ends_while_redis_is_down_and_deliveries_are_shared_again_after_it() {
    let (simulator, mut redis) = (simulator().await, Redis::start());
    let clients = replicas(&simulator, &redis).await;
    let id = submit(&clients[0]).await;
    let other = wait(&clients[1], &id).await;
    redis.stop();
    simulator.advance(RUNS_FOR);
    notify_without_blocking(&clients[0], &id);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!other.is_finished());
    simulator.advance(UNTIL_POLLED);
    has_succeeded(other).await;

    assert!(redis.run());
    until(async || {
        // The delay before a new subscription.
        simulator.advance(Duration::from_secs(30));
        let channels: Vec<String> = redis.ask(&["PUBSUB", "CHANNELS"]).await;
        let Some(channel) = channels.first() else { return false };
        redis.ask::<(String, i64)>(&["PUBSUB", "NUMSUB", channel]).await.1 == 3
    })
    .await;
    let id = submit(&clients[0]).await;
    let other = wait(&clients[1], &id).await;
    simulator.advance(RUNS_FOR);
    // The first command on a connection that is lost makes another, and fails.
    until(async || {
        watcher(&clients[0]).notify(&end(&id));
        other.is_finished()
    })
    .await;
    has_succeeded(other).await;
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn a_paused_redis_delays_neither_notify_nor_polling() {
    let (simulator, redis) = (simulator().await, Redis::start());
    let clients = replicas(&simulator, &redis).await;
    let id = submit(&clients[0]).await;
    let other = wait(&clients[1], &id).await;
    let process = redis.process_id().await;
    signal(&process, "-STOP");
    simulator.advance(RUNS_FOR);
    notify_without_blocking(&clients[0], &id);
    simulator.advance(UNTIL_POLLED);
    has_succeeded(other).await;

    let id = submit(&clients[0]).await;
    let other = wait(&clients[1], &id).await;
    simulator.advance(RUNS_FOR);
    signal(&process, "-CONT");
    until(async || {
        watcher(&clients[0]).notify(&end(&id));
        other.is_finished()
    })
    .await;
    has_succeeded(other).await;
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn a_subscription_ends_if_its_server_stops_responding() {
    let redis = Redis::start();
    let broadcast = RedisBroadcast::connect(&redis.url()).await.unwrap();
    let mut subscription = broadcast.subscribe("channel").await.unwrap();
    broadcast.publish("channel", b"message").await.unwrap();
    assert_eq!(subscription.next().await.as_deref(), Some(&b"message"[..]));
    let process = redis.process_id().await;
    signal(&process, "-STOP");
    // Nothing comes, so time passes by itself.
    tokio::time::pause();
    assert_eq!(subscription.next().await, None);
    signal(&process, "-CONT");
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn a_redis_without_free_memory_shares_deliveries() {
    let (simulator, redis) = (simulator().await, Redis::start());
    redis.ask::<()>(&["CONFIG", "SET", "maxmemory", "1", "maxmemory-policy", "noeviction"]).await;
    let clients = replicas(&simulator, &redis).await;
    let id = submit(&clients[0]).await;
    let other = wait(&clients[1], &id).await;
    simulator.advance(RUNS_FOR);
    watcher(&clients[0]).notify(&end(&id));
    has_succeeded(other).await;
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn a_wrong_password_fails_the_connection_and_no_wait() {
    let (simulator, redis) = (simulator().await, Redis::start());
    redis.ask::<()>(&["CONFIG", "SET", "requirepass", "s3cret"]).await;
    for url in redis.urls_with_wrong_passwords() {
        assert_asks_for_a_password(&RedisBroadcast::connect(&url).await.unwrap_err().to_string());
        let client = client(&simulator, TimeDelta::zero());
        let _ = watcher(&client).broadcast(RedisBroadcast::open(url).unwrap()).unwrap();
        let id = submit(&client).await;
        let wait = wait(&client, &id).await;
        simulator.advance(UNTIL_POLLED);
        has_succeeded(wait).await;
    }
    RedisBroadcast::connect(&redis.url().replace("://", "://:s3cret@")).await.unwrap();
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn the_documented_permissions_suffice_for_a_broadcast() {
    let redis = Redis::start();
    let rules = ["ACL", "SETUSER", "replica", "on", ">s3cret", "resetchannels", "&agentgate:runs:*", "-@all"];
    redis.ask::<()>(&[&rules[..], &["+publish", "+subscribe", "+ping"]].concat()).await;
    let broadcast = RedisBroadcast::connect(&redis.url().replace("://", "://replica:s3cret@")).await.unwrap();
    let mut subscription = broadcast.subscribe("agentgate:runs:0").await.unwrap();
    broadcast.publish("agentgate:runs:0", b"message").await.unwrap();
    assert_eq!(subscription.next().await.as_deref(), Some(&b"message"[..]));
}

#[tokio::test]
async fn a_missing_server_is_an_error_in_time() {
    let url = script::closed_port().await.replace("http", "redis");
    let began = Instant::now();
    RedisBroadcast::connect(&url).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(5));
    RedisBroadcast::connect("postgres://127.0.0.1/").await.unwrap_err();
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn clocks_may_differ_by_ten_minutes_and_polling_finds_the_end_if_they_differ_more() {
    let (simulator, redis) = (simulator().await, Redis::start());
    for (minutes, is_shared) in [(10, true), (-10, true), (20, false)] {
        let clients = [client(&simulator, TimeDelta::zero()), client(&simulator, TimeDelta::minutes(minutes))];
        for client in &clients {
            let broadcast = RedisBroadcast::connect(&redis.url()).await.unwrap();
            let _ = watcher(client).broadcast(broadcast).unwrap();
        }
        until_subscribed(&redis, 2).await;
        let id = submit(&clients[0]).await;
        let [own, other] = [wait(&clients[0], &id).await, wait(&clients[1], &id).await];
        simulator.advance(RUNS_FOR);
        watcher(&clients[0]).notify(&end(&id));
        has_succeeded(own).await;
        if !is_shared {
            tokio::time::sleep(Duration::from_millis(200)).await;
            assert!(!other.is_finished());
            simulator.advance(UNTIL_POLLED);
        }
        has_succeeded(other).await;
        drop(clients);
        until(async || redis.ask::<Vec<String>>(&["PUBSUB", "CHANNELS"]).await.is_empty()).await;
    }
}
