//! Responses of something between the client and the service: what they are called, and what they must not decide.

use std::fmt::Write as _;
use std::sync::LazyLock;
use std::time::Duration;

use agentgate::http::{Method, Request};
use agentgate::test_util::{Replay, Reply};
use agentgate::{Client, Error, RateLimitMode, WorkspaceSource};
use bytes::Bytes;
use serde_json::json;
use tokio::time::Instant;

const STATUSES: [u16; 19] =
    [200, 301, 400, 401, 402, 403, 404, 407, 409, 410, 413, 422, 429, 500, 502, 503, 504, 520, 525];

const BODIES: [(&str, &str); 5] = [
    ("the service's error", r#"{"error":{"code":"NEW_CODE","message":"It failed."},"requestId":"req_1"}"#),
    ("a page", "<html><title>Oh no</title><h1>Oh no</h1><hr><center>nginx</center></html>"),
    ("empty", ""),
    ("other JSON", r#"{"statusCode":418,"error":"Oh no","message":["branch is not valid"]}"#),
    ("text", "upstream connect error or disconnect/reset before headers"),
];

const MINUTE: Duration = Duration::from_secs(60);

/// Returns a client whose requests get these responses, and its replay. Retries and polls take simulated time.
fn client(respond: impl FnMut(&Request<Bytes>) -> Reply + Send + 'static) -> (Client, Replay) {
    /// It is never used, and takes long to make.
    static HTTP: LazyLock<reqwest::Client> = LazyLock::new(reqwest::Client::new);
    let replay = Replay::with(respond);
    let builder = Client::builder().replay(&replay).rate_limit_mode(RateLimitMode::Off).http_client(HTTP.clone());
    (builder.build().unwrap(), replay)
}

fn run(status: &str) -> Reply {
    Reply::json(json!({ "id": "run_1", "workOrderId": "wo_1", "status": status }))
}

fn runs() -> Reply {
    Reply::json(json!({ "data": [{ "id": "run_2", "workOrderId": "wo_2", "status": "running" }], "total": 1 }))
}

/// Gives the response to some requests, and the run in its states to the others.
fn run_except(reply: &Reply, mut is_replaced: impl FnMut(u32, Duration) -> bool + Send + 'static) -> Client {
    let (reply, begun, mut count) = (reply.clone(), Instant::now(), 0);
    client(move |request| {
        count += 1;
        match request.uri().path() {
            _ if is_replaced(count, begun.elapsed()) => reply.clone(),
            "/v1/runs" => Reply::json(
                json!({ "data": [{ "id": "run_2", "workOrderId": "wo_2", "status": "running" }], "total": 1 }),
            ),
            _ if begun.elapsed() < 12 * MINUTE => run("running"),
            _ => run("succeeded"),
        }
    })
    .0
}

fn outcome<T>(result: &Result<T, Error>) -> String {
    result.as_ref().map_or_else(|error| error.kind().to_string(), |_| "ok".to_owned())
}

fn is_ten_minutes(count: u32, passed: Duration) -> bool {
    count > 1 && passed < 10 * MINUTE
}

/// A response in every place where it could be taken for the word of the service.
async fn row(reply: Reply) -> String {
    let always = || {
        client({
            let reply = reply.clone();
            move |_| reply.clone()
        })
        .0
    };
    let single = always().runs().get("run_1").await;
    let attempts = single.as_ref().unwrap_err().attempts();

    let mut first = Some(Reply::interruption());
    let lost = client({
        let reply = reply.clone();
        move |_| first.take().unwrap_or_else(|| reply.clone())
    })
    .0;
    let deleted = lost.webhooks().delete("wh_1").await;

    let one = run_except(&reply, |count, _| count == 1).runs().wait("run_1").await;
    let ten = run_except(&reply, is_ten_minutes).runs().wait("run_1").await;
    let (watching, mut last) = (run_except(&reply, is_ten_minutes), None);
    let mut changes = watching.runs().watch("run_1");
    while let Some(change) = changes.next().await {
        last = Some(change);
    }

    let listing = run_except(&reply, move |count, _| count <= attempts);
    let mut items = listing.runs().list().items();
    let failed = items.next().await.unwrap();
    let goes_on = items.next().await.is_some_and(|item| item.is_ok());

    let single = single.unwrap_err();
    let (_, advice) =
        single.to_string().split_once(". ").map(|(what, advice)| (what.to_owned(), advice.to_owned())).unwrap();
    let columns = [
        format!("{}, {attempts}", single.kind()),
        outcome(&deleted),
        outcome(&one),
        outcome(&ten),
        outcome(&last.unwrap()),
        format!("{}{}", outcome(&failed), if goes_on { ", goes on" } else { "" }),
        advice,
    ];
    columns.map(|column| format!("{column:20}")).join(" ").trim_end().to_owned()
}

/// A submission whose response was lost, and that can be looked up only through such responses.
async fn check_search(reply: Reply, lists_work: bool) {
    let (client, replay) = client(move |request| match request.uri().path() {
        "/v1/work-orders" => Reply::interruption(),
        "/v1/runs" if lists_work => runs(),
        _ => reply.clone(),
    });
    let error = client.work_orders().create("Fix it", WorkspaceSource::git("r")).reconcile().await.unwrap_err();
    assert!(error.may_have_reached_server(), "{error}");
    let submissions = replay.requests().iter().filter(|request| request.method() == Method::POST).count();
    assert_eq!(submissions, 1, "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_response_of_another_is_called_so_and_decides_nothing() {
    let mut table = String::new();
    for (name, body) in BODIES {
        let columns = [
            "single, attempts", "deletion, 2nd", "wait, one", "wait, 10 minutes", "watch, 10 minutes", "list", "advice",
        ];
        writeln!(table, "{name}\n        {}", columns.map(|column| format!("{column:20}")).join(" ").trim_end())
            .unwrap();
        for status in STATUSES {
            let reply = Reply::text(body).status(status);
            writeln!(table, "    {status} {}", row(reply.clone()).await).unwrap();
            for lists_work in [false, true] {
                check_search(reply.clone(), lists_work).await;
            }
        }
    }
    insta::assert_snapshot!(table);
}

#[tokio::test(start_paused = true)]
async fn one_refusal_of_another_ends_no_wait_of_the_client() {
    let mut refused = false;
    let (client, _) = client(move |request| match request.uri().path().strip_prefix("/v1/runs/") {
        Some(_) if !std::mem::replace(&mut refused, true) => Reply::text("<h1>Sign in</h1>").status(401),
        Some(id) => Reply::json(json!({ "id": id, "workOrderId": "wo_1", "status": "succeeded" })),
        None => runs(),
    });
    let waits: Vec<_> =
        (3..23).map(|number| tokio::spawn(client.runs().wait(format!("run_{number}")).into_future())).collect();
    for wait in waits {
        let _ = wait.await.unwrap().unwrap();
    }
}

/// Returns what proxies, gateways and content delivery networks send, each with its name.
fn boxes() -> impl Iterator<Item = (&'static str, Reply)> {
    include_str!("boxes.txt").split("========\n").map(|text| {
        let (head, body) = text.split_once("\n\n").unwrap();
        let mut lines = head.lines();
        let (name, status) = (lines.next().unwrap(), lines.next().unwrap().parse().unwrap());
        let reply = Reply::text(body.trim_end()).status(status);
        let headers = lines.map(|line| line.split_once(": ").unwrap());
        (name, headers.fold(reply, |reply, (name, value)| reply.header(name, value)))
    })
}

#[tokio::test(start_paused = true)]
async fn the_error_names_the_box_that_responded() {
    let mut texts = String::new();
    for (name, reply) in boxes() {
        let (client, _) = client(move |_| reply.clone());
        let error = client.runs().get("run_1").max_retries(0).await.unwrap_err();
        assert!(!error.to_string().contains(char::is_control), "{error}");
        writeln!(texts, "{name}\n    {error}").unwrap();
    }
    insta::assert_snapshot!(texts);
}
