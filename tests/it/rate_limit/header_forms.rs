//! A service that writes its rate-limit headers in another form than the documented one.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use agentgate::test_util::{Replay, Reply, TokioClock};
use agentgate::{Client, Clock as _, Operation};
use tokio::task::JoinSet;

/// Returns the headers of a response, from the limit, the requests that are left, the seconds to the reset, and the
/// reset in Unix seconds.
type Form = fn(u32, u32, u64, i64) -> Vec<(&'static str, String)>;

const LIMIT: &str = "x-ratelimit-limit";
const REMAINING: &str = "x-ratelimit-remaining";
const RESET: &str = "x-ratelimit-reset";

fn headers(limit: String, left: String, reset: String) -> Vec<(&'static str, String)> {
    vec![(LIMIT, limit), (REMAINING, left), (RESET, reset)]
}

fn rfc3339(reset: i64) -> String {
    agentgate::chrono::DateTime::from_timestamp(reset, 0).unwrap().to_rfc3339()
}

const FORMS: [(&str, Form); 14] = [
    ("lists with a window", |n, left, _, at| headers(format!("{n}, {n};w=60"), left.to_string(), at.to_string())),
    ("joined lines", |n, left, _, at| headers(format!("{n}, {n}"), format!("{left}, {left}"), format!("{at}, {at}"))),
    ("fractions", |n, left, _, at| headers(format!("{n}.0"), format!("{left}.0"), format!("{at}.000"))),
    ("milliseconds", |n, left, _, at| headers(n.to_string(), left.to_string(), format!("{at}000"))),
    ("seconds from now", |n, left, wait, _| headers(n.to_string(), left.to_string(), wait.to_string())),
    ("a duration", |n, left, wait, _| headers(n.to_string(), left.to_string(), format!("{wait}s"))),
    ("a date", |n, left, _, at| headers(n.to_string(), left.to_string(), rfc3339(at))),
    ("below zero", |n, left, _, at| {
        let left = if left == 0 { "-3".to_owned() } else { left.to_string() };
        headers(n.to_string(), left, at.to_string())
    }),
    ("a limit in words", |_, left, _, at| headers("standard".to_owned(), left.to_string(), at.to_string())),
    ("no reset", |n, left, _, _| vec![(LIMIT, n.to_string()), (REMAINING, left.to_string())]),
    ("a reset in words", |n, left, _, _| headers(n.to_string(), left.to_string(), "soon".to_owned())),
    ("a reset of zero", |n, left, _, _| headers(n.to_string(), left.to_string(), "0".to_owned())),
    ("no remaining", |n, _, _, at| vec![(LIMIT, n.to_string()), (RESET, at.to_string())]),
    ("nothing that means anything", |_, _, _, _| headers("?".to_owned(), "?".to_owned(), "?".to_owned())),
];

const PLAIN: Form = |n, left, _, at| headers(n.to_string(), left.to_string(), at.to_string());

/// Makes 300 calls against a limit of 100 requests in windows of `length`. Returns the number of 429s, of calls that
/// failed, and the time.
async fn three_hundred_calls(length: u64, form: Form) -> (usize, usize, Duration) {
    let clock = TokioClock::new();
    // Some time into a window.
    tokio::time::advance(Duration::from_secs(17)).await;
    let (service, refused) = (clock, Arc::new(Mutex::new(0)));
    let (count, mut window, mut used) = (Arc::clone(&refused), 0, 0);
    let replay = Replay::with(move |_| {
        let now = service.now().timestamp();
        let length = i64::try_from(length).unwrap();
        let (present, reset) = (now / length, (now / length + 1) * length);
        if present != window {
            (window, used) = (present, 0);
        }
        let wait = u64::try_from(reset - now).unwrap();
        let reply = if used == 100 {
            *count.lock().unwrap() += 1;
            Reply::error("RATE_LIMITED").header("retry-after", &wait.to_string())
        } else {
            used += 1;
            Reply::example(Operation::GET_CREDITS)
        };
        let reply = reply.header("date", &service.now().format("%a, %d %b %Y %H:%M:%S GMT").to_string());
        form(100, 100 - used, wait, reset).into_iter().fold(reply, |reply, (name, value)| reply.header(name, &value))
    });
    let client = Client::builder().replay(&replay).clock(clock).build().unwrap();
    let mut calls: JoinSet<_> = (0..300).map(|_| client.credits().balance().into_future()).collect();
    let mut failed = 0;
    while let Some(call) = calls.join_next().await {
        failed += usize::from(call.unwrap().is_err());
    }
    let refused = *refused.lock().unwrap();
    (refused, failed, clock.monotonic())
}

#[tokio::test(start_paused = true)]
async fn limits_in_any_form_are_kept() {
    for (name, form) in [("plain", PLAIN)].into_iter().chain(FORMS) {
        let (refused, failed, took) = three_hundred_calls(60, form).await;
        assert_eq!((refused, failed), (0, 0), "{name}");
        // Three windows, the first of which is partly over. Windows that are not reported may begin later.
        assert!(took <= Duration::from_secs(180), "{name}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_window_longer_than_a_minute_is_learnt() {
    for (name, form) in [("plain", PLAIN)].into_iter().chain(FORMS.into_iter().take(7)) {
        let (refused, failed, took) = three_hundred_calls(300, form).await;
        assert_eq!((refused, failed), (0, 0), "{name}");
        assert!(took <= Duration::from_secs(900), "{name}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_for_a_long_window_that_another_program_has_used() {
    let clock = TokioClock::new();
    let service = clock;
    let replay = Replay::with(move |_| {
        let left = Duration::from_secs(300).saturating_sub(service.monotonic());
        let reply = if left.is_zero() {
            Reply::example(Operation::GET_CREDITS)
        } else {
            Reply::error("RATE_LIMITED").header("retry-after", &left.as_secs().to_string())
        };
        reply.header(LIMIT, "100").header(REMAINING, "0").header(RESET, &left.as_secs().to_string())
    });
    let client = Client::builder().replay(&replay).clock(clock).build().unwrap();
    client.credits().balance().await.unwrap();
    assert_eq!((replay.requests().len(), clock.monotonic()), (2, Duration::from_secs(300)));
}
