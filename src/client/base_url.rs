//! Checks the base URL of a client.

use url::{Host, Url};

pub(super) use crate::operation::BASE_URL as DEFAULT;
use crate::{Error, Result};

const ADVICE: &str = "Give an address such as `https://gateway.example.com`; a path in front of `/v1` is fine.";

#[derive(Debug)]
#[cfg_attr(target_family = "wasm", expect(dead_code, reason = "the host looks after TLS and proxies"))]
pub(super) struct BaseUrl {
    /// Without a trailing slash.
    pub(super) text: String,
    pub(super) is_https: bool,
    pub(super) is_loopback: bool,
}

/// Parses and checks a base URL. Errors do not repeat it where it could contain a password.
pub(super) fn parse(text: &str, allow_http: bool) -> Result<BaseUrl> {
    let refuse = |problem: String| Err(Error::configuration(problem, ADVICE));
    let text = text.trim();
    if let Some(mistake) = crate::secret::setting_mistake(text) {
        return refuse(format!("the base URL {mistake}"));
    }
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(url::ParseError::RelativeUrlWithoutBase) => {
            return refuse("the base URL has no scheme; put `https://` in front".to_owned());
        }
        Err(error) => return refuse(format!("the base URL is not a URL: {error}")),
    };
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return refuse("the base URL has no host".to_owned()),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("the base URL contains a user name or password; set the API key with `api_key`".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return refuse("the base URL has a query or a fragment".to_owned());
    }
    if url.path().trim_end_matches('/').ends_with("/v1") {
        return refuse("the base URL ends in `/v1`, which the client appends".to_owned());
    }
    let is_https = match url.scheme() {
        "https" => true,
        "http" if is_loopback || allow_http => false,
        "http" => {
            return Err(Error::configuration(
                format!("the base URL `{url}` is not encrypted, so the API key could be read on the network"),
                "Use https://, or allow http:// with `allow_http(true)`.",
            ));
        }
        scheme => return refuse(format!("the base URL has the scheme `{scheme}`")),
    };
    Ok(BaseUrl { text: url.as_str().trim_end_matches('/').to_owned(), is_https, is_loopback })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_trailing_slash_goes_and_a_path_stays() {
        for (given, expected) in [
            ("https://example.com", "https://example.com"),
            ("https://example.com/", "https://example.com"),
            (" https://example.com/gate/way// ", "https://example.com/gate/way"),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("http://localhost:1/x", "http://localhost:1/x"),
        ] {
            assert_eq!(parse(given, false).unwrap().text, expected);
        }
    }

    #[test]
    fn http_is_accepted_for_loopback_or_if_it_is_allowed() {
        for given in ["http://example.com", "http://10.0.0.1", "http://localhost.example.com"] {
            assert!(parse(given, false).unwrap_err().to_string().contains("allow_http"), "{given}");
            assert!(parse(given, true).is_ok(), "{given}");
        }
    }

    #[test]
    fn invalid_addresses_are_refused() {
        for given in [
            "", "https://example.com/v1/", "example.com", "ftp://example.com", "https://", "https://a/?x=1",
            "https://a/#x", "data:x",
        ] {
            assert!(parse(given, true).is_err(), "{given}");
        }
    }

    #[test]
    fn a_password_in_an_address_is_refused_and_not_repeated() {
        let error = parse("https://me:hunter2@example.com", false).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
}
