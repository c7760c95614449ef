//! The client and the verifier decode JSON that other parsers accept.
//!
//! Valid bodies are rewritten with everything that JSON allows and `serde_json` rejects in some place: unpaired
//! surrogates, numbers beyond `f64`, deep nesting, duplicate keys, `null` for optional values, bytes that are not
//! UTF-8. Unchanged values must be preserved. Python is the reference for valid JSON.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use agentgate::Client;
use agentgate::simulator::{Fault, Simulator};
use agentgate::webhook::{Error, Event, Verifier};
use common::{UNKNOWN_FIELD, call, normalized};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

/// Operations and their responses. A key that ends in `?` marks an optional field.
fn responses() -> Vec<(&'static str, Value)> {
    let run = json!({
        "id": "run_1", "workOrderId": "wo_1", "status": "failed", "iterations?": 3, "prUrl?": "https://example.com/pull/1",
        "timing?": { "startedAt?": "2026-01-15T10:30:02Z", "completedAt?": "2026-01-15T10:34:47Z", "durationMs?": 285_000 },
        "cost?": { "credits?": 12, "tokens?": 7 },
        "tenantContext?": { "tenantId?": "acme-corp", "tenantUserId?": "user_123", "metadata?": { "plan?": "team" } },
        "error?": { "code?": "TESTS_FAILED", "message?": "2 of 40 tests failed", "step?": ["tests", 1] },
    });
    let summary = |id: &str| {
        json!({
            "id": id, "workOrderId": "wo_1", "status": "running", "iterations?": 3,
            "createdAt?": "2026-01-15T10:30:00Z", "completedAt?": "2026-01-15T10:34:47Z",
        })
    };
    let order = json!({
        "id": "wo_1", "taskPrompt": "Fix it", "runId?": "run_1", "status?": "running", "maxIterations?": 10,
        "workspaceSource": { "type": "git", "repository": "https://example.com/repo", "branch?": "main", "commit?": "abc" },
        "tenantContext?": { "tenantId?": "acme-corp" }, "metadata?": { "ticket?": "T-1", "parts?": [1, "two"] },
        "createdAt?": "2026-01-15T10:30:00Z",
    });
    let transaction = json!({
        "id": "txn_1", "type": "deduction", "amount": -50, "runId?": "run_1", "tenantId?": "acme-corp",
        "tenantUserId?": "user_123", "createdAt": "2026-01-15T10:30:00Z",
    });
    let template = json!({
        "id": "our-api", "name": "Our API", "description?": "An API", "builtIn": true, "tags?": ["api", "ours"],
        "source": { "type": "template", "templateId": "python-flask", "variables?": { "name": "shop" } },
        "variables?": [{ "name": "name", "description?": "Of the shop", "required?": true, "default?": "shop" }],
        "hooks?": { "setup?": "make" }, "createdAt?": "2026-01-15T10:30:00Z", "updatedAt?": "2026-01-15T10:30:00Z",
    });
    let webhook = json!({
        "id": "wh_1", "url": "https://example.com", "events": ["run.failed", "run.completed"], "enabled": true,
        "description?": "ours", "createdAt?": "2026-01-15T10:30:00Z", "updatedAt?": "2026-01-15T10:30:00Z",
    });
    vec![
        ("getRun", run),
        ("listRuns", json!({ "data": [summary("run_1"), summary("run_2")], "total?": 2, "limit?": 20, "offset?": 0 })),
        ("getWorkOrder", order),
        ("listCreditUsage", json!({ "transactions": [transaction], "total?": 1, "limit?": 50, "offset?": 0 })),
        ("listTemplates", json!([template])),
        ("createWebhook", json!({ "webhook": webhook, "secret": "whsec_0123456789" })),
    ]
}

/// An event, with its optional fields marked in the same way.
fn event() -> Value {
    json!({
        "id": "evt_1", "type": "run.failed", "createdAt?": "2026-01-15T10:35:00Z", "data?": {
            "runId?": "run_1", "workOrderId?": "wo_1", "status?": "failed", "iterations?": 3, "prUrl?": "https://example.com",
            "timing?": { "startedAt?": "2026-01-15T10:30:02Z", "durationMs?": 285_000 }, "cost?": { "credits?": 12 },
            "tenantContext?": { "tenantId?": "acme-corp", "metadata?": { "plan?": "team" } },
            "error?": { "code?": "TESTS_FAILED", "step?": ["tests", 1] }, "more?": { "deep?": [1] },
        },
    })
}

// JSON as written, and the expected value

#[derive(Clone, Debug)]
struct Json {
    kind: Kind,
    is_optional: bool,
    /// Earlier values of the same key. `None` if this is not the value of a key.
    earlier: Option<Vec<Vec<u8>>>,
}

#[derive(Clone, Debug)]
enum Kind {
    Word { written: Vec<u8>, read: Value },
    Text { written: Vec<u8>, read: String },
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    fn new(value: &Value) -> Self {
        let kind = match value {
            Value::String(text) => Kind::Text { written: text.clone().into_bytes(), read: text.clone() },
            Value::Array(items) => Kind::List(items.iter().map(Self::new).collect()),
            Value::Object(members) => {
                Kind::Object(members.iter().map(|(key, value)| Self::member(key, value)).collect())
            }
            word => Kind::Word { written: word.to_string().into_bytes(), read: word.clone() },
        };
        Self { kind, is_optional: false, earlier: None }
    }

    fn member(key: &str, value: &Value) -> (String, Self) {
        let name = key.trim_end_matches('?');
        (name.to_owned(), Self { is_optional: name != key, earlier: Some(Vec::new()), ..Self::new(value) })
    }

    /// Returns the expected value.
    fn read(&self) -> Value {
        match &self.kind {
            Kind::Word { read, .. } => read.clone(),
            Kind::Text { read, .. } => json!(read),
            Kind::List(items) => items.iter().map(Self::read).collect(),
            Kind::Object(members) => members.iter().map(|(name, value)| (name.clone(), value.read())).collect(),
        }
    }

    fn write(&self, space: &[u8], output: &mut Vec<u8>) {
        output.extend(space);
        match &self.kind {
            Kind::Word { written, .. } => output.extend(written),
            Kind::Text { written, .. } => output.extend([b"\"", &**written, b"\""].concat()),
            Kind::List(items) => {
                output.push(b'[');
                for (number, item) in items.iter().enumerate() {
                    output.extend((number > 0).then_some(b','));
                    item.write(space, output);
                }
                output.push(b']');
            }
            Kind::Object(members) => {
                output.push(b'{');
                for (number, (name, value)) in members.iter().enumerate() {
                    output.extend((number > 0).then_some(b','));
                    for earlier in value.earlier.iter().flatten() {
                        output.extend([space, b"\"", name.as_bytes(), b"\"", space, b":", earlier, b","].concat());
                    }
                    // An escaped key is the same key.
                    let name =
                        if value.earlier.iter().flatten().count() % 2 == 1 { escaped(name) } else { name.clone() };
                    output.extend([space, b"\"", name.as_bytes(), b"\"", space, b":"].concat());
                    value.write(space, output);
                }
                output.push(b'}');
            }
        }
        output.extend(space);
    }

    fn each(&mut self, act: &mut dyn FnMut(&mut Self)) {
        act(self);
        match &mut self.kind {
            Kind::List(items) => items.iter_mut().for_each(|item| item.each(act)),
            Kind::Object(members) => members.iter_mut().for_each(|(_, value)| value.each(act)),
            _ => {}
        }
    }
}

/// The text with each of its characters as an escape.
fn escaped(text: &str) -> String {
    text.encode_utf16().fold(String::new(), |text, unit| text + &format!("\\u{unit:04x}"))
}

// Changes

#[derive(Clone, Debug)]
enum Change {
    /// Appends to a string: the written bytes, and the expected text.
    Append(&'static [u8], &'static str),
    /// Writes a string entirely in escapes.
    Escape,
    /// Appends a suffix to an integer that does not change its value.
    Respell(&'static str),
    /// Writes this in place of an optional number.
    Replace(Vec<u8>),
    /// Writes `null` in place of an optional value.
    Null,
    /// Writes this value first, under the same key.
    Repeat(Vec<u8>),
    /// Adds an unknown field with this value.
    Add(Vec<u8>),
}

impl Change {
    fn fits(&self, json: &Json) -> bool {
        match (self, &json.kind) {
            // A time with a suffix does not parse.
            (Self::Append(..), Kind::Text { read, .. }) => !read.ends_with('Z'),
            (Self::Escape, Kind::Text { written, read }) => written == read.as_bytes(),
            (Self::Respell(_), Kind::Word { written, read }) => {
                read.as_i64().is_some_and(|number| written == number.to_string().as_bytes() && number != 0)
            }
            (Self::Replace(_), Kind::Word { read, .. }) => json.is_optional && read.is_number(),
            (Self::Null, _) => json.is_optional,
            (Self::Repeat(_), _) => json.earlier.is_some(),
            (Self::Add(_), kind) => matches!(kind, Kind::Object(_)),
            _ => false,
        }
    }

    fn apply(&self, json: &mut Json) {
        match (self, &mut json.kind) {
            (Self::Append(as_written, as_read), Kind::Text { written, read }) => {
                written.extend(*as_written);
                read.push_str(as_read);
            }
            (Self::Escape, Kind::Text { written, read }) => *written = escaped(read).into_bytes(),
            (Self::Respell(suffix), Kind::Word { written, .. }) => written.extend(suffix.bytes()),
            (Self::Replace(word), kind) => *kind = Kind::Word { written: word.clone(), read: Value::Null },
            (Self::Null, kind) => *kind = Kind::Word { written: b"null".to_vec(), read: Value::Null },
            (Self::Repeat(value), _) => json.earlier.get_or_insert_default().push(value.clone()),
            (Self::Add(value), Kind::Object(members)) => {
                let mut added = Json::member(UNKNOWN_FIELD, &Value::Null).1;
                added.kind = Kind::Word { written: value.clone(), read: Value::Null };
                members.push((UNKNOWN_FIELD.to_owned(), added));
            }
            _ => {}
        }
    }

    /// Makes the change in one of the places where it fits, if there are any.
    fn apply_at(&self, json: &mut Json, place: Index) {
        let mut places = 0;
        json.each(&mut |json| places += usize::from(self.fits(json)));
        if places == 0 {
            return;
        }
        let mut left = place.index(places);
        json.each(&mut |json| {
            if self.fits(json) {
                if left == 0 {
                    self.apply(json);
                }
                left = left.wrapping_sub(1);
            }
        });
    }
}

/// Numbers beyond `f64`. Python writes and reads the last three.
fn huge() -> impl Strategy<Value = Vec<u8>> {
    let words = ["1e400", "-1E+999", "17.5e308", "1e99999999999999999999", "NaN", "Infinity", "-Infinity"];
    prop_oneof![
        select(words.to_vec()).prop_map(|word| word.as_bytes().to_vec()),
        (309..1000_usize).prop_map(|digits| vec![b'7'; digits]),
    ]
}

/// Values of all kinds, including those on which parsers differ.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let written: [&[u8]; 12] = [
        b"null",
        b"true",
        b"-0.0",
        b"1e-999",
        b"7",
        br#""\ud83d""#,
        br#"{"\udc00\ud83d":"\ud83d\ud83d\ude00"}"#,
        b"\"\xff\"",
        b"\"\xed\xa0\xbd\"",
        br#"{"a":1,"a":[{}],"\u0061":"\\\"]"}"#,
        br#"[[],{},"",0]"#,
        "\"\u{2028}\u{1f600}\"".as_bytes(),
    ];
    let nested = (1..400_usize, any::<bool>()).prop_map(|(depth, is_list)| {
        let (open, close) = if is_list { ("[", "]") } else { (r#"{"]":"#, "}") };
        (open.repeat(depth) + r#""[\"""# + &close.repeat(depth)).into_bytes()
    });
    prop_oneof![3 => select(written.map(<[u8]>::to_vec).to_vec()), 1 => nested, 1 => huge()]
}

fn change() -> impl Strategy<Value = Change> {
    let appended: [(&[u8], &str); 9] = [
        (br"\ud83d", "\u{fffd}"),
        (br"-\uDE00", "-\u{fffd}"),
        (br"\ud83d\ud83d\ude00", "\u{fffd}\u{1f600}"),
        (br"\ud83d\n", "\u{fffd}\n"),
        (br"\ud83d\u0041", "\u{fffd}A"),
        (br"\ud83d\\ude00", "\u{fffd}\\ude00"),
        (br#"\"\/\b\f\t\u00e4"#, "\"/\u{8}\u{c}\tä"),
        (b"\xff", "\u{fffd}"),
        (b"\xf0\x9f\x98", "\u{fffd}"),
    ];
    prop_oneof![
        select(appended.to_vec()).prop_map(|(written, read)| Change::Append(written, read)),
        Just(Change::Escape),
        select(&[".0", "e0", ".000E+0", "000e-3"][..]).prop_map(Change::Respell),
        huge().prop_map(Change::Replace),
        Just(Change::Null),
        value().prop_map(Change::Repeat),
        value().prop_map(Change::Add),
    ]
}

/// Changes, the white space, and whether a byte order mark comes first.
fn changes() -> impl Strategy<Value = (Vec<(Change, Index)>, &'static str, bool)> {
    let space = select(&["", " ", "\r\n\t "][..]);
    (vec((change(), any::<Index>()), 1..12), space, prop::bool::weighted(0.1))
}

/// Applies the changes. Returns the body and the expected value.
fn changed(
    base: &Value,
    (changes, space, has_mark): &(Vec<(Change, Index)>, &'static str, bool),
    is_enveloped: bool,
) -> (Vec<u8>, Value) {
    let mut json = Json::new(base);
    for (change, place) in changes {
        change.apply_at(&mut json, *place);
    }
    let read = json.read();
    if is_enveloped {
        json = Json { kind: Kind::Object(vec![("data".to_owned(), json)]), is_optional: false, earlier: None };
    }
    let mut body = if *has_mark { b"\xef\xbb\xbf".to_vec() } else { Vec::new() };
    json.write(space.as_bytes(), &mut body);
    (body, read)
}

fn shown(body: &[u8]) -> String {
    String::from_utf8_lossy(body).chars().take(2000).collect()
}

/// A configuration without a file for failures, which are printed.
fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, cases, ..ProptestConfig::default() }
}

// Responses

async fn service() -> (Simulator, Client) {
    let simulator = Simulator::builder().record_requests(false).start().await.unwrap();
    let client = Client::builder().api_key(simulator.api_key()).base_url(simulator.url()).build().unwrap();
    (simulator, client)
}

#[test]
fn every_response_that_other_parsers_accept_decodes_and_keeps_unchanged_values() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (simulator, client) = runtime.block_on(service());
    proptest!(config(768), |(response in select(responses()), changes in changes(), is_enveloped: bool)| {
        let (operation, base) = response;
        let (body, read) = changed(&base, &changes, is_enveloped);
        simulator.inject(Fault::response(200, "application/json", body.clone()).on(operation));
        let outcome = runtime.block_on(call(&client, operation, "id_1"));
        let outcome = outcome.map_err(|error| TestCaseError::fail(format!("{error}: {}", shown(&body))))?;
        prop_assert_eq!(normalized(&outcome.value), normalized(&read), "{}", shown(&body));
    });
}

#[test]
fn malformed_responses_never_panic() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (simulator, client) = runtime.block_on(service());
    proptest!(config(512), |(response in select(responses()), changes in changes(), cuts in cuts(8))| {
        let (operation, base) = response;
        let body = broken(changed(&base, &changes, false).0, &cuts);
        simulator.inject(Fault::response(200, "application/json", body.clone()).on(operation));
        match runtime.block_on(call(&client, operation, "id_1")) {
            Ok(_) => {}
            Err(error) => prop_assert!(error.is_decode(), "{error}: {}", shown(&body)),
        }
    });
}

#[tokio::test]
async fn one_malformed_item_does_not_fail_the_page_and_the_body_is_kept() {
    let (simulator, client) = service().await;
    let body = br#"{"data": [{"id": "run_1", "workOrderId": "wo_1", "status": "running"},
                             {"id": "run_2", "workOrderId": "wo_\ud83d", "status": "running", "iterations": 1e400}]}"#;
    simulator.inject(Fault::response(200, "application/json", body.as_slice()));
    let response = client.runs().list().with_response().await.unwrap();
    let runs: Vec<_> = response
        .value()
        .data
        .iter()
        .map(|run| (run.id.as_str(), run.work_order_id.as_ref().unwrap().as_str()))
        .collect();
    assert_eq!(runs, [("run_1", "wo_1"), ("run_2", "wo_\u{fffd}")]);
    assert_eq!(response.value().data[1].iterations, None);
    assert_eq!(response.body().as_ref(), body);
}

#[tokio::test]
async fn an_error_body_that_serde_json_rejects_keeps_its_code() {
    let (simulator, client) = service().await;
    let body =
        r#"{"error": {"code": "INVALID_VALUE", "message": "No such branch: \ud83d", "details": {"limit": 1e400}}}"#;
    simulator.inject(Fault::response(400, "application/json", body));
    let error = client.runs().get("run_1").await.unwrap_err();
    assert_eq!((error.code(), error.message()), (Some("INVALID_VALUE"), Some("No such branch: \u{fffd}")));
}

// Deliveries

fn deliver(body: &[u8]) -> Result<Event, Error> {
    let verifier = Verifier::new(["whsec_0123456789"]).unwrap();
    verifier.unwrap_any(body, &[verifier.sign(body)])
}

proptest! {
    #![proptest_config(config(768))]

    #[test]
    fn every_delivery_that_other_parsers_accept_decodes_and_keeps_unchanged_values(mut changes in changes()) {
        // Unlike a response, an event drops an integer that is written as `3.0`.
        changes.0.retain(|(change, _)| !matches!(change, Change::Respell(_)));
        let (body, read) = changed(&event(), &changes, false);
        let event = deliver(&body).map_err(|error| TestCaseError::fail(format!("{error}: {}", shown(&body))))?;
        prop_assert_eq!(event.id.as_str(), &read["id"]);
        prop_assert_eq!(event.kind.as_str(), &read["type"]);
        prop_assert_eq!(event.created_at.is_some(), read["createdAt"].is_string());
        let data = serde_json::to_value(&event.data).unwrap();
        prop_assert_eq!(normalized(&data), normalized(&read["data"]), "{}", shown(&body));

        // Serializing it for a queue preserves it.
        let queued = serde_json::to_vec(&event).unwrap();
        prop_assert_eq!(serde_json::from_slice::<Event>(&queued).unwrap(), event);
    }

    #[test]
    fn malformed_deliveries_never_panic(changes in changes(), cuts in cuts(8)) {
        let body = broken(changed(&event(), &changes, false).0, &cuts);
        let outcome = deliver(&body);
        prop_assert!(matches!(outcome, Ok(_) | Err(Error::NotJson(_) | Error::NotAnEvent(_))), "{outcome:?}");
    }
}

fn cuts(most: usize) -> impl Strategy<Value = Vec<(Index, u8)>> {
    vec((any::<Index>(), any::<u8>()), 1..most)
}

/// Changes some bytes of the body, or truncates it.
fn broken(mut body: Vec<u8>, cuts: &[(Index, u8)]) -> Vec<u8> {
    /// Bytes with a meaning in JSON.
    const BYTES: &[u8] = b"[]{}\",:\\u.-+e0dD8 \nNtI\xff\xed";
    for (place, byte) in cuts {
        let place = place.index(body.len());
        match byte {
            0..16 => body.truncate(place.max(1)),
            _ => body[place] = BYTES[usize::from(*byte) % BYTES.len()],
        }
    }
    body
}

#[test]
fn deeply_nested_bodies_are_an_error_without_stack_overflow() {
    let size = 256 * 1024;
    for part in ["[", "{\"a\":", "{\"data\":[", "\"\\ud83d", "[1e400,", "{\"\\ud83d\":", "\"", "\\", "-"] {
        let body = part.repeat(size / part.len());
        assert!(matches!(deliver(body.as_bytes()), Err(Error::NotJson(_))), "{part}");
    }
}

// Other parsers

/// Prints for each line if Python parses the body in it, decoded as `fetch` and `requests` decode it.
const PYTHON: &str = r"
import json, sys

for line in sys.stdin:
    try:
        json.loads(bytes.fromhex(line).decode('utf-8-sig', 'replace'))
        print('read', flush=True)
    except (ValueError, RecursionError):
        print('rejected', flush=True)
";

#[test]
#[cfg_attr(not(python3), ignore = "needs python3")]
fn every_body_that_python_parses_decodes() {
    let mut runner = TestRunner::new(config(1));
    let bodies: Vec<_> = (0..3000)
        .map(|number| {
            let changes = changes().new_tree(&mut runner).unwrap().current();
            let cuts = cuts(3).new_tree(&mut runner).unwrap().current();
            let good = changed(&event(), &changes, false).0;
            if number % 3 == 0 { (good, true) } else { (broken(good, &cuts), false) }
        })
        .collect();

    let mut python =
        Command::new("python3").args(["-c", PYTHON]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = python.stdin.take().unwrap();
    let lines: String = bodies
        .iter()
        .flat_map(|(body, _)| body.iter().map(|byte| format!("{byte:02x}")).chain(["\n".to_owned()]))
        .collect();
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()).unwrap());
    let mut only_by_others = 0;
    for ((body, is_good), line) in bodies.iter().zip(BufReader::new(python.stdout.take().unwrap()).lines()) {
        let python_reads = line.unwrap() == "read";
        assert!(python_reads || !is_good, "Python does not read {}", shown(body));
        let is_json = !matches!(deliver(body), Err(Error::NotJson(_)));
        assert!(is_json || !python_reads, "only Python reads {}", shown(body));
        only_by_others += usize::from(python_reads && serde_json::from_slice::<Value>(body).is_err());
    }
    writer.join().unwrap();
    assert!(python.wait().unwrap().success());
    assert!(only_by_others > 300, "serde_json refuses only {only_by_others} of the bodies");
}
