//! The validation of requests by the simulator, checked against `openapi.yaml`.
//!
//! Each request body and query is built from its schema with all fields. Then each value is replaced, removed or
//! extended, one at a time. The simulator must accept every valid request, and must reject every invalid one with a 400
//! that names the field.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use agentgate::simulator::{RunPlan, Simulator};
use serde_json::{Map, Value, json};

use super::conformance::{Contract, Operation, Response, target, template, webhook};

/// Keywords of a schema that are not rules.
const ANNOTATIONS: [&str; 9] = [
    "additionalProperties", "default", "deprecated", "description", "discriminator", "example", "items", "properties",
    "title",
];

/// A field that no request body has.
const EXTRA: &str = "extraField";

/// Values of every type, which together violate every rule of the contract.
fn pool() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1),
        json!(1.5),
        json!(1_000_000),
        json!(3_000_000_000_u64),
        json!(1e300),
        json!(""),
        json!(" "),
        json!("x"),
        json!("Two Words"),
        json!("no-such-word"),
        json!("a\nb"),
        json!("caf\u{e9}"),
        json!("http://app.example.com/hooks"),
        json!("https://"),
        json!("https://app.example.com/two words"),
        json!("https://b\u{fc}ro.example.com:8443/hooks?a=b#c"),
        json!("2026-01-31"),
        json!("2026-01-31T12:00:00+02:00"),
        json!([]),
        json!([null]),
        json!(["x"]),
        json!({}),
        json!({ "x": null }),
        json!({ "x": "y" }),
    ]
}

/// A place in a value: its JSON pointer, and its schema.
type Place = (String, Value);

impl Contract {
    /// Returns the alternatives of a schema.
    fn alternatives(&self, schema: &Value) -> Vec<Value> {
        let schema = self.resolve(schema);
        match schema.get("oneOf").and_then(Value::as_array) {
            Some(alternatives) => alternatives.iter().flat_map(|schema| self.alternatives(schema)).collect(),
            None => vec![self.widest(schema).clone()],
        }
    }

    /// Returns the widest alternative: an open enum accepts any string.
    fn widest<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let schema = self.resolve(schema);
        schema
            .get("anyOf")
            .and_then(Value::as_array)
            .and_then(|any| any.last())
            .map_or(schema, |last| self.widest(last))
    }

    /// Returns valid values with all fields: one, and a variation of it for each alternative within it.
    fn samples(&self, schema: &Value) -> Vec<Value> {
        self.alternatives(schema).iter().flat_map(|schema| self.samples_of_one(schema)).collect()
    }

    fn samples_of_one(&self, schema: &Value) -> Vec<Value> {
        if let Some(value) = schema.get("example").or_else(|| schema["enum"].get(0)) {
            return vec![value.clone()];
        }
        match schema["type"].as_str() {
            Some("object") => {
                let mut members = Vec::new();
                for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                    members.push((name.clone(), self.samples(property)));
                }
                if schema["additionalProperties"].is_object() {
                    members.push(("x-name".to_owned(), self.samples(&schema["additionalProperties"])));
                }
                let first: Map<_, _> =
                    members.iter().map(|(name, samples)| (name.clone(), samples[0].clone())).collect();
                let mut objects = vec![Value::Object(first)];
                for (name, samples) in members {
                    for other in samples.into_iter().skip(1) {
                        let mut object = objects[0].clone();
                        object[&name] = other;
                        objects.push(object);
                    }
                }
                objects
            }
            Some("array") => {
                let length = usize::try_from(schema["minItems"].as_u64().unwrap_or(1)).unwrap();
                self.samples(&schema["items"]).into_iter().map(|item| json!(vec![item; length.max(1)])).collect()
            }
            Some("integer") => vec![schema.get("minimum").cloned().unwrap_or(json!(1))],
            Some("boolean") => vec![json!(true)],
            Some("string") if schema["format"] == "date-time" => vec![json!("2026-01-31T00:00:00Z")],
            _ => vec![json!("x".repeat(usize::try_from(schema["minLength"].as_u64().unwrap_or(1)).unwrap()))],
        }
    }

    /// Returns all places in a value of this schema, starting with the value itself.
    fn places(&self, schema: &Value, value: &Value, pointer: &str) -> Vec<Place> {
        let alternatives = self.alternatives(schema);
        let schema = alternatives.iter().find(|schema| self.violations(schema, value).is_empty()).unwrap();
        let mut places = vec![(pointer.to_owned(), schema.clone())];
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    let schema = schema["properties"].get(name).unwrap_or(&schema["additionalProperties"]);
                    if schema.is_object() {
                        places.extend(self.places(schema, value, &format!("{pointer}/{name}")));
                    }
                }
            }
            Value::Array(items) if schema.get("items").is_some() => {
                for (index, item) in items.iter().enumerate() {
                    places.extend(self.places(&schema["items"], item, &format!("{pointer}/{index}")));
                }
            }
            _ => {}
        }
        places
    }

    /// Returns test values for a schema: the pool, and values at and beyond each bound.
    fn candidates(&self, schema: &Value) -> Vec<Value> {
        let mut candidates = pool();
        candidates.extend(self.samples(schema));
        for word in schema["enum"].as_array().into_iter().flatten() {
            candidates.push(word.clone());
        }
        for (keyword, bound) in schema.as_object().unwrap() {
            let Some(bound) = bound.as_i64() else { continue };
            for n in bound - 1..=bound + 1 {
                let length = usize::try_from(n).unwrap_or_default();
                match keyword.as_str() {
                    "minimum" | "maximum" => candidates.push(json!(n)),
                    "minLength" | "maxLength" => candidates.push(json!("x".repeat(length))),
                    "minItems" | "maxItems" => {
                        candidates.push(json!(vec![self.samples(&schema["items"]).swap_remove(0); length]));
                    }
                    _ => {}
                }
            }
        }
        self.assert_every_rule_is_violated(schema, &candidates);
        candidates
    }

    /// Checks that for each rule of a schema, a candidate violates only this rule.
    fn assert_every_rule_is_violated(&self, schema: &Value, candidates: &[Value]) {
        for (keyword, rule) in schema.as_object().unwrap() {
            let is_rule = match keyword.as_str() {
                // The formats of numbers are not rules.
                "format" => rule == "date-time",
                // The enum implies the type.
                "type" => schema.get("enum").is_none(),
                "required" => false,
                _ => !ANNOTATIONS.contains(&keyword.as_str()) && !keyword.starts_with("x-"),
            };
            let mut others = schema.clone();
            others.as_object_mut().unwrap().remove(keyword);
            let breaks = |value: &&Value| {
                !self.violations(schema, value).is_empty() && self.violations(&others, value).is_empty()
            };
            assert!(
                !is_rule || candidates.iter().any(|value| breaks(&value)),
                "nothing breaks {keyword}: {rule} alone"
            );
        }
    }

    /// Returns each value that differs from this one at a single place, with that place.
    fn mutants(&self, schema: &Value, value: &Value) -> Vec<(Value, String)> {
        let mut mutants = vec![(value.clone(), String::new())];
        for (pointer, schema) in self.places(schema, value, "") {
            for candidate in self.candidates(&schema) {
                let mut mutant = value.clone();
                *mutant.pointer_mut(&pointer).unwrap() = candidate;
                mutants.push((mutant, pointer.clone()));
            }
            let Some(Value::Object(fields)) = value.pointer(&pointer) else { continue };
            for name in fields.keys() {
                let mut mutant = value.clone();
                mutant.pointer_mut(&pointer).unwrap().as_object_mut().unwrap().remove(name);
                mutants.push((mutant, format!("{pointer}/{name}")));
            }
            let mut mutant = value.clone();
            mutant.pointer_mut(&pointer).unwrap()[EXTRA] = json!(null);
            mutants.push((mutant, format!("{pointer}/{EXTRA}")));
            // Only the required fields.
            let mut mutant = value.clone();
            let required = schema["required"].as_array().cloned().unwrap_or_default();
            mutant
                .pointer_mut(&pointer)
                .unwrap()
                .as_object_mut()
                .unwrap()
                .retain(|name, _| required.contains(&json!(name)));
            mutants.push((mutant, pointer.clone()));
        }
        mutants
    }
}

/// `/variables/0/name` → `variables[0].name`.
fn field(pointer: &str) -> String {
    let steps = pointer.split('/').skip(1).map(|step| match step.parse::<usize>() {
        Ok(index) => format!("[{index}]"),
        Err(_) => format!(".{step}"),
    });
    steps.collect::<String>().trim_start_matches('.').to_owned()
}

/// The schema of an operation's request body.
fn body_schema(contract: &Contract, operation: &Operation) -> Option<Value> {
    let body = contract.resolve(operation.definition.get("requestBody")?);
    Some(body.pointer("/content/application~1json/schema").unwrap().clone())
}

struct Api {
    simulator: Simulator,
    http: reqwest::Client,
    contract: Contract,
}

impl Api {
    /// Starts a simulator without limits, with one webhook and one template.
    async fn start() -> Self {
        let builder = Simulator::builder().price(0).rate_limit(u32::MAX).submission_limit(u32::MAX);
        let simulator = builder.concurrent_runs(u32::MAX).start().await.unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let api = Self { simulator, http, contract: Contract::read() };
        for (operation, body) in [("createWebhook", webhook()), ("createTemplate", template())] {
            assert_eq!(api.send(&api.contract.operation(operation), "", "", Some(&body)).await.status, 201);
        }
        api
    }

    /// Sends a request and checks that its response is a documented one.
    async fn send(&self, operation: &Operation, target: &str, query: &str, body: Option<&Value>) -> Response {
        let request = self.request(operation, target, query);
        let request = if let Some(body) = body { request.json(body) } else { request };
        let response = Response::of(request.send().await.unwrap()).await;
        self.contract.check(operation, &response);
        response
    }

    fn request(&self, operation: &Operation, target: &str, query: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{}{query}", self.simulator.url(), common::fill(&operation.path, target));
        self.http.request(operation.method.parse().unwrap(), url).bearer_auth(self.simulator.api_key())
    }
}

/// The simulator's responses to requests that the contract forbids, by operation and field.
#[derive(Default)]
struct ValidationResults {
    count: usize,
    /// The requests that were accepted, and the number of those that were refused.
    invalid: BTreeMap<String, (Vec<String>, usize)>,
}

impl ValidationResults {
    /// Checks that a valid request is accepted, and that a refusal names the field.
    fn add(&mut self, operation: &Operation, field: &str, violations: &[String], response: &Response, request: &str) {
        self.count += 1;
        if response.is_example() {
            return;
        }
        let (accepted, refused) = self.invalid.entry(format!("{} {field}", operation.id)).or_default();
        if response.status != 400 {
            assert!(
                (200..300).contains(&response.status) || [404, 409].contains(&response.status),
                "{request} -> {response:?}"
            );
            if !violations.is_empty() {
                accepted.push(format!("accepted, though {violations:?}: {request}"));
            }
            return;
        }
        *refused += usize::from(!violations.is_empty());
        let body: Value = serde_json::from_slice(&response.body).unwrap();
        let errors = body["error"]["details"]["errors"].as_array().unwrap();
        // A schema cannot list the existing templates.
        let unknown = |error: &Value| error["message"].as_str().unwrap().starts_with("there is no template");
        assert!(
            !violations.is_empty() || errors.iter().all(unknown),
            "refused, though valid: {request} -> {response:?}"
        );
        let names = |error: &Value| error["field"].as_str().unwrap().starts_with(field);
        assert!(errors.iter().any(names), "{field} is not named: {request} -> {response:?}");
    }

    /// Returns the fields that the simulator does not validate. Panics if it validates a field only partly.
    fn ignored(&self) -> Vec<&str> {
        let mut ignored = Vec::new();
        for (field, (accepted, refused)) in &self.invalid {
            match accepted.first() {
                Some(_) if *refused == 0 => ignored.push(field.as_str()),
                Some(request) => panic!("{request}"),
                None => {}
            }
        }
        ignored
    }
}

#[tokio::test]
async fn a_body_is_accepted_if_and_only_if_the_contract_allows_it() {
    let api = Api::start().await;
    let mut results = ValidationResults::default();
    for operation in &api.contract.operations() {
        let Some(schema) = body_schema(&api.contract, operation) else { continue };
        for sample in api.contract.samples(&schema) {
            for (body, pointer) in api.contract.mutants(&schema, &sample) {
                let violations = api.contract.violations(&schema, &body);
                let request = api.request(operation, target(operation), "").json(&body);
                let response = Response::of(request.send().await.unwrap()).await;
                // The simulator takes a field that it does not know, with any value.
                if violations.is_empty() || response.status >= 400 {
                    api.contract.check(operation, &response);
                }
                results.add(operation, &field(&pointer), &violations, &response, &format!("{} {body}", operation.id));
            }
        }
    }
    assert!(results.count > 1_000, "{}", results.count);
    insta::assert_debug_snapshot!(results.ignored());
}

#[tokio::test]
async fn a_query_is_accepted_if_and_only_if_the_contract_allows_it() {
    let api = Api::start().await;
    let mut results = ValidationResults::default();
    for operation in &api.contract.operations() {
        for parameter in operation.definition["parameters"].as_array().into_iter().flatten() {
            let parameter = api.contract.resolve(parameter);
            if parameter["in"] != "query" {
                continue;
            }
            let (name, schema) = (parameter["name"].as_str().unwrap(), api.contract.widest(&parameter["schema"]));
            for candidate in api.contract.candidates(schema) {
                let text = match candidate {
                    Value::String(text) => text,
                    Value::Number(number) => number.to_string(),
                    _ => continue,
                };
                let value = text.parse::<i64>().ok().filter(|_| schema["type"] == "integer");
                let value = value.map_or_else(|| json!(text), |number| json!(number));
                let violations = api.contract.violations(schema, &value);
                let mut request = api.request(operation, target(operation), "").query(&[(name, &text)]);
                if let Some(schema) = body_schema(&api.contract, operation) {
                    request = request.json(&api.contract.samples(&schema).swap_remove(0));
                }
                let response = Response::of(request.send().await.unwrap()).await;
                results.add(operation, name, &violations, &response, &format!("{} {name}={text}", operation.id));
            }
        }
    }
    assert!(results.count > 100, "{}", results.count);
    insta::assert_debug_snapshot!(results.ignored());
}

#[tokio::test]
async fn a_body_of_another_media_type_is_rejected() {
    let api = Api::start().await;
    for operation in &api.contract.operations() {
        let Some(schema) = body_schema(&api.contract, operation) else { continue };
        let body = api.contract.samples(&schema).swap_remove(0).to_string();
        for (media_type, accepted) in [
            (None, false),
            (Some(""), false),
            (Some("text/plain"), false),
            (Some("application/x-www-form-urlencoded"), false),
            (Some("application/jsonx"), false),
            (Some("application/json"), true),
            (Some("Application/JSON; charset=utf-8"), true),
        ] {
            let mut request = api.request(operation, target(operation), "").body(body.clone());
            if let Some(media_type) = media_type {
                request = request.header("content-type", media_type);
            }
            let response = Response::of(request.send().await.unwrap()).await;
            api.contract.check(operation, &response);
            if response.is_example() {
                continue;
            }
            assert_eq!(response.status != 400, accepted, "{} {media_type:?} -> {response:?}", operation.id);
        }
    }
}

/// A server checks the request before it looks for the resource that the request is about.
#[tokio::test]
async fn an_invalid_body_is_rejected_before_the_resource_is_looked_up() {
    let api = Api::start().await;
    for operation in api.contract.operations().iter().filter(|operation| operation.path.contains('{')) {
        if operation.definition.get("requestBody").is_none() {
            continue;
        }
        for target in [target(operation), "unknown", "python-flask"] {
            let response = api.send(operation, target, "", Some(&json!([]))).await;
            if response.is_example() {
                break;
            }
            assert_eq!(response.status, 400, "{} {target} -> {response:?}", operation.id);
        }
    }
}

/// An exception to the contract: local receivers rarely use TLS, and the simulator delivers only to them.
#[tokio::test]
async fn deliveries_to_loopback_need_no_https() {
    let api = Api::start().await;
    for url in ["http://127.0.0.1:8080/hooks", "http://localhost/", "http://[::1]:8080/hooks"] {
        let mut body = webhook();
        body["url"] = json!(url);
        assert_eq!(api.send(&api.contract.operation("createWebhook"), "", "", Some(&body)).await.status, 201, "{url}");
    }
}

#[tokio::test]
async fn every_delivery_conforms_to_the_contract() {
    let api = Api::start().await;
    let [create, test, submit, cancel] =
        ["createWebhook", "testWebhook", "createWorkOrder", "cancelRun"].map(|id| api.contract.operation(id));
    let types = &api.contract.document["components"]["schemas"]["WebhookEventType"];
    let types = types.get("enum").unwrap_or(&types["anyOf"][0]["enum"]).clone();
    let mut body = webhook();
    body["events"] = types.clone();
    assert_eq!(api.send(&create, "", "", Some(&body)).await.status, 201);
    assert_eq!(api.send(&test, "wh_000002", "", None).await.status, 200);

    let sample = api.contract.samples(&body_schema(&api.contract, &submit).unwrap()).swap_remove(0);
    for plan in [RunPlan::succeeds(), RunPlan::fails("TESTS_FAILED", "2 of 14 tests failed"), RunPlan::succeeds()] {
        api.simulator.next_run(plan);
        assert_eq!(api.send(&submit, "", "", Some(&sample)).await.status, 201);
    }
    api.simulator.advance(Duration::from_secs(3));
    assert_eq!(api.send(&cancel, "run_000003", "", None).await.status, 200);
    api.simulator.advance(Duration::from_secs(60));
    api.simulator.settle().await;

    let body = json!({ "$ref": "#/components/requestBodies/Delivery" });
    let body = &api.contract.resolve(&body)["content"]["application/json"]["schema"];
    let signature = json!({ "$ref": "#/components/parameters/Signature" });
    let signature = api.contract.resolve(&signature);
    let mut seen = BTreeSet::new();
    for delivery in api.simulator.deliveries() {
        let event = serde_json::from_slice(&delivery.body).unwrap();
        assert_eq!(api.contract.violations(body, &event), [""; 0], "{event}");
        let proof = delivery.header(signature["name"].as_str().unwrap()).unwrap();
        assert_eq!(api.contract.violations(&signature["schema"], &json!(proof)), [""; 0], "{proof}");
        seen.insert(delivery.event_kind);
    }
    // Event types that the simulator never delivers.
    let words = types.as_array().unwrap().iter().map(|word| word.as_str().unwrap());
    insta::assert_debug_snapshot!(words.filter(|word| !seen.contains(*word)).collect::<Vec<_>>());
}
