//! The overhead of a call through the SDK compared with plain reqwest, with the same settings, headers and types.
//!
//! ```sh
//! cargo bench -p agentgate-benches --bench overhead
//! ```
//!
//! The server is a thread that responds to each request with the same bytes, over one connection that all callers
//! share. Divan counts the allocations of the calling thread, including the client's side of the connection but not the
//! server. Divan measures the callers one after the other, and the machine may change its speed in between. A second
//! table therefore alternates the callers and prints the ratios. `taskset -c 0` keeps client and server on one core for
//! stable figures.
//!
//! With `CALLS=<operation> <caller> <number>` it only makes this number of calls, for a profiler. The difference of two
//! runs excludes the cost of starting up:
//!
//! ```sh
//! for n in 1000 2000; do
//!     CALLS="GetRun Sdk $n" valgrind --tool=callgrind --separate-threads=yes target/release/deps/overhead-*
//! done
//! ```

#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::pin::Pin;
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

use agentgate::chrono::{DateTime, Utc};
use agentgate::types::{NewWorkOrder, Run, RunPage, WorkOrderCreated};
use agentgate::{Client, Clock, RateLimitMode, WorkspaceSource};
use divan::{AllocProfiler, Bencher, black_box};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, USER_AGENT};
use reqwest::redirect;
use serde_json::json;
use tokio::runtime::Runtime;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

const API_KEY: &str = "org_live_0123456789abcdef";
const TIMEOUT: Duration = Duration::from_secs(30);

/// Rounds in the table of ratios.
const ROUNDS: usize = 10_000;

/// The client of a call.
#[derive(Clone, Copy, Debug)]
enum Caller {
    Reqwest,
    Sdk,
    /// The SDK without rate limiting.
    SdkLimitsOff,
}

impl Caller {
    const ALL: [Self; 3] = [Self::Reqwest, Self::Sdk, Self::SdkLimitsOff];
}

#[derive(Clone, Copy, Debug)]
enum Operation {
    GetRun,
    ListRuns,
    Submit,
}

impl Operation {
    const ALL: [Self; 3] = [Self::GetRun, Self::ListRuns, Self::Submit];
}

fn main() {
    if let Ok(calls) = std::env::var("CALLS") {
        return repeat(&calls);
    }
    divan::main();
    // `cargo test -p agentgate-benches --benches` runs each benchmark once.
    if std::env::args().any(|argument| argument == "--bench") {
        compare();
    }
}

#[divan::bench(args = Caller::ALL, sample_count = 500, sample_size = 10)]
fn get_run(bencher: Bencher, caller: Caller) {
    bencher.bench_local(|| CALLERS.call(Operation::GetRun, caller));
}

#[divan::bench(args = Caller::ALL, sample_count = 500, sample_size = 10)]
fn list_100_runs(bencher: Bencher, caller: Caller) {
    bencher.bench_local(|| CALLERS.call(Operation::ListRuns, caller));
}

#[divan::bench(args = Caller::ALL, sample_count = 500, sample_size = 10)]
fn submit_work_order(bencher: Bencher, caller: Caller) {
    bencher.bench_local(|| CALLERS.call(Operation::Submit, caller));
}

/// Prints the ratios of the medians, alternating the callers.
fn compare() {
    println!("\nmedian of {ROUNDS} calls each, in turn");
    for operation in Operation::ALL {
        let mut times = Caller::ALL.map(|_| Vec::with_capacity(ROUNDS));
        for round in 0..ROUNDS {
            // Rotates the order, so that no caller always follows the same one.
            for place in 0..Caller::ALL.len() {
                let which = (round + place) % Caller::ALL.len();
                let start = Instant::now();
                CALLERS.call(operation, Caller::ALL[which]);
                times[which].push(start.elapsed());
            }
        }
        let medians = times.map(|mut times| {
            times.sort_unstable();
            times[ROUNDS / 2]
        });
        for (caller, median) in Caller::ALL.iter().zip(medians) {
            let ratio = median.as_secs_f64() / medians[0].as_secs_f64();
            println!("{:<9} {:<13} {median:>9.2?}  {ratio:.3}", format!("{operation:?}"), format!("{caller:?}"));
        }
    }
}

/// Makes the calls of the variable `CALLS`.
fn repeat(calls: &str) {
    let words: Vec<_> = calls.split_whitespace().collect();
    let operation = Operation::ALL.into_iter().find(|operation| format!("{operation:?}") == words[0]).unwrap();
    let caller = Caller::ALL.into_iter().find(|caller| format!("{caller:?}") == words[1]).unwrap();
    for _ in 0..words[2].parse().unwrap() {
        CALLERS.call(operation, caller);
    }
}

/// Shared by all measurements: the placement of the server's thread would outweigh the differences.
static CALLERS: LazyLock<Callers> = LazyLock::new(Callers::start);

struct Callers {
    runtime: Runtime,
    base_url: String,
    http: reqwest::Client,
    headers: HeaderMap,
    sdk: Client,
    sdk_limits_off: Client,
}

impl Callers {
    fn start() -> Self {
        let base_url = start_server();
        let http = http();
        let sdk = || {
            let builder = Client::builder().base_url(&base_url).api_key(API_KEY).http_client(http.clone());
            builder.timeout(TIMEOUT).clock(FastClock(Instant::now()))
        };
        let mut authorization = HeaderValue::try_from(format!("Bearer {API_KEY}")).unwrap();
        authorization.set_sensitive(true);
        let headers = [
            (ACCEPT, HeaderValue::from_static("application/json")),
            (AUTHORIZATION, authorization),
            (USER_AGENT, HeaderValue::from_static("agentgate-rust/0.1.0")),
        ];
        Self {
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
            headers: headers.into_iter().collect(),
            sdk: sdk().build().unwrap(),
            sdk_limits_off: sdk().rate_limit_mode(RateLimitMode::Off).build().unwrap(),
            base_url,
            http,
        }
    }

    fn call(&self, operation: Operation, caller: Caller) {
        self.runtime.block_on(async {
            match caller {
                Caller::Reqwest => self.by_reqwest(operation).await.unwrap(),
                Caller::Sdk => by_sdk(&self.sdk, operation).await.unwrap(),
                Caller::SdkLimitsOff => by_sdk(&self.sdk_limits_off, operation).await.unwrap(),
            }
        });
    }

    /// Makes the call as handwritten code would.
    async fn by_reqwest(&self, operation: Operation) -> reqwest::Result<()> {
        let Self { http, base_url, headers, .. } = self;
        match operation {
            Operation::GetRun => {
                let request = http.get(format!("{base_url}/v1/runs/run_3n9x2p"));
                let request = request.headers(headers.clone()).timeout(TIMEOUT);
                black_box(request.send().await?.error_for_status()?.json::<Run>().await?);
            }
            Operation::ListRuns => {
                let request = http.get(format!("{base_url}/v1/runs")).query(&[("limit", 100)]);
                let request = request.headers(headers.clone()).timeout(TIMEOUT);
                black_box(request.send().await?.error_for_status()?.json::<RunPage>().await?);
            }
            Operation::Submit => {
                let request = http.post(format!("{base_url}/v1/work-orders")).json(&order());
                let key = "67e55044-10b1-426f-9247-bb680e5fe0c8";
                let request = request.headers(headers.clone()).header("idempotency-key", key).timeout(TIMEOUT);
                black_box(request.send().await?.error_for_status()?.json::<WorkOrderCreated>().await?);
            }
        }
        Ok(())
    }
}

async fn by_sdk(client: &Client, operation: Operation) -> agentgate::Result<()> {
    match operation {
        Operation::GetRun => drop(black_box(client.runs().get("run_3n9x2p").await?)),
        Operation::ListRuns => drop(black_box(client.runs().list().limit(100).await?)),
        Operation::Submit => drop(black_box(client.work_orders().submit(order()).await?)),
    }
    Ok(())
}

/// A clock that advances by more than a minute per call, so that the submission limit delays no call.
#[derive(Debug)]
struct FastClock(Instant);

impl Clock for FastClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn monotonic(&self) -> Duration {
        // 20 µs become more than a minute.
        self.0.elapsed().saturating_mul(4_000_000)
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        panic!("unexpected wait of {duration:?}")
    }
}

/// Creates an HTTP client with the settings of the SDK's own.
fn http() -> reqwest::Client {
    let builder = reqwest::Client::builder().connect_timeout(Duration::from_secs(10));
    builder.redirect(redirect::Policy::none()).no_proxy().build().unwrap()
}

fn order() -> NewWorkOrder {
    let source = WorkspaceSource::git("https://github.com/your-org/your-repo").branch("main");
    NewWorkOrder::new("Add error handling to the API routes", source)
}

/// Starts a server that lives as long as the program. Returns its address.
fn start_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(|| serve(&stream.unwrap()));
        }
    });
    format!("http://{address}")
}

/// Responds to the requests on a connection until the client closes it.
fn serve(mut stream: &TcpStream) {
    let [run, page, created] = [run(), page(), created()].map(|body| response(&body.to_string()));
    stream.set_nodelay(true).unwrap();
    let mut requests = BufReader::new(stream);
    let mut line = String::new();
    loop {
        let mut response = &run;
        let mut body_length = 0;
        loop {
            line.clear();
            if requests.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if line.starts_with("POST") {
                response = &created;
            } else if line.starts_with("GET /v1/runs?") {
                response = &page;
            } else if let Some(length) = line.strip_prefix("content-length:") {
                body_length = length.trim().parse().unwrap();
            } else if line == "\r\n" {
                break;
            }
        }
        std::io::copy(&mut requests.by_ref().take(body_length), &mut std::io::sink()).unwrap();
        stream.write_all(response).unwrap();
    }
}

/// Returns a response with the headers of the service and a high rate limit.
fn response(body: &str) -> Vec<u8> {
    let length = body.len();
    let head = "HTTP/1.1 200 OK\r\n\
        content-type: application/json\r\n\
        date: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
        x-request-id: req_000001\r\n\
        x-ratelimit-limit: 1000000\r\n\
        x-ratelimit-remaining: 999999\r\n\
        x-ratelimit-reset: 1767225660\r\n";
    format!("{head}content-length: {length}\r\n\r\n{body}").into_bytes()
}

fn run() -> serde_json::Value {
    json!({
        "id": "run_3n9x2p",
        "workOrderId": "wo_8f2k1m",
        "status": "succeeded",
        "iterations": 3,
        "prUrl": "https://github.com/your-org/your-repo/pull/42",
        "timing": { "startedAt": "2026-01-15T10:30:05Z", "completedAt": "2026-01-15T10:34:05Z", "durationMs": 240_000 },
        "cost": { "credits": 12.5 },
    })
}

fn page() -> serde_json::Value {
    let runs: Vec<_> = (0..100)
        .map(|number| {
            json!({
                "id": format!("run_{number:06}"),
                "workOrderId": format!("wo_{number:06}"),
                "status": "succeeded",
                "createdAt": "2026-01-15T10:30:00Z",
                "completedAt": "2026-01-15T10:34:05Z",
            })
        })
        .collect();
    json!({ "data": runs, "total": 100, "limit": 100, "offset": 0 })
}

fn created() -> serde_json::Value {
    json!({
        "workOrderId": "wo_8f2k1m",
        "runId": "run_3n9x2p",
        "status": "pending",
        "createdAt": "2026-01-15T10:30:00Z",
    })
}
