//! Valid responses decode, and the errors of invalid ones name the location.
//!
//! The responses come from the contract: each example of each operation is served unchanged, and with every deviation
//! that the contract allows. The typed value is serialized again and compared with the served JSON, so that no value is
//! lost. Then follow responses that violate the contract: what does not fit is left out and reported, and only a
//! response without what identifies it is an error, which names the location.

use std::fmt::Write as _;

use agentgate::http::Method;
use agentgate::simulator::{Fault, Simulator};
use agentgate::types::{
    ArchiveFormat, CreditTransactionType, Run, RunStatus, TemplateWorkspaceSource, WebhookEventType, WorkspaceSource,
};
use agentgate::webhook::Event;
use agentgate::{Client, Error, Operation};
use common::clock::InstantClock;
use common::logs::Logs;
use common::{Outcome, UNKNOWN_FIELD, call, normalized};
use fastrand::Rng;
use serde_json::{Map, Value, json};

use crate::build::yaml;

/// The keys of lists in responses.
const LIST_KEYS: [&str; 3] = ["data", "webhooks", "templates"];

// The contract

struct Contract(Value);

/// An example response of the contract.
struct Example {
    operation: String,
    name: String,
    status: u16,
    schema: Value,
    value: Value,
}

/// A value in a response, with its schema.
struct Place {
    /// A JSON pointer.
    pointer: String,
    schema: Value,
    /// `true` inside an open union, which keeps unknown variants.
    in_union: bool,
}

impl Contract {
    fn read() -> Self {
        Self(yaml::read(common::CONTRACT).unwrap())
    }

    fn operations(&self) -> impl Iterator<Item = &Value> {
        let methods = self.0["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values());
        methods.filter(|operation| operation.get("operationId").is_some())
    }

    /// Returns every example of a response with a body.
    fn examples(&self) -> Vec<Example> {
        let mut examples = Vec::new();
        for operation in self.operations() {
            for (status, response) in operation["responses"].as_object().unwrap() {
                let Some(content) = response.pointer("/content/application~1json").filter(|_| status.starts_with('2'))
                else {
                    continue;
                };
                let named = content["examples"].as_object().into_iter().flatten();
                let named = named.map(|(name, example)| (name.as_str(), &example["value"]));
                for (name, value) in content.get("example").map(|value| ("example", value)).into_iter().chain(named) {
                    examples.push(Example {
                        operation: operation["operationId"].as_str().unwrap().to_owned(),
                        name: name.to_owned(),
                        status: status.parse().unwrap(),
                        schema: content["schema"].clone(),
                        value: value.clone(),
                    });
                }
            }
        }
        examples
    }

    /// Returns the operations whose responses have no documented body.
    fn without_body(&self) -> Vec<String> {
        let with: Vec<_> = self.examples().into_iter().map(|example| example.operation).collect();
        let ids = self.operations().map(|operation| operation["operationId"].as_str().unwrap().to_owned());
        let mut without: Vec<_> = ids.filter(|id| !with.contains(id)).collect();
        without.sort();
        without
    }

    fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema.get("$ref").and_then(Value::as_str) {
            Some(reference) => self.resolve(self.0.pointer(reference.trim_start_matches('#')).unwrap()),
            None => schema,
        }
    }

    /// Returns all values in an example that have a schema, outermost first.
    fn places(&self, example: &Example) -> Vec<Place> {
        let mut places = Vec::new();
        self.collect(&example.schema, &example.value, "", false, &mut places);
        places
    }

    fn collect(&self, schema: &Value, value: &Value, pointer: &str, in_union: bool, places: &mut Vec<Place>) {
        let schema = self.resolve(schema);
        if schema.get("oneOf").is_some() {
            let is_union = schema.get("discriminator").is_some();
            if is_union {
                places.push(Place { pointer: pointer.to_owned(), schema: schema.clone(), in_union: true });
            }
            return self.collect(self.variant(schema, value), value, pointer, in_union || is_union, places);
        }
        // An open enum is the enum, or any other string.
        let schema = schema.get("anyOf").map_or(schema, |forms| &forms[0]);
        places.push(Place { pointer: pointer.to_owned(), schema: schema.clone(), in_union });
        for (field, child) in schema["properties"].as_object().into_iter().flatten() {
            if let Some(value) = value.get(field) {
                self.collect(child, value, &format!("{pointer}/{field}"), in_union, places);
            }
        }
        if let Some(child) = schema.get("items") {
            for (index, value) in value.as_array().unwrap().iter().enumerate() {
                self.collect(child, value, &format!("{pointer}/{index}"), in_union, places);
            }
        }
    }

    /// Returns the variant of a union that a value matches.
    fn variant<'a>(&'a self, schema: &'a Value, value: &Value) -> &'a Value {
        if let Some(tag) = schema.pointer("/discriminator/propertyName").and_then(Value::as_str) {
            let reference = schema["discriminator"]["mapping"][value[tag].as_str().unwrap()].as_str().unwrap();
            return self.0.pointer(reference.trim_start_matches('#')).unwrap();
        }
        let fits = |variant: &&Value| match value {
            Value::Array(_) => variant["type"] == "array",
            value => variant["required"]
                .as_array()
                .is_some_and(|required| required.iter().all(|field| value.get(field.as_str().unwrap()).is_some())),
        };
        schema["oneOf"].as_array().unwrap().iter().find(fits).unwrap()
    }
}

impl Place {
    fn required(&self) -> Vec<&str> {
        self.schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// Returns the optional fields of the schema, present or not.
    fn optional(&self) -> Vec<&str> {
        let fields = self.schema["properties"].as_object().into_iter().flat_map(Map::keys).map(String::as_str);
        fields.filter(|field| !self.required().contains(field)).collect()
    }

    fn is_object(&self) -> bool {
        self.schema.get("properties").is_some()
    }
}

/// `/data/1/createdAt` → `data[1].createdAt`.
fn path(pointer: &str) -> String {
    let mut path = String::new();
    for step in pointer.split('/').skip(1) {
        match step.parse::<usize>() {
            Ok(index) => write!(path, "[{index}]").unwrap(),
            Err(_) if path.is_empty() => path.push_str(step),
            Err(_) => write!(path, ".{step}").unwrap(),
        }
    }
    path
}

// Changes to a response

fn with(value: &Value, pointer: &str, new: Value) -> Value {
    let mut value = value.clone();
    *value.pointer_mut(pointer).unwrap() = new;
    value
}

/// Sets a field of the object at this pointer, if the object exists.
fn with_field(value: &Value, pointer: &str, field: &str, new: Value) -> Value {
    let mut value = value.clone();
    if let Some(object) = value.pointer_mut(pointer) {
        object[field] = new;
    }
    value
}

fn without_field(value: &Value, pointer: &str, field: &str) -> Value {
    let mut value = value.clone();
    if let Some(object) = value.pointer_mut(pointer) {
        object.as_object_mut().unwrap().remove(field);
    }
    value
}

/// Normalizes a response for comparison: a list without its wrapping, and a [normalized] value.
fn comparable(operation: &str, value: &Value) -> Value {
    let is_list = matches!(operation, "listWebhooks" | "listTemplates");
    let list = LIST_KEYS.iter().filter(|_| is_list).find_map(|key| value.get(key));
    normalized(list.unwrap_or(value))
}

// The calls

struct Service {
    simulator: Simulator,
    client: Client,
    contract: Contract,
}

impl Service {
    async fn start() -> Self {
        let simulator = Simulator::start().await.unwrap();
        let client = Client::builder().api_key(simulator.api_key()).base_url(simulator.url());
        // Calls that count against the rate limit do not wait in real time.
        let client = client.clock(InstantClock::default()).build().unwrap();
        Self { simulator, client, contract: Contract::read() }
    }

    /// Makes a call, and responds to it with this body.
    async fn respond(&self, operation: &str, status: u16, body: impl Into<Vec<u8>>) -> Result<Outcome, Error> {
        self.simulator.inject(Fault::response(status, "application/json", body).on(operation));
        call(&self.client, operation, "id_1").await
    }

    async fn fail(&self, operation: &str, status: u16, body: impl Into<Vec<u8>>) -> Error {
        let body = body.into();
        match self.respond(operation, status, body.clone()).await {
            Err(error) => error,
            Ok(outcome) => panic!("{operation} took {} for {outcome:?}", String::from_utf8_lossy(&body)),
        }
    }

    /// Serves a valid response. Returns a description if the value is not the expected one.
    async fn problem(&self, example: &Example, status: u16, served: &Value, expected: &Value) -> Option<String> {
        let Example { operation, name, .. } = example;
        let expected = comparable(operation, expected);
        match self.respond(operation, status, served.to_string()).await {
            Err(error) => Some(format!("{operation} {name}: {error}: {served}")),
            Ok(outcome) if outcome.attempts != 1 => Some(format!("{operation} {name}: {outcome:?}")),
            Ok(outcome) if outcome.status != status => Some(format!("{operation} {name}: {outcome:?}")),
            Ok(outcome) => {
                let value = normalized(&outcome.value);
                (value != expected).then(|| format!("{operation} {name}: {value} is not {expected}, from {served}"))
            }
        }
    }

    /// Serves each example in each of its forms: the body, and the expected value.
    async fn all_decode(&self, at_least: usize, forms: impl Fn(&Example) -> Vec<(Value, Value)>) {
        let mut served = 0;
        let mut problems = Vec::new();
        for example in self.contract.examples() {
            for (sent, expected) in forms(&example) {
                served += 1;
                problems.extend(self.problem(&example, example.status, &sent, &expected).await);
            }
        }
        assert!(problems.is_empty(), "{} of {served}: {problems:#?}", problems.len());
        assert!(served >= at_least, "only {served} responses were served");
    }
}

// Valid responses

#[tokio::test]
async fn every_example_of_the_contract_decodes_without_loss() {
    let service = Service::start().await;
    service.all_decode(20, |example| vec![(example.value.clone(), example.value.clone())]).await;
}

#[tokio::test]
async fn every_operation_has_an_example_or_no_body() {
    let contract = Contract::read();
    let mut covered: Vec<_> = contract.examples().into_iter().map(|example| example.operation).collect();
    covered.dedup();
    covered.extend(contract.without_body());
    covered.sort();
    let mut all: Vec<_> = Operation::ALL.iter().map(Operation::id).collect();
    all.sort_unstable();
    assert_eq!(covered, all);
}

#[tokio::test]
async fn a_response_with_only_required_fields_decodes() {
    let service = Service::start().await;
    service
        .all_decode(20, |example| {
            let fields = service.contract.places(example).into_iter().flat_map(|place| {
                place.optional().into_iter().map(|field| (place.pointer.clone(), field.to_owned())).collect::<Vec<_>>()
            });
            let bare = fields.fold(example.value.clone(), |value, (at, field)| without_field(&value, &at, &field));
            // A balance has no required members, and a response needs one of its members.
            if bare == json!({}) { vec![] } else { vec![(bare.clone(), bare)] }
        })
        .await;
}

#[tokio::test]
async fn a_response_whose_optional_fields_are_all_null_decodes() {
    let service = Service::start().await;
    service
        .all_decode(20, |example| {
            let mut value = example.value.clone();
            // Innermost first, before the outer ones remove them.
            for place in service.contract.places(example).iter().rev() {
                for field in place.optional() {
                    value = with_field(&value, &place.pointer, field, Value::Null);
                }
            }
            vec![(value.clone(), value)]
        })
        .await;
}

#[tokio::test]
async fn each_optional_field_can_be_missing() {
    let service = Service::start().await;
    service
        .all_decode(100, |example| {
            let mut forms = Vec::new();
            for place in service.contract.places(example) {
                let object = example.value.pointer(&place.pointer).unwrap();
                for field in place.optional().into_iter().filter(|field| object.get(field).is_some()) {
                    let value = without_field(&example.value, &place.pointer, field);
                    forms.push((value.clone(), value));
                }
            }
            forms
        })
        .await;
}

#[tokio::test]
async fn each_optional_field_can_be_null() {
    let service = Service::start().await;
    service
        .all_decode(150, |example| {
            let mut forms = Vec::new();
            for place in service.contract.places(example) {
                for field in place.optional() {
                    let value = with_field(&example.value, &place.pointer, field, Value::Null);
                    forms.push((value.clone(), value));
                }
            }
            forms
        })
        .await;
}

#[tokio::test]
async fn unknown_fields_are_ignored_in_every_object() {
    let service = Service::start().await;
    service
        .all_decode(50, |example| {
            let objects: Vec<_> = service.contract.places(example).into_iter().filter(Place::is_object).collect();
            let new = json!({ "deep": [1, null, { "deeper": true }] });
            let add = |value: &Value, place: &Place| with_field(value, &place.pointer, UNKNOWN_FIELD, new.clone());
            let mut forms: Vec<_> = objects.iter().map(|place| add(&example.value, place)).collect();
            forms.push(objects.iter().fold(example.value.clone(), |value, place| add(&value, place)));
            forms.into_iter().map(|value| (value, example.value.clone())).collect()
        })
        .await;
}

#[tokio::test]
async fn an_envelope_around_any_response_is_removed() {
    let service = Service::start().await;
    service
        .all_decode(40, |example| {
            let value = &example.value;
            vec![
                (json!({ "data": value }), value.clone()),
                (json!({ "success": true, "data": value, "requestId": "req_1" }), value.clone()),
            ]
        })
        .await;
}

#[tokio::test]
async fn every_2xx_status_with_a_body_is_a_success() {
    let service = Service::start().await;
    let mut problems = Vec::new();
    for example in service.contract.examples() {
        for status in [200, 201, 202, 203, 206, 226, 299] {
            problems.extend(service.problem(&example, status, &example.value, &example.value).await);
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
}

#[tokio::test]
async fn responses_without_a_documented_body_can_have_any_body_or_none() {
    let service = Service::start().await;
    let operations = service.contract.without_body();
    assert!(operations.len() >= 3, "{operations:?}");
    for operation in operations {
        for status in [200, 201, 202, 204] {
            for body in ["", "null", "{}", r#"{"deleted": true}"#, r#"{"data": null}"#, "[1", "Done", "\u{0}"] {
                let outcome = service.respond(&operation, status, body).await;
                let outcome = outcome.unwrap_or_else(|error| panic!("{status} {body}: {error}"));
                assert_eq!((outcome.value, outcome.status, outcome.attempts), (Value::Null, status, 1));
            }
        }
        for page in ["<!DOCTYPE html><title>Sign in</title>", "\u{feff}\r\n <HTML>", "<?xml version='1.0'?><Error/>"] {
            let error = service.respond(&operation, 200, page).await.unwrap_err();
            assert!(error.is_decode() && error.may_have_reached_server(), "{error}");
            assert_eq!((error.status().unwrap().as_u16(), error.attempts()), (200, 1));
        }
        let own = r#"{"success": false, "error": {"code": "CONFLICT", "message": "It is in use."}}"#;
        let error = service.respond(&operation, 200, own).await.unwrap_err();
        assert_eq!((error.code(), error.message(), error.attempts()), (Some("CONFLICT"), Some("It is in use."), 1));
        assert!(error.may_have_reached_server());
    }
}

#[tokio::test]
async fn both_spellings_of_cancelled_decode_to_one_status() {
    let service = Service::start().await;
    let mut respelt = 0;
    for example in service.contract.examples() {
        let mut value = example.value.clone();
        for place in service.contract.places(&example) {
            if value.pointer(&place.pointer).unwrap() == "cancelled" {
                value = with(&value, &place.pointer, json!("canceled"));
                respelt += 1;
            }
        }
        assert_eq!(service.problem(&example, example.status, &value, &example.value).await, None);
    }
    assert!(respelt >= 3, "{respelt}");

    let body = r#"{"id": "run_1", "workOrderId": "wo_1", "status": "canceled"}"#;
    service.simulator.inject(Fault::response(200, "application/json", body));
    let run = service.client.runs().get("run_1").await.unwrap();
    assert_eq!(run.status, RunStatus::Cancelled);
    assert!(run.is_terminal());
}

#[tokio::test]
async fn unknown_enum_values_are_preserved() {
    let service = Service::start().await;
    service
        .all_decode(30, |example| {
            let places = service.contract.places(example);
            let words: Vec<_> = places.iter().filter(|place| place.schema.get("enum").is_some()).collect();
            let change = |value: &Value, place: &Place| with(value, &place.pointer, json!("x-new.word"));
            let mut forms: Vec<_> = words.iter().map(|place| change(&example.value, place)).collect();
            forms.push(words.iter().fold(example.value.clone(), |value, place| change(&value, place)));
            forms.into_iter().map(|value| (value.clone(), value)).collect()
        })
        .await;
}

#[tokio::test]
async fn unknown_enum_values_decode_to_the_unknown_variant() {
    let service = Service::start().await;
    let Service { simulator, client, .. } = &service;
    let serve = |body: Value| simulator.inject(Fault::response(200, "application/json", body.to_string()));

    serve(json!({ "id": "run_1", "workOrderId": "wo_1", "status": "no-such-status" }));
    let run = client.runs().get("run_1").await.unwrap();
    assert_eq!(run.status, RunStatus::Unknown("no-such-status".to_owned()));
    assert!(!run.is_terminal());

    serve(
        json!({ "id": "wh_1", "url": "https://a.example", "events": ["run.failed", "run.no-such-event"], "enabled": true }),
    );
    let webhook = client.webhooks().get("wh_1").await.unwrap();
    assert_eq!(
        webhook.events,
        [WebhookEventType::RunFailed, WebhookEventType::Unknown("run.no-such-event".to_owned())]
    );

    let time = "2026-01-15T10:30:00Z";
    serve(json!({ "transactions": [{ "id": "txn_1", "type": "gift", "amount": 5, "createdAt": time }] }));
    let page = client.credits().usage().await.unwrap();
    assert_eq!(page.transactions[0].kind, CreditTransactionType::Unknown("gift".to_owned()));

    let template = |source: Value| json!({ "id": "t", "name": "T", "builtIn": true, "source": source });
    serve(template(json!({ "type": "url", "url": "https://a.example/x", "format": "7z" })));
    let WorkspaceSource::Url(archive) = client.templates().get("t").await.unwrap().source else { panic!("no archive") };
    assert_eq!(archive.format, Some(ArchiveFormat::Unknown("7z".to_owned())));

    let image = json!({ "type": "image", "reference": "registry.example/x@sha256:0" });
    serve(template(image.clone()));
    assert_eq!(client.templates().get("t").await.unwrap().source, WorkspaceSource::Unknown(image));
}

#[tokio::test]
async fn typed_values_match_the_examples() {
    let service = Service::start().await;
    let Service { simulator, client, contract } = &service;
    let serve = |operation: &str, name: &str| {
        let examples = contract.examples();
        let example = examples.iter().find(|example| example.operation == operation && example.name == name).unwrap();
        simulator.inject(Fault::response(example.status, "application/json", example.value.to_string()).on(operation));
    };

    serve("createWorkOrder", "created");
    let order = client.work_orders().create("x", TemplateWorkspaceSource::new("python-flask")).await.unwrap();
    assert_eq!((order.work_order_id.as_str(), order.run_id.as_str()), ("wo_8f2k1m", "run_3n9x2p"));
    assert_eq!(order.status, RunStatus::Pending);
    assert_eq!(order.created_at.unwrap().to_rfc3339(), "2026-01-15T10:30:00+00:00");

    serve("getRun", "failed");
    let run = client.runs().get("run_7c1d5w").await.unwrap();
    assert_eq!((run.id.as_str(), run.work_order_id), ("run_7c1d5w", Some("wo_2p6r9t".into())));
    assert_eq!((run.status, run.iterations), (RunStatus::Failed, Some(10)));
    assert_eq!(run.timing.unwrap().duration_ms, Some(1_111_000));
    assert_eq!(run.cost.unwrap().credits, Some(120.5));
    assert_eq!(run.error.unwrap().code.as_deref(), Some("VERIFICATION_FAILED"));

    serve("listRuns", "page");
    let page = client.runs().list().await.unwrap();
    let statuses: Vec<_> = page.data.iter().map(|run| run.status.as_str()).collect();
    assert_eq!(statuses, ["succeeded", "failed", "cancelled"]);

    serve("cancelRun", "cancelled");
    let cancelled = client.runs().cancel("run_9k4m2s").await.unwrap();
    assert_eq!((cancelled.id.as_str(), cancelled.status), ("run_9k4m2s", RunStatus::Cancelled));

    serve("createWebhook", "created");
    let created = client.webhooks().create("https://a.example", ["run.failed"]).await.unwrap();
    assert_eq!((created.webhook.id.as_str(), created.secret.expose_secret()), ("wh_5d7q", "whsec_xxxxxxxxxxxxxxxx"));
}

#[tokio::test]
async fn unknown_fields_of_a_cost_and_a_run_error_are_preserved() {
    let service = Service::start().await;
    let body = json!({
        "id": "run_1", "workOrderId": "wo_1", "status": "failed",
        "cost": { "credits": 1, "tokens": 12 }, "error": { "code": "X", "step": "tests" },
    });
    service.simulator.inject(Fault::response(200, "application/json", body.to_string()));
    let run = service.client.runs().get("run_1").await.unwrap();
    assert_eq!(run.cost.unwrap().extra["tokens"], 12);
    assert_eq!(run.error.unwrap().extra["step"], "tests");
}

#[tokio::test]
async fn lists_decode_in_every_wrapping_and_can_be_empty() {
    let service = Service::start().await;
    let mut tried = 0;
    for example in service.contract.examples() {
        if !matches!(example.operation.as_str(), "listWebhooks" | "listTemplates") {
            continue;
        }
        let list = LIST_KEYS.iter().find_map(|key| example.value.get(key)).unwrap_or(&example.value);
        assert!(!list.as_array().unwrap().is_empty());
        for list in [list, &json!([])] {
            let mut forms = vec![list.clone()];
            forms.extend(LIST_KEYS.map(|key| json!({ key: list })));
            forms.extend(LIST_KEYS.map(|key| json!({ "total": 1, key: list, "limit": 20, "offset": 0 })));
            forms.extend(LIST_KEYS.map(|key| json!({ "data": { key: list } })));
            for form in forms {
                tried += 1;
                assert_eq!(service.problem(&example, 200, &form, list).await, None);
            }
        }
    }
    assert_eq!(tried, 2 * 3 * 2 * 10);
}

#[tokio::test]
async fn empty_pages_decode() {
    let service = Service::start().await;
    for (operation, list) in [("listRuns", "data"), ("listCreditUsage", "transactions")] {
        for body in [
            json!({ list: [] }),
            json!({ list: [], "total": 0, "limit": 20, "offset": 0 }),
            json!({ "data": { list: [] } }),
        ] {
            let outcome = service.respond(operation, 200, body.to_string()).await;
            let outcome = outcome.unwrap_or_else(|error| panic!("{body}: {error}"));
            assert_eq!(outcome.value[list], json!([]), "{body}");
        }
    }
}

// Responses that are not as documented

/// Values of all kinds, none of which stands for a value of another kind.
fn any_json(random: &mut Rng) -> Value {
    let nested = json!([[{ UNKNOWN_FIELD: 7 }]]);
    let all = json!([
        null, true, 0, 7, -1, 1.5, 1e40, u64::MAX, "", "text", [], ["text"], [7, "text"], {}, { UNKNOWN_FIELD: [1] }, nested,
    ]);
    random.choice(all.as_array().unwrap()).unwrap().clone()
}

/// Returns whether a value is one of a schema, by its type alone.
fn fits(contract: &Contract, schema: &Value, value: &Value) -> bool {
    let schema = contract.resolve(schema);
    let schema = schema.get("anyOf").map_or(schema, |forms| &forms[0]);
    match schema["type"].as_str() {
        _ if value.is_null() => true,
        Some("string") => value.is_string() && schema["format"] != "date-time",
        Some("boolean") => value.is_boolean(),
        Some("number") => value.is_number(),
        Some("integer") if schema["minimum"] == 0 && schema["format"] == "int32" => {
            value.as_u64().is_some_and(|number| u32::try_from(number).is_ok())
        }
        Some("integer") if schema["minimum"] == 0 => value.is_u64(),
        Some("integer") => value.is_i64(),
        Some("array") => {
            value.as_array().is_some_and(|items| items.iter().all(|item| fits(contract, &schema["items"], item)))
        }
        Some("object") => value.is_object(),
        _ => true,
    }
}

/// Replaces up to three optional members of an example. Returns the body, what has to be read from it, and the paths
/// that have to be reported.
fn replaced(contract: &Contract, example: &Example, random: &mut Rng) -> (Value, Value, Vec<String>) {
    let (mut body, mut expected, mut ignored) = (example.value.clone(), example.value.clone(), Vec::new());
    let objects: Vec<_> = contract.places(example).into_iter().filter(|place| !place.optional().is_empty()).collect();
    for _ in 0..random.u8(1..=3) {
        let Some(place) = random.choice(&objects) else { break };
        let (field, value) = (random.choice(place.optional()).unwrap(), any_json(random));
        let pointer = format!("{}/{field}", place.pointer);
        // What is within another replacement is not replaced.
        let Some(true) =
            body.pointer(&place.pointer).zip(example.value.pointer(&place.pointer)).map(|(now, before)| now == before)
        else {
            continue;
        };
        let fits = fits(contract, &place.schema["properties"][field], &value);
        if !fits {
            ignored.push(path(&pointer));
        }
        expected = with_field(&expected, &place.pointer, field, if fits { value.clone() } else { Value::Null });
        body = with_field(&body, &place.pointer, field, value);
    }
    ignored.sort();
    (body, expected, ignored)
}

#[tokio::test]
async fn any_json_in_place_of_optional_members_is_left_out_and_reported() {
    let service = Service::start().await;
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = Rng::with_seed(seed);
    let examples = service.contract.examples();
    for _ in 0..2000 {
        let example = random.choice(&examples).unwrap();
        let Example { operation, status, .. } = example;
        let (body, expected, ignored) = replaced(&service.contract, example, &mut random);
        let mut outcome = service.respond(operation, *status, body.to_string()).await.unwrap();
        outcome.ignored.sort();
        assert_eq!(outcome.ignored, ignored, "{operation}: {body}");
        assert_eq!(normalized(&outcome.value), comparable(operation, &expected), "{operation}: {body}");
        if operation != "getRun" {
            continue;
        }

        let event = json!({ "id": "evt_1", "type": "run.completed", "data": body });
        let event = Event::parse_unverified(event.to_string().as_bytes()).unwrap();
        assert_eq!(normalized(&json!(event.run())), normalized(&expected), "{body}");
        let mut reported = event.ignored().to_vec();
        reported.sort();
        assert_eq!(reported, ignored.iter().map(|path| format!("data.{path}")).collect::<Vec<_>>(), "{body}");

        if RunStatus::from(body["status"].as_str().unwrap()).is_terminal() {
            // Each wait is for a run of its own, as the states of earlier runs are kept.
            let id = json!(format!("run_{}", random.u64(..)));
            let (body, expected) = (with(&body, "/id", id.clone()), with(&expected, "/id", id.clone()));
            // One request learns of the end, and another has the response.
            service.simulator.inject(Fault::response(200, "application/json", body.to_string()).on(operation).times(2));
            let id = id.as_str().unwrap();
            let response = service.client.runs().wait(id).with_response().await.unwrap();
            assert_eq!(normalized(&json!(response.value().run())), normalized(&expected), "{body}");
            let mut reported = response.ignored().to_vec();
            reported.sort();
            assert_eq!(reported, ignored, "{body}");
        }
    }
}

/// Responses that are not as documented: the operation, the body, what is read, and the paths that are reported.
#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn a_response_that_is_not_as_documented_is_read() {
    let service = Service::start().await;
    let run =
        |members: Value| with_members(json!({ "id": "run_1", "workOrderId": "wo_1", "status": "succeeded" }), members);
    let summary = |members: Value| with_members(json!({ "id": "run_1", "status": "failed" }), members);
    let created = |members: Value| with_members(json!({ "workOrderId": "wo_1", "runId": "run_1" }), members);
    let unknown = |ids: Value| with_members(ids, json!({ "status": "" }));
    let time = "2026-01-15T10:30:00Z";
    for (operation, body, read, ignored) in [
        // Numbers.
        ("getRun", run(json!({ "timing": { "durationMs": 90500.25 } })), run(json!({})), vec!["timing.durationMs"]),
        ("getRun", run(json!({ "iterations": "3" })), run(json!({ "iterations": 3 })), vec![]),
        ("getRun", run(json!({ "iterations": 3.0 })), run(json!({ "iterations": 3 })), vec![]),
        ("getRun", run(json!({ "iterations": "3.0" })), run(json!({ "iterations": 3 })), vec![]),
        ("getRun", run(json!({ "iterations": "" })), run(json!({})), vec!["iterations"]),
        ("getRun", run(json!({ "iterations": "NaN" })), run(json!({})), vec!["iterations"]),
        ("getRun", run(json!({ "cost": { "credits": "12.5" } })), run(json!({ "cost": { "credits": 12.5 } })), vec![]),
        ("getRun", run(json!({ "cost": { "credits": "1e999" } })), run(json!({})), vec!["cost.credits"]),
        (
            "getCredits",
            json!({ "totalCreditsCents": 12.5, "includedCreditsCents": "-7" }),
            json!({ "includedCreditsCents": -7 }),
            vec!["totalCreditsCents"],
        ),
        ("listRuns", json!({ "data": [], "limit": "20", "total": -1 }), json!({ "limit": 20 }), vec!["total"]),
        ("listRuns", json!({ "data": null, "total": "57" }), json!({ "total": 57 }), vec![]),
        // Times.
        ("getRun", run(json!({ "timing": { "startedAt": "" } })), run(json!({})), vec!["timing.startedAt"]),
        (
            "createWorkOrder",
            created(json!({ "status": "pending", "createdAt": "2026-01-15 10:30:00" })),
            created(json!({ "status": "pending", "createdAt": time })),
            vec![],
        ),
        (
            "createWorkOrder",
            created(json!({ "status": "pending", "createdAt": 1_768_473_000 })),
            created(json!({ "status": "pending", "createdAt": time })),
            vec![],
        ),
        (
            "createWorkOrder",
            created(json!({ "status": "pending", "createdAt": "soon" })),
            created(json!({ "status": "pending" })),
            vec!["createdAt"],
        ),
        // Words.
        ("getRun", run(json!({ "status": "SUCCEEDED" })), run(json!({})), vec![]),
        ("getRun", run(json!({ "status": "Canceled" })), run(json!({ "status": "cancelled" })), vec![]),
        ("createWorkOrder", created(json!({})), unknown(created(json!({}))), vec!["status"]),
        ("getRun", json!({ "id": "run_1", "status": 7 }), unknown(json!({ "id": "run_1" })), vec!["status"]),
        ("getRun", json!({ "id": "run_1", "status": null }), unknown(json!({ "id": "run_1" })), vec!["status"]),
        // Objects and lists.
        (
            "getRun",
            run(json!({ "workOrderId": null, "error": "none", "timing": [] })),
            run(json!({ "workOrderId": null })),
            vec!["error", "timing"],
        ),
        ("getRun", json!({ "data": run(json!({ "cost": 7 })) }), run(json!({})), vec!["data.cost"]),
        ("getRun", json!({ "id": "req_1", "data": run(json!({})) }), run(json!({})), vec![]),
        (
            "listRuns",
            json!({ "data": [summary(json!({})), summary(json!({ "createdAt": {} }))] }),
            json!({ "data": [summary(json!({})), summary(json!({}))] }),
            vec!["data[1].createdAt"],
        ),
        (
            "getWebhook",
            json!({ "id": "wh_1", "events": "all", "enabled": "true" }),
            json!({ "id": "wh_1", "enabled": true }),
            vec!["events"],
        ),
        ("getWebhook", json!({ "id": "wh_1", "events": null, "url": [] }), json!({ "id": "wh_1" }), vec!["url"]),
        (
            "listWebhooks",
            json!({ "data": null, "webhooks": [{ "id": "wh_1", "url": 7 }] }),
            json!([{ "id": "wh_1" }]),
            vec!["webhooks[0].url"],
        ),
        (
            "getTemplate",
            json!({ "id": "t", "source": 7, "variables": [{ "name": "a" }, {}] }),
            json!({ "id": "t", "source": 7 }),
            vec!["variables"],
        ),
        (
            "getWorkOrder",
            json!({ "id": "wo_1", "workspaceSource": { "type": "GIT", "repository": "r", "branch": 7 } }),
            json!({ "id": "wo_1", "workspaceSource": { "type": "git", "repository": "r" } }),
            vec!["workspaceSource.branch"],
        ),
        (
            "getWorkOrder",
            json!({ "id": "wo_1", "workspaceSource": { "type": "template", "templateId": "t", "variables": { "a": 1, "b": "c" } } }),
            json!({ "id": "wo_1", "workspaceSource": { "type": "template", "templateId": "t", "variables": { "b": "c" } } }),
            vec!["workspaceSource.variables.a"],
        ),
        // What a union has no type for is kept as JSON.
        (
            "getWorkOrder",
            json!({ "id": "wo_1", "workspaceSource": { "type": "git", "branch": 7 } }),
            json!({ "id": "wo_1", "workspaceSource": { "type": "git", "branch": 7 } }),
            vec![],
        ),
    ] {
        let outcome = service.respond(operation, 200, body.to_string()).await;
        let outcome = outcome.unwrap_or_else(|error| panic!("{error}: {body}"));
        assert_eq!(normalized(&outcome.value), normalized(&read), "{body}");
        assert_eq!(outcome.ignored, ignored, "{body}");
    }
}

fn with_members(mut object: Value, members: Value) -> Value {
    let Value::Object(members) = members else { panic!("no members: {members}") };
    object.as_object_mut().unwrap().extend(members);
    object
}

#[tokio::test]
async fn a_response_with_misfits_is_logged_once() {
    let service = Service::start().await;
    let (logs, _guard) = Logs::capture();
    for body in [r#"{"id": "run_1", "status": "failed"}"#, r#"{"id": "run_1", "status": 7, "cost": "secret"}"#] {
        service.respond("getRun", 200, body).await.unwrap();
    }
    let lines: Vec<_> = logs.take().into_iter().filter(|line| line.contains("left out")).collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("DEBUG") && lines[0].contains(r#"operation="getRun""#), "{lines:?}");
    assert!(lines[0].contains(r#"["cost", "status"]"#) && !lines[0].contains("secret"), "{lines:?}");
}

#[tokio::test]
async fn a_type_of_the_crate_is_read_alike_by_an_untyped_request() {
    let service = Service::start().await;
    let body = r#"{"data": {"id": "run_1", "status": "running", "iterations": "3", "error": "none"}}"#;
    service.simulator.inject(Fault::response(200, "application/json", body));
    let run: Run = service.client.request(Method::GET, "/v1/runs/run_1").send_as().await.unwrap();
    assert_eq!((run.iterations, run.error), (Some(3), None));
}

// Invalid responses

#[tokio::test]
async fn only_a_response_without_what_identifies_it_fails() {
    /// Ids, the secret of a webhook with the webhook, and the lists of pages.
    const IDENTITY: [&str; 9] =
        ["id", "runId", "workOrderId", "secret", "webhook", "data", "transactions", "templates", "webhooks"];
    let service = Service::start().await;
    // A cancellation without its outcome was accepted all the same.
    for example in service.contract.examples().into_iter().filter(|example| example.operation != "cancelRun") {
        for place in service.contract.places(&example).into_iter().filter(|place| !place.in_union) {
            for field in place.required() {
                let body = without_field(&example.value, &place.pointer, field);
                let place = path(&format!("{}/{field}", place.pointer));
                match service.respond(&example.operation, example.status, body.to_string()).await {
                    Ok(outcome) => {
                        // A variable without its name leaves out the list of variables.
                        assert!(!IDENTITY.contains(&field) && outcome.ignored.len() == 1, "{place}: {body}");
                        assert!(place.starts_with(&outcome.ignored[0]), "{:?}: {body}", outcome.ignored);
                    }
                    Err(error) => {
                        let text = error.to_string();
                        assert!(IDENTITY.contains(&field) && error.is_decode(), "{text}: {body}");
                        assert!(
                            text.contains(&format!("missing field `{field}`")) || text.contains("no list"),
                            "{text}"
                        );
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn trailing_data_after_the_json_is_an_error() {
    let service = Service::start().await;
    for example in service.contract.examples() {
        for rest in ["}", "{}", "<html>"] {
            let error = service.fail(&example.operation, 200, format!("{}{rest}", example.value)).await;
            assert!(error.is_decode(), "{error}");
            let error =
                service.fail(&example.operation, 200, format!("{}{rest}", json!({ "data": example.value }))).await;
            assert!(error.is_decode(), "{error}");
        }
    }
}

#[tokio::test]
async fn a_response_truncated_anywhere_does_not_decode() {
    let service = Service::start().await;
    for example in service.contract.examples() {
        let body = example.value.to_string();
        for length in [1, body.len() / 3, body.len() / 2, body.len() - 1] {
            let error = service.fail(&example.operation, 200, &body[..length]).await;
            assert!(error.is_decode(), "{error}");
            assert_eq!(error.body(), Some(&body.as_bytes()[..length]));
        }
    }
}

/// Responses that do not decode: the fault, the operation, the status, the body.
const BAD: &[(&str, &str, u16, &str)] = &[
    ("no id", "getRun", 200, r#"{"workOrderId": "wo_1", "status": "running"}"#),
    ("a null id", "getRun", 200, r#"{"id": null, "workOrderId": "wo_1", "status": "running"}"#),
    ("an id of another type", "getRun", 200, r#"{"id": 7, "workOrderId": "wo_1", "status": "running"}"#),
    (
        "an item without its id",
        "listRuns",
        200,
        r#"{"data": [{"id": "run_1", "status": "pending"}, {"status": "pending"}]}"#,
    ),
    (
        "an item that is no object",
        "listCreditUsage",
        200,
        r#"{"transactions": [{"id": "txn_1", "type": "refund"}, null]}"#,
    ),
    ("an id of another type in a bare list", "listTemplates", 200, r#"[{"id": ["t"], "source": {}}]"#),
    ("no documented member", "getCredits", 200, r#"{"success": false}"#),
    ("HTML", "getRun", 200, "<!DOCTYPE html>\n<html><body><h1>Sign in to the network</h1></body></html>"),
    ("no body", "getRun", 200, ""),
    ("no body with a 204", "getTemplate", 204, ""),
    ("white space", "getRun", 200, " \r\n"),
    ("truncated JSON", "getRun", 200, r#"{"id": "run_1", "workOrderId": "wo"#),
    ("null", "getRun", 200, "null"),
    ("a string", "getRun", 200, r#""run_1""#),
    ("a list in place of an object", "getRun", 200, "[]"),
    ("a missing list", "listWebhooks", 200, r#"{"total": 2}"#),
    ("a string in place of a list", "listWebhooks", 200, r#"{"webhooks": "none"}"#),
    ("a page without items", "listCreditUsage", 200, r#"{"total": 0, "limit": 50, "offset": 0}"#),
    ("an id of another type inside an envelope", "getRun", 200, r#"{"data": {"id": 7, "status": "failed"}}"#),
    ("no id inside an envelope", "getRun", 200, r#"{"data": {"workOrderId": "wo_1", "status": "failed"}}"#),
    ("an empty envelope", "getRun", 200, r#"{"data": null}"#),
    ("an error with a success status", "getRun", 200, r#"{"error": {"code": "INTERNAL_ERROR", "message": "Oops."}}"#),
    ("the response to a submission", "createWorkOrder", 201, r#"{"workOrderId": "wo_1", "status": "pending"}"#),
];

#[tokio::test]
async fn every_decode_error_names_the_location() {
    let service = Service::start().await;
    let mut texts = String::new();
    for (what, operation, status, body) in BAD {
        let error = service.fail(operation, *status, *body).await;
        let text = error.to_string();
        assert!(!text.contains(['\n', '\r', '\t']), "{text}");
        writeln!(texts, "{what}\n    {text}").unwrap();
    }
    insta::assert_snapshot!(texts);
}

#[tokio::test]
async fn a_decode_error_holds_the_whole_response() {
    let service = Service::start().await;
    for (what, operation, status, body) in BAD {
        let fault = Fault::response(*status, "application/json", *body)
            .header("x-request-id", "req_77")
            .header("x-cache", "hit");
        service.simulator.inject(fault.on(operation));
        let error = call(&service.client, operation, "id_1").await.expect_err(what);
        assert!(error.is_decode(), "{what}: {error:?}");
        assert_eq!(error.status().map(|status| status.as_u16()), Some(*status), "{what}");
        assert_eq!(error.headers().unwrap()["x-cache"], "hit", "{what}");
        assert_eq!(error.request_id(), Some("req_77"), "{what}");
        assert_eq!(error.body(), Some(body.as_bytes()), "{what}");
        assert_eq!(error.operation().map(|operation| operation.id()), Some(*operation), "{what}");
        assert_eq!(error.attempts(), 1, "{what}");
        assert_eq!(error.retry_after(), None, "{what}");
        let says = if body.contains("INTERNAL_ERROR") { (Some("INTERNAL_ERROR"), Some("Oops.")) } else { (None, None) };
        assert_eq!((error.code(), error.message()), says, "{what}");
        assert!(error.may_have_reached_server(), "{what}");
        assert!(error.underlying().is_some(), "{what}");
        assert!(error.to_string().ends_with("(request id req_77)"), "{what}: {error}");
    }
    let requests = service.simulator.requests();
    let looks = requests.iter().filter(|request| request.path == "/v1/runs" && request.query.is_some()).count();
    assert_eq!(requests.len() - looks, BAD.len());
}

#[tokio::test]
async fn a_decode_error_without_a_request_id_has_none() {
    let service = Service::start().await;
    let error = service.fail("getRun", 200, "{}").await;
    assert_eq!(error.request_id(), None);
    assert!(!error.to_string().contains("request id"), "{error}");
}

#[tokio::test]
async fn a_binary_body_is_a_decode_error_without_control_characters() {
    let service = Service::start().await;
    let error = service.fail("getRun", 200, b"\x1f\x8b\x08\x00\xff\xfe".as_slice()).await;
    assert!(error.is_decode());
    assert_eq!(error.body(), Some(b"\x1f\x8b\x08\x00\xff\xfe".as_slice()));
    assert!(!error.to_string().contains(char::is_control), "{error:?}");
}

#[tokio::test]
async fn the_error_of_a_long_response_keeps_the_first_64_kib() {
    let service = Service::start().await;
    let body = format!("<html>{}", "x".repeat(200_000));
    let error = service.fail("getRun", 200, body.as_str()).await;
    let kept = error.body().unwrap();
    assert!(body.as_bytes().starts_with(kept));
    assert_eq!(kept.len(), 64 * 1024);
    assert!(error.to_string().len() < 500, "{error}");
}

// Secrets

/// A response to `createWebhook`.
fn created(webhook: &Value) -> String {
    format!(r#"{{"secret": "whsec_0123456789abcdef", "webhook": {webhook}}}"#)
}

#[tokio::test]
async fn debug_output_of_a_new_webhook_hides_its_secret() {
    let service = Service::start().await;
    let webhook = json!({ "id": "wh_1", "url": "https://a.example", "events": [], "enabled": true });
    service.simulator.inject(Fault::response(201, "application/json", created(&webhook)));
    let call = service.client.webhooks().create("https://a.example", ["run.failed"]);
    let response = call.with_response().await.unwrap();
    assert_eq!(response.value().secret.expose_secret(), "whsec_0123456789abcdef");
    let debug = format!("{response:?} {response:#?}");
    assert!(!debug.contains("0123456789abcdef"), "{debug}");
}

#[tokio::test]
async fn a_decode_error_of_a_new_webhook_hides_its_secret() {
    let service = Service::start().await;
    let body = created(&json!({ "url": "https://a.example" }));
    let error = service.fail("createWebhook", 201, body.as_str()).await;
    assert!(error.is_decode());
    assert_eq!(error.body(), Some(body.as_bytes()), "the body is available on request");
    let texts = format!("{error} {error:?} {error:#?}");
    assert!(!texts.contains("0123456789abcdef"), "{texts}");
}
