//! The address of a delivery.
//!
//! The simulator connects to this machine only, so that tests do not depend on the internet. `localhost` means the
//! loopback addresses whatever the resolver says, and no other name is resolved.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use http::Uri;
use http::uri::{PathAndQuery, Scheme};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    /// The addresses to try, in order.
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) path: String,
}

impl Destination {
    /// Returns the destination of a URL, or the reason why it has none.
    pub(crate) fn of(url: &Uri) -> Result<Self, &'static str> {
        if url.scheme() != Some(&Scheme::HTTP) {
            return Err("the simulator delivers to http:// URLs on this machine only, and sends nothing over HTTPS");
        }
        let hosts = loopback(url.host().unwrap_or_default());
        if hosts.is_empty() {
            return Err("the simulator delivers to this machine only");
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

/// Returns path and query. Unlike a URL, a request always has a path.
fn request_target(url: &Uri) -> String {
    match url.path_and_query().map(PathAndQuery::as_str) {
        Some(query) if query.starts_with('?') => format!("/{query}"),
        Some(path) => path.to_owned(),
        None => "/".to_owned(),
    }
}

/// Returns `true` if a host is this machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    !loopback(host).is_empty()
}

fn loopback(host: &str) -> Vec<IpAddr> {
    if host.eq_ignore_ascii_case("localhost") {
        return vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    }
    let address = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
    address.into_iter().filter(IpAddr::is_loopback).collect()
}

/// Returns the value of the `Host` header for a URL.
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
    fn loopback_has_several_names_and_addresses() {
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
    fn other_destinations_are_refused() {
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
    fn the_host_header_has_no_credentials() {
        assert_eq!(host_and_port(&"http://me:secret@[::1]:9/x".parse().unwrap()), "[::1]:9");
    }
}
