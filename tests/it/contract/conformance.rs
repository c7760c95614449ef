//! The simulator's responses, checked against `openapi.yaml`.
//!
//! The simulator has its own JSON, so only this test keeps it consistent with the contract. Each operation is made to
//! return every documented response, and each response is checked: status, headers, and body with all formats.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use agentgate::simulator::{Fault, RunPlan, Simulator};
use jsonschema::{Draft, Validator};
use reqwest::header::HeaderMap;
use serde_json::{Map, Value, json};

use crate::build::yaml;

// The contract

pub(super) struct Contract {
    pub(super) document: Value,
    /// By schema: most responses are errors, which share one schema.
    validators: RefCell<HashMap<String, Validator>>,
}

/// An operation of the contract.
#[derive(Clone)]
pub(super) struct Operation {
    pub(super) id: String,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) definition: Value,
}

impl Operation {
    fn responses(&self) -> &Map<String, Value> {
        self.definition["responses"].as_object().unwrap()
    }

    /// Returns the documented response of a status, or of its range such as `2XX`.
    fn response(&self, status: u16) -> Option<&Value> {
        let range = format!("{}XX", status / 100);
        self.responses().get(&status.to_string()).or_else(|| self.responses().get(&range))
    }

    fn documents(&self, status: u16) -> bool {
        self.response(status).is_some()
    }
}

impl Contract {
    pub(super) fn read() -> Self {
        let document = yaml::read(common::CONTRACT).unwrap();
        Self { document, validators: RefCell::default() }
    }

    pub(super) fn operations(&self) -> Vec<Operation> {
        let mut operations = Vec::new();
        for (path, item) in self.document["paths"].as_object().unwrap() {
            for method in ["get", "put", "post", "delete", "options", "head", "patch", "trace"] {
                if let Some(definition) = item.get(method) {
                    let id = definition["operationId"].as_str().unwrap().to_owned();
                    let method = method.to_uppercase();
                    operations.push(Operation { id, method, path: path.clone(), definition: definition.clone() });
                }
            }
        }
        operations
    }

    pub(super) fn operation(&self, id: &str) -> Operation {
        self.operations()
            .into_iter()
            .find(|operation| operation.id == id)
            .unwrap_or_else(|| panic!("no operation {id}"))
    }

    /// Returns the value that a `$ref` leads to, or the value itself.
    pub(super) fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value.get("$ref").and_then(Value::as_str) {
            Some(reference) => self.resolve(self.document.pointer(reference.trim_start_matches('#')).unwrap()),
            None => value,
        }
    }

    /// Returns the violations of a schema of the contract.
    pub(super) fn violations(&self, schema: &Value, value: &Value) -> Vec<String> {
        let mut validators = self.validators.borrow_mut();
        let validator = validators.entry(schema.to_string()).or_insert_with(|| self.validator(schema));
        validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
    }

    fn validator(&self, schema: &Value) -> Validator {
        // A reference hides its siblings, and the components must be at the root of the document.
        let mut document = json!({ "allOf": [schema], "components": self.document["components"] });
        translate(&mut document);
        // OpenAPI 3.0 uses `exclusiveMinimum` as in draft 4 of JSON Schema.
        let options = jsonschema::options().with_draft(Draft::Draft4).should_validate_formats(true);
        options.build(&document).unwrap_or_else(|error| panic!("{error}: {schema}"))
    }

    /// Checks a response of an operation.
    pub(super) fn check(&self, operation: &Operation, actual: &Response) {
        let context = format!("{} -> {actual:?}", operation.id);
        let Some(response) = operation.response(actual.status) else {
            // Every operation can return the common errors, documented or not.
            let error = json!({ "$ref": "#/components/schemas/ErrorResponse" });
            let body = serde_json::from_slice(&actual.body).unwrap_or_default();
            let violations = self.violations(&error, &body);
            assert!(actual.status >= 400 && violations.is_empty(), "this status is not documented: {context}");
            return;
        };
        let response = self.resolve(response);

        for (name, header) in response["headers"].as_object().into_iter().flatten() {
            let value = actual.headers.get(name).unwrap_or_else(|| panic!("{name} is missing: {context}"));
            let text = value.to_str().unwrap();
            let value = text.parse::<i64>().map_or_else(|_| json!(text), |number| json!(number));
            let violations = self.violations(&self.resolve(header)["schema"], &value);
            assert!(violations.is_empty(), "{name}: {violations:?}: {context}");
        }

        let content_type = actual.headers.get("content-type").map(|value| value.to_str().unwrap());
        match response.get("content").and_then(Value::as_object) {
            Some(documented) => {
                let media = content_type.and_then(|content_type| documented.get(content_type));
                let media = media.unwrap_or_else(|| panic!("this content type is not documented: {context}"));
                let body = serde_json::from_slice(&actual.body).unwrap();
                let violations = self.violations(&media["schema"], &body);
                assert!(violations.is_empty(), "{violations:#?}: {context}");
            }
            None if actual.status == 204 => assert!(actual.body.is_empty(), "{context}"),
            None => {}
        }
    }

    /// Returns the request examples of an operation.
    fn request_examples(&self, operation: &Operation) -> Vec<Value> {
        let body = operation.definition.get("requestBody").map(|body| self.resolve(body));
        let examples = body.and_then(|body| body.pointer("/content/application~1json/examples")?.as_object());
        examples.into_iter().flat_map(Map::values).map(|example| self.resolve(example)["value"].clone()).collect()
    }
}

/// Converts an OpenAPI 3.0 schema to a JSON Schema: `nullable` becomes an alternative type.
fn translate(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.get("nullable") == Some(&json!(true)) {
                let bare = Value::Object(fields.iter().filter(|(name, _)| *name != "nullable").map(clone).collect());
                *schema = json!({ "anyOf": [bare, { "enum": [null] }] });
                translate(&mut schema["anyOf"][0]);
            } else {
                fields.values_mut().for_each(translate);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(translate),
        _ => {}
    }
}

fn clone((name, value): (&String, &Value)) -> (String, Value) {
    (name.clone(), value.clone())
}

// The simulator

struct Api {
    simulator: Simulator,
    http: reqwest::Client,
    key: String,
    contract: Contract,
    seen: BTreeSet<(String, u16)>,
}

pub(super) struct Response {
    pub(super) status: u16,
    headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Response {
    pub(super) async fn of(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, body: response.bytes().await.unwrap().to_vec() }
    }

    /// Returns `true` if the simulator has no behaviour for the operation, and responded with the contract's example.
    pub(super) fn is_example(&self) -> bool {
        self.headers.contains_key("x-simulator-example")
    }
}

impl std::fmt::Debug for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?} {}", self.status, self.headers, String::from_utf8_lossy(&self.body))
    }
}

impl Api {
    /// Starts a simulator with high limits, except for concurrent runs and webhook tests.
    async fn start() -> Self {
        let simulator = Simulator::builder().rate_limit(100_000).submission_limit(100_000).start().await.unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let key = simulator.api_key().to_owned();
        Self { simulator, http, key, contract: Contract::read(), seen: BTreeSet::new() }
    }

    /// Sends a request, and checks its response.
    async fn call(&mut self, id: &str, target: &str, query: &str, body: Option<&Value>) -> Response {
        let operation = self.contract.operation(id);
        let path = common::fill(&operation.path, target);
        let url = format!("{}{path}{query}", self.simulator.url());
        let mut request = self.http.request(operation.method.parse().unwrap(), url);
        if !self.key.is_empty() {
            request = request.bearer_auth(&self.key);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = Response::of(request.send().await.unwrap()).await;
        self.contract.check(&operation, &response);
        self.seen.insert((id.to_owned(), response.status));
        response
    }

    async fn expect(&mut self, status: u16, id: &str, target: &str, query: &str, body: Option<&Value>) -> Value {
        let response = self.call(id, target, query, body).await;
        assert_eq!(response.status, status, "{id} {target}{query} {body:?} -> {response:?}");
        serde_json::from_slice(&response.body).unwrap_or_default()
    }

    fn advance(&self, seconds: u64) {
        self.simulator.advance(std::time::Duration::from_secs(seconds));
    }
}

/// A work order with every field.
fn work_order() -> Value {
    json!({
        "taskPrompt": "Add error handling to the API routes",
        "workspaceSource": { "type": "git", "repository": "https://github.com/your-org/your-repo", "branch": "main" },
        "maxIterations": 5,
        "tenantContext": { "tenantId": "acme-corp", "tenantUserId": "user_123", "metadata": { "plan": "team" } },
        "metadata": { "ticket": "API-482" },
    })
}

pub(super) fn webhook() -> Value {
    json!({
        "url": "https://app.example.com/hooks/agentgate",
        "events": ["run.completed"],
        "description": "Production",
    })
}

pub(super) fn template() -> Value {
    json!({
        "id": "acme-order-service",
        "name": "Order service",
        "description": "Where order services start",
        "source": { "type": "url", "url": "https://files.example.com/a.zip", "format": "zip" },
        "variables": [{ "name": "projectName", "description": "Its name", "required": true, "default": "orders" }],
        "hooks": { "postCreate": "make setup" },
        "tags": ["python"],
    })
}

/// Returns the id of an existing resource of the operation, or a placeholder.
pub(super) fn target(operation: &Operation) -> &'static str {
    let kinds = [
        ("/v1/work-orders/{", "wo_000001"),
        ("/v1/runs/{", "run_000001"),
        ("/v1/webhooks/{", "wh_000001"),
        ("/v1/templates/{", "acme-order-service"),
    ];
    kinds
        .iter()
        .find(|(prefix, _)| operation.path.starts_with(prefix))
        .map_or_else(|| common::example_id(&operation.id), |(_, id)| id)
}

/// Makes every operation succeed, in each state that its response shows.
async fn succeed(api: &mut Api) {
    api.simulator.purchase_credits(1_000);
    api.simulator.next_run(RunPlan::succeeds());
    api.simulator.next_run(RunPlan::fails("VERIFICATION_FAILED", "The tests failed."));
    for _ in 0..4 {
        api.expect(201, "createWorkOrder", "", "", Some(&work_order())).await;
    }
    for (seconds, status) in [(0, "pending"), (6, "running")] {
        api.advance(seconds);
        assert_eq!(api.expect(200, "getRun", "run_000001", "", None).await["status"], status);
        let cancelled = if status == "pending" { "run_000003" } else { "run_000004" };
        api.expect(200, "cancelRun", cancelled, "", None).await;
        api.expect(200, "listRuns", "", "", None).await;
    }
    api.advance(60);
    for (number, status) in [(1, "succeeded"), (2, "failed"), (3, "cancelled"), (4, "cancelled")] {
        assert_eq!(api.expect(200, "getRun", &format!("run_{number:06}"), "", None).await["status"], status);
        assert_eq!(api.expect(200, "getWorkOrder", &format!("wo_{number:06}"), "", None).await["status"], status);
    }
    assert_eq!(api.expect(200, "listRuns", "", "?limit=3&offset=1", None).await["total"], 4);
    assert_eq!(api.expect(200, "listRuns", "", "?status=failed&tenantId=acme-corp", None).await["total"], 1);
    assert_eq!(api.expect(200, "listRuns", "", "?tenantUserId=nobody", None).await["total"], 0);
    api.expect(200, "getCredits", "", "", None).await;
    assert_eq!(api.expect(200, "listCreditUsage", "", "", None).await["total"], 6);
    api.expect(200, "listCreditUsage", "", "?type=refund&startDate=2026-01-01T00:00:00Z&limit=1", None).await;

    api.expect(200, "listWebhooks", "", "", None).await;
    api.expect(201, "createWebhook", "", "", Some(&webhook())).await;
    api.expect(201, "createWebhook", "", "", Some(&webhook())).await;
    api.expect(200, "getWebhook", "wh_000001", "", None).await;
    api.expect(200, "updateWebhook", "wh_000001", "", Some(&json!({ "enabled": false }))).await;
    api.expect(200, "testWebhook", "wh_000001", "", None).await;
    api.expect(200, "listWebhooks", "", "", None).await;
    api.expect(204, "deleteWebhook", "wh_000002", "", None).await;

    api.expect(201, "createTemplate", "", "", Some(&template())).await;
    api.expect(200, "updateTemplate", "acme-order-service", "", Some(&json!({ "name": "Orders" }))).await;
    api.expect(200, "getTemplate", "acme-order-service", "", None).await;
    api.expect(200, "getTemplate", "python-flask", "", None).await;
    api.expect(200, "listTemplates", "", "", None).await;
    api.expect(200, "listTemplates", "", "?tag=python", None).await;
    api.expect(204, "deleteTemplate", "acme-order-service", "", None).await;
    api.expect(201, "createTemplate", "", "", Some(&template())).await;

    // To operations without a behaviour, the simulator responds with the contract's example.
    for operation in api.contract.operations() {
        if !api.seen.iter().any(|(id, status)| *id == operation.id && (200..300).contains(status)) {
            let body = api.contract.request_examples(&operation).into_iter().next();
            let response = api.call(&operation.id, target(&operation), "", body.as_ref()).await;
            assert!((200..300).contains(&response.status), "{} -> {response:?}", operation.id);
        }
    }
}

/// Makes every operation fail in every way that needs no fault.
async fn fail(api: &mut Api) {
    let operations = api.contract.operations();
    let valid = api.key.clone();

    for operation in &operations {
        let target = target(operation);
        let expired = api.simulator.add_key(&["*"]);
        api.simulator.expire_key(&expired);
        for key in ["", "nonsense", "org_live_unknown", &expired] {
            key.clone_into(&mut api.key);
            api.expect(401, &operation.id, target, "", None).await;
        }

        let scope = operation.definition["x-required-scope"].as_str();
        api.key = api.simulator.add_key(&["other:read"]);
        if let Some(scope) = scope {
            let refused = api.expect(403, &operation.id, target, "", None).await;
            assert_eq!(refused["error"]["details"]["requiredScope"], scope, "{}", operation.id);
        }
        api.key = api.simulator.add_key(&[scope.unwrap_or("other:read")]);
        let allowed = api.call(&operation.id, "unknown", "", None).await.status;
        assert!(allowed != 403, "{} wants more than {scope:?}", operation.id);
        valid.clone_into(&mut api.key);

        api.simulator.suspend_organization(true);
        api.expect(403, &operation.id, target, "", None).await;
        api.simulator.suspend_organization(false);

        if operation.path.contains('{') {
            api.expect(404, &operation.id, "unknown", "", Some(&json!({}))).await;
        }
        if operation.definition.get("requestBody").is_some() {
            let refused = api.call(&operation.id, target, "", None).await;
            if refused.is_example() {
                continue;
            }
            assert_eq!(refused.status, 400, "{} -> {refused:?}", operation.id);
            let wrong = json!({ "taskPrompt": "", "url": "http://app.example.com/", "id": "Not An Id", "name": "" });
            api.expect(400, &operation.id, target, "", Some(&wrong)).await;
        }
    }

    for operation in &operations {
        let parameters = operation.definition["parameters"].as_array().into_iter().flatten();
        let limit = parameters.map(|parameter| api.contract.resolve(parameter)).find(|it| it["name"] == "limit");
        let Some(maximum) = limit.and_then(|limit| limit["schema"]["maximum"].as_u64()) else { continue };
        let response = api.call(&operation.id, target(operation), &format!("?limit={}", maximum + 1), None).await;
        assert!(response.is_example() || response.status == 400, "{} -> {response:?}", operation.id);
    }
    api.expect(409, "cancelRun", "run_000001", "", None).await;
    api.expect(409, "updateTemplate", "python-flask", "", Some(&json!({}))).await;
    api.expect(409, "deleteTemplate", "python-flask", "", None).await;
    api.expect(409, "createTemplate", "", "", Some(&template())).await;

    let credits = api.simulator.credits();
    api.simulator.set_credits(1);
    api.expect(402, "createWorkOrder", "", "", Some(&work_order())).await;
    api.simulator.set_credits(credits);
    for _ in 0..10 {
        api.expect(201, "createWorkOrder", "", "", Some(&work_order())).await;
    }
    api.expect(429, "createWorkOrder", "", "", Some(&work_order())).await;
    for _ in 0..10 {
        api.call("testWebhook", "wh_000001", "", None).await;
    }
    api.expect(429, "testWebhook", "wh_000001", "", None).await;
}

/// Makes every operation fail with every code that has a documented status.
async fn fail_on_demand(api: &mut Api) {
    let operations = api.contract.operations();
    let codes = api
        .contract
        .document
        .pointer("/components/schemas/ErrorCode/anyOf/0/enum")
        .unwrap()
        .as_array()
        .unwrap()
        .clone();
    for code in codes.iter().map(|code| code.as_str().unwrap()).chain(["CONFLICT"]) {
        // Reads the status of the fault from a path without an operation.
        api.simulator.inject(Fault::error(code.to_owned()));
        let nowhere = api.http.get(format!("{}/nowhere", api.simulator.url()));
        let status = nowhere.send().await.unwrap().status().as_u16();
        for operation in operations.iter().filter(|operation| operation.documents(status)) {
            api.simulator.inject(Fault::error(code.to_owned()).on(&operation.id));
            let failed = api.expect(status, &operation.id, target(operation), "", None).await;
            assert_eq!(failed["error"]["code"], code, "{}", operation.id);
        }
    }
}

#[tokio::test]
async fn every_response_conforms_to_the_contract_and_every_documented_status_occurs() {
    let mut api = Api::start().await;
    succeed(&mut api).await;
    fail(&mut api).await;
    fail_on_demand(&mut api).await;

    let operations = api.contract.operations();
    // One of several successes is enough, and the simulator knows only errors with a code.
    let codes = api.contract.document.pointer("/components/schemas/ErrorCode/x-errors").unwrap().as_object().unwrap();
    let statuses: Vec<_> = codes.values().map(|code| code["status"].as_u64().unwrap()).chain([409]).collect();
    let mut documented = BTreeSet::new();
    for operation in &operations {
        let listed: Vec<u16> = operation.responses().keys().filter_map(|status| status.parse().ok()).collect();
        let success = listed.iter().find(|status| **status < 300);
        let errors = listed.iter().filter(|status| statuses.contains(&u64::from(**status)));
        documented.extend(success.into_iter().chain(errors).map(|status| (operation.id.clone(), *status)));
    }
    let missed: Vec<_> = documented.difference(&api.seen).collect();
    assert!(missed.is_empty(), "documented, but never returned: {missed:?}");
}

#[tokio::test]
async fn every_request_example_of_the_contract_is_accepted() {
    let operations = Contract::read().operations();
    let mut accepted = 0;
    for operation in &operations {
        for example in Contract::read().request_examples(operation) {
            let mut api = Api::start().await;
            api.expect(201, "createWebhook", "", "", Some(&webhook())).await;
            if operation.id != "createTemplate" {
                api.expect(201, "createTemplate", "", "", Some(&template())).await;
            }
            let response = api.call(&operation.id, target(operation), "", Some(&example)).await;
            assert!((200..300).contains(&response.status), "{} {example} -> {response:?}", operation.id);
            accepted += 1;
        }
    }
    assert!(accepted > 0, "the contract gives no examples");
}

#[test]
fn the_conformance_check_detects_violations() {
    let contract = Contract::read();
    let run = json!({ "$ref": "#/components/schemas/Run" });
    let valid = json!({ "id": "run_000001", "workOrderId": "wo_000001", "status": "pending" });
    assert_eq!(contract.violations(&run, &valid), [""; 0]);
    for (pointer, value) in [
        ("/id", json!(1)),
        ("/status", json!(null)),
        ("/iterations", json!("3")),
        ("/timing", json!({ "startedAt": "yesterday" })),
        ("/tenantContext", json!([])),
    ] {
        let mut wrong = valid.clone();
        wrong[pointer.trim_start_matches('/')] = value;
        assert!(!contract.violations(&run, &wrong).is_empty(), "{wrong}");
    }
}
