//! Documented and undocumented errors: their messages, kinds and details.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use agentgate::simulator::{Fault, Simulator};
use agentgate::types::ErrorCode;
use agentgate::{Client, Error, ErrorKind, Operation, RateLimitMode, WorkspaceSource};
use common::call;
use common::clock::InstantClock;

struct Failing {
    simulator: Simulator,
    client: Client,
}

impl Failing {
    async fn start() -> Self {
        let simulator = Simulator::builder().rate_limit(u32::MAX).start().await.unwrap();
        let client = Client::builder()
            .base_url(simulator.url())
            .api_key(simulator.api_key())
            .max_retries(0)
            .clock(InstantClock::default())
            .build()
            .unwrap();
        Self { simulator, client }
    }

    async fn get(&self, fault: Fault) -> Error {
        self.simulator.inject(fault);
        self.client.runs().get("run_1").await.unwrap_err()
    }

    async fn submit(&self, fault: Fault) -> Error {
        self.simulator.inject(fault);
        self.client.work_orders().create("Fix it", WorkspaceSource::git("r")).await.unwrap_err()
    }
}

#[tokio::test]
async fn every_documented_error_has_a_message_with_advice() {
    let on = Failing::start().await;
    let mut texts = String::new();
    for code in ErrorCode::KNOWN {
        let error = on.submit(Fault::error(*code)).await;
        assert_eq!(error.code(), Some(*code));
        let status = error.status().unwrap().as_u16();
        writeln!(texts, "{code} ({status}, {})\n    {error}", error.kind()).unwrap();
    }
    insta::assert_snapshot!(texts);
}

#[tokio::test]
async fn the_error_for_a_rejected_key_names_the_source_of_the_key() {
    let on = Failing::start().await;
    let text = on.get(Fault::error("INVALID_API_KEY")).await.to_string();
    assert!(text.contains(" The key is the one given in code."), "{text}");
    assert!(!text.contains("AGENTGATE_API_KEY"), "{text}");
    for fault in [Fault::error("SCOPE_REQUIRED"), Fault::response(401, "text/html", "<h1>Sign in</h1>")] {
        let text = on.get(fault).await.to_string();
        assert!(!text.contains("given in code"), "{text}");
    }
}

/// The nouns of the resources, as texts name them.
const RESOURCES: [&str; 5] = ["work order", "run", "webhook", "template", "credit"];

/// Returns `true` if a message about this operation can name a resource: its own, or that of the code. A submission can
/// also name its run.
fn may_name(operation: &Operation, code: &str, resource: &str) -> bool {
    operation.path().contains(&resource.replace(' ', "-"))
        || code.to_lowercase().contains(resource)
        || (operation.id() == "createWorkOrder" && resource == "run")
}

/// Returns the resources that a text names, in singular or plural.
fn named(text: &str) -> Vec<&str> {
    let words: Vec<_> = text.split(|letter: char| !letter.is_alphanumeric()).collect();
    let is_named = |noun: &&str| {
        let singular = |word: &&str| word.to_lowercase().trim_end_matches('s').to_owned();
        words
            .windows(noun.split(' ').count())
            .any(|words| words.iter().map(singular).eq(noun.split(' ').map(str::to_owned)))
    };
    RESOURCES.into_iter().filter(is_named).collect()
}

/// Returns the part of an error's text after the message of the service.
fn advice(error: &Error) -> String {
    let text = error.to_string();
    let (_, advice) = text.split_once("Refused").unwrap_or_else(|| panic!("{text}"));
    let (_, advice) = advice.split_once(". ").unwrap_or_else(|| panic!("{text}"));
    let advice = advice.split(" (request id").next().unwrap_or_default();
    advice.split(" The next attempt should wait").next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn advice_mentions_only_resources_and_ids_of_the_operation() {
    let statuses = [400, 401, 402, 403, 404, 405, 407, 408, 409, 410, 413, 415, 422, 429, 500, 501, 502, 503, 504, 525];
    let codes = ErrorCode::KNOWN.iter().map(|code| (*code).to_owned());
    let mut on = Failing::start().await;
    // The operations by advice and case.
    let mut texts: BTreeMap<String, BTreeMap<String, Vec<&str>>> = BTreeMap::new();
    let own = statuses.map(|status| status.to_string());
    let foreign = statuses.map(|status| format!("{status} of another"));
    for case in codes.chain(own).chain(foreign) {
        for operation in Operation::ALL {
            let fault = match (case.parse(), case.split_once(' ')) {
                (Ok(status), _) => Fault::error("NEW_CODE").message("Refused").status(status),
                (_, Some((status, _))) => {
                    Fault::response(status.parse().unwrap(), "application/json", r#"{"error": {"message": "Refused"}}"#)
                }
                _ => Fault::error(case.clone()).message("Refused"),
            };
            on.simulator.inject(fault.on(operation.id()));
            let error = common::call(&on.client, operation.id(), "x").await.unwrap_err();
            let advice = advice(&error);
            for resource in named(&advice) {
                assert!(may_name(operation, &case, resource), "{}, {case}: `{advice}`", operation.id());
            }
            let has_id = operation.path().contains('{');
            assert!(has_id || !advice.contains("Check the id"), "{}, {case}: `{advice}`", operation.id());
            if error.is_rate_limited() {
                // A 429 pauses later calls of the client.
                on = Failing::start().await;
            }
            // This sentence depends on the failure, not on the advice.
            let advice = advice.split(" The request may have taken effect").next().unwrap_or_default().to_owned();
            texts.entry(advice).or_default().entry(case.clone()).or_default().push(operation.id());
        }
    }
    let mut table = String::new();
    for (advice, cases) in texts {
        writeln!(table, "{advice}").unwrap();
        for (case, operations) in cases {
            let others: Vec<_> =
                Operation::ALL.iter().map(Operation::id).filter(|operation| !operations.contains(operation)).collect();
            let operations = match others.len() {
                0 => "all".to_owned(),
                1..=6 => format!("all but {}", others.join(" ")),
                _ => operations.join(" "),
            };
            writeln!(table, "    {case}: {operations}").unwrap();
        }
    }
    insta::assert_snapshot!(table);
}

#[tokio::test]
async fn an_undocumented_code_is_kept_and_its_kind_follows_the_status() {
    let on = Failing::start().await;
    let error = on.get(Fault::error("QUOTA_OF_THE_MOON").status(403)).await;
    assert_eq!(error.code(), Some("QUOTA_OF_THE_MOON"));
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
}

#[tokio::test]
async fn the_error_keeps_the_response_of_a_proxy() {
    let on = Failing::start().await;
    let html = "<html>\n<head><title>502 Bad Gateway</title></head>\n<body>nginx</body></html>";
    let mut texts = String::new();
    for (what, fault) in [
        ("HTML", Fault::response(502, "text/html", html).header("x-request-id", "req_proxy")),
        ("an empty body", Fault::response(502, "text/plain", "")),
        ("truncated JSON", Fault::response(500, "application/json", r#"{"error": {"code": "INTERN"#)),
        ("unexpected JSON", Fault::response(500, "application/json", r#"["oops"]"#)),
        ("an error that is a string", Fault::response(404, "application/json", r#"{"error": "no route"}"#)),
        ("a code without a message", Fault::response(409, "application/json", r#"{"error": {"code": "BUSY"}}"#)),
        ("a message with control characters", Fault::error("INVALID_VALUE").message("a\r\n\u{1b}[31mb")),
        ("bytes that are not UTF-8", Fault::response(503, "text/plain", vec![0xff, 0xfe, b'x'])),
        ("a redirect", Fault::response(302, "text/plain", "").header("location", "https://elsewhere.example")),
        ("an unexpected status", Fault::response(418, "text/plain", "I'm a teapot")),
    ] {
        let error = on.get(fault).await;
        writeln!(texts, "{what} ({})\n    {error}", error.kind()).unwrap();
    }
    insta::assert_snapshot!(texts);

    let error = on.get(Fault::response(502, "text/html", html).header("x-served-by", "edge-7")).await;
    assert_eq!(error.status().unwrap(), 502);
    assert_eq!(error.headers().unwrap()["x-served-by"], "edge-7");
    assert_eq!(error.body(), Some(html.as_bytes()));
    assert_eq!((error.code(), error.message(), error.details()), (None, None, None));
}

#[tokio::test]
async fn details_are_typed_where_they_are_documented() {
    let on = Failing::start().await;
    let limited = on.get(Fault::error("RATE_LIMITED")).await;
    assert!(limited.is_rate_limited() && limited.retry_after().is_some());
    let limit = limited.rate_limit().unwrap();
    assert_eq!(limit.remaining, Some(0));
    assert!(limit.limit.is_some() && limit.reset_at.is_some());

    let poor = on.submit(Fault::error("INSUFFICIENT_CREDITS")).await;
    assert!(poor.credits().unwrap().required > poor.credits().unwrap().available);

    let scope = on.get(Fault::error("SCOPE_REQUIRED")).await;
    assert_eq!(scope.required_scope(), Some("runs:read"));
}

#[tokio::test]
async fn details_of_the_wrong_shape_are_kept_as_json() {
    let on = Failing::start().await;
    let body =
        r#"{"error": {"code": "INVALID_VALUE", "message": "m", "details": {"errors": "all", "required": "much"}}}"#;
    let error = on.get(Fault::response(400, "application/json", body)).await;
    assert!(error.field_errors().is_empty() && error.credits().is_none() && error.rate_limit().is_none());
    assert_eq!(error.details().unwrap()["errors"], "all");
}

#[tokio::test]
async fn may_have_reached_server_is_true_only_if_the_outcome_is_unknown() {
    let on = Failing::start().await;
    for (status, expected) in
        [(400, false), (401, false), (402, false), (404, false), (408, true), (409, false), (429, false)]
            .into_iter()
            .chain([(303, true), (500, true), (502, true), (503, true), (504, true)])
    {
        let error = on.submit(Fault::response(status, "text/plain", "")).await;
        assert_eq!(error.may_have_reached_server(), expected, "{status}");
    }
    assert!(!on.submit(Fault::error("SERVICE_UNAVAILABLE")).await.may_have_reached_server());
}

#[test]
fn an_error_has_the_size_of_a_pointer() {
    fn check<T: std::error::Error + Send + Sync + 'static>() -> usize {
        size_of::<T>()
    }
    assert_eq!(check::<Error>(), size_of::<usize>());
}

#[tokio::test]
async fn an_error_is_retryable_if_and_only_if_the_client_retries_it() {
    let simulator = Simulator::builder().rate_limit(u32::MAX).start().await.unwrap();
    let retries = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&retries);
    let builder = Client::builder()
        .base_url(simulator.url())
        .api_key(simulator.api_key())
        .clock(InstantClock::default())
        .on_retry(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
    let mut seen = BTreeMap::new();
    for operation in [Operation::GET_RUN, Operation::CANCEL_RUN, Operation::CREATE_WEBHOOK, Operation::TEST_WEBHOOK] {
        for (what, fault) in Fault::catalogue() {
            // These faults take real time.
            if what.contains("stall") {
                continue;
            }
            // A new client, as each has its own retry budget.
            let send = |max_retries| {
                simulator.inject(fault.clone().on(operation.id()));
                let client = builder.clone().max_retries(max_retries).build().unwrap();
                async move { call(&client, operation.id(), "any_1").await }
            };
            let first = send(0).await;
            retries.store(0, Ordering::Relaxed);
            send(1).await.ok();
            let Err(error) = first else { continue };
            assert_eq!(retries.load(Ordering::Relaxed) == 1, error.is_retryable(), "{operation}, {what}: {error}");
            *seen.entry((operation.is_idempotent(), error.is_retryable())).or_insert(0) += 1;
        }
    }
    assert_eq!(seen.len(), 4, "{seen:?}");
}

#[tokio::test]
async fn a_429_after_an_attempt_with_an_unknown_outcome_is_not_retryable() {
    let on = Failing::start().await;
    on.simulator.inject(Fault::bad_gateway().on("createWebhook"));
    on.simulator.inject(Fault::error("RATE_LIMITED").on("createWebhook"));
    let call = on.client.webhooks().create("https://example.com/hook", ["run.failed"]).repeatable().max_retries(1);
    let error = call.rate_limit_mode(RateLimitMode::Off).await.unwrap_err();
    assert!(error.is_rate_limited() && !error.is_retryable(), "{error}");
}

#[tokio::test]
async fn a_call_never_sent_before_its_deadline_is_retryable_and_an_invalid_request_is_not() {
    let on = Failing::start().await;
    let source = WorkspaceSource::git("r");
    let error = on.client.work_orders().create("x", source).deadline(Duration::ZERO).await.unwrap_err();
    assert!(error.is_retryable() && error.attempts() == 0, "{error}");
    assert!(!on.client.runs().get("").await.unwrap_err().is_retryable());
}
