//! What `configure_http` sets holds under each TLS feature.

use agentgate::ErrorKind;
use common::script::{Connection, Server, respond};
use common::tls::{AUTHORITY, Authority, Tls};
use reqwest::ClientBuilder;
use reqwest::tls::Version;
use tokio_rustls::rustls::version;
#[cfg(not(feature = "native-tls"))]
use {
    std::sync::Arc,
    tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring},
};

use crate::{RUN, builder, certificate, identity, trusting};

fn found() -> Vec<Connection> {
    vec![respond("200 OK", "content-type: application/json\r\n", RUN); 9]
}

/// Returns whether a client with these settings accepts a server.
async fn accepts(
    tls: Tls,
    configure: impl Fn(ClientBuilder) -> ClientBuilder + Send + Sync + 'static,
) -> Result<(), agentgate::Error> {
    let server = Server::start_tls(tls.acceptor(), found()).await;
    let client = builder(server.url()).configure_http(configure).build().unwrap();
    let result = client.runs().get("run_1").await;
    if result.is_err() {
        assert!(server.requests().is_empty(), "sent to a server that is not trusted");
    }
    result.map(|run| assert_eq!(run.id, "run_1"))
}

#[tokio::test]
async fn only_an_authority_that_was_added_is_trusted() {
    let other = Authority::new("Another Authority");
    for (pem, is_accepted) in [(AUTHORITY.pem(), true), (other.pem(), false)] {
        let (added, pinned) = (certificate(&pem), certificate(&pem));
        let added = accepts(Tls::default(), move |http| http.add_root_certificate(added.clone())).await;
        let pinned = accepts(Tls::default(), move |http| http.tls_certs_only([pinned.clone()])).await;
        assert_eq!((added.is_ok(), pinned.is_ok()), (is_accepted, is_accepted), "{added:?} {pinned:?}");
    }
    assert_eq!(accepts(Tls::default(), |http| http).await.unwrap_err().kind(), ErrorKind::Connect);
}

#[tokio::test]
async fn versions_below_the_minimum_are_refused() {
    for (version, min, max, is_accepted) in [
        (&version::TLS12, Version::TLS_1_2, Version::TLS_1_3, true),
        (&version::TLS12, Version::TLS_1_3, Version::TLS_1_3, false),
        (&version::TLS13, Version::TLS_1_3, Version::TLS_1_3, true),
        (&version::TLS13, Version::TLS_1_2, Version::TLS_1_2, false),
    ] {
        let tls = Tls { version: Some(version), ..Tls::default() };
        let result = accepts(tls, move |http| trusting(http).tls_version_min(min).tls_version_max(max)).await;
        assert_eq!(result.is_ok(), is_accepted, "{version:?} {min:?} {max:?}: {result:?}");
    }
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_gets_the_one_that_was_set() {
    let tls = || Tls { asks_for_certificate: true, ..Tls::default() };
    accepts(tls(), |http| trusting(http).identity(identity(&AUTHORITY.issue(|_| ())))).await.unwrap();
    accepts(tls(), trusting).await.unwrap_err();
}

#[tokio::test]
async fn http_1_1_is_offered_and_nothing_else() {
    for (protocols, is_accepted) in [(&["h2", "http/1.1"][..], true), (&["h2"], false), (&[], true)] {
        let result = accepts(Tls { protocols: Some(protocols), ..Tls::default() }, trusting).await;
        assert_eq!(result.is_ok(), is_accepted, "{protocols:?}: {result:?}");
    }
}

#[cfg(not(feature = "native-tls"))]
#[tokio::test]
async fn a_ready_configuration_of_rustls_is_used_as_it_is() {
    for (authority, is_accepted) in [(&*AUTHORITY, true), (&Authority::new("Another Authority"), false)] {
        let mut roots = RootCertStore::empty();
        roots.add(authority.der()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
        let config = config.with_no_client_auth();
        let ready = move |http: ClientBuilder| http.tls_backend_preconfigured(config.clone());
        assert_eq!(accepts(Tls::default(), ready).await.is_ok(), is_accepted);
    }
}
