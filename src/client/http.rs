//! Sets up the HTTP client.

use std::time::Duration;

use reqwest::redirect;

use super::base_url::BaseUrl;
use super::proxy;
use crate::error::root_cause;
use crate::{Error, Result};

/// The time after which an idle connection is not used again.
///
/// A request on a connection that the other side is closing is lost, and a lost submission has to be looked for. So
/// connections are given up before the other side does that. The shortest of the documented defaults counts: 5 s in
/// Node's HTTP server ([`server.keepAliveTimeout`]); nginx has 75 s ([`keepalive_timeout`]), an AWS Application Load
/// Balancer 60 s ([`idle_timeout.timeout_seconds`]). reqwest's own default is 90 s.
///
/// [`server.keepAliveTimeout`]: https://nodejs.org/api/http.html#serverkeepalivetimeout
/// [`keepalive_timeout`]: https://nginx.org/en/docs/http/ngx_http_core_module.html#keepalive_timeout
/// [`idle_timeout.timeout_seconds`]: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-load-balancer-attributes.html
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// Changes the settings of the HTTP client.
pub(super) type ConfigureHttp = dyn Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder + Send + Sync;

/// Returns an HTTP client, and the proxy of the environment that it uses, for errors.
pub(super) fn http_client(
    base_url: &BaseUrl,
    connect_timeout: Duration,
    configure: Option<&ConfigureHttp>,
) -> Result<(reqwest::Client, Option<String>)> {
    if base_url.is_https && !cfg!(any(feature = "rustls", feature = "rustls-ring", feature = "native-tls")) {
        return Err(Error::configuration(
            "this build has no TLS, which https:// needs",
            "Turn on the crate's feature `rustls`, `rustls-ring` or `native-tls`, or give an `http_client` that has TLS.",
        ));
    }
    let proxy = proxy::of_environment(base_url, |name| std::env::var(name).ok())?;
    #[cfg(all(feature = "rustls-ring", not(feature = "rustls")))]
    super::tls::install_ring();
    // Another crate of the program may turn HTTP/2 on, where one connection that stalls would take all calls with it.
    // Proxies and content delivery networks add headers; reqwest's own limit is 100.
    let mut builder = reqwest::Client::builder().http1_only().http1_max_headers(1_000);
    if base_url.is_loopback {
        // A proxy would look for the service on its own machine.
        builder = builder.no_proxy();
    }
    // Another crate of the program may turn on a TLS library that does not have all settings.
    #[cfg(any(feature = "rustls", feature = "rustls-ring"))]
    let builder = builder.tls_backend_rustls();
    let builder = match configure {
        Some(configure) => configure(builder),
        None => builder,
    };
    let http = builder
        .connect_timeout(connect_timeout)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .redirect(redirect::Policy::none())
        // Over HTTP/2, which `configure_http` may turn on, reqwest repeats requests by itself after some errors. hyper
        // sends a request anew on another connection only if it has not begun to write it, which is safe.
        .retry(reqwest::retry::never())
        // Another crate of the program may turn reqwest's decompression on; responses are small.
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .build()
        .map_err(|error| {
            Error::configuration(root_cause(&error), "Check the machine's TLS certificates and proxy settings.")
        })?;
    Ok((http, proxy))
}
