//! Certificates that are refused: nothing is sent, nothing is retried, and the error says what is wrong.

use std::fmt::Write as _;

use agentgate::{Error, ErrorKind, WorkspaceSource};
use common::assert_chain_repeats_nothing;
use common::script::{Server, respond};
use common::tls::{Authority, Tls, expired};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, SanType, date_time_ymd};
use tokio_rustls::rustls::version;

use crate::{RUN, builder, identity, trusting};

fn with_certificate(change: impl FnOnce(&mut CertificateParams)) -> Tls {
    Tls { certificate: Some(common::tls::AUTHORITY.issue(change)), ..Tls::default() }
}

/// Each reason for which a connection is refused.
fn refusals() -> Vec<(&'static str, Tls)> {
    let for_other_host = |params: &mut CertificateParams| {
        params.subject_alt_names = vec![SanType::DnsName("other.example".try_into().unwrap())];
    };
    let not_valid_yet = |params: &mut CertificateParams| params.not_before = date_time_ymd(4000, 1, 1);
    let for_clients =
        |params: &mut CertificateParams| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let by_other = Authority::new("Another Authority").issue(|_| ());
    vec![
        ("expired", with_certificate(expired)),
        ("not valid yet", with_certificate(not_valid_yet)),
        ("for another host", with_certificate(for_other_host)),
        ("of an unknown authority", Tls { certificate: Some(by_other), ..Tls::default() }),
        ("for another purpose", with_certificate(for_clients)),
        ("none of the client, TLS 1.3", Tls { asks_for_certificate: true, ..Tls::default() }),
        (
            "none of the client, TLS 1.2",
            Tls { asks_for_certificate: true, version: Some(&version::TLS12), ..Tls::default() },
        ),
    ]
}

fn checked(error: Error, attempts: u32) -> Error {
    assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
    assert!(!error.may_have_reached_server() && !error.is_retryable(), "{error}");
    assert_eq!(error.attempts(), attempts, "{error}");
    assert!(error.to_string().contains("configure_http"), "{error}");
    assert_chain_repeats_nothing(&error);
    error
}

#[tokio::test]
async fn a_refused_certificate_is_not_retried_and_named() {
    let mut texts = String::new();
    for (what, tls) in refusals() {
        let server = Server::start_tls(tls.acceptor(), vec![respond("200 OK", "", RUN); 9]).await;
        let client = builder(server.url()).configure_http(trusting).build().unwrap();
        let error = checked(client.runs().get("run_1").await.expect_err(what), 1);
        let port = server.address.port().to_string();
        // OpenSSL and rustls have different words for what is rare.
        let text = error.to_string().replace(&port, "PORT");
        let text = text.split(" is not accepted: ").next().unwrap().replace(" (only valid for other.example)", "");
        writeln!(texts, "{what}\n    {text}").unwrap();
        let source = WorkspaceSource::git("https://github.com/your-org/your-repo");
        checked(client.work_orders().create("Fix it", source).await.expect_err(what), 1);
        assert_eq!((server.requests().len(), server.connections()), (0, 2), "{what}");
    }
    insta::assert_snapshot!("refused_certificates", texts);
}

#[tokio::test]
async fn a_certificate_of_the_client_that_is_refused_is_named() {
    let other = Authority::new("Another Authority");
    for (version, certificate) in [
        (&version::TLS12, other.issue(|_| ())),
        (&version::TLS13, other.issue(|_| ())),
        (&version::TLS13, common::tls::AUTHORITY.issue(expired)),
    ] {
        let tls = Tls { asks_for_certificate: true, version: Some(version), ..Tls::default() };
        let server = Server::start_tls(tls.acceptor(), vec![respond("200 OK", "", RUN); 9]).await;
        let identity = identity(&certificate);
        let client = builder(server.url()).configure_http(move |http| trusting(http).identity(identity.clone()));
        let error = checked(client.build().unwrap().runs().get("run_1").await.unwrap_err(), 1);
        assert!(error.to_string().contains("client's certificate"), "{error}");
        assert!(server.requests().is_empty());
    }
}
