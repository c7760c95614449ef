//! Spans, events and `on_retry` of a call, and the values that none of them reveals.

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use agentgate::http::Method;
use agentgate::simulator::{Fault, Simulator};
use agentgate::{Client, Operation, WorkspaceSource};
use common::time::SimulatedTime;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

// Spans and events

/// Records all spans and events on this thread.
#[derive(Clone, Debug, Default)]
struct Trace(Arc<Mutex<String>>);

impl Trace {
    /// Starts recording on this thread.
    fn capture() -> (Self, DefaultGuard) {
        let trace = Self::default();
        let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(trace.clone()));
        (trace, guard)
    }

    fn line(&self, what: &str, fields: &Fields) {
        let mut text = self.0.lock().unwrap();
        writeln!(text, "{what}").unwrap();
        for (name, value) in &fields.0 {
            writeln!(text, "    {name} = {value}").unwrap();
        }
    }

    fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }

    /// Returns the records of this crate, without the simulator's port.
    fn of(&self, simulator: &Simulator) -> String {
        let port = simulator.url().rsplit(':').next().unwrap();
        let (mut text, mut is_ours) = (String::new(), false);
        for line in self.text().lines() {
            if !line.starts_with(' ') {
                is_ours = line.contains("[agentgate");
            }
            if is_ours {
                writeln!(text, "{}", line.replace(&format!("server.port = {port}"), "server.port = PORT")).unwrap();
            }
        }
        text
    }
}

#[derive(Default)]
struct Fields(Vec<(&'static str, String)>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push((field.name(), format!("{value:?}")));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Trace {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let metadata = attributes.metadata();
        self.line(&format!("{} span {} [{}]", metadata.level(), metadata.name(), metadata.target()), &fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        let metadata = context.span(id).unwrap().metadata();
        self.line(&format!("recorded in {} [{}]", metadata.name(), metadata.target()), &fields);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let span = context.event_span(event).map_or("no span", |span| span.name());
        let metadata = event.metadata();
        self.line(&format!("{} event in {span} [{}]", metadata.level(), metadata.target()), &fields);
    }
}

async fn start() -> (SimulatedTime, Client) {
    let time = SimulatedTime::start(Simulator::builder()).await;
    let client = time.client();
    // Registers the span's call site before the test records: a concurrent registration may lose it. Nothing is sent.
    let _ = client.credits().balance().deadline(Duration::ZERO).await;
    (time, client)
}

#[tokio::test]
async fn the_span_and_the_events_of_a_success() {
    let (time, client) = start().await;
    let (trace, _guard) = Trace::capture();
    client.credits().balance().await.unwrap();
    insta::assert_snapshot!(trace.of(time.simulator()));
}

#[tokio::test]
async fn the_span_and_the_events_of_a_success_at_the_second_attempt() {
    let (time, client) = start().await;
    time.simulator().inject(Fault::error("SERVICE_UNAVAILABLE").header("retry-after", "2"));
    let (trace, _guard) = Trace::capture();
    let call = client.work_orders().create("Fix it", WorkspaceSource::git("https://github.com/your-org/your-repo"));
    time.run(call.into_future()).await.unwrap();
    insta::assert_snapshot!(trace.of(time.simulator()));
}

#[tokio::test]
async fn the_span_and_the_events_of_a_raw_request() {
    let (time, client) = start().await;
    let (trace, _guard) = Trace::capture();
    client.request(Method::PUT, "/v1/secret-id").query("token", "s3cret").await.unwrap_err();
    insta::assert_snapshot!(trace.of(time.simulator()));
}

#[tokio::test]
async fn the_span_and_the_events_of_a_failure() {
    let (time, client) = start().await;
    time.simulator().inject(Fault::error("SERVICE_UNAVAILABLE").header("retry-after", "2"));
    let (trace, _guard) = Trace::capture();
    time.run(client.runs().get("run_17").into_future()).await.unwrap_err();
    insta::assert_snapshot!(trace.of(time.simulator()));
}

#[tokio::test]
async fn the_span_and_the_events_of_a_call_that_was_never_sent() {
    let (time, client) = start().await;
    let (trace, _guard) = Trace::capture();
    client.runs().get("run_17").deadline(Duration::ZERO).await.unwrap_err();
    insta::assert_snapshot!(trace.of(time.simulator()));
}

#[tokio::test]
async fn every_operation_has_a_span_with_its_name() {
    let (time, client) = start().await;
    for operation in Operation::ALL {
        let (trace, _guard) = Trace::capture();
        // The result does not matter.
        let _ = common::call(&client, operation.id(), "id_1").await;
        let text = trace.of(time.simulator());
        for line in [
            format!("agentgate.operation = \"{operation}\""),
            format!("http.request.method = \"{}\"", operation.method()),
            format!("url.template = \"{}\"", operation.path()),
            "otel.kind = \"client\"".to_owned(),
            "server.address = \"127.0.0.1\"".to_owned(),
        ] {
            assert_eq!(text.matches(&line).count(), 1, "{operation} lacks {line}: {text}");
        }
        assert!(!text.contains("id_1"), "{text}");
    }
}

// Secrets

/// Records the `log` output of all crates, including dependencies.
struct LogRecords(Mutex<String>);

impl log::Log for LogRecords {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        writeln!(self.0.lock().unwrap(), "{} [{}] {}", record.level(), record.target(), record.args()).unwrap();
    }

    fn flush(&self) {}
}

fn log_records() -> &'static LogRecords {
    static LOG_RECORDS: OnceLock<LogRecords> = OnceLock::new();
    let log_records = LOG_RECORDS.get_or_init(|| LogRecords(Mutex::default()));
    if log::set_logger(log_records).is_ok() {
        log::set_max_level(log::LevelFilter::Trace);
    }
    log_records
}

const KEY: &str = "org_live_k3yThatN0bodyMaySee";
const PROMPT: &str = "the pr0mpt is nobody's business";
const METADATA: &str = "m3tadata";
const HEADER: &str = "h3aderOfTheirs";
const MESSAGE: &str = "the me55age of the service";
const REPOSITORY: &str = "r3pository";

#[tokio::test]
async fn no_key_secret_or_body_is_logged_at_any_level_by_any_crate() {
    let log_records = log_records();
    let (trace, _guard) = Trace::capture();
    let (time, client) = start().await;
    let mut secrets = vec![time.simulator().api_key().to_owned()];

    let created = client
        .webhooks()
        .create("https://app.example.com/hooks", ["run.completed"])
        .description(METADATA)
        .header("x-token", HEADER)
        .await
        .unwrap();
    secrets.push(created.secret.expose_secret().to_owned());
    let submit = || {
        let source = WorkspaceSource::git(format!("https://github.com/your-org/{REPOSITORY}"));
        client.work_orders().create(PROMPT, source).into_future()
    };
    submit().await.unwrap();

    // Failures of every kind: rejected, interrupted, undecodable, and retried.
    for fault in [
        Fault::error("INVALID_VALUE").message(MESSAGE),
        Fault::error("SERVICE_UNAVAILABLE").message(MESSAGE),
        Fault::error("RATE_LIMITED").message(MESSAGE),
        Fault::response(502, "text/html", MESSAGE),
        Fault::response(201, "application/json", format!("{{\"runId\": \"{MESSAGE}\"}}")),
        Fault::response(200, "application/json", MESSAGE),
    ] {
        time.simulator().inject(fault);
        let _ = time.run(submit()).await;
    }
    let secret = r#"{"id":"wh_1","secret":"whsec_s3cretOfTheAnswer","url":7}"#;
    time.simulator().inject(Fault::response(201, "application/json", secret));
    secrets.push("s3cretOfTheAnswer".to_owned());
    client.webhooks().create("https://app.example.com/hooks", ["run.completed"]).await.unwrap_err();

    // A rejected key, and an unreachable service.
    for url in [time.simulator().url().to_owned(), common::script::closed_port().await] {
        let client = time.builder().api_key(KEY).base_url(url).build().unwrap();
        time.run(client.credits().balance().into_future()).await.unwrap_err();
    }

    secrets.extend([KEY, PROMPT, METADATA, HEADER, MESSAGE, REPOSITORY].map(str::to_owned));
    let output = trace.text() + &log_records.0.lock().unwrap();
    for target in ["[agentgate", "[hyper_util", "[reqwest"] {
        println!("{} lines of {target}]", output.matches(target).count());
        assert!(output.contains(target), "there are no records of {target}]:\n{output}");
    }
    for secret in secrets {
        assert!(!secret.is_empty());
        // Half of a secret must not appear either.
        let part = &secret[secret.len() / 2..];
        let line = output.lines().find(|line| line.contains(part));
        assert_eq!(line, None, "{secret}");
    }
}

// The callback

#[tokio::test]
async fn on_retry_is_called_once_per_retry_with_its_details() {
    let time = SimulatedTime::start(Simulator::builder()).await;
    let retries = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&retries);
    let client = time
        .builder()
        .on_retry(move |retry| {
            let status = retry.error.status().map(|status| status.as_u16());
            note.lock().unwrap().push((retry.operation, retry.attempts, retry.delay, status, retry.error.to_string()));
        })
        .build()
        .unwrap();
    client.credits().balance().await.unwrap();
    assert_eq!(retries.lock().unwrap().len(), 0);

    for (code, wait) in [("SERVICE_UNAVAILABLE", "2"), ("RATE_LIMITED", "5"), ("INTERNAL_ERROR", "1")] {
        time.simulator().inject(Fault::error(code).header("retry-after", wait));
    }
    time.run(client.clone().runs().list().into_future()).await.unwrap();
    let retries = std::mem::take(&mut *retries.lock().unwrap());
    let seconds = Duration::from_secs;
    let facts: Vec<_> = retries
        .iter()
        .map(|(operation, attempts, pause, status, _)| (*operation, *attempts, *pause, *status))
        .collect();
    assert_eq!(
        facts,
        [
            (Operation::LIST_RUNS, 1, seconds(2), Some(503)),
            (Operation::LIST_RUNS, 2, seconds(5), Some(429)),
            (Operation::LIST_RUNS, 3, seconds(1), Some(500)),
        ]
    );
    assert!(retries[0].4.contains("SERVICE_UNAVAILABLE"), "{retries:?}");
}

#[tokio::test]
async fn on_retry_is_not_called_for_failures_that_are_not_retried() {
    let time = SimulatedTime::start(Simulator::builder()).await;
    let retries = Arc::new(Mutex::new(0));
    let count = Arc::clone(&retries);
    let client = time.builder().on_retry(move |_| *count.lock().unwrap() += 1).build().unwrap();
    client.runs().get("run_17").await.unwrap_err();
    time.simulator().inject(Fault::error("SERVICE_UNAVAILABLE").times(2));
    client.credits().balance().max_retries(0).await.unwrap_err();
    assert_eq!(*retries.lock().unwrap(), 0);
    // There is no retry after the last attempt.
    time.run(client.credits().balance().max_retries(1).into_future()).await.unwrap();
    assert_eq!(*retries.lock().unwrap(), 1);
}
