//! The operations of the simulator, over plain HTTP.

use std::time::Duration;

use agentgate::simulator::{Builder, Fault, RunPlan, SimulatedClock, Simulator};
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// A simulator and an HTTP client.
struct Api {
    simulator: Simulator,
    http: reqwest::Client,
    key: String,
}

#[derive(Debug)]
struct Response {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Api {
    async fn start() -> Self {
        Self::with(Simulator::builder()).await
    }

    async fn with(builder: Builder) -> Self {
        let simulator = builder.start().await.unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let key = simulator.api_key().to_owned();
        Self { simulator, http, key }
    }

    fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        self.http.request(method, format!("{}{path}", self.simulator.url())).bearer_auth(&self.key)
    }

    async fn send(&self, method: &str, path: &str, body: Value) -> Response {
        read(self.request(method, path).json(&body)).await
    }

    async fn get(&self, path: &str) -> Response {
        read(self.request("GET", path)).await
    }

    async fn post(&self, path: &str, body: Value) -> Response {
        self.send("POST", path, body).await
    }

    async fn submit(&self) -> Response {
        self.post("/v1/work-orders", work_order()).await
    }

    async fn submit_for(&self, tenant: &str, user: &str) -> Response {
        let mut order = work_order();
        order["tenantContext"] = json!({ "tenantId": tenant, "tenantUserId": user });
        self.post("/v1/work-orders", order).await
    }

    async fn status(&self, run: &str) -> Value {
        self.get(&format!("/v1/runs/{run}")).await.body["status"].clone()
    }

    /// Returns the ids on a page.
    async fn ids(&self, path: &str, list: &str) -> Vec<String> {
        let response = self.get(path).await;
        assert_eq!(response.status, 200, "{response:?}");
        response.body[list].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    }

    fn advance(&self, seconds: u64) {
        self.simulator.advance(Duration::from_secs(seconds));
    }
}

async fn read(request: reqwest::RequestBuilder) -> Response {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.bytes().await.unwrap();
    let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
    Response { status, headers, body }
}

impl Response {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("{name} is missing: {self:?}")).to_str().unwrap()
    }

    fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_else(|| panic!("not an error: {self:?}"))
    }

    fn details(&self) -> &Value {
        &self.body["error"]["details"]
    }

    fn fields(&self) -> Vec<&str> {
        self.details()["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap()).collect()
    }
}

fn work_order() -> Value {
    json!({
        "taskPrompt": "Add error handling to the API routes",
        "workspaceSource": { "type": "git", "repository": "https://github.com/your-org/your-repo" },
    })
}

fn webhook() -> Value {
    json!({ "url": "https://app.example.com/hooks/agentgate", "events": ["run.completed"] })
}

fn template(id: &str) -> Value {
    json!({
        "id": id,
        "name": "Order service",
        "source": { "type": "git", "repository": "https://github.com/your-org/template" },
        "variables": [{ "name": "projectName", "required": true }],
        "tags": ["python", "acme"],
    })
}

// Work orders and runs

#[tokio::test]
async fn a_work_order_starts_a_run() {
    let api = Api::start().await;
    let created = api.submit().await;
    assert_eq!(created.status, 201);
    assert_eq!(
        created.body,
        json!({
            "workOrderId": "wo_000001",
            "runId": "run_000001",
            "status": "pending",
            "createdAt": "2026-01-01T00:00:00.000Z",
        })
    );
    let run = api.get("/v1/runs/run_000001").await;
    assert_eq!(
        run.body,
        json!({ "id": "run_000001", "workOrderId": "wo_000001", "status": "pending", "iterations": 0 })
    );
}

#[tokio::test]
async fn a_work_order_is_returned_as_it_was_submitted() {
    let api = Api::start().await;
    let order = json!({
        "taskPrompt": "Add an endpoint",
        "workspaceSource": {
            "type": "template",
            "templateId": "python-fastapi",
            "variables": { "projectName": "shop" },
        },
        "maxIterations": 5,
        "gatePlan": { "runTests": true },
        "webhookUrl": "http://localhost:8080/hooks",
        "tenantContext": { "tenantId": "acme-corp", "tenantUserId": "user_123", "metadata": { "plan": "team" } },
        "metadata": { "ticket": "API-482", "nothing": null },
    });
    assert_eq!(api.post("/v1/work-orders", order.clone()).await.status, 201);
    api.advance(5);
    let kept = api.get("/v1/work-orders/wo_000001").await.body;
    for field in ["taskPrompt", "workspaceSource", "maxIterations", "tenantContext", "metadata"] {
        assert_eq!(kept[field], order[field], "{field}");
    }
    assert_eq!((&kept["status"], &kept["runId"]), (&json!("running"), &json!("run_000001")));
    assert_eq!(api.get("/v1/runs/run_000001").await.body["tenantContext"], order["tenantContext"]);
}

#[tokio::test]
async fn a_run_advances_only_when_its_clock_does() {
    let api = Api::start().await;
    api.submit().await;
    for _ in 0..3 {
        assert_eq!(api.status("run_000001").await, "pending");
    }
    api.advance(2);
    assert_eq!(api.status("run_000001").await, "running");
    api.advance(5);
    assert_eq!(api.get("/v1/runs/run_000001").await.body["iterations"], 1);
    api.advance(5);
    assert_eq!(api.status("run_000001").await, "succeeded");
}

#[tokio::test]
async fn a_succeeded_run_has_its_pull_request_times_and_cost() {
    let api = Api::start().await;
    api.submit().await;
    api.advance(60);
    assert_eq!(
        api.get("/v1/runs/run_000001").await.body,
        json!({
            "id": "run_000001",
            "workOrderId": "wo_000001",
            "status": "succeeded",
            "iterations": 3,
            "prUrl": "https://github.com/your-org/your-repo/pull/1",
            "timing": {
                "startedAt": "2026-01-01T00:00:02.000Z",
                "completedAt": "2026-01-01T00:00:12.000Z",
                "durationMs": 10_000,
            },
            "cost": { "credits": 50 },
        })
    );
}

#[tokio::test]
async fn plans_are_used_in_order_by_accepted_work_orders_only() {
    let api = Api::with(Simulator::builder().default_run(RunPlan::fails("DEFAULT", "by default"))).await;
    api.simulator.next_run(RunPlan::fails("FIRST", "no"));
    api.simulator.next_run(RunPlan::succeeds().pull_request("https://git.example.com/pr/7").iterations(9));
    api.post("/v1/work-orders", json!({})).await;
    for _ in 0..3 {
        api.submit().await;
    }
    api.advance(60);
    let (first, second, third) = (
        api.get("/v1/runs/run_000001").await.body,
        api.get("/v1/runs/run_000002").await.body,
        api.get("/v1/runs/run_000003").await.body,
    );
    assert_eq!((&first["status"], &first["error"]), (&json!("failed"), &json!({ "code": "FIRST", "message": "no" })));
    assert_eq!((&second["prUrl"], &second["iterations"]), (&json!("https://git.example.com/pr/7"), &json!(9)));
    assert_eq!(third["error"]["code"], "DEFAULT");
}

#[tokio::test]
async fn a_work_order_caps_the_iterations_of_its_run() {
    let api = Api::start().await;
    for (planned, most, expected) in [(30, Some(5), 5), (30, None, 10), (2, Some(5), 2)] {
        api.simulator.next_run(RunPlan::succeeds().iterations(planned));
        let mut order = work_order();
        if let Some(most) = most {
            order["maxIterations"] = json!(most);
        }
        let run = api.post("/v1/work-orders", order).await.body["runId"].as_str().unwrap().to_owned();
        api.advance(60);
        assert_eq!(api.get(&format!("/v1/runs/{run}")).await.body["iterations"], expected, "{planned} of {most:?}");
    }
}

#[tokio::test]
async fn a_pending_run_can_be_cancelled_and_is_refunded() {
    let api = Api::start().await;
    api.submit_for("acme-corp", "user_123").await;
    assert_eq!(api.simulator.credits(), 9_950);
    api.advance(1);
    let cancelled = api.post("/v1/runs/run_000001/cancel", json!(null)).await;
    assert_eq!(cancelled.status, 200);
    assert_eq!(
        cancelled.body,
        json!({ "id": "run_000001", "status": "cancelled", "cancelledAt": "2026-01-01T00:00:01.000Z" })
    );
    assert_eq!(api.simulator.credits(), 10_000);
    let refund = &api.get("/v1/credits/usage?type=refund").await.body["transactions"][0];
    assert_eq!(
        (&refund["amount"], &refund["runId"], &refund["tenantId"]),
        (&json!(50), &json!("run_000001"), &json!("acme-corp"))
    );
    api.advance(60);
    assert_eq!(api.status("run_000001").await, "cancelled");
}

#[tokio::test]
async fn a_running_run_can_be_cancelled_and_is_not_refunded() {
    let api = Api::start().await;
    api.submit().await;
    api.advance(6);
    assert_eq!(api.post("/v1/runs/run_000001/cancel", json!(null)).await.status, 200);
    api.advance(60);
    let run = api.get("/v1/runs/run_000001").await.body;
    assert_eq!(
        (&run["status"], &run["iterations"], &run["timing"]["durationMs"]),
        (&json!("cancelled"), &json!(1), &json!(4_000))
    );
    assert_eq!(run["cost"], json!({ "credits": 50 }));
    assert_eq!(api.simulator.credits(), 9_950);
}

#[tokio::test]
async fn a_run_that_has_ended_cannot_be_cancelled() {
    let api = Api::start().await;
    api.submit().await;
    api.advance(60);
    for _ in 0..2 {
        let refused = api.post("/v1/runs/run_000001/cancel", json!(null)).await;
        assert_eq!((refused.status, refused.code()), (409, "CONFLICT"));
    }
    api.submit().await;
    assert_eq!(api.post("/v1/runs/run_000002/cancel", json!(null)).await.status, 200);
    assert_eq!(api.post("/v1/runs/run_000002/cancel", json!(null)).await.status, 409);
}

#[tokio::test]
async fn an_endless_run_ends_only_when_it_is_cancelled() {
    let api = Api::start().await;
    api.simulator.next_run(RunPlan::succeeds().forever());
    api.submit().await;
    api.simulator.advance(Duration::from_secs(1_000_000_000));
    assert_eq!(api.status("run_000001").await, "running");
    assert_eq!(api.post("/v1/runs/run_000001/cancel", json!(null)).await.status, 200);
    assert_eq!(api.status("run_000001").await, "cancelled");
}

// Pages and filters

#[tokio::test]
async fn runs_are_listed_page_by_page_newest_first() {
    let api = Api::with(Simulator::builder().submission_limit(50).concurrent_runs(50)).await;
    for _ in 0..25 {
        api.submit().await;
    }
    let first = api.get("/v1/runs").await.body;
    assert_eq!((&first["total"], &first["limit"], &first["offset"]), (&json!(25), &json!(20), &json!(0)));
    assert_eq!(first["data"].as_array().unwrap().len(), 20);
    assert_eq!(
        first["data"][0],
        json!({
            "id": "run_000025",
            "workOrderId": "wo_000025",
            "status": "pending",
            "iterations": 0,
            "createdAt": "2026-01-01T00:00:00.000Z",
        })
    );
    assert_eq!(api.ids("/v1/runs?limit=2&offset=20", "data").await, ["run_000005", "run_000004"]);
    assert_eq!(api.ids("/v1/runs?offset=99", "data").await, [""; 0]);
}

#[tokio::test]
async fn runs_are_filtered_by_status_and_tenant() {
    let api = Api::start().await;
    api.submit_for("acme-corp", "user_1").await;
    api.submit_for("acme-corp", "user_2").await;
    api.advance(60);
    api.submit_for("globex & sons", "user_1").await;
    assert_eq!(api.ids("/v1/runs?status=succeeded", "data").await, ["run_000002", "run_000001"]);
    assert_eq!(api.ids("/v1/runs?status=pending", "data").await, ["run_000003"]);
    assert_eq!(api.ids("/v1/runs?tenantId=globex+%26%20sons", "data").await, ["run_000003"]);
    assert_eq!(api.ids("/v1/runs?tenantUserId=user_1", "data").await, ["run_000003", "run_000001"]);
    assert_eq!(
        api.ids("/v1/runs?tenantId=acme-corp&tenantUserId=user_1&status=succeeded", "data").await,
        ["run_000001"]
    );
    assert_eq!(api.get("/v1/runs?status=failed").await.body["total"], 0);
    assert_eq!(api.get("/v1/runs?status=queued").await.body["total"], 0);
    api.post("/v1/runs/run_000003/cancel", json!(null)).await;
    for spelling in ["cancelled", "canceled"] {
        assert_eq!(api.ids(&format!("/v1/runs?status={spelling}"), "data").await, ["run_000003"]);
    }
}

#[tokio::test]
async fn transactions_are_filtered_by_time_type_and_tenant() {
    let api = Api::start().await;
    api.submit_for("acme-corp", "user_1").await;
    api.advance(24 * 60 * 60);
    api.submit_for("globex", "user_2").await;
    api.post("/v1/runs/run_000002/cancel", json!(null)).await;
    api.advance(24 * 60 * 60);
    api.simulator.purchase_credits(2_500);

    for (query, expected) in [
        ("", &["ctx_000004", "ctx_000003", "ctx_000002", "ctx_000001"][..]),
        ("?limit=1&offset=1", &["ctx_000003"]),
        ("?type=purchase", &["ctx_000004"]),
        ("?type=refund", &["ctx_000003"]),
        ("?tenantId=acme-corp", &["ctx_000001"]),
        ("?tenantUserId=user_2&type=deduction", &["ctx_000002"]),
        ("?startDate=2026-01-02T00:00:00Z&endDate=2026-01-02T00:00:00.000Z", &["ctx_000003", "ctx_000002"]),
        ("?endDate=2026-01-01T23:59:59Z", &["ctx_000001"]),
        ("?startDate=2026-01-02&endDate=2026-01-02", &["ctx_000003", "ctx_000002"]),
        ("?type=gift", &[]),
        ("?startDate=2026-01-03T00:00:00%2B00:00", &["ctx_000004"]),
    ] {
        assert_eq!(api.ids(&format!("/v1/credits/usage{query}"), "transactions").await, expected, "{query}");
    }
    let all = api.get("/v1/credits/usage").await.body;
    assert_eq!((&all["total"], &all["limit"], &all["offset"]), (&json!(4), &json!(50), &json!(0)));
    assert_eq!(
        all["transactions"][3],
        json!({
            "id": "ctx_000001",
            "type": "deduction",
            "amount": 50,
            "runId": "run_000001",
            "tenantId": "acme-corp",
            "tenantUserId": "user_1",
            "createdAt": "2026-01-01T00:00:00.000Z",
        })
    );
}

#[tokio::test]
async fn invalid_parameters_are_refused_by_name() {
    let api = Api::start().await;
    for (path, fields) in [
        ("/v1/runs?limit=101", &["limit"][..]),
        ("/v1/runs?limit=0", &["limit"]),
        ("/v1/runs?limit=ten&offset=-1", &["limit", "offset"]),
        ("/v1/credits/usage?limit=101", &["limit"]),
        ("/v1/credits/usage?startDate=2026-1st&endDate=", &["startDate", "endDate"]),
    ] {
        let refused = api.get(path).await;
        assert_eq!(
            (refused.status, refused.code(), refused.fields()),
            (400, "INVALID_VALUE", fields.to_vec()),
            "{path}"
        );
    }
}

// Credits

#[tokio::test]
async fn the_balance_shows_the_credits_and_the_billing_cycle() {
    let api = Api::start().await;
    api.simulator.set_credits(120);
    api.simulator.purchase_credits(30);
    api.submit().await;
    assert_eq!(
        api.get("/v1/credits").await.body,
        json!({
            "includedCreditsCents": 70,
            "purchasedCreditsCents": 30,
            "totalCreditsCents": 100,
            "billingCycleStart": "2026-01-01T00:00:00.000Z",
            "billingCycleEnd": "2026-02-01T00:00:00.000Z",
        })
    );
}

#[tokio::test]
async fn a_work_order_is_refused_without_enough_credits() {
    let api = Api::with(Simulator::builder().price(75)).await;
    api.simulator.set_credits(100);
    assert_eq!(api.submit().await.status, 201);
    let refused = api.submit().await;
    assert_eq!((refused.status, refused.code()), (402, "INSUFFICIENT_CREDITS"));
    assert_eq!(refused.details(), &json!({ "required": 75, "available": 25 }));
    assert_eq!((api.simulator.credits(), api.get("/v1/runs").await.body["total"].clone()), (25, json!(1)));
}

// Webhooks

#[tokio::test]
async fn a_webhook_shows_its_secret_only_once() {
    let api = Api::start().await;
    let created = api.post("/v1/webhooks", webhook()).await;
    assert_eq!(created.status, 201);
    assert_eq!(
        created.body["webhook"],
        json!({
            "id": "wh_000001",
            "url": "https://app.example.com/hooks/agentgate",
            "events": ["run.completed"],
            "enabled": true,
            "createdAt": "2026-01-01T00:00:00.000Z",
            "updatedAt": "2026-01-01T00:00:00.000Z",
        })
    );
    assert!(created.body["secret"].as_str().unwrap().starts_with("whsec_"));
    let shown = api.get("/v1/webhooks/wh_000001").await;
    assert_eq!((shown.status, &shown.body), (200, &created.body["webhook"]));
    assert_eq!(api.get("/v1/webhooks").await.body["data"], json!([created.body["webhook"]]));
}

#[tokio::test]
async fn a_webhook_can_be_changed_field_by_field() {
    let api = Api::start().await;
    api.post("/v1/webhooks", webhook()).await;
    api.advance(5);
    let changed =
        api.send("PATCH", "/v1/webhooks/wh_000001", json!({ "enabled": false, "description": "Staging" })).await;
    assert_eq!(changed.status, 200);
    assert_eq!((&changed.body["enabled"], &changed.body["description"]), (&json!(false), &json!("Staging")));
    assert_eq!((&changed.body["url"], &changed.body["events"]), (&webhook()["url"], &webhook()["events"]));
    assert_eq!(changed.body["updatedAt"], "2026-01-01T00:00:05.000Z");
    assert_eq!(api.get("/v1/webhooks/wh_000001").await.body, changed.body);
}

#[tokio::test]
async fn a_deleted_webhook_is_gone_and_its_id_is_not_used_again() {
    let api = Api::start().await;
    api.post("/v1/webhooks", webhook()).await;
    let deleted = api.send("DELETE", "/v1/webhooks/wh_000001", json!(null)).await;
    assert_eq!((deleted.status, deleted.body), (204, Value::Null));
    assert_eq!(api.get("/v1/webhooks/wh_000001").await.status, 404);
    assert_eq!(api.post("/v1/webhooks", webhook()).await.body["webhook"]["id"], "wh_000002");
}

#[tokio::test]
async fn a_webhook_can_be_tested_ten_times_a_minute() {
    let api = Api::start().await;
    api.post("/v1/webhooks", webhook()).await;
    api.post("/v1/webhooks", webhook()).await;
    for _ in 0..10 {
        let tested = api.post("/v1/webhooks/wh_000001/test", json!(null)).await;
        assert_eq!((tested.status, tested.body), (200, json!({ "delivered": false })));
    }
    let refused = api.post("/v1/webhooks/wh_000001/test", json!(null)).await;
    assert_eq!((refused.status, &refused.details()["limit"]), (429, &json!(10)));
    assert_eq!(api.post("/v1/webhooks/wh_000002/test", json!(null)).await.status, 200);
    api.advance(60);
    assert_eq!(api.post("/v1/webhooks/wh_000001/test", json!(null)).await.status, 200);
}

// Templates

#[tokio::test]
async fn a_template_can_be_created_used_changed_and_deleted() {
    let api = Api::start().await;
    let created = api.post("/v1/templates", template("acme-order-service")).await;
    assert_eq!(
        (created.status, &created.body["builtIn"], &created.body["tags"]),
        (201, &json!(false), &json!(["python", "acme"]))
    );
    assert_eq!(api.get("/v1/templates/acme-order-service").await.body, created.body);

    let mut order = work_order();
    order["workspaceSource"] = json!({ "type": "template", "templateId": "acme-order-service" });
    assert_eq!(api.post("/v1/work-orders", order.clone()).await.status, 201);

    api.advance(5);
    let changed = api.send("PUT", "/v1/templates/acme-order-service", json!({ "name": "Orders" })).await.body;
    assert_eq!((&changed["name"], &changed["tags"]), (&json!("Orders"), &json!(["python", "acme"])));
    assert_eq!(changed["updatedAt"], "2026-01-01T00:00:05.000Z");

    assert_eq!(api.send("DELETE", "/v1/templates/acme-order-service", json!(null)).await.status, 204);
    assert_eq!(api.get("/v1/templates/acme-order-service").await.status, 404);
    assert_eq!(api.post("/v1/work-orders", order).await.fields(), ["workspaceSource.templateId"]);
}

#[tokio::test]
async fn templates_are_listed_with_the_built_in_ones_first() {
    let api = Api::start().await;
    api.post("/v1/templates", template("acme-order-service")).await;
    let all = [
        "node-typescript-api", "node-typescript-lib", "python-fastapi", "python-flask", "react-typescript",
        "next-typescript", "acme-order-service",
    ];
    assert_eq!(api.ids("/v1/templates", "data").await, all);
    assert_eq!(
        api.ids("/v1/templates?tag=python", "data").await,
        ["python-fastapi", "python-flask", "acme-order-service"]
    );
    assert_eq!(api.get("/v1/templates/python-flask").await.body["builtIn"], true);
}

#[tokio::test]
async fn built_in_templates_and_existing_ids_cannot_be_written() {
    let api = Api::start().await;
    api.post("/v1/templates", template("mine")).await;
    for refused in [
        api.send("PUT", "/v1/templates/python-flask", json!({ "name": "Mine" })).await,
        api.send("DELETE", "/v1/templates/python-flask", json!(null)).await,
        api.post("/v1/templates", template("python-flask")).await,
        api.post("/v1/templates", template("mine")).await,
    ] {
        assert_eq!((refused.status, refused.code()), (409, "CONFLICT"), "{refused:?}");
    }
}

// Refusals

#[tokio::test]
async fn an_invalid_body_is_refused_with_all_invalid_fields() {
    let api = Api::start().await;
    let hook = api.post("/v1/webhooks", webhook()).await;
    assert_eq!(hook.status, 201);
    let source = json!({ "type": "git", "repository": "https://github.com/your-org/your-repo" });
    let prompt = "Add error handling";
    for (method, path, body, code, fields) in [
        ("POST", "/v1/work-orders", json!({}), "MISSING_FIELD", &["taskPrompt", "workspaceSource"][..]),
        ("POST", "/v1/work-orders", json!([]), "INVALID_FORMAT", &["body"]),
        (
            "POST",
            "/v1/work-orders",
            json!({ "taskPrompt": "", "workspaceSource": source }),
            "INVALID_VALUE",
            &["taskPrompt"],
        ),
        (
            "POST",
            "/v1/work-orders",
            json!({ "taskPrompt": 7, "workspaceSource": source }),
            "INVALID_VALUE",
            &["taskPrompt"],
        ),
        (
            "POST",
            "/v1/work-orders",
            json!({ "taskPrompt": prompt, "workspaceSource": { "type": "git" } }),
            "MISSING_FIELD",
            &["workspaceSource.repository"],
        ),
        (
            "POST",
            "/v1/work-orders",
            json!({ "taskPrompt": prompt, "workspaceSource": { "type": "svn" } }),
            "INVALID_VALUE",
            &["workspaceSource.type"],
        ),
        (
            "POST",
            "/v1/work-orders",
            json!({
                "taskPrompt": prompt,
                "workspaceSource": source,
                "maxIterations": 0,
                "webhookUrl": "http://app.example.com/",
                "tenantContext": { "tenantId": 1 },
                "metadata": "x",
            }),
            "INVALID_VALUE",
            &["maxIterations", "webhookUrl", "tenantContext.tenantId", "metadata"],
        ),
        ("POST", "/v1/webhooks", json!({}), "MISSING_FIELD", &["url", "events"]),
        (
            "POST",
            "/v1/webhooks",
            json!({ "url": "http://app.example.com/", "events": [], "headers": { "x-a": 1 } }),
            "INVALID_VALUE",
            &["headers.x-a", "events", "url"],
        ),
        (
            "PATCH",
            "/v1/webhooks/wh_000001",
            json!({ "events": [], "enabled": "no" }),
            "INVALID_VALUE",
            &["events", "enabled"],
        ),
        ("POST", "/v1/templates", json!({}), "MISSING_FIELD", &["id", "name", "source"]),
        (
            "POST",
            "/v1/templates",
            json!({ "id": "Not An Id", "name": "x", "source": source }),
            "INVALID_VALUE",
            &["id"],
        ),
        (
            "POST",
            "/v1/templates",
            json!({
                "id": "x",
                "name": "",
                "source": { "type": "git" },
                "variables": [{}, { "name": "a", "required": 1 }],
                "tags": [1],
            }),
            "MISSING_FIELD",
            &["name", "source.repository", "variables[0].name", "variables[1].required", "tags[0]"],
        ),
    ] {
        let refused = api.send(method, path, body.clone()).await;
        assert_eq!(
            (refused.status, refused.code(), refused.fields()),
            (400, code, fields.to_vec()),
            "{method} {path} {body}"
        );
    }
}

#[tokio::test]
async fn a_body_that_is_not_json_is_refused() {
    let api = Api::start().await;
    for path in ["/v1/work-orders", "/v1/webhooks", "/v1/templates"] {
        for body in ["", "{\"taskPrompt\":", "taskPrompt=x"] {
            let refused = read(api.request("POST", path).header("content-type", "application/json").body(body)).await;
            assert_eq!(
                (refused.status, refused.code(), refused.fields()),
                (400, "INVALID_FORMAT", vec!["body"]),
                "{path} {body}"
            );
        }
    }
}

#[tokio::test]
async fn a_request_needs_a_known_and_valid_key() {
    let api = Api::start().await;
    let expired = api.simulator.add_key(&["*"]);
    api.simulator.expire_key(&expired);
    for (authorization, code) in [
        (None, "MISSING_API_KEY"),
        (Some("Bearer sk_live_x".to_owned()), "INVALID_API_KEY_FORMAT"),
        (Some("Bearer org_live_".to_owned()), "INVALID_API_KEY_FORMAT"),
        (Some("org_live_x".to_owned()), "INVALID_API_KEY_FORMAT"),
        (Some(String::new()), "INVALID_API_KEY_FORMAT"),
        (Some("Bearer org_live_".to_owned()), "INVALID_API_KEY_FORMAT"),
        (Some("org_live_x".to_owned()), "INVALID_API_KEY_FORMAT"),
        (Some(String::new()), "INVALID_API_KEY_FORMAT"),
        (Some(format!("Basic {}", api.key)), "INVALID_API_KEY_FORMAT"),
        (Some("Bearer org_live_unknown".to_owned()), "INVALID_API_KEY"),
        (Some(format!("Bearer {expired}")), "EXPIRED_API_KEY"),
    ] {
        let mut request = api.http.get(format!("{}/v1/runs", api.simulator.url()));
        if let Some(authorization) = &authorization {
            request = request.header("authorization", authorization);
        }
        let refused = read(request).await;
        assert_eq!((refused.status, refused.code()), (401, code), "{authorization:?}");
    }
}

#[tokio::test]
async fn a_key_grants_its_scopes_only() {
    let mut api = Api::start().await;
    api.key = api.simulator.add_key(&["runs:read", "credits:read"]);
    assert_eq!(api.get("/v1/runs").await.status, 200);
    let refused = api.submit().await;
    assert_eq!((refused.status, refused.code()), (403, "SCOPE_REQUIRED"));
    assert_eq!(
        refused.details(),
        &json!({ "requiredScope": "work-orders:write", "availableScopes": ["runs:read", "credits:read"] })
    );
}

#[tokio::test]
async fn requests_of_a_suspended_organization_are_refused() {
    let api = Api::start().await;
    api.simulator.suspend_organization(true);
    let refused = api.get("/v1/credits").await;
    assert_eq!((refused.status, refused.code()), (403, "ORGANIZATION_SUSPENDED"));
    api.simulator.suspend_organization(false);
    assert_eq!(api.get("/v1/credits").await.status, 200);
}

#[tokio::test]
async fn unknown_resources_and_paths_are_not_found() {
    let api = Api::start().await;
    for (method, path) in [
        ("GET", "/v1/work-orders/wo_x"),
        ("GET", "/v1/runs/run_x"),
        ("POST", "/v1/runs/run_x/cancel"),
        ("GET", "/v1/webhooks/wh_x"),
        ("PATCH", "/v1/webhooks/wh_x"),
        ("DELETE", "/v1/webhooks/wh_x"),
        ("POST", "/v1/webhooks/wh_x/test"),
        ("GET", "/v1/templates/x"),
        ("PUT", "/v1/templates/x"),
        ("DELETE", "/v1/templates/x"),
        ("GET", "/v1/unknown"),
        ("GET", "/"),
        ("GET", "//v1/runs"),
    ] {
        let refused = api.send(method, path, json!({})).await;
        assert_eq!((refused.status, refused.code()), (404, "RESOURCE_NOT_FOUND"), "{method} {path}");
    }
}

#[tokio::test]
async fn an_unsupported_method_is_not_allowed() {
    let api = Api::start().await;
    let refused = api.send("PUT", "/v1/webhooks/wh_000001", json!({})).await;
    assert_eq!(
        (refused.status, refused.code(), refused.header("allow")),
        (405, "METHOD_NOT_ALLOWED", "DELETE, GET, PATCH")
    );
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_and_recorded_without_it() {
    let api = Api::start().await;
    let body = vec![b' '; 10 * 1024 * 1024 + 1];
    let refused = read(api.request("POST", "/v1/webhooks").header("content-type", "application/json").body(body)).await;
    assert_eq!((refused.status, refused.code()), (413, "PAYLOAD_TOO_LARGE"));
    assert_eq!(api.simulator.requests()[0].body, b"");
}

// Limits

#[tokio::test]
async fn every_response_has_the_rate_limit_and_a_request_id() {
    let api = Api::start().await;
    let first = api.get("/v1/runs").await;
    let minute = api.simulator.now().timestamp() + 60;
    assert_eq!((first.header("x-ratelimit-limit"), first.header("x-ratelimit-remaining")), ("100", "99"));
    assert_eq!(first.header("x-ratelimit-reset"), minute.to_string());
    assert_eq!(first.header("x-request-id"), "req_000001");
    assert_eq!(first.header("date"), "Thu, 01 Jan 2026 00:00:00 GMT");
    let second = api.get("/v1/runs/unknown").await;
    assert_eq!((second.header("x-ratelimit-remaining"), second.header("x-request-id")), ("98", "req_000002"));
}

#[tokio::test]
async fn a_request_over_the_limit_is_refused_until_the_window_ends() {
    let api = Api::with(Simulator::builder().rate_limit(2)).await;
    api.advance(15);
    api.get("/v1/runs").await;
    api.get("/v1/credits").await;
    let refused = api.get("/v1/runs").await;
    assert_eq!((refused.status, refused.code(), refused.header("retry-after")), (429, "RATE_LIMITED", "45"));
    assert_eq!(refused.header("x-ratelimit-remaining"), "0");
    assert_eq!(refused.details(), &json!({ "limit": 2, "remaining": 0, "resetAt": "2026-01-01T00:01:00.000Z" }));
    api.advance(45);
    assert_eq!(api.get("/v1/runs").await.status, 200);
}

#[tokio::test]
async fn submissions_have_their_own_limit_and_only_accepted_ones_count() {
    let api = Api::with(Simulator::builder().submission_limit(2)).await;
    api.submit().await;
    api.post("/v1/work-orders", json!({})).await;
    assert_eq!(api.submit().await.status, 201);
    let refused = api.submit().await;
    assert_eq!((refused.status, refused.header("x-ratelimit-limit"), refused.header("retry-after")), (429, "2", "60"));
    assert_eq!(api.get("/v1/runs").await.header("x-ratelimit-limit"), "100");
    api.advance(60);
    assert_eq!(api.submit().await.status, 201);
}

#[tokio::test]
async fn the_limit_of_concurrent_runs_resets_when_the_first_of_them_ends() {
    let api = Api::with(Simulator::builder().concurrent_runs(2)).await;
    api.submit().await;
    api.advance(3);
    api.submit().await;
    let refused = api.submit().await;
    assert_eq!((refused.status, refused.header("retry-after"), &refused.details()["limit"]), (429, "9", &json!(2)));
    api.advance(9);
    assert_eq!(api.submit().await.status, 201);
    assert_eq!(api.submit().await.status, 429);
    api.post("/v1/runs/run_000002/cancel", json!(null)).await;
    assert_eq!(api.submit().await.status, 201);
}

// Faults

#[tokio::test]
async fn every_documented_code_can_be_injected_with_its_status() {
    let api = Api::start().await;
    for (code, status) in [
        ("INVALID_REQUEST", 400),
        ("MISSING_FIELD", 400),
        ("INVALID_FORMAT", 400),
        ("INVALID_VALUE", 400),
        ("MISSING_API_KEY", 401),
        ("INVALID_API_KEY", 401),
        ("EXPIRED_API_KEY", 401),
        ("INVALID_API_KEY_FORMAT", 401),
        ("INSUFFICIENT_CREDITS", 402),
        ("BILLING_ERROR", 402),
        ("INSUFFICIENT_PERMISSIONS", 403),
        ("SCOPE_REQUIRED", 403),
        ("ORGANIZATION_SUSPENDED", 403),
        ("RESOURCE_NOT_FOUND", 404),
        ("RATE_LIMITED", 429),
        ("INTERNAL_ERROR", 500),
        ("SERVICE_UNAVAILABLE", 503),
        ("OUT_OF_CHEESE", 500),
    ] {
        api.simulator.inject(Fault::error(code));
        let failed = api.get("/v1/credits").await;
        assert_eq!((failed.status, failed.code()), (status, code));
        assert!(!failed.body["error"]["message"].as_str().unwrap().is_empty(), "{code}");
        assert_eq!(failed.header("x-ratelimit-limit"), "100", "{code}");
        assert_eq!(failed.headers.contains_key("retry-after"), status == 429, "{code}");
        assert_eq!(api.get("/v1/credits").await.status, 200, "after {code}");
    }
}

#[tokio::test]
async fn a_fault_can_be_given_another_status_message_and_headers() {
    let api = Api::start().await;
    let fault = Fault::error("RATE_LIMITED")
        .status(503)
        .message("Not now.")
        .header("Retry-After", "7")
        .header("x-request-id", "req_x");
    api.simulator.inject(fault);
    let failed = api.get("/v1/credits").await;
    assert_eq!((failed.status, failed.body["error"]["message"].as_str()), (503, Some("Not now.")));
    assert_eq!((failed.header("retry-after"), failed.header("x-request-id")), ("7", "req_x"));
    assert_eq!(failed.headers.get_all("retry-after").iter().count(), 1);
}

#[tokio::test]
async fn a_response_fault_is_sent_unchanged() {
    let api = Api::start().await;
    api.simulator.inject(Fault::response(502, "text/html", "<h1>Bad Gateway</h1>").header("via", "1.1 proxy"));
    api.simulator.inject(Fault::response(200, "application/json", r#"{"id": "run_0"#));
    api.simulator.inject(Fault::response(504, "", ""));
    let mut seen = Vec::new();
    for _ in 0..3 {
        let response = api.request("GET", "/v1/runs").send().await.unwrap();
        assert!(!response.headers().contains_key("x-ratelimit-limit"));
        let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (status, kind, via) = (response.status(), header("content-type"), header("via"));
        seen.push((status, kind, via, response.text().await.unwrap()));
    }
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        seen,
        [
            (StatusCode::BAD_GATEWAY, text("text/html"), text("1.1 proxy"), "<h1>Bad Gateway</h1>".to_owned()),
            (StatusCode::OK, text("application/json"), None, r#"{"id": "run_0"#.to_owned()),
            (StatusCode::GATEWAY_TIMEOUT, None, None, String::new()),
        ]
    );
}

#[tokio::test]
async fn a_request_with_a_fault_has_no_effect_unless_the_fault_applies_after_acting() {
    let api = Api::start().await;
    api.simulator.inject(Fault::error("INTERNAL_ERROR").on("createWorkOrder"));
    api.simulator.inject(Fault::response(502, "text/html", "").on("createWorkOrder").after_acting());
    assert_eq!(api.get("/v1/runs").await.body["total"], 0);
    assert_eq!(api.submit().await.status, 500);
    assert_eq!(api.get("/v1/runs").await.body["total"], 0);
    assert_eq!(api.submit().await.status, 502);
    assert_eq!(api.get("/v1/runs").await.body["total"], 1);
    assert_eq!(api.simulator.credits(), 9_950);
}

#[tokio::test]
async fn faults_apply_in_the_order_of_their_injection_as_often_as_they_say() {
    let api = Api::start().await;
    api.simulator.inject(Fault::error("SERVICE_UNAVAILABLE").times(2));
    api.simulator.inject(Fault::error("INTERNAL_ERROR"));
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(api.get("/v1/runs").await.status);
    }
    assert_eq!(statuses, [503, 503, 500, 200]);
}

// Records

#[tokio::test]
async fn requests_are_recorded_as_they_were_sent() {
    let api = Api::start().await;
    api.get("/v1/runs?status=pending&tenantId=a%20b").await;
    read(api.request("POST", "/v1/work-orders").header("X-Twice", "1").header("X-Twice", "2").json(&work_order()))
        .await;
    api.get("/nowhere/%41").await;

    let requests = api.simulator.requests();
    assert_eq!(api.simulator.request_count(), 3);
    let [list, create, nowhere] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!((list.method.as_str(), list.path.as_str(), list.operation_id), ("GET", "/v1/runs", Some("listRuns")));
    assert_eq!(list.query.as_deref(), Some("status=pending&tenantId=a%20b"));
    assert!(list.body.is_empty());
    assert_eq!((create.operation_id, create.query.as_deref()), (Some("createWorkOrder"), None));
    assert_eq!(create.body_json().unwrap(), work_order());
    assert_eq!(create.header("Authorization"), Some(format!("Bearer {}", api.key).as_str()));
    let twice: Vec<_> =
        create.headers.iter().filter(|(name, _)| name == "x-twice").map(|(_, value)| value.as_str()).collect();
    assert_eq!(twice, ["1", "2"]);
    assert_eq!((nowhere.path.as_str(), nowhere.operation_id), ("/nowhere/%41", None));
    assert!(!format!("{requests:?}").contains(&api.key));

    api.simulator.clear_requests();
    assert_eq!(api.simulator.request_count(), 0);
    assert_eq!(api.get("/v1/runs").await.header("x-request-id"), "req_000004");
}

#[tokio::test]
async fn refused_and_failed_requests_are_recorded_too() {
    let mut api = Api::start().await;
    api.simulator.inject(Fault::response(502, "", ""));
    api.get("/v1/runs").await;
    api.key = "nonsense".to_owned();
    api.get("/v1/runs").await;
    assert_eq!(api.simulator.request_count(), 2);
}

// The simulator itself

#[tokio::test]
async fn a_scaled_clock_can_be_advanced() {
    let api = Api::with(Simulator::builder().clock(SimulatedClock::Scaled(1.0))).await;
    let before = api.simulator.now();
    api.submit().await;
    api.advance(3600);
    assert!(api.simulator.now() >= before + Duration::from_secs(3600));
    assert_eq!(api.status("run_000001").await, "succeeded");
}

#[tokio::test]
async fn an_invalid_factor_of_the_clock_is_refused() {
    let error = Simulator::builder().clock(SimulatedClock::Scaled(f64::NAN)).start().await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
}

#[test]
fn a_simulator_can_be_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Simulator>();
}

#[tokio::test]
async fn simulators_share_no_state() {
    let (one, other) = (Api::start().await, Api::start().await);
    one.submit().await;
    assert_ne!(one.simulator.url(), other.simulator.url());
    assert_eq!(other.get("/v1/runs").await.body["total"], 0);
}

#[tokio::test]
async fn a_port_can_be_set_and_is_not_shared() {
    let first = Simulator::start().await.unwrap();
    assert!(first.url().starts_with("http://127.0.0.1:"));
    let port = first.url().rsplit(':').next().unwrap().parse().unwrap();
    let error = Simulator::builder().port(port).start().await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_simulator_does_not_respond_on_open_connections() {
    let Api { simulator, http, key } = Api::start().await;
    let runs = format!("{}/v1/runs", simulator.url());
    let request = || http.get(&runs).bearer_auth(&key).send();
    assert_eq!(request().await.unwrap().status(), 200);
    drop(simulator);
    assert!(request().await.is_err());
}

#[tokio::test]
async fn a_dropped_simulator_closes_the_connection_of_an_incomplete_request() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let simulator = Simulator::start().await.unwrap();
    let mut connection = tokio::net::TcpStream::connect(simulator.url().trim_start_matches("http://")).await.unwrap();
    let head =
        "POST /v1/work-orders HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 100\r\n\r\n";
    connection.write_all(head.as_bytes()).await.unwrap();
    // When the server asks for the body, it processes the request.
    let mut wanted = [0; 25];
    connection.read_exact(&mut wanted).await.unwrap();
    assert_eq!(&wanted, b"HTTP/1.1 100 Continue\r\n\r\n");
    drop(simulator);
    let mut rest = Vec::new();
    // The connection is closed or reset, without a response.
    let _ = connection.read_to_end(&mut rest).await;
    assert_eq!(String::from_utf8_lossy(&rest), "");
}
