//! Errors, their sources, responses, types and traces contain no secret.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use agentgate::types::{NewWebhook, NewWorkOrder, Run};
use agentgate::{Client, Error, Operation, WorkspaceSource};
use common::call;
use common::clock::InstantClock;
use common::logs::Logs;
use common::script::{Connection, Server, respond, respond_raw};
use serde_json::json;

/// Texts that must not appear: the middle of each secret.
const PARTS: [&str; 3] = ["k3yThatN0body", "s3cretOfAWebhook", "pr0xyKeyOfThe"];

/// A key of the service, and a key for a proxy in front of it.
const KEYS: [&str; 2] = ["org_live_k3yThatN0bodyMaySee", "team-pr0xyKeyOfTheCompany"];

const SECRET: &str = "whsec_s3cretOfAWebhookEndpoint";

fn texts(value: &(impl Debug + ?Sized)) -> [String; 2] {
    [format!("{value:?}"), format!("{value:#?}")]
}

fn shown(error: &Error) -> Vec<String> {
    let mut texts = texts(error).to_vec();
    texts.push(error.to_string());
    let mut source = error.underlying();
    while let Some(cause) = source {
        texts.push(cause.to_string());
        texts.extend(self::texts(cause));
        source = cause.source();
    }
    texts.extend([error.code(), error.message(), error.request_id()].into_iter().flatten().map(str::to_owned));
    texts.extend(error.details().map(ToString::to_string));
    texts.push(format!("{:?} {:?}", error.headers(), error.field_errors()));
    texts
}

#[track_caller]
fn check(what: &str, texts: impl IntoIterator<Item = String>) {
    for text in texts {
        for part in PARTS {
            assert!(!text.contains(part), "{what}: {text}");
        }
    }
}

/// Responses with a secret in every possible place.
fn responses(secret: &str) -> Vec<(String, Connection)> {
    let mut all = Vec::new();
    let bodies = [
        secret.to_owned(),
        format!("<html>{}<b>{secret}</b>", "x".repeat(90)),
        format!("{}{secret}", "x ".repeat(235)),
        format!(r#"{{"error":{{"code":"{secret}","message":"the key {secret} is wrong"}},"requestId":"{secret}"}}"#),
        format!(
            r#"{{"error":{{"code":"INVALID_VALUE","message":"m","details":{{"errors":[{{"field":"{secret}","message":"{secret}"}}],"{secret}":"{secret}"}}}}}}"#
        ),
        format!(
            r#"{{"error":{{"code":"SCOPE_REQUIRED","message":"{secret}","details":{{"requiredScope":"{secret}","availableScopes":["{secret}"]}}}}}}"#
        ),
        format!(
            r#"{{"id":"run_1","workOrderId":"wo_1","status":"failed","createdAt":"{secret}","secret":"{secret}"}}"#
        ),
        format!(r#"{{"webhook":{{"id":"wh_1","url":7}},"secret":"{secret}","data":"{secret}","runId":["{secret}"]}}"#),
        format!(r#""{secret}""#),
    ];
    for status in ["201 Created", "303 See Other", "400 Bad Request", "429 Too Many Requests", "502 Bad Gateway"] {
        let headers = format!(
            "location: https://login.example/?key={secret}\r\nx-request-id: {secret}\r\nx-echo: Bearer {secret}\r\nserver: {secret}\r\n"
        );
        for body in &bodies {
            all.push((format!("{status} {body}"), respond(status, &headers, body)));
            // Truncated within the secret.
            let cut = body.rfind(secret).map_or(body.len(), |start| start + secret.len() - 3);
            let head = format!("HTTP/1.1 {status}\r\n{headers}content-length: 9999\r\n\r\n");
            all.push((format!("{status} cut {body}"), respond_raw(head + &body[..cut])));
        }
    }
    all
}

#[tokio::test]
async fn no_error_of_any_operation_shows_a_secret() {
    let (logs, _guard) = Logs::capture();
    let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let mut errors = 0;
    for key in KEYS {
        for secret in [key, SECRET] {
            for (what, connection) in responses(secret) {
                for operation in [Operation::GET_RUN, Operation::CREATE_WORK_ORDER, Operation::CREATE_WEBHOOK] {
                    let server = Server::start(vec![connection.clone(); 3]).await;
                    let retries = Arc::new(Mutex::new(Vec::new()));
                    let note = Arc::clone(&retries);
                    let client = Client::builder()
                        .base_url(server.url())
                        .http_client(http.clone())
                        .api_key(key)
                        .clock(InstantClock::default())
                        .max_retries(1)
                        .on_retry(move |retry| {
                            let mut texts = shown(retry.error);
                            texts.extend(texts_of_retry(retry));
                            assert_eq!(retry.error.operation(), Some(retry.operation));
                            note.lock().unwrap().extend(texts);
                        })
                        .build()
                        .unwrap();
                    let what = format!("{operation}: {what}");
                    match call(&client, operation.id(), "id_1").await {
                        Ok(_) => {}
                        Err(error) => {
                            errors += 1;
                            assert!(error.operation().is_some(), "{what}");
                            check(&what, shown(&error));
                        }
                    }
                    check(&what, retries.lock().unwrap().drain(..));
                    check(&what, logs.take());
                }
            }
        }
    }
    assert!(errors > 500, "{errors}");
}

fn texts_of_retry(retry: &agentgate::events::Retry<'_>) -> [String; 2] {
    texts(retry)
}

#[tokio::test]
async fn a_truncated_response_to_a_new_webhook_hides_its_secret() {
    // A secret without the usual prefix: only the operation reveals that it is one.
    let body = r#"{"secret":"s3cretOfAWebhook","webhook":{"id":"#;
    for status in ["201 Created", "303 See Other"] {
        let cut = respond_raw(format!("HTTP/1.1 {status}\r\ncontent-length: 999\r\n\r\n{body}"));
        let server = Server::start(vec![cut; 4]).await;
        let seen = Arc::new(Mutex::new(Vec::new()));
        let note = Arc::clone(&seen);
        let client = Client::builder()
            .base_url(server.url())
            .api_key(KEYS[0])
            .clock(InstantClock::default())
            .on_retry(move |retry| note.lock().unwrap().extend(shown(retry.error)))
            .build()
            .unwrap();
        let call = client.webhooks().create("https://example.com", ["run.failed"]).repeatable();
        check(status, shown(&call.await.unwrap_err()));
        let seen = seen.lock().unwrap();
        assert!(!seen.is_empty());
        assert!(seen.iter().all(|text| !text.contains("could not set up the client")), "{seen:?}");
        check(status, seen.iter().cloned());
    }
}

#[tokio::test]
async fn no_response_and_no_failed_run_shows_a_secret() {
    for key in KEYS {
        let run = r#"{"id":"run_1","workOrderId":"wo_1","status":"running"}"#;
        let headers = format!("x-request-id: {key}\r\nx-echo: Bearer {key}\r\nx-secret: {SECRET}\r\n");
        let server = Server::start([respond("200 OK", &headers, run)]).await;
        let client = Client::builder().base_url(server.url()).api_key(key).build().unwrap();
        let (logs, _guard) = Logs::capture();
        let response = client.runs().get("run_1").with_response().await.unwrap();
        check("response", texts(&response));
        check("headers", texts(response.headers()));
        check("traces", logs.take());
        assert_eq!(response.headers()["x-secret"], SECRET);
    }
    let run = format!(
        r#"{{"id":"run_1","workOrderId":"wo_1","status":"failed","error":{{"code":"X","message":"{} {SECRET}"}}}}"#,
        KEYS[0]
    );
    let list = respond("200 OK", "", &format!(r#"{{"data":[{run}],"total":1}}"#));
    let server = Server::start(vec![respond("200 OK", "", &run), list]).await;
    let client =
        Client::builder().base_url(server.url()).api_key(KEYS[0]).clock(InstantClock::default()).build().unwrap();
    if let Ok(finished) = client.runs().wait("run_1").await {
        check("run", shown(&finished.succeeded().unwrap_err()));
    }
}

/// Inputs and responses with tokens in the user information and the query of URLs, and in template variables.
#[test]
fn debug_output_of_types_hides_what_urls_and_variables_hold() {
    const REPOSITORY: &str = "https://x-access-token:s3cretOfAWebhook@github.com/org/repo";
    const ARCHIVE: &str = "https://files.example.com/a.zip?X-Amz-Signature=s3cretOfAWebhook&X-Amz-Date=1";
    let template = || WorkspaceSource::template("python-flask").variable("TOKEN", "s3cretOfAWebhook");
    let mut order = NewWorkOrder::new(format!("Clone {REPOSITORY}"), WorkspaceSource::git(REPOSITORY));
    order.webhook_url = Some(ARCHIVE.to_owned());
    order.metadata = Some([("from".to_owned(), json!({ "url": [ARCHIVE] }))].into_iter().collect());
    let run: Run = serde_json::from_value(json!({
        "id": "run_1", "workOrderId": "wo_1", "status": "failed",
        "error": { "code": "CLONE", "message": format!("could not clone {REPOSITORY}"), "remote": REPOSITORY },
    }))
    .unwrap();
    let event = json!({ "id": "evt_1", "type": "run.archived", "data": { "archive": ARCHIVE } });
    let event = agentgate::webhook::Event::from_json(event).unwrap();
    let other: WorkspaceSource = serde_json::from_value(json!({ "type": "s3", "url": ARCHIVE })).unwrap();
    let values: [&dyn Debug; 9] = [
        &WorkspaceSource::git(REPOSITORY),
        &WorkspaceSource::from(WorkspaceSource::url(ARCHIVE)),
        &WorkspaceSource::from(template()),
        &template(),
        &order,
        &NewWebhook::new(ARCHIVE, []),
        &run,
        &event,
        &other,
    ];
    let texts: Vec<_> = values.iter().flat_map(|value| texts(*value)).collect();
    check("types", texts.iter().cloned());
    insta::assert_snapshot!(texts.join("\n"));
}

#[tokio::test]
async fn a_message_of_the_service_that_repeats_a_url_is_shown_without_its_token() {
    let repository = "https://x-access-token:s3cretOfAWebhook@github.com/org/repo";
    let body = json!({ "error": {
        "code": "INVALID_VALUE",
        "message": format!("could not clone {repository}; a key must look like org_live_xxxxxxxx"),
        "details": { "errors": [{ "field": "workspaceSource.repository", "message": format!("{repository}?token=s3cretOfAWebhook") }] },
    }});
    let server = Server::start([respond("400 Bad Request", "", &body.to_string())]).await;
    let client = Client::builder().base_url(server.url()).api_key(KEYS[0]).build().unwrap();
    let error = client.work_orders().create("Fix it", WorkspaceSource::git(repository)).await.unwrap_err();
    check("message", shown(&error));
    check("json", [serde_json::to_string(&error).unwrap()]);
    insta::assert_snapshot!(error);
}

#[tokio::test]
async fn debug_output_of_calls_and_the_client_hides_secrets() {
    let client = Client::builder().base_url("http://127.0.0.1:1").api_key(KEYS[0]).build().unwrap();
    let webhook = client.webhooks().create("https://example.com", ["run.failed"]).header("authorization", SECRET);
    check("webhook", texts(&webhook));
    check("work order", texts(&client.work_orders().create(SECRET, WorkspaceSource::git(SECRET))));
    check("client", texts(&client));
}
