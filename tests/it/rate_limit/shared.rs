//! The rate limit that several processes share through Redis, with a server that is started for each test.
//!
//! Time is scaled: the simulator, the clients' clocks and the time of Redis pass at the same multiple of real time. Without `redis-server`
//! in the `PATH`, these tests are ignored.

use std::future::Future;
use std::io::{BufRead as _, BufReader, Write as _};
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use agentgate::chrono::{DateTime, TimeDelta, Utc};
use agentgate::shared_rate_limit::RedisRateLimit;
use agentgate::simulator::{SimulatedClock, Simulator};
use agentgate::{Client, Clock};
use tokio::task::JoinSet;

use crate::webhook::redis::Redis;

const MINUTE: i64 = 60_000;

/// Passes at a multiple of real time, beside the right time by a difference.
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

/// What a process is to do.
#[derive(Clone, Debug)]
struct Work {
    base_url: String,
    api_key: String,
    redis: String,
    scale: u32,
    tasks: u32,
    calls: u32,
    /// The difference of its clock, in seconds.
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

    /// Makes all calls. Returns how many succeeded.
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
#[ignore = "it is a process that other tests start"]
async fn process() {
    let Ok(work) = std::env::var(WORK) else { return };
    let work = Work::from_variable(&work);
    let client = work.client();
    let tell = |line: String| std::io::stdout().write_all(format!("\n{MARK}{line}\n").as_bytes()).unwrap();
    tell("ready".to_owned());
    tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await.unwrap().unwrap();
    tell(work.run(&client).await.to_string());
}

/// Another process that makes calls.
struct Process {
    child: Child,
    told: Receiver<String>,
}

impl Process {
    /// Starts a process, which is ready.
    fn start(work: &Work) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "rate_limit::shared::process", "--ignored", "--nocapture"]);
        command.env(WORK, work.to_variable()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (sender, told) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = line.strip_prefix(MARK).map(|line| sender.send(line.to_owned()));
            }
        });
        let process = Self { child, told };
        assert_eq!(process.told.recv_timeout(Duration::from_secs(60)).unwrap(), "ready");
        process
    }

    fn go(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    }

    /// Waits for the end. Returns how many calls succeeded.
    async fn end(self) -> u32 {
        let end = tokio::task::spawn_blocking(move || self.told.recv_timeout(Duration::from_secs(300)).unwrap());
        end.await.unwrap().parse().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a fleet did.
#[derive(Debug)]
struct Outcome {
    succeeded: u32,
    requests: usize,
    refused: usize,
    /// The time that it took, in milliseconds, and the shortest that is possible.
    took: i64,
    optimal: i64,
}

impl Outcome {
    /// The part of requests that were responded to with 429, in percent.
    #[allow(clippy::cast_precision_loss)]
    fn refused_percent(&self) -> f64 {
        self.refused as f64 * 100.0 / self.requests as f64
    }

    /// The time that it took beyond the shortest, in percent.
    #[allow(clippy::cast_precision_loss)]
    fn late_percent(&self) -> f64 {
        (self.took - self.optimal) as f64 * 100.0 / self.optimal as f64
    }
}

/// Lets all processes work, and something else happen meanwhile.
async fn run(simulator: &Simulator, works: &[Work], limit: i64, meanwhile: impl Future<Output = ()>) -> Outcome {
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
    // The first window is there, and the last calls take no time.
    let optimal = match (calls - 1) / limit {
        0 => 0,
        windows => MINUTE - start.timestamp_millis() % MINUTE + (windows - 1) * MINUTE,
    };
    let (requests, refused) = (simulator.request_count(), simulator.answers(429));
    let outcome = Outcome { succeeded, requests, refused, took, optimal };
    println!("{outcome:?}: {:.2} % 429s, {:.2} % late", outcome.refused_percent(), outcome.late_percent());
    outcome
}

async fn simulator(scale: u32) -> Simulator {
    Simulator::builder().rate_limit(100).clock(SimulatedClock::Scaled(scale.into())).start().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute: 10 processes of 50 tasks of 20 calls, at a hundred times real time"]
async fn a_fleet_keeps_to_the_limit_and_wastes_none_of_it() {
    let scale = std::env::var("SCALE").map_or(100, |scale| scale.parse().unwrap());
    let (redis, simulator) = (Redis::start(), simulator(scale).await);
    let work = Work { tasks: 50, calls: 20, ..Work::new(&simulator, &redis.url(), scale) };
    let outcome = run(&simulator, &vec![work; 10], 100, async {}).await;
    assert_eq!(outcome.succeeded, 10_000);
    assert!(outcome.refused_percent() <= 1.0 && outcome.late_percent() <= 5.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute: 10 processes of 50 tasks of 20 calls, at a hundred times real time"]
async fn a_fleet_whose_redis_is_killed_goes_on() {
    let scale = std::env::var("SCALE").map_or(100, |scale| scale.parse().unwrap());
    let (mut redis, simulator) = (Redis::start(), simulator(scale).await);
    let work = Work { tasks: 50, calls: 20, ..Work::new(&simulator, &redis.url(), scale) };
    let works = vec![work; 10];
    let outcome = run(&simulator, &works, 100, async {
        while simulator.request_count() < 5_000 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        redis.stop();
    });
    let outcome = outcome.await;
    assert_eq!(outcome.succeeded, 10_000);
    assert!(outcome.refused_percent() <= 10.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn three_processes_share_a_limit() {
    let (redis, simulator) = (Redis::start(), simulator(200).await);
    let work = Work { tasks: 20, calls: 8, ..Work::new(&simulator, &redis.url(), 200) };
    let outcome = run(&simulator, &vec![work; 3], 100, async {}).await;
    assert_eq!(outcome.succeeded, 480);
    assert!(outcome.refused_percent() <= 1.0);
}
