//! The cost of verifying a delivery, compared with plain `hmac` and `sha2` and with `ring`, for three sizes.
//!
//! ```sh
//! cargo bench -p agentgate-benches --bench verify
//! ```
//!
//! All verify the same signature header and body. `HmacSha2` computes the key schedule for each delivery, as
//! handwritten code often does. `HmacSha2KeyKept` and `RingKeyKept` compute it once, like the verifier. `Unwrap` also
//! parses the event, and `HmacSha2AndJson` also parses the body to a `serde_json::Value`. Divan measures one after the
//! other, and the machine may change its speed in between. A second table therefore alternates them and prints the
//! ratios.

#![allow(clippy::unwrap_used)]

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use agentgate::http::HeaderMap;
use agentgate::webhook::{SIGNATURE_HEADER, Verifier};
use divan::counter::BytesCount;
use divan::{AllocProfiler, Bencher, black_box};
use hmac::{Hmac, KeyInit, Mac};
use ring::hmac as ring_hmac;
use serde_json::{Value, json};
use sha2::Sha256;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

const SECRET: &str = "whsec_4f7d1c2a9b8e6035d4c3b2a190f8e7d6";

/// Duration of the measurement of ratios for each size.
const TIME: Duration = Duration::from_secs(10);
/// Minimum duration of a timed batch, as the clock is too coarse for a single call.
const BATCH: Duration = Duration::from_micros(50);

/// The method of verification.
#[derive(Clone, Copy, Debug)]
enum By {
    HmacSha2,
    HmacSha2KeyKept,
    RingKeyKept,
    Verify,
    /// With the key kept, and the body parsed to a `Value`.
    HmacSha2AndJson,
    /// With the headers of a request, and the event parsed.
    Unwrap,
}

impl By {
    const ALL: [Self; 6] =
        [Self::HmacSha2, Self::HmacSha2KeyKept, Self::RingKeyKept, Self::Verify, Self::HmacSha2AndJson, Self::Unwrap];
}

fn main() {
    divan::main();
    // `cargo test -p agentgate-benches --benches` runs each benchmark once.
    if std::env::args().any(|argument| argument == "--bench") {
        compare();
    }
}

#[divan::bench(args = By::ALL)]
fn of_200_bytes(bencher: Bencher, by: By) {
    measure(bencher, by, &DELIVERIES[0]);
}

#[divan::bench(args = By::ALL)]
fn of_2_kib(bencher: Bencher, by: By) {
    measure(bencher, by, &DELIVERIES[1]);
}

#[divan::bench(args = By::ALL)]
fn of_1_mib(bencher: Bencher, by: By) {
    measure(bencher, by, &DELIVERIES[2]);
}

fn measure(bencher: Bencher, by: By, delivery: &Delivery) {
    bencher.counter(BytesCount::of_slice(&delivery.body)).bench_local(|| VERIFIERS.verify(black_box(delivery), by));
}

/// Prints the ratios of the medians, alternating the verifiers.
fn compare() {
    println!("\nmedian for one delivery, in turn; ratio to `HmacSha2`, `HmacSha2KeyKept` and `HmacSha2AndJson`");
    for delivery in &*DELIVERIES {
        let many = By::ALL.map(|by| batch(delivery, by));
        let mut times = By::ALL.map(|_| Vec::new());
        let start = Instant::now();
        for round in 0.. {
            if start.elapsed() > TIME {
                break;
            }
            // Rotates the order, so that no verifier always follows the same one.
            for place in 0..By::ALL.len() {
                let which = (round + place) % By::ALL.len();
                times[which].push(time(delivery, By::ALL[which], many[which]) / many[which]);
            }
        }
        let medians = times.map(|mut times| {
            times.sort_unstable();
            times[times.len() / 2]
        });
        for (by, median) in By::ALL.iter().zip(medians) {
            let [each, kept, and_json] = [By::HmacSha2, By::HmacSha2KeyKept, By::HmacSha2AndJson]
                .map(|plain| median.as_secs_f64() / medians[plain as usize].as_secs_f64());
            println!(
                "{:>8} B  {:<16} {median:>9.2?}  {each:>7.3}  {kept:>7.3}  {and_json:.3}",
                delivery.body.len(),
                format!("{by:?}")
            );
        }
    }
}

/// Returns the number of verifications in a batch.
fn batch(delivery: &Delivery, by: By) -> u32 {
    let mut many = 1;
    while time(delivery, by, many) < BATCH {
        many *= 2;
    }
    many
}

fn time(delivery: &Delivery, by: By, many: u32) -> Duration {
    let start = Instant::now();
    for _ in 0..many {
        VERIFIERS.verify(black_box(delivery), by);
    }
    start.elapsed()
}

static VERIFIERS: LazyLock<Verifiers> = LazyLock::new(|| Verifiers {
    hmac: Hmac::new_from_slice(SECRET.as_bytes()).unwrap(),
    ring: ring_hmac::Key::new(ring_hmac::HMAC_SHA256, SECRET.as_bytes()),
    verifier: Verifier::new([SECRET]).unwrap().max_body_size(1 << 20),
});

struct Verifiers {
    hmac: Hmac<Sha256>,
    ring: ring_hmac::Key,
    verifier: Verifier,
}

impl Verifiers {
    fn verify(&self, Delivery { body, signature, headers }: &Delivery, by: By) {
        match by {
            By::HmacSha2 => by_hmac(&Hmac::new_from_slice(SECRET.as_bytes()).unwrap(), body, signature),
            By::HmacSha2KeyKept => by_hmac(&self.hmac, body, signature),
            By::RingKeyKept => ring_hmac::verify(&self.ring, body, &tag(signature)).unwrap(),
            By::Verify => self.verifier.verify(body, signature).unwrap(),
            By::HmacSha2AndJson => {
                by_hmac(&self.hmac, body, signature);
                drop(black_box(serde_json::from_slice::<Value>(body).unwrap()));
            }
            By::Unwrap => drop(black_box(self.verifier.unwrap(body, headers).unwrap())),
        }
    }
}

/// Verifies as handwritten code would.
fn by_hmac(key: &Hmac<Sha256>, body: &[u8], signature: &str) {
    let mut mac = key.clone();
    mac.update(body);
    mac.verify_slice(&tag(signature)).unwrap();
}

fn tag(signature: &str) -> [u8; 32] {
    let mut tag = [0; 32];
    base16ct::mixed::decode(signature.strip_prefix("sha256=").unwrap(), &mut tag).unwrap();
    tag
}

static DELIVERIES: LazyLock<[Delivery; 3]> =
    LazyLock::new(|| [(small(), 200), (run(16), 2048), (run(14_000), 1 << 20)].map(Delivery::new));

struct Delivery {
    body: Vec<u8>,
    signature: String,
    headers: HeaderMap,
}

impl Delivery {
    /// Creates a delivery with a body of `size` bytes.
    fn new((mut event, size): (Value, usize)) -> Self {
        event["data"]["note"] = "".into();
        let missing = size - event.to_string().len();
        event["data"]["note"] = "Nothing to add. ".repeat(missing).get(..missing).into();
        let body = event.to_string().into_bytes();
        assert_eq!(body.len(), size);
        let signature = VERIFIERS.verifier.sign(&body);
        let headers = [
            ("host", "example.com"),
            ("user-agent", "AgentGate-Webhooks/1.0"),
            ("content-type", "application/json"),
            ("accept", "*/*"),
            ("x-forwarded-for", "192.0.2.1"),
            (SIGNATURE_HEADER, &signature),
        ];
        let headers = headers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        Self { body, headers: headers.into_iter().collect(), signature }
    }
}

/// Returns an event with few fields.
fn small() -> Value {
    json!({
        "id": "evt_7h2k9d",
        "type": "run.completed",
        "createdAt": "2026-01-15T10:34:05Z",
        "data": { "runId": "run_3n9x2p", "workOrderId": "wo_8f2k1m", "status": "succeeded" },
    })
}

/// Returns an event with a whole run and `entries` labels of its tenant.
fn run(entries: usize) -> Value {
    let metadata: serde_json::Map<_, _> = (0..entries)
        .map(|number| {
            (
                format!("label_{number:05}"),
                json!({ "name": format!("value of label {number:05}"), "order": number, "shown": true }),
            )
        })
        .collect();
    json!({
        "id": "evt_7h2k9d",
        "type": "run.failed",
        "createdAt": "2026-01-15T10:34:05Z",
        "data": {
            "id": "run_3n9x2p",
            "workOrderId": "wo_8f2k1m",
            "status": "failed",
            "iterations": 10,
            "prUrl": "https://github.com/your-org/your-repo/pull/42",
            "timing": { "startedAt": "2026-01-15T10:30:05Z", "completedAt": "2026-01-15T10:34:05Z", "durationMs": 240_000 },
            "cost": { "credits": 12.5 },
            "error": { "code": "VERIFICATION_FAILED", "message": "3 tests of 128 fail: auth::login, auth::logout, auth::refresh" },
            "tenantContext": { "tenantId": "acme-corp", "tenantUserId": "user_17", "metadata": metadata },
        },
    })
}
