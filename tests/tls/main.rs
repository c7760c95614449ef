//! TLS, as production has it. `cargo xtask features` runs these tests with each TLS feature, and with HTTP/2 turned on
//! as another crate of a program may do it.

mod certificates;
mod connections;
#[path = "../it/retry/faults.rs"]
mod faults;
mod proxies;
mod settings;

use std::sync::LazyLock;

use agentgate::simulator::Simulator;
use agentgate::{Client, ClientBuilder};
use common::clock::InstantClock;
use common::tls::{AUTHORITY, Tls, front};
use reqwest::{Certificate, Identity};
use tokio_rustls::TlsAcceptor;

const RUN: &str = r#"{"id":"run_1","workOrderId":"wo_1","status":"running"}"#;

/// Returns a builder of a client whose delays take no time.
fn builder(url: impl Into<String>) -> ClientBuilder {
    Client::builder().api_key("org_live_x1").base_url(url).clock(InstantClock::default())
}

/// Returns the certificate of an authority, for `configure_http`.
fn certificate(pem: &str) -> Certificate {
    Certificate::from_pem(pem.as_bytes()).unwrap()
}

/// Adds the authority of the servers.
fn trusting(http: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
    http.add_root_certificate(certificate(&AUTHORITY.pem()))
}

fn identity(certificate: &common::tls::Certificate) -> Identity {
    let [certificate, key] = certificate.pem();
    #[cfg(feature = "native-tls")]
    return Identity::from_pkcs8_pem(certificate.as_bytes(), key.as_bytes()).unwrap();
    #[cfg(not(feature = "native-tls"))]
    Identity::from_pem((certificate + &key).as_bytes()).unwrap()
}

/// Returns a builder of a client of this simulator, with TLS between them.
async fn connect(simulator: &Simulator) -> ClientBuilder {
    static TLS: LazyLock<TlsAcceptor> = LazyLock::new(|| Tls::default().acceptor());
    let url = front(simulator.url(), TLS.clone()).await;
    let only = certificate(&AUTHORITY.pem());
    Client::builder()
        .base_url(url)
        .api_key(simulator.api_key())
        .configure_http(move |http| http.tls_certs_only([only.clone()]))
}
