//! The rate limit that several processes share through Redis, with a Redis server for each test.
//!
//! Time is scaled: the clocks of the simulator, the clients and Redis run at the same multiple of real time. Without
//! `redis-server` in the `PATH`, these tests are ignored.

use std::future::Future;
use std::io::{BufRead as _, BufReader, Write as _};
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use agentgate::chrono::{DateTime, TimeDelta, Utc};
use agentgate::shared_rate_limit::{LeaseReport, LeaseRequest, RedisRateLimit, SharedRateLimit as _};
use agentgate::simulator::{SimulatedClock, Simulator};
use agentgate::{Client, Clock};
use tokio::task::JoinSet;

use crate::webhook::redis::{Redis, assert_asks_for_a_password, signal};

const MINUTE: i64 = 60_000;

/// A clock that runs at a multiple of real time, with an offset.
#[derive(Clone, Debug)]
struct ScaledClock {
    start: (Instant, DateTime<Utc>),
    scale: u32,
}

impl ScaledClock {
    fn new(scale: u32, difference: TimeDelta) -> Self {
        Self { start: (Instant::now(), Utc::now() + difference), scale }
    }
}

impl Clock for ScaledClock {
    fn now(&self) -> DateTime<Utc> {
        self.start.1 + self.monotonic()
    }

    fn monotonic(&self) -> Duration {
        self.start.0.elapsed() * self.scale
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(duration / self.scale))
    }
}

// Processes

/// The calls that a process makes.
#[derive(Clone, Debug)]
struct Work {
    base_url: String,
    api_key: String,
    redis: String,
    scale: u32,
    tasks: u32,
    calls: u32,
    /// The offset of its clock, in seconds.
    difference: i64,
}

impl Work {
    fn new(simulator: &Simulator, redis: &str, scale: u32) -> Self {
        Self {
            base_url: simulator.url().to_owned(),
            api_key: simulator.api_key().to_owned(),
            redis: redis.to_owned(),
            scale,
            tasks: 10,
            calls: 5,
            difference: 0,
        }
    }

    fn client(&self) -> Client {
        // A quarter of a second of real time.
        let timeout = Duration::from_millis(250) * self.scale;
        let limit = RedisRateLimit::connect_lazily(&self.redis).unwrap().time_scale(self.scale).timeout(timeout);
        let clock = ScaledClock::new(self.scale, TimeDelta::seconds(self.difference));
        let builder = Client::builder().base_url(&self.base_url).api_key(&self.api_key).clock(clock);
        builder.max_retries(20).shared_rate_limit(limit).build().unwrap()
    }

    /// Makes all calls. Returns the number that succeeded.
    async fn run(&self, client: &Client) -> u32 {
        let mut tasks = JoinSet::new();
        for _ in 0..self.tasks {
            let (client, calls) = (client.clone(), self.calls);
            tasks.spawn(async move {
                let mut succeeded = 0;
                for _ in 0..calls {
                    match client.credits().balance().await {
                        Ok(_) => succeeded += 1,
                        Err(error) => eprintln!("{error}"),
                    }
                }
                succeeded
            });
        }
        tasks.join_all().await.into_iter().sum()
    }

    fn from_variable(text: &str) -> Self {
        let mut words = text.split(' ').map(str::to_owned);
        let mut next = || words.next().unwrap();
        Self {
            base_url: next(),
            api_key: next(),
            redis: next(),
            scale: next().parse().unwrap(),
            tasks: next().parse().unwrap(),
            calls: next().parse().unwrap(),
            difference: next().parse().unwrap(),
        }
    }

    fn to_variable(&self) -> String {
        let Self { base_url, api_key, redis, scale, tasks, calls, difference } = self;
        format!("{base_url} {api_key} {redis} {scale} {tasks} {calls} {difference}")
    }
}

const WORK: &str = "AGENTGATE_TEST_WORK";
const MARK: &str = "client: ";

#[tokio::test]
#[ignore = "a process that other tests start"]
async fn process() {
    let Ok(work) = std::env::var(WORK) else { return };
    let work = Work::from_variable(&work);
    let client = work.client();
    let print = |line: String| std::io::stdout().write_all(format!("\n{MARK}{line}\n").as_bytes()).unwrap();
    print("ready".to_owned());
    tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await.unwrap().unwrap();
    print(work.run(&client).await.to_string());
}

/// Another process that makes calls.
struct Process {
    child: Child,
    lines: Receiver<String>,
}

impl Process {
    /// Starts a process, and waits until it is ready.
    fn start(work: &Work) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "rate_limit::shared::process", "--ignored", "--nocapture"]);
        command.env(WORK, work.to_variable()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = line.strip_prefix(MARK).map(|line| sender.send(line.to_owned()));
            }
        });
        let process = Self { child, lines };
        assert_eq!(process.lines.recv_timeout(Duration::from_secs(60)).unwrap(), "ready");
        process
    }

    fn go(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    }

    /// Waits for the process to finish. Returns the number of calls that succeeded.
    async fn end(self) -> u32 {
        let end = tokio::task::spawn_blocking(move || self.lines.recv_timeout(Duration::from_secs(300)).unwrap());
        end.await.unwrap().parse().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The figures of a fleet.
#[derive(Debug)]
struct Outcome {
    succeeded: u32,
    requests: usize,
    refused: usize,
    /// The elapsed time and the shortest possible time, in milliseconds.
    took: i64,
    optimal: i64,
}

impl Outcome {
    /// Returns the percentage of 429 responses.
    #[allow(clippy::cast_precision_loss)]
    fn refused_percent(&self) -> f64 {
        self.refused as f64 * 100.0 / self.requests as f64
    }

    /// Returns the percentage of time beyond the shortest possible.
    #[allow(clippy::cast_precision_loss)]
    fn late_percent(&self) -> f64 {
        (self.took - self.optimal) as f64 * 100.0 / self.optimal as f64
    }
}

/// Runs all processes, and another future meanwhile.
async fn run(simulator: &Simulator, works: Vec<Work>, limit: i64, meanwhile: impl Future<Output = ()>) -> Outcome {
    let mut processes: Vec<_> = works.iter().map(Process::start).collect();
    let start = simulator.now();
    processes.iter_mut().for_each(Process::go);
    meanwhile.await;
    let mut succeeded = 0;
    for process in processes {
        succeeded += process.end().await;
    }
    let took = (simulator.now() - start).num_milliseconds();
    let calls: i64 = works.iter().map(|work| i64::from(work.tasks * work.calls)).sum();
    // The first window is open, and the last calls take no time.
    let optimal = match (calls - 1) / limit {
        0 => 0,
        windows => MINUTE - start.timestamp_millis() % MINUTE + (windows - 1) * MINUTE,
    };
    let (requests, refused) = (simulator.request_count(), simulator.response_count(429));
    let outcome = Outcome { succeeded, requests, refused, took, optimal };
    println!("{outcome:?}: {:.2} % 429s, {:.2} % late", outcome.refused_percent(), outcome.late_percent());
    outcome
}

async fn simulator(scale: u32) -> Simulator {
    Simulator::builder().rate_limit(100).clock(SimulatedClock::Scaled(scale.into())).start().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute: 10 processes of 50 tasks of 20 calls, at a hundred times real time"]
async fn a_fleet_uses_the_limit_fully_without_exceeding_it() {
    let scale = std::env::var("SCALE").map_or(100, |scale| scale.parse().unwrap());
    let (redis, simulator) = (Redis::start(), simulator(scale).await);
    let work = Work { tasks: 50, calls: 20, ..Work::new(&simulator, &redis.url(), scale) };
    let outcome = run(&simulator, vec![work; 10], 100, async {}).await;
    assert_eq!(outcome.succeeded, 10_000);
    assert!(outcome.refused_percent() <= 1.0 && outcome.late_percent() <= 5.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute: 10 processes of 50 tasks of 20 calls, at a hundred times real time"]
async fn a_fleet_continues_if_redis_is_killed() {
    let scale = std::env::var("SCALE").map_or(100, |scale| scale.parse().unwrap());
    let (mut redis, simulator) = (Redis::start(), simulator(scale).await);
    let work = Work { tasks: 50, calls: 20, ..Work::new(&simulator, &redis.url(), scale) };
    let outcome = run(&simulator, vec![work; 10], 100, async {
        while simulator.request_count() < 5_000 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        redis.stop();
    });
    let outcome = outcome.await;
    assert_eq!(outcome.succeeded, 10_000);
    assert!(outcome.refused_percent() <= 10.0);
}

/// Scale of time, low enough for a busy machine.
const SCALE: u32 = 60;

/// Maximum percentage of 429s on a busy machine.
const FEW: f64 = 5.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn processes_share_a_limit_despite_wrong_clocks() {
    let (redis, simulator) = (Redis::start(), simulator(SCALE).await);
    let work = Work { tasks: 20, calls: 5, ..Work::new(&simulator, &redis.url(), SCALE) };
    let works = [0, 300, -300].map(|difference| Work { difference, ..work.clone() }).to_vec();
    let outcome = run(&simulator, works, 100, async {}).await;
    assert_eq!(outcome.succeeded, 300);
    assert!(outcome.refused_percent() <= FEW);
    let keys: Vec<String> = redis.ask(&["KEYS", "*"]).await;
    assert!(!keys.is_empty());
    for key in keys {
        assert!(key.starts_with("agentgate:limit:{") && !key.contains(simulator.api_key()), "{key}");
        assert!(redis.ask::<i64>(&["PTTL", &key]).await > 0, "{key} is kept for ever");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn a_killed_process_wastes_only_its_leased_permits() {
    let (redis, simulator) = (Redis::start(), simulator(SCALE).await);
    let work = Work { tasks: 20, calls: 5, ..Work::new(&simulator, &redis.url(), SCALE) };
    let mut doomed = Process::start(&Work { calls: 1_000, ..work.clone() });
    doomed.go();
    let outcome = run(&simulator, vec![work.clone(), work], 100, async {
        while simulator.request_count() < 50 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        drop(doomed);
    });
    let outcome = outcome.await;
    assert_eq!(outcome.succeeded, 200);
    assert!(outcome.refused_percent() <= FEW);
    assert!(outcome.took <= 4 * MINUTE);
}

/// Checks that calls continue while Redis fails, and use it again after its recovery.
async fn assert_calls_continue(
    redis: &mut Redis,
    fail: impl AsyncFnOnce(&mut Redis),
    restore: impl AsyncFnOnce(&mut Redis),
) {
    let simulator = simulator(SCALE).await;
    let work = Work { tasks: 20, calls: 10, ..Work::new(&simulator, &redis.url(), SCALE) };
    let until = async |count| {
        while simulator.request_count() < count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let outcome = run(&simulator, vec![work.clone(), work], 100, async {
        until(50).await;
        fail(redis).await;
        until(250).await;
        restore(redis).await;
    });
    let outcome = outcome.await;
    assert_eq!(outcome.succeeded, 400);
    assert!(outcome.refused_percent() <= 15.0);
    assert!(outcome.took <= 7 * MINUTE);
    // The clients are registered again.
    assert_eq!(redis.ask::<Vec<String>>(&["KEYS", "agentgate:limit:{*:clients"]).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn calls_continue_while_redis_is_down_and_use_it_again_afterwards() {
    let mut redis = Redis::start();
    assert_calls_continue(&mut redis, async |redis| redis.stop(), async |redis| assert!(redis.run())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn calls_continue_while_redis_is_suspended() {
    let mut redis = Redis::start();
    let process = redis.process_id().await;
    assert_calls_continue(&mut redis, async |_| signal(&process, "-STOP"), async |_| signal(&process, "-CONT")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn calls_continue_while_redis_is_out_of_memory() {
    let mut redis = Redis::start();
    let set = async |redis: &Redis, memory| redis.ask::<()>(&["CONFIG", "SET", "maxmemory", memory]).await;
    redis.ask::<()>(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).await;
    let fail = async |redis: &mut Redis| {
        set(redis, "1mb").await;
        // Also removes the state of the limit.
        redis.ask::<()>(&["FLUSHALL"]).await;
    };
    assert_calls_continue(&mut redis, fail, async |redis| set(redis, "0").await).await;
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn a_missing_redis_password_is_an_error() {
    let redis = Redis::start();
    redis.ask::<()>(&["CONFIG", "SET", "requirepass", "s3cret"]).await;
    for url in redis.urls_with_wrong_passwords() {
        assert_asks_for_a_password(&RedisRateLimit::connect(&url).await.unwrap_err().to_string());
    }
    let limit = RedisRateLimit::connect(&redis.url().replace("://", "://:s3cret@")).await.unwrap();
    assert!(limit.lease(LeaseRequest::new("organization", "client")).await.is_ok());
}

// The script

/// Requests this number of permits.
fn request(client: &str, requests: u32) -> LeaseRequest {
    let mut request = LeaseRequest::new("organization", client);
    request.requests = requests;
    request
}

/// Adds a report of the remaining requests of 100, in a window that ends in a minute.
fn reporting(mut request: LeaseRequest, remaining: u32, window: u64) -> LeaseRequest {
    request.report = Some(LeaseReport::new(100, remaining, Duration::from_secs(60), window * 60_000));
    request
}

async fn requests(limit: &RedisRateLimit, request: LeaseRequest) -> u32 {
    limit.lease(request).await.unwrap().requests
}

async fn limit(redis: &Redis) -> RedisRateLimit {
    RedisRateLimit::connect(&redis.url()).await.unwrap()
}

/// A time that does not pass during a test.
const MOMENT: Duration = Duration::from_secs(40);

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn a_few_permits_are_leased_in_total_until_the_limit_is_known() {
    let redis = Redis::start();
    let limit = limit(&redis).await;
    assert_eq!(requests(&limit, request("one", 50)).await, 10);
    let lease = limit.lease(request("two", 50)).await.unwrap();
    assert_eq!((lease.requests, lease.clients), (0, 2));
    assert!(lease.retry_in <= Duration::from_millis(250), "{lease:?}");
    // The report counts the ten leased requests and two of other programs.
    let lease = limit.lease(reporting(request("one", 0), 88, 1)).await.unwrap();
    assert!(lease.valid_for > MOMENT);
    assert_eq!(requests(&limit, request("three", 30)).await, 30);
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn leased_and_externally_used_permits_are_not_leased_again() {
    let redis = Redis::start();
    let limit = limit(&redis).await;
    assert_eq!(requests(&limit, reporting(request("one", 60), 99, 1)).await, 60);
    assert_eq!(requests(&limit, reporting(request("one", 10), 35, 1)).await, 10);
    // Reports arrive out of order, and one is of the previous window.
    assert_eq!(requests(&limit, reporting(request("one", 10), 90, 1)).await, 10);
    assert_eq!(requests(&limit, reporting(request("one", 0), 100, 0)).await, 0);
    let lease = limit.lease(request("one", 50)).await.unwrap();
    assert_eq!(lease.requests, 15);
    assert!(lease.retry_in > MOMENT, "{lease:?}");
    // The next window.
    assert_eq!(requests(&limit, reporting(request("one", 50), 100, 2)).await, 50);
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn waiting_clients_get_equal_shares_of_a_new_window() {
    let redis = Redis::start();
    let limit = limit(&redis).await;
    assert_eq!(requests(&limit, reporting(request("one", 500), 100, 1)).await, 100);
    for client in ["two", "three", "four"] {
        assert_eq!(requests(&limit, request(client, 500)).await, 0);
    }
    assert_eq!(requests(&limit, reporting(request("one", 500), 100, 2)).await, 25);
    let lease = limit.lease(request("one", 500)).await.unwrap();
    assert_eq!(lease.requests, 0, "a fast client must not take the shares of others");
    assert!(lease.retry_in <= Duration::from_secs(2), "{lease:?}");
    for client in ["two", "three", "four"] {
        assert_eq!(requests(&limit, request(client, 500)).await, 25);
    }
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn a_client_gets_spare_permits_while_many_remain() {
    let redis = Redis::start();
    let limit = limit(&redis).await;
    let stocked = |client| {
        let mut request = request(client, 1);
        request.spare = 16;
        request
    };
    assert_eq!(requests(&limit, reporting(stocked("one"), 100, 1)).await, 17);
    assert_eq!(requests(&limit, stocked("two")).await, 1 + 82 / 8);
    assert_eq!(requests(&limit, reporting(stocked("two"), 3, 1)).await, 1);
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn a_429_pauses_all_clients() {
    let redis = Redis::start();
    let limit = limit(&redis).await;
    let mut refused = reporting(request("one", 5), 50, 1);
    refused.hold_for = Some(Duration::from_secs(30));
    assert_eq!(requests(&limit, refused).await, 0);
    let lease = limit.lease(request("two", 5)).await.unwrap();
    assert_eq!(lease.requests, 0);
    assert!(lease.retry_in > Duration::from_secs(10) && lease.retry_in <= Duration::from_secs(30), "{lease:?}");
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn a_submission_slot_is_free_a_minute_after_completion_or_when_returned() {
    let redis = Redis::start();
    let limit = limit(&redis).await;
    let submit = |client, submissions| {
        let mut request = reporting(request(client, 0), 100, 1);
        (request.submissions, request.submission_limit) = (submissions, 5);
        request
    };
    assert_eq!(limit.lease(submit("one", 3)).await.unwrap().submissions, 3);
    let lease = limit.lease(submit("two", 3)).await.unwrap();
    assert_eq!(lease.submissions, 2);
    assert!(lease.submissions_retry_in > MOMENT && lease.retry_in.is_zero(), "{lease:?}");
    let mut ended = submit("one", 3);
    (ended.submissions_ended, ended.submissions_returned) = (1, 1);
    // "two" is waiting, too.
    assert_eq!(limit.lease(ended).await.unwrap().submissions, 1);
    let lease = limit.lease(submit("two", 1)).await.unwrap();
    assert_eq!(lease.submissions, 0);
    assert!(lease.submissions_retry_in <= Duration::from_secs(60), "{lease:?}");
    // A client cannot return the slots of others.
    let mut ended = submit("three", 1);
    ended.submissions_returned = 9;
    assert_eq!(limit.lease(ended).await.unwrap().submissions, 0);
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn maximum_values_do_not_overflow() {
    let redis = Redis::start();
    let limit = limit(&redis).await;
    let mut absurd = request("one", u32::MAX);
    (absurd.submissions, absurd.spare, absurd.submission_limit) = (7, u32::MAX, u32::MAX);
    (absurd.submissions_ended, absurd.submissions_returned) = (u32::MAX, u32::MAX);
    absurd.report = Some(LeaseReport::new(u32::MAX, 0, Duration::MAX, u64::MAX));
    absurd.hold_submissions_for = Some(Duration::MAX);
    for _ in 0..3 {
        assert_eq!(requests(&limit, absurd.clone()).await, 0);
    }
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn a_redis_user_with_minimal_permissions_can_connect() {
    let redis = Redis::start();
    let commands = "+eval +time +hmget +hget +hset +hincrby +del +zadd +zrem +zcard +zrange +zremrangebyscore +pexpire";
    let rules = ["ACL", "SETUSER", "limit", "on", ">s3cret", "~agentgate:limit:*", "-@all"];
    let rules: Vec<_> = rules.into_iter().chain(commands.split(' ')).collect();
    redis.ask::<()>(&rules).await;
    let limit = RedisRateLimit::connect(&redis.url().replace("://", "://limit:s3cret@")).await.unwrap();
    let mut all = reporting(request("one", 5), 100, 1);
    (all.submissions, all.submissions_ended) = (1, 1);
    assert_eq!(requests(&limit, all).await, 5);
}
