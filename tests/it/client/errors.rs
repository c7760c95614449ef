//! What every documented error, and every undocumented one, looks like.

use std::fmt::Write as _;

use agentgate::simulator::{Fault, Simulator};
use agentgate::types::ErrorCode;
use agentgate::{Client, Error, ErrorKind, WorkspaceSource};

struct Failing {
    simulator: Simulator,
    client: Client,
}

impl Failing {
    async fn start() -> Self {
        let simulator = Simulator::start().await.unwrap();
        let client =
            Client::builder().base_url(simulator.url()).api_key(simulator.api_key()).max_retries(0).build().unwrap();
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
async fn every_documented_error_has_a_text_that_says_what_to_do() {
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
async fn an_undocumented_code_is_kept_and_sorted_by_its_status() {
    let on = Failing::start().await;
    let error = on.get(Fault::error("QUOTA_OF_THE_MOON").status(403)).await;
    assert_eq!(error.code(), Some("QUOTA_OF_THE_MOON"));
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
}

#[tokio::test]
async fn what_a_proxy_answers_survives_into_the_error() {
    let on = Failing::start().await;
    let html = "<html>\n<head><title>502 Bad Gateway</title></head>\n<body>nginx</body></html>";
    let mut texts = String::new();
    for (what, fault) in [
        ("HTML", Fault::response(502, "text/html", html).header("x-request-id", "req_proxy")),
        ("nothing", Fault::response(502, "text/plain", "")),
        ("half a JSON", Fault::response(500, "application/json", r#"{"error": {"code": "INTERN"#)),
        ("JSON of another kind", Fault::response(500, "application/json", r#"["oops"]"#)),
        ("an error that is a text", Fault::response(404, "application/json", r#"{"error": "no route"}"#)),
        ("a code without a message", Fault::response(409, "application/json", r#"{"error": {"code": "BUSY"}}"#)),
        ("a message that tries to break out", Fault::error("INVALID_VALUE").message("a\r\n\u{1b}[31mb")),
        ("bytes that are no text", Fault::response(503, "text/plain", vec![0xff, 0xfe, b'x'])),
        ("a redirect", Fault::response(302, "text/plain", "").header("location", "https://elsewhere.example")),
        ("a teapot", Fault::response(418, "text/plain", "I'm a teapot")),
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
async fn only_failures_that_leave_it_open_say_that_the_service_may_have_acted() {
    let on = Failing::start().await;
    for (status, expected) in
        [(400, false), (401, false), (402, false), (404, false), (408, true), (409, false), (429, false)]
            .into_iter()
            .chain([(500, true), (502, true), (503, false), (504, true)])
    {
        let error = on.submit(Fault::response(status, "text/plain", "")).await;
        assert_eq!(error.may_have_reached_server(), expected, "{status}");
    }
}

#[test]
fn an_error_is_one_word_wide() {
    fn check<T: std::error::Error + Send + Sync + 'static>() -> usize {
        size_of::<T>()
    }
    assert_eq!(check::<Error>(), size_of::<usize>());
}
