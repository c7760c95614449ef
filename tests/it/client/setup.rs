//! Client configuration: accepted and rejected settings.

use agentgate::simulator::{Fault, Simulator};
use agentgate::{Client, ClientBuilder, ErrorKind, Secret};

fn local() -> ClientBuilder {
    Client::builder().base_url("http://127.0.0.1:9").api_key("org_live_secret")
}

fn configuration_error(builder: ClientBuilder) -> String {
    let error = builder.build().expect_err("the configuration is invalid");
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert_eq!((error.attempts(), error.operation(), error.status()), (0, None, None));
    error.to_string()
}

#[test]
fn the_client_and_its_calls_are_send() {
    fn check<T: Send + Sync + Clone + 'static>() {}
    fn check_future<T: Send + 'static>(_: T) {}
    check::<Client>();
    let client = local().build().unwrap();
    check_future(client.runs().get("run_1").into_future());
    check_future(client.runs().list().with_response());
}

use std::future::IntoFuture as _;

#[test]
fn every_configuration_error_has_a_message_with_advice() {
    let texts = [
        configuration_error(Client::builder().base_url("http://127.0.0.1:9")),
        configuration_error(local().api_key("  \n")),
        configuration_error(local().api_key("two words")),
        configuration_error(local().api_key("schlüssel")),
        configuration_error(local().api_key("line\nend")),
        configuration_error(local().api_key("\u{feff}org_live_secret")),
        configuration_error(local().api_key("“org_live_secret”")),
        configuration_error(local().api_key("Bearer org_live_secret")),
        configuration_error(local().api_key("${AGENTGATE_API_KEY}")),
        configuration_error(local().api_key("AGENTGATE_API_KEY=org_live_secret")),
        configuration_error(local().user_agent("a\nb")),
        configuration_error(local().base_url("")),
        configuration_error(local().base_url("agentgate.mynewapi.com")),
        configuration_error(local().base_url("'https://example.com'")),
        configuration_error(local().base_url("AGENTGATE_BASE_URL=https://me:hunter2@example.com")),
        configuration_error(local().base_url("ftp://example.com")),
        configuration_error(local().base_url("http://example.com")),
        configuration_error(local().base_url("https://me:hunter2@example.com")),
        configuration_error(local().base_url("https://example.com/?key=1")),
        configuration_error(local().base_url("https://example.com/v1/")),
        configuration_error(local().submissions_per_minute(0)),
    ];
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn what_surrounds_a_copied_key_or_base_url_is_refused() {
    for wrong in [
        "\"{}\"", "'{}'", "`{}`", "“{}”", "‘{}’", "„{}“", "«{}»", "{}\"", "\u{feff}{}", "{}\u{200b}", "\u{2060}{}",
        "{}\u{0}", "Bearer {}", "bearer {}", "NAME_OF_IT={}", "api_key={}", "export NAME={}", "${{{}}}", "$VARIABLE",
        "%VARIABLE%", "${VARIABLE:-{}}", "{{ secrets.KEY }}", "<your key>",
    ] {
        let key = configuration_error(local().api_key(wrong.replace("{}", "org_live_secret")));
        assert!(key.contains("the API key given in code ") && !key.contains("org_live_secret"), "{wrong}: {key}");
        let url = configuration_error(local().base_url(wrong.replace("{}", "https://example.com")));
        assert!(url.contains("the base URL "), "{wrong}: {url}");
    }
    for key in ["org_live_secret", "proxy-key.0123==", "sk_base64==", "k$1", "key%41"] {
        local().api_key(key).build().unwrap();
    }
}

#[test]
fn debug_output_hides_secrets() {
    let builder = local();
    let client = builder.build().unwrap();
    let shown = [
        format!("{:?}", local()),
        format!("{client:?}"),
        format!("{:?}", client.runs()),
        format!(
            "{:?}",
            client.webhooks().create("https://example.com", ["run.failed"]).header("authorization", "hush")
        ),
        format!("{:?}", Secret::from("whsec_hush")),
    ];
    for text in shown {
        assert!(!text.contains("org_live_secret") && !text.contains("hush"), "{text}");
    }
}

#[tokio::test]
async fn a_custom_http_client_is_used() {
    let simulator = Simulator::start().await.unwrap();
    let http = reqwest::Client::builder().no_proxy().default_headers(
        [(reqwest::header::HeaderName::from_static("x-from"), reqwest::header::HeaderValue::from_static("mine"))]
            .into_iter()
            .collect(),
    );
    let client = Client::builder()
        .base_url(simulator.url())
        .api_key(simulator.api_key())
        .http_client(http.build().unwrap())
        .build()
        .unwrap();
    client.credits().balance().await.unwrap();
    assert_eq!(simulator.requests()[0].header("x-from"), Some("mine"));
}

#[tokio::test]
async fn a_response_has_its_status_headers_attempts_and_rate_limit() {
    let simulator = Simulator::start().await.unwrap();
    let client = Client::builder().base_url(simulator.url()).api_key(simulator.api_key()).build().unwrap();
    let response = client.credits().balance().with_response().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.attempts(), 1);
    assert_eq!(response.request_id(), Some("req_000001"));
    let limit = response.rate_limit().unwrap();
    assert_eq!((limit.limit, limit.remaining), (Some(100), Some(99)));
    assert_eq!(limit.reset_at.unwrap().to_rfc3339(), "2026-01-01T00:01:00+00:00");
    assert_eq!(response.headers()["content-type"], "application/json");
    assert!(response.body().starts_with(b"{"));
    assert_eq!(response.value(), &response.clone().into_inner());
}

#[tokio::test]
async fn a_ping_succeeds_for_every_valid_key() {
    let simulator = Simulator::start().await.unwrap();
    for key in [simulator.api_key().to_owned(), simulator.add_key(&["runs:read"])] {
        simulator.clear_requests();
        let client = Client::builder().base_url(simulator.url()).api_key(key).build().unwrap();
        client.ping().await.unwrap();
        assert_eq!(simulator.request_count(), 1);
    }
}

#[tokio::test]
async fn a_ping_fails_for_invalid_keys_and_foreign_responses() {
    let simulator = Simulator::start().await.unwrap();
    let builder = Client::builder().base_url(simulator.url()).max_retries(0);
    let error = builder.clone().api_key("org_live_unknown").build().unwrap().ping().await.unwrap_err();
    assert!(error.is_authentication(), "{error}");
    let client = builder.api_key(simulator.api_key()).build().unwrap();
    for (fault, kind) in [
        (Fault::error("ORGANIZATION_SUSPENDED"), ErrorKind::OrganizationSuspended),
        (Fault::response(403, "text/html", "<h1>Forbidden by the proxy</h1>"), ErrorKind::UnexpectedStatus),
        (Fault::response(404, "text/html", "<h1>Not Found</h1>"), ErrorKind::UnexpectedStatus),
        (Fault::response(200, "text/html", "<h1>Welcome to the hotel</h1>"), ErrorKind::Decode),
        (Fault::error("RATE_LIMITED"), ErrorKind::RateLimited),
        (Fault::error("SERVICE_UNAVAILABLE"), ErrorKind::Unavailable),
    ] {
        simulator.inject(fault);
        assert_eq!(client.ping().await.unwrap_err().kind(), kind);
    }
}

#[test]
fn a_cloned_builder_is_independent() {
    let builder = local();
    let (one, other) = (builder.clone(), builder.base_url("http://127.0.0.1:10"));
    assert_eq!(one.build().unwrap().base_url(), "http://127.0.0.1:9");
    assert_eq!(other.build().unwrap().base_url(), "http://127.0.0.1:10");
}

#[tokio::test]
async fn configure_http_cannot_enable_redirects() {
    let simulator = Simulator::start().await.unwrap();
    simulator.inject(Fault::response(302, "text/html", "").header("location", "/v1/credits"));
    let client = Client::builder()
        .api_key(simulator.api_key())
        // Only the configured resolver knows this host.
        .base_url(simulator.url().replace("127.0.0.1", "agentgate.example"))
        .allow_http(true)
        .configure_http({
            let address = simulator.url().strip_prefix("http://").unwrap().parse().unwrap();
            move |http| {
                http.resolve("agentgate.example", address)
                    .no_proxy()
                    .redirect(agentgate::reqwest::redirect::Policy::limited(5))
            }
        })
        .build()
        .unwrap();
    let error = client.credits().balance().await.unwrap_err();
    assert_eq!((error.kind(), simulator.request_count()), (ErrorKind::UnexpectedStatus, 1));
    client.credits().balance().await.unwrap();
}

#[tokio::test]
async fn a_configured_proxy_is_used_for_loopback_too() {
    let simulator = Simulator::start().await.unwrap();
    let proxy = agentgate::reqwest::Proxy::http(simulator.url()).unwrap();
    let client = Client::builder()
        .api_key(simulator.api_key())
        .base_url("http://127.0.0.1:9")
        .configure_http(move |http| http.proxy(proxy.clone()))
        .build()
        .unwrap();
    // The simulator is not a proxy: it receives the whole URL as the path.
    let _ = client.credits().balance().max_retries(0).await;
    assert_eq!(simulator.request_count(), 1);
}

#[test]
fn settings_that_a_custom_http_client_would_ignore_are_rejected() {
    let ready = || local().http_client(agentgate::reqwest::Client::new());
    ready().build().unwrap();
    let texts = [
        configuration_error(ready().connect_timeout(std::time::Duration::from_secs(1))),
        configuration_error(ready().configure_http(|http| http)),
    ];
    insta::assert_snapshot!(texts.join("\n"));
}
