//! Each operation against the simulator: a success and a failure.

use std::future::IntoFuture as _;
use std::time::Duration;

use agentgate::http::Method;
use agentgate::simulator::{Fault, RunPlan, Simulator};
use agentgate::types::{CreditTransactionType, RunStatus, TemplateVariable, WebhookEventType};
use agentgate::{Client, ErrorKind, Operation, WorkspaceSource};
use common::{Form, call, call_with, prepare};

async fn start() -> (Simulator, Client) {
    let simulator = Simulator::start().await.unwrap();
    let client = client(&simulator, simulator.api_key());
    (simulator, client)
}

fn client(simulator: &Simulator, key: &str) -> Client {
    Client::builder().base_url(simulator.url()).api_key(key).max_retries(0).build().unwrap()
}

fn source() -> WorkspaceSource {
    WorkspaceSource::git("https://github.com/your-org/your-repo").branch("main").into()
}

#[tokio::test]
async fn a_submitted_work_order_can_be_fetched() {
    let (_simulator, client) = start().await;
    let created = client
        .work_orders()
        .create("Fix it", source())
        .max_iterations(4)
        .tenant("acme-corp", "user_123")
        .metadata("ticket", "API-42")
        .await
        .unwrap();
    assert_eq!(created.status, RunStatus::Pending);
    let order = client.work_orders().get(&created.work_order_id).await.unwrap();
    assert_eq!(order.task_prompt.as_deref(), Some("Fix it"));
    assert_eq!(order.workspace_source, source());
    assert_eq!(order.max_iterations, Some(4));
    assert_eq!(order.metadata["ticket"], "API-42");
    assert_eq!(order.tenant_context.unwrap().tenant_id.as_deref(), Some("acme-corp"));
    assert_eq!(order.run_id, Some(created.run_id));
}

#[tokio::test]
async fn an_empty_prompt_is_rejected_with_the_field_name() {
    let (_simulator, client) = start().await;
    let error = client.work_orders().create("", source()).await.unwrap_err();
    assert!(error.is_invalid_request());
    assert_eq!(error.field_errors()[0].field, "taskPrompt");
}

#[tokio::test]
async fn a_work_order_without_credits_is_rejected_with_required_and_available_credits() {
    let (simulator, client) = start().await;
    simulator.set_credits(20);
    let error = client.work_orders().create("Fix it", source()).await.unwrap_err();
    assert!(error.is_insufficient_credits());
    let credits = error.credits().unwrap();
    assert_eq!((credits.required, credits.available), (50.0, 20.0));
    assert!(!error.may_have_reached_server());
}

#[tokio::test]
async fn a_run_can_be_polled_until_it_succeeds() {
    let (simulator, client) = start().await;
    let order = client.work_orders().create("Fix it", source()).await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..20 {
        let run = client.runs().get(&order.run_id).await.unwrap();
        if seen.last() != Some(&run.status) {
            seen.push(run.status.clone());
        }
        if run.is_terminal() {
            assert!(run.pr_url.is_some());
            assert_eq!(run.timing.unwrap().duration(), Some(Duration::from_secs(10)));
            assert_eq!(run.cost.unwrap().credits, Some(50.0));
            break;
        }
        simulator.advance(Duration::from_secs(1));
    }
    assert_eq!(seen, [RunStatus::Pending, RunStatus::Running, RunStatus::Succeeded]);
}

#[tokio::test]
async fn every_kind_of_call_can_be_spawned() {
    let (_simulator, client) = start().await;
    let response = tokio::spawn(client.work_orders().create("Fix it", source()).reconcile().with_response());
    let id = response.await.unwrap().unwrap().into_inner().run_id;
    let run = tokio::spawn(client.runs().get(&id).into_future()).await.unwrap().unwrap();
    assert_eq!(run.id, id);
    let call = client.runs().list().limit(1);
    assert_eq!(tokio::spawn(call.clone().into_future()).await.unwrap().unwrap().data.len(), 1);
    tokio::spawn(client.ping()).await.unwrap().unwrap();
    tokio::spawn(client.request(Method::GET, "/v1/runs").into_future()).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_failed_run_has_a_code_and_a_message() {
    let (simulator, client) = start().await;
    simulator.next_run(RunPlan::fails("TESTS_FAILED", "2 of 14 tests failed"));
    let order = client.work_orders().create("Fix it", source()).await.unwrap();
    simulator.advance(Duration::from_secs(60));
    let run = client.runs().get(&order.run_id).await.unwrap();
    assert_eq!(run.status, RunStatus::Failed);
    let error = run.error.unwrap();
    assert_eq!(error.code.as_deref(), Some("TESTS_FAILED"));
    assert_eq!(error.message.as_deref(), Some("2 of 14 tests failed"));
}

#[tokio::test]
async fn runs_can_be_listed_by_page_status_and_tenant() {
    let (simulator, client) = start().await;
    for tenant in ["a", "b", "a"] {
        client.work_orders().create("Fix it", source()).tenant(tenant, "u").await.unwrap();
        simulator.advance(Duration::from_secs(60));
    }
    let page = client.runs().list().tenant("a").limit(1).offset(1).await.unwrap();
    assert_eq!((page.data.len(), page.total, page.limit, page.offset), (1, Some(2), Some(1), Some(1)));
    assert_eq!(page.data[0].id, "run_000001");
    assert_eq!(client.runs().list().status(RunStatus::Succeeded).await.unwrap().total, Some(3));
    assert!(client.runs().list().status(RunStatus::Failed).await.unwrap().data.is_empty());
}

#[tokio::test]
async fn a_page_size_beyond_the_maximum_is_rejected() {
    let (_simulator, client) = start().await;
    let error = client.runs().list().limit(101).await.unwrap_err();
    assert_eq!(error.code(), Some("INVALID_VALUE"));
    assert_eq!(error.field_errors()[0].field, "limit");
}

#[tokio::test]
async fn a_second_cancellation_of_a_run_is_a_conflict() {
    let (_simulator, client) = start().await;
    let order = client.work_orders().create("Fix it", source()).await.unwrap();
    let cancelled = client.runs().cancel(&order.run_id).await.unwrap();
    assert_eq!((cancelled.id, cancelled.status), (order.run_id.clone(), RunStatus::Cancelled));
    let error = client.runs().cancel(&order.run_id).await.unwrap_err();
    assert!(error.is_conflict());
}

#[tokio::test]
async fn an_accepted_cancellation_is_read_back() {
    for (status, body) in [
        (202, ""),
        (204, ""),
        (200, "null"),
        (202, "Accepted"),
        (200, r#"{"success": true}"#),
        (200, r#"{"success": true, "data": null, "requestId": "req_1"}"#),
        (200, r#"{"message": "The run will be cancelled."}"#),
        (200, r#"{"id": "run_1"}"#),
    ] {
        let (simulator, client) = start().await;
        let accepted = || Fault::response(status, "application/json", body).on("cancelRun");
        let cancel = async || {
            let order = client.work_orders().create("Fix it", source()).tenant("acme-corp", body).await.unwrap();
            (order.run_id.clone(), client.runs().cancel(order.run_id).await.unwrap())
        };
        simulator.inject(accepted().after_acting());
        let (id, run) = cancel().await;
        assert_eq!(
            (run.id, run.status, run.cancelled_at.is_some()),
            (id, RunStatus::Cancelled, true),
            "{status} {body}"
        );

        // The run has not ended yet.
        simulator.inject(accepted());
        let (id, run) = cancel().await;
        assert_eq!((run.id, run.status.is_terminal(), run.cancelled_at), (id, false, None), "{status} {body}");

        simulator.inject(accepted());
        simulator.inject(Fault::error("INTERNAL_ERROR").on("getRun"));
        let (_, run) = cancel().await;
        assert_eq!((run.status, run.cancelled_at), (RunStatus::Unknown(String::new()), None), "{status} {body}");
    }
}

#[tokio::test]
async fn a_response_of_something_else_or_an_error_is_no_accepted_cancellation() {
    let (simulator, client) = start().await;
    for body in [
        "<html>Sign in</html>",
        r#"{"id": "run_"#,
        r#"{"success": false}"#,
        r#"{"error": {"code": "CONFLICT", "message": "It has ended."}}"#,
        "false",
    ] {
        simulator.inject(Fault::response(200, "text/html", body).on("cancelRun"));
        assert!(client.runs().cancel("run_1").await.unwrap_err().is_decode(), "{body}");
    }
}

#[tokio::test]
async fn the_balance_and_the_usage_reflect_submissions_and_purchases() {
    let (simulator, client) = start().await;
    let before = client.credits().balance().await.unwrap().total_credits_cents;
    let order = client.work_orders().create("Fix it", source()).tenant("acme-corp", "u").await.unwrap();
    simulator.purchase_credits(1_000);
    let after = client.credits().balance().await.unwrap();
    assert_eq!(after.total_credits_cents, before.map(|before| before - 50 + 1_000));
    let page = client.credits().usage().kind(CreditTransactionType::Deduction).tenant("acme-corp").await.unwrap();
    assert_eq!(page.transactions.len(), 1);
    assert_eq!(page.transactions[0].run_id, Some(order.run_id));
    let page =
        client.credits().usage().start_date((simulator.now() + Duration::from_secs(1)).to_rfc3339()).await.unwrap();
    assert!(page.transactions.is_empty());
}

#[tokio::test]
async fn a_page_size_of_zero_is_rejected_for_credit_usage() {
    let (_simulator, client) = start().await;
    let error = client.credits().usage().limit(0).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
}

#[tokio::test]
async fn a_webhook_can_be_created_updated_tested_and_deleted() {
    let (_simulator, client) = start().await;
    let webhooks = client.webhooks();
    let created = webhooks
        .create("https://example.com/hook", [WebhookEventType::RunCompleted])
        .description("staging")
        .await
        .unwrap();
    assert!(created.secret.expose_secret().starts_with("whsec_"));
    assert!(!format!("{created:?}").contains("whsec_"));
    let id = created.webhook.id;
    assert_eq!(webhooks.get(&id).await.unwrap().description.as_deref(), Some("staging"));
    let updated = webhooks.update(&id).enabled(false).events(["run.failed"]).await.unwrap();
    assert_eq!((updated.enabled, updated.events), (Some(false), vec![WebhookEventType::RunFailed]));
    assert_eq!(webhooks.list().await.unwrap().len(), 1);
    webhooks.test(&id).await.unwrap();
    webhooks.delete(&id).await.unwrap();
    assert!(webhooks.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_template_can_be_created_updated_and_deleted() {
    let (_simulator, client) = start().await;
    let templates = client.templates();
    let built_in = templates.list().await.unwrap();
    assert_eq!(built_in.iter().filter(|template| template.built_in == Some(true)).count(), 6);
    let created = templates
        .create("our-api", "Our API", source())
        .tags(["ours"])
        .variables([TemplateVariable::new("name")])
        .await
        .unwrap();
    assert_eq!(created.built_in, Some(false));
    assert_eq!(templates.get("our-api").await.unwrap().variables[0].name, "name");
    let updated = templates.update("our-api").name("New").source(source()).tags(["new"]).await.unwrap();
    assert_eq!((updated.name.as_deref(), updated.tags), (Some("New"), vec!["new".to_owned()]));
    assert_eq!(templates.list().tag("new").await.unwrap().len(), 1);
    templates.delete("our-api").await.unwrap();
    assert!(templates.get("our-api").await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn every_operation_on_an_unknown_id_is_not_found() {
    let (_simulator, client) = start().await;
    for operation in Operation::ALL.iter().filter(|operation| operation.path().contains('{')) {
        let error = call(&client, operation.id(), "x").await.expect_err(operation.id());
        assert!(error.is_not_found(), "{operation}: {error}");
        assert_eq!(error.attempts(), 1);
    }
}

#[tokio::test]
async fn built_in_templates_cannot_be_changed() {
    let (_simulator, client) = start().await;
    assert!(client.templates().update("python-flask").name("n").await.unwrap_err().is_conflict());
    assert!(client.templates().delete("python-flask").await.unwrap_err().is_conflict());
}

#[tokio::test]
async fn every_operation_names_the_scope_that_the_key_lacks() {
    let (simulator, _) = start().await;
    let client = client(&simulator, &simulator.add_key(&["nothing:read"]));
    for operation in Operation::ALL.iter().filter(|operation| !operation.scope().is_empty()) {
        let error = call(&client, operation.id(), "x").await.expect_err(operation.id());
        assert_eq!(error.operation(), Some(*operation));
        assert!(error.is_permission_denied(), "{error}");
        assert_eq!(error.required_scope(), Some(operation.scope()));
        assert_eq!(error.available_scopes(), ["nothing:read"]);
    }
}

#[tokio::test]
async fn every_operation_succeeds_with_the_examples_of_the_contract() {
    for operation in Operation::ALL {
        for form in [Form::Required, Form::Everything] {
            let (_simulator, client) = start().await;
            // The examples of work orders and templates refer to this template.
            client.templates().create("acme-order-service", "Ours", source()).await.unwrap();
            if *operation == Operation::CREATE_TEMPLATE {
                client.templates().delete("acme-order-service").await.unwrap();
            }
            let id = prepare(&client, *operation).await;
            let outcome = call_with(&client, operation.id(), &id, form).await;
            outcome.unwrap_or_else(|error| panic!("{operation}, {form:?}: {error}"));
        }
    }
}
