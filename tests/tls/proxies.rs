//! Failures of a proxy are told from failures of the service.

use std::fmt::Write as _;
use std::process::Command;

use agentgate::ErrorKind;
use common::script::{Server, closed_port, respond, respond_raw};
use reqwest::Proxy;

use crate::builder;

#[tokio::test]
async fn a_proxy_that_fails_is_named_and_retried_where_that_can_help() {
    let mut texts = String::new();
    let socks = respond_raw(b"\x05\xff".as_slice());
    for (what, connection, attempts) in [
        ("refused", None, 4),
        ("denied", Some(respond("403 Forbidden", "", "<h1>No</h1>")), 4),
        ("bad gateway", Some(respond("502 Bad Gateway", "", "")), 4),
        ("a password is missing", Some(respond("407 Proxy Authentication Required", "", "")), 1),
        ("closed", Some(respond_raw("")), 4),
        ("not HTTP", Some(socks), 4),
    ] {
        let server = Server::start(vec![connection.clone().unwrap_or_default(); 9]).await;
        let url = if connection.is_some() { server.url() } else { closed_port().await };
        let proxy = Proxy::https(url).unwrap();
        let client = builder("https://agentgate.test").configure_http(move |http| http.proxy(proxy.clone()));
        let error = client.build().unwrap().runs().get("run_1").await.expect_err(what);
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::Connect, attempts), "{what}: {error}");
        assert_eq!(error.is_retryable(), attempts > 1, "{what}: {error}");
        assert!(!error.may_have_reached_server(), "{what}: {error}");
        let text = error.to_string().split(" (os error").next().unwrap().to_owned();
        writeln!(texts, "{what}\n    {text}").unwrap();
    }
    insta::assert_snapshot!("proxies", texts);
}

/// Prints the error of a call through the proxy of the environment.
#[tokio::test]
#[ignore = "run by the test below with its own environment"]
async fn call_through_the_proxy_of_the_environment() {
    match builder("https://agentgate.test").max_retries(0).build() {
        Ok(client) => println!("call: {}", client.runs().get("run_1").await.unwrap_err()),
        Err(error) => println!("build: {error}"),
    }
}

#[tokio::test]
async fn the_proxy_of_the_environment_is_named_with_its_variable() {
    let proxy = closed_port().await;
    let with_password = proxy.replace("://", "://me:hunter2@");
    for (value, expected) in [
        (with_password.as_str(), format!("(HTTPS_PROXY is `{proxy}`).")),
        ("hunter2 3128", "build: could not set up the client: the variable HTTPS_PROXY is not".to_owned()),
    ] {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--ignored", "--nocapture", "call_through_the_proxy_of_the_environment"]);
        child.env_remove("NO_PROXY").env_remove("no_proxy").env("HTTPS_PROXY", value);
        let output = tokio::task::spawn_blocking(move || child.output()).await.unwrap().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains(&expected) && !text.contains("hunter2"), "{text}");
    }
}
