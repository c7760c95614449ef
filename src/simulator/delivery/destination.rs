//! Where a delivery goes: to this machine, or nowhere.
//!
//! A callback URL is HTTPS or on this machine. A simulator has no business on the internet, and tests should not depend
//! on it, so only the latter is ever connected to. That holds whatever the resolver of this machine says: `localhost`
//! means the loopback addresses, and no other name is looked up.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::http::Uri;
use axum::http::uri::{PathAndQuery, Scheme};

/// Something on this machine that listens for deliveries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    /// Where it may listen, the likeliest first.
    pub(crate) addresses: Vec<SocketAddr>,
    /// Path and query.
    pub(crate) path: String,
}

impl Destination {
    /// The destination of a callback URL, or why it has none.
    pub(crate) fn of(url: &Uri) -> Result<Self, &'static str> {
        if url.scheme() != Some(&Scheme::HTTP) {
            return Err("the simulator delivers to http:// on this machine alone, and never sends anything over HTTPS");
        }
        let hosts = loopback(url.host().unwrap_or_default());
        if hosts.is_empty() {
            return Err("the simulator delivers to this machine alone");
        }
        let port = match (url.port_u16(), has_port(url)) {
            (Some(port), _) => port,
            (None, false) => 80,
            (None, true) => return Err("the port is not a number up to 65535"),
        };
        Ok(Self {
            addresses: hosts.into_iter().map(|host| SocketAddr::new(host, port)).collect(),
            path: request_target(url),
        })
    }
}

/// Path and query, as a request has them: a URL need not have a path, and a request does.
fn request_target(url: &Uri) -> String {
    match url.path_and_query().map(PathAndQuery::as_str) {
        Some(query) if query.starts_with('?') => format!("/{query}"),
        Some(path) => path.to_owned(),
        None => "/".to_owned(),
    }
}

/// Whether a host is this machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    !loopback(host).is_empty()
}

/// The addresses of this machine that a host stands for.
fn loopback(host: &str) -> Vec<IpAddr> {
    if host.eq_ignore_ascii_case("localhost") {
        return vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    }
    let address = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
    address.into_iter().filter(IpAddr::is_loopback).collect()
}

/// The host and port of a URL, without a user's name and password: what `host` says.
pub(crate) fn host_and_port(url: &Uri) -> &str {
    let authority = url.authority().map_or("", |authority| authority.as_str());
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

fn has_port(url: &Uri) -> bool {
    host_and_port(url).strip_prefix(url.host().unwrap_or_default()).is_some_and(|port| port.len() > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destination(url: &str) -> Result<Destination, &'static str> {
        Destination::of(&url.parse().unwrap())
    }

    #[test]
    fn loopback_is_reached_by_its_names_and_addresses() {
        for (url, addresses, path) in [
            ("http://127.0.0.1:8080/hooks?a=1", &["127.0.0.1:8080"][..], "/hooks?a=1"),
            ("http://localhost", &["127.0.0.1:80", "[::1]:80"], "/"),
            ("http://LOCALHOST:/x", &["127.0.0.1:80", "[::1]:80"], "/x"),
            ("http://[::1]:9/", &["[::1]:9"], "/"),
            ("http://127.0.0.1:9?token=abc", &["127.0.0.1:9"], "/?token=abc"),
            ("http://me:secret@127.0.0.2:9/", &["127.0.0.2:9"], "/"),
        ] {
            let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
            assert_eq!(destination(url), Ok(Destination { addresses, path: path.to_owned() }), "{url}");
        }
    }

    #[test]
    fn nothing_else_is() {
        for url in [
            "https://127.0.0.1/hooks",
            "https://app.example.com/hooks",
            "http://app.example.com/hooks",
            "http://localhost.example.com/",
            "http://10.0.0.1/",
            "http://localhost:65536/",
            "/hooks",
        ] {
            assert!(destination(url).is_err(), "{url}");
        }
    }

    #[test]
    fn the_host_is_told_without_who_asks() {
        assert_eq!(host_and_port(&"http://me:secret@[::1]:9/x".parse().unwrap()), "[::1]:9");
        assert_eq!(host_and_port(&"http://localhost/x".parse().unwrap()), "localhost");
    }
}
