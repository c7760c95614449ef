//! TLS for the scripted servers: an authority, its certificates, a front for a server without TLS, and a server that
//! speaks HTTP/2.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use h2::{Reason, server};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, date_time_ymd,
};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::{ServerConfig, WebPkiClientVerifier};
use tokio_rustls::rustls::{RootCertStore, SupportedProtocolVersion, version};

/// The authority that the servers and clients of most tests know.
pub static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| Authority::new("Test Authority"));

/// A certificate authority.
#[derive(Debug)]
pub struct Authority {
    certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// Returns the authority's own certificate.
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    pub fn der(&self) -> CertificateDer<'static> {
        self.certificate.der().clone()
    }

    /// Issues a certificate for 127.0.0.1, after a change of its contents.
    pub fn issue(&self, change: impl FnOnce(&mut CertificateParams)) -> Certificate {
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "a test");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Certificate { certificate, key }
    }
}

/// A certificate with its key.
#[derive(Debug)]
pub struct Certificate {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Certificate {
    /// Returns the certificate and its key as PEM.
    pub fn pem(&self) -> [String; 2] {
        [self.certificate.pem(), self.key.serialize_pem()]
    }
}

/// A certificate that has expired in the year 2000.
pub fn expired(params: &mut CertificateParams) {
    (params.not_before, params.not_after) = (date_time_ymd(1999, 1, 1), date_time_ymd(2000, 1, 1));
}

/// The settings of a server.
#[derive(Debug, Default)]
pub struct Tls {
    /// The certificate, or else one of [`AUTHORITY`] for 127.0.0.1.
    pub certificate: Option<Certificate>,
    /// The only version, or else 1.2 and 1.3.
    pub version: Option<&'static SupportedProtocolVersion>,
    /// Set if clients need a certificate of [`AUTHORITY`].
    pub asks_for_certificate: bool,
    /// The protocols that are offered over ALPN, or else HTTP/1.1.
    pub protocols: Option<&'static [&'static str]>,
}

impl Tls {
    pub fn acceptor(self) -> TlsAcceptor {
        let provider = Arc::new(ring::default_provider());
        let versions = self.version.map_or(vec![&version::TLS12, &version::TLS13], |version| vec![version]);
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_protocol_versions(&versions).unwrap();
        let builder = if self.asks_for_certificate {
            let mut roots = RootCertStore::empty();
            roots.add(AUTHORITY.der()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let Certificate { certificate, key } = self.certificate.unwrap_or_else(|| AUTHORITY.issue(|_| ()));
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = builder.with_single_cert(vec![certificate.into()], key).unwrap();
        let protocols = self.protocols.unwrap_or(&["http/1.1"]).iter();
        config.alpn_protocols = protocols.map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config).into()
    }
}

/// Starts a front that decrypts for a server without TLS. Returns its URL.
pub async fn front(upstream: &str, tls: TlsAcceptor) -> String {
    let upstream = upstream.trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (tls, upstream) = (tls.clone(), upstream.clone());
            client.set_nodelay(true).unwrap();
            tokio::spawn(async move {
                let mut client = tls.accept(client).await.ok()?;
                let mut server = TcpStream::connect(upstream).await.ok()?;
                copy_bidirectional(&mut client, &mut server).await.ok()
            });
        }
    });
    url
}

/// What a server does with a request over HTTP/2.
#[derive(Clone, Copy, Debug)]
pub enum Http2 {
    Respond(&'static str),
    /// Announces the whole body, sends this part of it, and says that this was all.
    Cut {
        part: &'static str,
        length: usize,
    },
    /// Responds with this status and length, and with no body.
    Head(u16, usize),
    /// Reads nothing more from the connection.
    StallConnection,
}

/// A server over TLS that speaks HTTP/2. Each connection has a list of steps, one for each request; those of the last
/// are for all further connections, too.
#[derive(Debug)]
pub struct Http2Server {
    pub url: String,
    connections: Arc<AtomicUsize>,
}

impl Http2Server {
    pub async fn start(script: impl IntoIterator<Item = Vec<Http2>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let connections = Arc::new(AtomicUsize::new(0));
        let (count, mut script) = (Arc::clone(&connections), script.into_iter().collect::<VecDeque<_>>());
        let tls = Tls { protocols: Some(&["h2"]), ..Tls::default() }.acceptor();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                let next = script.pop_front().unwrap_or_default();
                if script.is_empty() {
                    script.push_back(next.clone());
                }
                tokio::spawn(play(socket, tls.clone(), next));
            }
        });
        Self { url, connections }
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

async fn play(socket: TcpStream, tls: TlsAcceptor, steps: Vec<Http2>) -> Option<()> {
    socket.set_nodelay(true).ok()?;
    let mut connection = server::handshake(tls.accept(socket).await.ok()?).await.ok()?;
    for step in steps {
        let (_, mut respond) = connection.accept().await?.ok()?;
        let response = http::Response::builder().header("content-type", "application/json");
        match step {
            Http2::Respond(body) => {
                let response = response.header("content-length", body.len()).body(()).unwrap();
                respond
                    .send_response(response, false)
                    .ok()?
                    .send_data(Bytes::from_static(body.as_bytes()), true)
                    .ok()?;
            }
            Http2::Cut { part, length } => {
                let response = response.header("content-length", length).body(()).unwrap();
                let mut body = respond.send_response(response, false).ok()?;
                if !part.is_empty() {
                    body.send_data(Bytes::from_static(part.as_bytes()), false).ok()?;
                }
                // Behind what was sent, which a reset would discard.
                tokio::spawn(async move {
                    for _ in 0..9 {
                        tokio::task::yield_now().await;
                    }
                    body.send_reset(Reason::NO_ERROR);
                });
            }
            Http2::Head(status, length) => {
                let response = response.status(status).header("content-length", length).body(()).unwrap();
                respond.send_response(response, true).ok()?;
            }
            Http2::StallConnection => std::future::pending().await,
        }
    }
    // Until the client closes the connection.
    while connection.accept().await.is_some() {}
    Some(())
}
