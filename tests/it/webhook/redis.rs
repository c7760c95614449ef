//! The replay guard in Redis: with a server that is started for each test, that goes away and comes back, and between
//! receivers that are processes of their own.
//!
//! Without `redis-server` in the `PATH`, these tests are ignored.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use agentgate::http::StatusCode;
use agentgate::redis::aio::ConnectionManager;
use agentgate::redis::{Client, FromRedisValue, cmd};
use agentgate::types::EventId;
use agentgate::webhook::{
    Claim, ClaimToken, Delivery, MemoryReplayGuard, Once, RedisReplayGuard, ReplayGuard, Verifier, once,
};
use axum::Router;
use axum::extract::{FromRef, State};
use axum::routing::post;
use common::delivery::{Sent, try_exchange, verifier};
use common::script;

// A Redis server

/// A Redis server of this test alone. It ends with this value, and with the process of the test, whatever becomes of
/// that.
pub(crate) struct Redis {
    port: u16,
    process: Option<(Child, ChildStdin, BufReader<ChildStdout>)>,
    directory: PathBuf,
}

impl Redis {
    pub(crate) fn start() -> Self {
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        let name = format!("redis-{}-{}", std::process::id(), STARTED.fetch_add(1, Ordering::SeqCst));
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let mut redis = Self { port: 0, process: None, directory };
        // Somebody else may take a port that was free a moment ago.
        let started = (0..10).any(|_| {
            redis.port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            redis.run()
        });
        assert!(started, "redis-server does not start");
        redis
    }

    /// Starts the server on its port, and waits until it is ready. Whether it is.
    pub(crate) fn run(&mut self) -> bool {
        /// Ends the server when the standard input ends, also if the test is killed.
        const SCRIPT: &str = r#"redis-server "$@" & exec >&-; read -r _; kill -9 $!; wait $!"#;
        let mut process = Command::new("sh")
            .args(["-c", SCRIPT, "sh", "--bind", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(&self.directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let input = process.stdin.take().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let ready = output.by_ref().lines().any(|line| line.unwrap().contains("Ready to accept connections"));
        self.process = Some((process, input, output));
        if !ready {
            self.stop();
        }
        ready
    }

    pub(crate) fn stop(&mut self) {
        if let Some((mut process, input, _)) = self.process.take() {
            drop(input);
            let _ = process.wait();
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Returns addresses without a password, and with wrong ones.
    pub(crate) fn urls_with_wrong_passwords(&self) -> [String; 3] {
        ["", ":wr0ng@", "someone:wr0ng@"].map(|login| self.url().replace("://", &format!("://{login}")))
    }

    async fn guard(&self) -> RedisReplayGuard {
        RedisReplayGuard::connect(&self.url()).await.unwrap()
    }

    /// Asks the server itself.
    pub(crate) async fn ask<T: FromRedisValue>(&self, command: &[&str]) -> T {
        let mut connection = Client::open(self.url()).unwrap().get_multiplexed_async_connection().await.unwrap();
        let (name, arguments) = command.split_first().unwrap();
        cmd(name).arg(arguments).query_async(&mut connection).await.unwrap()
    }

    /// Returns the identifier of the server's process.
    pub(crate) async fn process_id(&self) -> String {
        let info: String = self.ask(&["INFO", "server"]).await;
        info.lines().find_map(|line| line.strip_prefix("process_id:")).unwrap().trim().to_owned()
    }

    /// For how much longer a key is kept, in milliseconds.
    async fn time_left(&self, key: &str) -> i64 {
        self.ask(&["PTTL", key]).await
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.stop();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Sends a signal to a process.
pub(crate) fn signal(process: &str, signal: &str) {
    assert!(Command::new("kill").args([signal, process]).status().unwrap().success());
}

/// The text of an error about a wrong password says what to do, and does not repeat the password.
#[track_caller]
pub(crate) fn assert_asks_for_a_password(text: &str) {
    assert!(text.contains("Redis asks for a password") && text.contains("redis://:password@"), "{text}");
    assert!(!text.contains("wr0ng"), "{text}");
}

fn id() -> EventId {
    "evt_1".into()
}

const KEY: &str = "agentgate:event:evt_1";

async fn claim(guard: &impl ReplayGuard) -> Claim {
    guard.claim(&id(), &ClaimToken::new()).await.unwrap()
}

// One guard

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn an_event_is_claimed_once_and_released_or_completed() {
    let redis = Redis::start();
    let (guard, other) = (redis.guard().await, redis.guard().await);
    let token = ClaimToken::new();
    assert_eq!(guard.claim(&id(), &token).await.unwrap(), Claim::First);
    assert_eq!(claim(&guard).await, Claim::InProgress);
    assert_eq!(claim(&other).await, Claim::InProgress);
    // Whoever knows the token, by whatever connection.
    other.release(&id(), &token).await.unwrap();
    assert_eq!(redis.ask::<Vec<String>>(&["KEYS", "*"]).await, [""; 0]);
    assert_eq!(claim(&other).await, Claim::First);
    other.complete(&id()).await.unwrap();
    for guard in [&guard, &other] {
        assert_eq!(claim(guard).await, Claim::Handled);
        assert!(!guard.first_time(&id()).await.unwrap());
    }
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn a_handled_event_cannot_be_released_and_an_unknown_one_is_no_error() {
    let redis = Redis::start();
    let guard = redis.guard().await;
    let token = ClaimToken::new();
    guard.release(&id(), &token).await.unwrap();
    assert_eq!(guard.claim(&id(), &token).await.unwrap(), Claim::First);
    guard.complete(&id()).await.unwrap();
    guard.release(&id(), &token).await.unwrap();
    assert_eq!(claim(&guard).await, Claim::Handled);
    assert_eq!(redis.ask::<String>(&["GET", KEY]).await, "handled");
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn a_claim_can_be_repeated_by_its_token() {
    let redis = Redis::start();
    let guard = redis.guard().await;
    let (mine, yours) = (ClaimToken::new(), ClaimToken::new());
    assert_eq!(guard.claim(&id(), &mine).await.unwrap(), Claim::First);
    assert_eq!(redis.ask::<String>(&["GET", KEY]).await, format!("claimed:{mine}"));
    redis.ask::<()>(&["PEXPIRE", KEY, "50000"]).await;
    assert_eq!(guard.claim(&id(), &mine).await.unwrap(), Claim::First);
    assert!(redis.time_left(KEY).await <= 50_000, "to ask again does not make it last longer");
    guard.release(&id(), &yours).await.unwrap();
    assert_eq!(guard.claim(&id(), &yours).await.unwrap(), Claim::InProgress);
    guard.release(&id(), &mine).await.unwrap();
    assert_eq!(guard.claim(&id(), &yours).await.unwrap(), Claim::First);
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn a_late_failure_does_not_release_the_next_claim() {
    let redis = Redis::start();
    let guard = redis.guard().await;
    let next = ClaimToken::new();
    let late = async {
        redis.ask::<()>(&["PEXPIRE", KEY, "0"]).await;
        assert_eq!(guard.claim(&id(), &next).await.unwrap(), Claim::First);
        Err::<(), _>("too late")
    };
    assert!(once(&guard, &id(), late).await.is_err());
    assert_eq!(redis.ask::<String>(&["GET", KEY]).await, format!("claimed:{next}"));
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn a_claim_expires_with_its_lease() {
    let redis = Redis::start();
    let guard = redis.guard().await;
    assert_eq!(claim(&guard).await, Claim::First);
    assert_eq!(claim(&guard).await, Claim::InProgress);
    // As if the time had passed.
    redis.ask::<()>(&["PEXPIRE", KEY, "0"]).await;
    assert_eq!(claim(&guard).await, Claim::First);
    // And by itself.
    let brief = redis.guard().await.prefix("brief:").lease(Duration::from_millis(1));
    assert_eq!(claim(&brief).await, Claim::First);
    while claim(&brief).await != Claim::First {}
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn a_lease_of_zero_is_still_a_claim() {
    let redis = Redis::start();
    let guard = redis.guard().await.lease(Duration::ZERO).retention(Duration::ZERO);
    assert_eq!(claim(&guard).await, Claim::First);
    guard.complete(&id()).await.unwrap();
    let endless = redis.guard().await.prefix("endless:").lease(Duration::MAX).retention(Duration::MAX);
    assert_eq!(claim(&endless).await, Claim::First);
    endless.complete(&id()).await.unwrap();
    assert_eq!(claim(&endless).await, Claim::Handled);
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn first_time_is_true_once_and_false_while_the_event_is_claimed() {
    let redis = Redis::start();
    let guard = redis.guard().await;
    assert!(guard.first_time(&id()).await.unwrap());
    assert!(!guard.first_time(&id()).await.unwrap());
    assert_eq!(claim(&guard).await, Claim::Handled);
    let other = EventId::from("evt_2");
    assert_eq!(guard.claim(&other, &ClaimToken::new()).await.unwrap(), Claim::First);
    assert!(!guard.first_time(&other).await.unwrap());
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn every_key_has_the_prefix_and_expires() {
    let redis = Redis::start();
    let lasts = |left: i64, seconds: i64| left > (seconds - 60) * 1000 && left <= seconds * 1000;
    let guard = redis.guard().await;
    assert_eq!(claim(&guard).await, Claim::First);
    assert!(lasts(redis.time_left(KEY).await, 2 * 60));
    guard.complete(&id()).await.unwrap();
    assert!(lasts(redis.time_left(KEY).await, 3 * 24 * 60 * 60));

    let (lease, retention) = (Duration::from_secs(1000), Duration::from_secs(5000));
    let guard = redis.guard().await.prefix("ours/").lease(lease).retention(retention);
    assert_eq!(claim(&guard).await, Claim::First, "another prefix is another memory");
    assert!(lasts(redis.time_left("ours/evt_1").await, 1000));
    guard.complete(&id()).await.unwrap();
    assert!(lasts(redis.time_left("ours/evt_1").await, 5000));
    assert!(guard.first_time(&"evt_2".into()).await.unwrap());
    assert!(lasts(redis.time_left("ours/evt_2").await, 5000));

    let keys: BTreeSet<String> = redis.ask(&["KEYS", "*"]).await;
    assert_eq!(keys.iter().map(String::as_str).collect::<Vec<_>>(), [KEY, "ours/evt_1", "ours/evt_2"]);
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn a_duplicate_extends_neither_lease_nor_retention() {
    let redis = Redis::start();
    let guard = redis.guard().await;
    let token = ClaimToken::new();
    guard.claim(&id(), &token).await.unwrap();
    redis.ask::<()>(&["PEXPIRE", KEY, "50000"]).await;
    assert_eq!(claim(&guard).await, Claim::InProgress);
    assert!(redis.time_left(KEY).await <= 50_000);
    guard.complete(&id()).await.unwrap();
    redis.ask::<()>(&["PEXPIRE", KEY, "50000"]).await;
    assert_eq!(claim(&guard).await, Claim::Handled);
    guard.release(&id(), &token).await.unwrap();
    assert!(redis.time_left(KEY).await <= 50_000);
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn an_id_may_be_anything() {
    let redis = Redis::start();
    let guard = redis.guard().await;
    for id in ["evt 1\r\nFLUSHALL\r\n", "*", "\0", "ü", &"x".repeat(100_000)] {
        let (id, token) = (EventId::from(id), ClaimToken::new());
        assert_eq!(guard.claim(&id, &token).await.unwrap(), Claim::First);
        guard.complete(&id).await.unwrap();
        guard.release(&id, &token).await.unwrap();
        assert_eq!(guard.claim(&id, &token).await.unwrap(), Claim::Handled);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn of_two_hundred_deliveries_at_once_over_several_connections_exactly_one_is_handled() {
    let redis = Redis::start();
    let guards = [redis.guard().await, redis.guard().await, redis.guard().await];
    let ran = Arc::new(AtomicUsize::new(0));
    let deliveries: Vec<_> = (0..200)
        .map(|number| {
            let (guard, ran) = (guards[number % guards.len()].clone(), Arc::clone(&ran));
            tokio::spawn(async move {
                let handler = async {
                    ran.fetch_add(1, Ordering::SeqCst);
                    Ok::<_, ()>(())
                };
                once(&guard, &id(), handler).await.unwrap()
            })
        })
        .collect();
    let mut handled = 0;
    for delivery in deliveries {
        handled += usize::from(delivery.await.unwrap() == Once::Handled(()));
    }
    assert_eq!((handled, ran.load(Ordering::SeqCst)), (1, 1));
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn a_guard_accepts_an_existing_connection_and_can_be_shared() {
    let redis = Redis::start();
    let client = Client::open(redis.url()).unwrap();
    let multiplexed = RedisReplayGuard::new(client.get_multiplexed_async_connection().await.unwrap());
    assert_eq!(claim(&multiplexed).await, Claim::First);
    let managed: RedisReplayGuard<ConnectionManager> =
        RedisReplayGuard::new(client.get_connection_manager().await.unwrap());
    let shared: Arc<dyn ReplayGuard> = Arc::new(managed);
    assert_eq!(claim(&shared).await, Claim::InProgress);
}

// A server with a password

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn a_missing_or_wrong_password_fails_the_connection_with_advice() {
    let redis = Redis::start();
    redis.ask::<()>(&["CONFIG", "SET", "requirepass", "s3cret"]).await;
    for url in redis.urls_with_wrong_passwords() {
        assert_asks_for_a_password(&RedisReplayGuard::connect(&url).await.unwrap_err().to_string());
    }
    let url = redis.url().replace("://", "://:s3cret@");
    assert_eq!(claim(&RedisReplayGuard::connect(&url).await.unwrap()).await, Claim::First);
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn the_permissions_of_the_guard_suffice_to_connect() {
    let redis = Redis::start();
    let rules =
        ["ACL", "SETUSER", "guard", "on", ">s3cret", "~agentgate:event:*", "-@all", "+set", "+get", "+eval", "+del"];
    redis.ask::<()>(&rules).await;
    let guard = RedisReplayGuard::connect(&redis.url().replace("://", "://guard:s3cret@")).await.unwrap();
    let token = ClaimToken::new();
    assert_eq!(guard.claim(&id(), &token).await.unwrap(), Claim::First);
    guard.release(&id(), &token).await.unwrap();
    assert_eq!(claim(&guard).await, Claim::First);
}

// A server that fails

/// No claim may take so long that the service, which waits for 30 seconds, gives up on the delivery.
const PROMPT: Duration = Duration::from_secs(3);

/// The longest that this takes.
async fn timed<T>(what: impl Future<Output = T>) -> T {
    let start = Instant::now();
    let outcome = what.await;
    let time = start.elapsed();
    println!("it took {time:?}");
    assert!(time < PROMPT, "it took {time:?}");
    outcome
}

#[tokio::test]
async fn a_missing_server_is_an_error_at_once() {
    let url = script::closed_port().await.replace("http", "redis");
    let error = timed(RedisReplayGuard::connect(&url)).await.unwrap_err();
    assert!(error.to_string().starts_with("the replay guard failed: "), "{error}");
    // Errors of `redis` show what they stem from as themselves; it is not to be read twice.
    let chain: Vec<String> =
        std::iter::successors(Some(&error as &dyn Error), |&error| error.source()).map(ToString::to_string).collect();
    assert_eq!(chain.len(), 1, "{chain:?}");
    timed(RedisReplayGuard::connect("postgres://127.0.0.1/")).await.unwrap_err();
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn a_stopped_server_is_an_error_and_a_restarted_one_works_again() {
    let mut redis = Redis::start();
    let guard = redis.guard().await;
    let receiver = serve(App { verifier: verifier(), guard: guard.clone(), seen: Seen::default() }).await;
    let deliver = async |id: &str| Sent::of(id).send(receiver, "/").await.status;
    assert_eq!(deliver("evt_1").await, 204);

    redis.stop();
    for _ in 0..3 {
        let token = ClaimToken::new();
        let error = timed(guard.claim(&id(), &token)).await.unwrap_err();
        println!("{error}");
        assert!(error.to_string().starts_with("the replay guard failed: "), "{error}");
        timed(guard.complete(&id())).await.unwrap_err();
        timed(guard.release(&id(), &token)).await.unwrap_err();
        timed(guard.first_time(&id())).await.unwrap_err();
        assert_eq!(timed(deliver("evt_2")).await, 503);
    }

    assert!(redis.run());
    let back = Instant::now();
    while deliver("evt_2").await == 503 {
        assert!(back.elapsed() < Duration::from_secs(30), "the guard does not find the server again");
    }
    assert_eq!(deliver("evt_2").await, 204);
    assert_eq!(guard.claim(&"evt_2".into(), &ClaimToken::new()).await.unwrap(), Claim::Handled);
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn a_server_that_stops_responding_is_an_error_in_time() {
    let server = script::Server::start(vec![vec![script::Step::Stall]]).await;
    timed(RedisReplayGuard::connect(&server.url().replace("http", "redis"))).await.unwrap_err();

    let redis = Redis::start();
    let guard = redis.guard().await;
    assert_eq!(claim(&guard).await, Claim::First);
    redis.ask::<()>(&["CLIENT", "PAUSE", "100000", "WRITE"]).await;
    timed(guard.complete(&id())).await.unwrap_err();
    timed(guard.claim(&"evt_2".into(), &ClaimToken::new())).await.unwrap_err();
    redis.ask::<()>(&["CLIENT", "UNPAUSE"]).await;
    assert_eq!(guard.claim(&"evt_3".into(), &ClaimToken::new()).await.unwrap(), Claim::First);
    // The server may have made the claim without a response. Then it has no owner, and expires.
    assert_ne!(guard.claim(&"evt_2".into(), &ClaimToken::new()).await.unwrap(), Claim::Handled);
    redis.ask::<()>(&["PEXPIRE", "agentgate:event:evt_2", "0"]).await;
    assert_eq!(guard.claim(&"evt_2".into(), &ClaimToken::new()).await.unwrap(), Claim::First);
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn a_server_that_takes_no_writes_is_an_error() {
    let redis = Redis::start();
    let guard = redis.guard().await;
    let token = ClaimToken::new();
    assert_eq!(guard.claim(&id(), &token).await.unwrap(), Claim::First);
    redis.ask::<()>(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let error = guard.claim(&"evt_2".into(), &ClaimToken::new()).await.unwrap_err();
    assert!(error.to_string().contains("OOM"), "{error}");
    // Releasing makes room.
    guard.release(&id(), &token).await.unwrap();
    redis.ask::<()>(&["CONFIG", "SET", "maxmemory", "0"]).await;
    assert_eq!(claim(&guard).await, Claim::First);
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn a_release_does_not_delete_a_foreign_value() {
    let redis = Redis::start();
    let guard = redis.guard().await;
    redis.ask::<()>(&["SET", KEY, "something else"]).await;
    assert_eq!(claim(&guard).await, Claim::InProgress);
    guard.release(&id(), &ClaimToken::new()).await.unwrap();
    assert_eq!(redis.ask::<String>(&["GET", KEY]).await, "something else");
    redis.ask::<()>(&["DEL", KEY]).await;
    redis.ask::<()>(&["LPUSH", KEY, "a list"]).await;
    guard.claim(&id(), &ClaimToken::new()).await.unwrap_err();
}

// Receivers that are processes

/// A typical receiver.
#[derive(Clone)]
struct App {
    verifier: Verifier,
    guard: RedisReplayGuard,
    seen: Seen,
}

/// The action of a handler.
#[derive(Clone, Default)]
struct Seen {
    /// Writes `begun` and `handled` for each event to the standard output.
    tells: bool,
    /// Never gets to the end.
    hangs: bool,
}

impl FromRef<App> for Verifier {
    fn from_ref(app: &App) -> Self {
        app.verifier.clone()
    }
}

async fn receive(State(app): State<App>, Delivery(event): Delivery) -> StatusCode {
    let handler = async {
        app.seen.tell("begun", &event.id);
        if app.seen.hangs {
            std::future::pending::<()>().await;
        }
        tokio::task::yield_now().await;
        app.seen.tell("handled", &event.id);
        Ok::<_, std::io::Error>(())
    };
    match once(&app.guard, &event.id, handler).await {
        Ok(done) => done.status(),
        Err(error) => error.status(),
    }
}

impl Seen {
    fn tell(&self, what: &str, id: &EventId) {
        if self.tells {
            tell(&format!("{what} {id}"));
        }
    }
}

/// Says something to the process that started this one. The harness of the tests writes to the same output.
fn tell(line: &str) {
    let mut output = std::io::stdout().lock();
    output.write_all(format!("\n{MARK}{line}\n").as_bytes()).unwrap();
    output.flush().unwrap();
}

const MARK: &str = "receiver: ";

async fn serve(app: App) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/", post(receive)).with_state(app);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

/// The address of Redis, for a process that is to be a receiver.
const REDIS: &str = "AGENTGATE_TEST_REDIS";
/// The lease of its claims, in milliseconds.
const LEASE: &str = "AGENTGATE_TEST_LEASE";
/// Set if its handlers never end.
const HANGS: &str = "AGENTGATE_TEST_HANGS";

/// The test below, which other tests start as a process.
const RECEIVER: &str = "webhook::redis::receiver";

#[tokio::test]
#[ignore = "it is a process that other tests start"]
async fn receiver() {
    let Ok(redis) = std::env::var(REDIS) else { return };
    let lease = Duration::from_millis(std::env::var(LEASE).unwrap().parse().unwrap());
    let guard = RedisReplayGuard::connect(&redis).await.unwrap().lease(lease);
    let seen = Seen { tells: true, hangs: std::env::var_os(HANGS).is_some() };
    let address = serve(App { verifier: verifier(), guard, seen }).await;
    tell(&format!("listens {address}"));
    // Until the process that started this one ends it, or ends itself.
    tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await.unwrap().unwrap();
}

/// Another process that receives.
struct Process {
    child: Child,
    address: SocketAddr,
    /// Every line that it tells: what, and of which event.
    told: Receiver<(String, String)>,
}

impl Process {
    fn start(redis: &Redis, lease: Duration, hangs: bool) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", RECEIVER, "--ignored", "--nocapture"]);
        command.env(REDIS, redis.url()).env(LEASE, lease.as_millis().to_string());
        if hangs {
            command.env(HANGS, "1");
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (sender, told) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if let Some((what, of)) = line.strip_prefix(MARK).and_then(|line| line.split_once(' ')) {
                    let _ = sender.send((what.to_owned(), of.to_owned()));
                }
            }
        });
        let mut process = Self { child, address: SocketAddr::from(([0, 0, 0, 0], 0)), told };
        process.address = process.wait_for("listens").parse().unwrap();
        process
    }

    /// What the next line tells of, which tells this.
    fn wait_for(&self, what: &str) -> String {
        let (told, of) = self.told.recv_timeout(Duration::from_secs(60)).unwrap();
        assert_eq!(told, what);
        of
    }

    /// Ends the process, and counts how often it handled which event.
    fn end(mut self) -> BTreeMap<String, usize> {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
        let mut handled = BTreeMap::new();
        for (what, of) in &self.told {
            if what == "handled" {
                *handled.entry(of).or_default() += 1;
            }
        }
        handled
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Delivers as the service does, until the response is 2xx. Returns the number of deliveries.
async fn deliver(receiver: SocketAddr, event_id: &str) -> usize {
    let request = Sent::of(event_id).bytes("/");
    for attempt in 1.. {
        match try_exchange(receiver, &request).await.map(|answer| answer.status) {
            Some(200..300) => return attempt,
            Some(500..600) | None => tokio::task::yield_now().await,
            Some(status) => panic!("{event_id}: {status}"),
        }
    }
    unreachable!("the attempts do not run out")
}

/// Delivers all of these events, each to both receivers at the same time, and several events at a time.
async fn deliver_all(receivers: [SocketAddr; 2], events: &[String]) {
    let queue = Arc::new(Mutex::new(events.to_vec()));
    let senders: Vec<_> = (0..16)
        .map(|number| {
            // It should not be the same who gets it first each time.
            let [one, other] = if number % 2 == 0 { receivers } else { [receivers[1], receivers[0]] };
            let queue = Arc::clone(&queue);
            let next = move || queue.lock().unwrap().pop();
            tokio::spawn(async move {
                let mut attempts = 0;
                while let Some(event) = next() {
                    let (one, other) = tokio::join!(deliver(one, &event), deliver(other, &event));
                    attempts += one + other;
                }
                attempts
            })
        })
        .collect();
    let mut attempts = 0;
    for sender in senders {
        attempts += sender.await.unwrap();
    }
    println!("{} deliveries took {attempts} attempts", 2 * events.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn two_processes_that_get_the_same_thousand_events_handle_each_once_between_them() {
    let redis = Redis::start();
    let start = || Process::start(&redis, Duration::from_secs(120), false);
    let processes = [start(), start()];
    let events: Vec<String> = (0..1000).map(|number| format!("evt_{number}")).collect();
    deliver_all(processes.each_ref().map(|process| process.address), &events).await;

    let handled = processes.map(Process::end);
    println!("one handled {}, the other {}", handled[0].len(), handled[1].len());
    assert!(handled.iter().all(|handled| !handled.is_empty()), "one process did it all, so this shows nothing");
    let mut all = BTreeMap::new();
    for (event, count) in handled.into_iter().flatten() {
        *all.entry(event).or_insert(0) += count;
    }
    assert_eq!(all, events.into_iter().map(|event| (event, 1)).collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn an_event_of_a_killed_process_is_handled_by_another() {
    let redis = Redis::start();
    let lease = Duration::from_secs(120);
    let events: Vec<String> = (0..20).map(|number| format!("evt_{number}")).collect();

    // It begins with every event, and gets to the end of none.
    let mut doomed = Process::start(&redis, lease, true);
    let address = doomed.address;
    let senders: Vec<_> = events.iter().map(|event| (event.clone(), Sent::of(event).bytes("/"))).collect();
    let senders: Vec<_> = senders
        .into_iter()
        .map(|(event, request)| tokio::spawn(async move { (event, try_exchange(address, &request).await) }))
        .collect();
    let begun: BTreeSet<_> = events.iter().map(|_| doomed.wait_for("begun")).collect();
    assert_eq!(begun.len(), events.len());

    // Meanwhile no other process handles them.
    let other = Process::start(&redis, lease, false);
    for event in &events {
        assert_eq!(Sent::of(event).send(other.address, "/").await.status, 503);
    }

    doomed.child.kill().unwrap();
    doomed.child.wait().unwrap();
    for sender in senders {
        assert_eq!(sender.await.unwrap().1, None);
    }
    // The process is dead, and its claims are not, until their lease runs out.
    for event in &events {
        assert_eq!(Sent::of(event).send(other.address, "/").await.status, 503);
        redis.ask::<()>(&["PEXPIRE", &format!("agentgate:event:{event}"), "1"]).await;
    }
    for event in &events {
        deliver(other.address, event).await;
    }
    assert_eq!(other.end(), events.into_iter().map(|event| (event, 1)).collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn no_event_is_lost_when_one_of_two_processes_is_killed_at_work() {
    let redis = Redis::start();
    let start = || Process::start(&redis, Duration::from_millis(200), false);
    let (mut doomed, other) = (start(), start());
    let events: Vec<String> = (0..500).map(|number| format!("evt_{number}")).collect();
    let (address, all) = (doomed.address, events.clone());
    // The service delivers events without a response again, to any process.
    let doomed_deliveries = tokio::spawn(async move {
        for event in &all {
            try_exchange(address, &Sent::of(event).bytes("/")).await;
        }
    });
    let mut handled = BTreeSet::new();
    while handled.len() < 50 {
        let (what, of) = doomed.told.recv_timeout(Duration::from_secs(60)).unwrap();
        if what == "handled" {
            handled.insert(of);
        }
    }
    doomed.child.kill().unwrap();
    doomed.child.wait().unwrap();
    for event in &events {
        deliver(other.address, event).await;
    }
    doomed_deliveries.await.unwrap();

    handled.extend(doomed.told.iter().filter(|(what, _)| what == "handled").map(|(_, of)| of));
    let by_other = other.end();
    println!("{} were handled before the kill, {} after it", handled.len(), by_other.len());
    assert!(by_other.values().all(|count| *count == 1));
    // One that was told as handled and not yet noted as such is handled again.
    let twice = by_other.keys().filter(|event| handled.contains(*event)).count();
    assert!(twice <= 1, "{twice} were handled twice");
    handled.extend(by_other.into_keys());
    assert_eq!(handled, events.into_iter().collect());
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn the_guards_in_memory_and_in_redis_behave_alike() {
    let redis = Redis::start();
    let guards: [Arc<dyn ReplayGuard>; 2] = [Arc::new(MemoryReplayGuard::new()), Arc::new(redis.guard().await)];
    // A walk through everything that can be asked, in an order that is the same each time.
    let mut answers = guards.map(|guard| (guard, Vec::new()));
    let mut random = fastrand::Rng::with_seed(7);
    let tokens: [_; 3] = std::array::from_fn(|_| ClaimToken::new());
    for _ in 0..2000 {
        let (what, event_id) = (random.u8(0..4), EventId::from(format!("evt_{}", random.u8(0..40))));
        let token = &tokens[random.usize(0..tokens.len())];
        for (guard, answers) in &mut answers {
            answers.push(match what {
                0 => format!("{:?}", guard.claim(&event_id, token).await.unwrap()),
                1 => format!("{:?}", guard.first_time(&event_id).await.unwrap()),
                2 => format!("{:?}", guard.release(&event_id, token).await.unwrap()),
                _ if event_id.as_str().ends_with('7') => format!("{:?}", guard.complete(&event_id).await.unwrap()),
                _ => String::new(),
            });
        }
    }
    let [(_, memory), (_, redis)] = answers;
    assert_eq!(memory, redis);
}
