//! Checks the proxy variables of the environment.
//!
//! The HTTP client ignores a variable that it cannot use, and connects without the proxy.

use hyper_util::client::proxy::matcher::Matcher;
use url::{Position, Url};

use super::base_url::BaseUrl;
use crate::{Error, Result};

const ADVICE: &str = "Set it to an address such as `http://proxy.example.com:3128`, or unset it; NO_PROXY names the hosts that need no proxy.";

/// Returns the variable that names the proxy for a base URL, with the proxy, for errors. The order is that of the HTTP
/// client: the first name that is set counts.
pub(super) fn of_environment(base_url: &BaseUrl, variable: impl Fn(&str) -> Option<String>) -> Result<Option<String>> {
    let set = |names: [&'static str; 2]| names.into_iter().find_map(|name| Some((name, variable(name)?)));
    let of_scheme = if base_url.is_https { ["HTTPS_PROXY", "https_proxy"] } else { ["HTTP_PROXY", "http_proxy"] };
    let found =
        [of_scheme, ["ALL_PROXY", "all_proxy"]].into_iter().filter_map(set).find(|(_, value)| !value.is_empty());
    // A CGI program has headers of its request among its variables.
    let Some((name, value)) = found.filter(|_| !base_url.is_loopback && variable("REQUEST_METHOD").is_none()) else {
        return Ok(None);
    };
    let no_proxy = set(["NO_PROXY", "no_proxy"]).map(|(_, hosts)| hosts).unwrap_or_default();
    let matches = |proxy: &str| {
        let matcher = Matcher::builder().all(proxy.to_owned()).no(no_proxy.clone()).build();
        base_url.text.parse().ok().and_then(|url| matcher.intercept(&url)).is_some()
    };
    if !matches("http://proxy") {
        return Ok(None);
    }
    let with_scheme = if value.contains("://") { value.clone() } else { format!("http://{value}") };
    // The value may contain a password.
    let Some(proxy) = Url::parse(&with_scheme).ok().filter(|_| matches(&value)) else {
        return Err(Error::configuration(format!("the variable {name} is not the address of a proxy"), ADVICE));
    };
    if proxy.scheme().starts_with("socks") && !cfg!(feature = "socks") {
        return Err(Error::configuration(
            format!("the variable {name} names a SOCKS proxy, which this build cannot use"),
            "Turn on the crate's feature `socks`, or set an HTTP proxy; NO_PROXY names the hosts that need no proxy.",
        ));
    }
    let host = &proxy[Position::BeforeHost..Position::AfterPort];
    Ok(Some(format!("{name} is `{}://{host}`", proxy.scheme())))
}

#[cfg(test)]
mod tests {
    use super::of_environment;
    use crate::client::base_url;

    fn found(url: &str, variables: &[(&str, &str)]) -> Result<Option<String>, String> {
        let read = |name: &str| variables.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned());
        let base_url = base_url::parse(url, true).unwrap();
        of_environment(&base_url, read).map_err(|error| error.to_string())
    }

    #[test]
    fn the_first_variable_that_is_set_names_the_proxy_without_its_password() {
        for (variables, expected) in [
            (&[("HTTPS_PROXY", "http://me:hunter2@10.0.0.1:3128/")][..], Some("HTTPS_PROXY is `http://10.0.0.1:3128`")),
            (&[("https_proxy", "proxy:3128"), ("ALL_PROXY", "no URL")], Some("https_proxy is `http://proxy:3128`")),
            (&[("HTTPS_PROXY", ""), ("all_proxy", "https://proxy")], Some("all_proxy is `https://proxy`")),
            (&[("HTTP_PROXY", "no URL")], None),
            (&[("HTTPS_PROXY", "no URL"), ("NO_PROXY", "a.example, 10.0.0.0/8")], None),
            (&[("HTTPS_PROXY", "no URL"), ("REQUEST_METHOD", "GET")], None),
            (&[], None),
        ] {
            assert_eq!(found("https://a.example/x", variables), Ok(expected.map(str::to_owned)), "{variables:?}");
        }
        assert_eq!(found("https://127.0.0.1", &[("HTTPS_PROXY", "no URL")]), Ok(None));
        assert_eq!(found("http://10.0.0.2", &[("HTTP_PROXY", "p")]), Ok(Some("HTTP_PROXY is `http://p`".to_owned())));
    }

    #[test]
    fn an_unusable_variable_is_refused_and_not_repeated() {
        for value in ["me:hunter2@proxy:99999", "http//hunter2", " http://hunter2", "ftp://hunter2", "http://", "a b"] {
            let error = found("https://a.example", &[("HTTPS_PROXY", value)]).unwrap_err();
            assert!(error.contains("the variable HTTPS_PROXY is not the address of a proxy"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        for value in ["socks5://proxy:1080", "socks5h://proxy", "socks4://proxy"] {
            let found = found("https://a.example", &[("ALL_PROXY", value)]);
            assert_eq!(found.is_ok(), cfg!(feature = "socks"), "{found:?}");
        }
    }
}
