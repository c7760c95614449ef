//! Sets up the HTTP client in a JavaScript host, which has its own connections, TLS and proxies.

use std::time::Duration;

use super::base_url::BaseUrl;
use crate::error::root_cause;
use crate::{Error, Result};

/// Changes the settings of the HTTP client.
pub(super) type ConfigureHttp = dyn Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder + Send + Sync;

/// Returns an HTTP client. `fetch` has no setting for its connections, and does not tell its proxy.
pub(super) fn http_client(
    _: &BaseUrl,
    _: Duration,
    configure: Option<&ConfigureHttp>,
) -> Result<(reqwest::Client, Option<String>)> {
    let mut builder = reqwest::Client::builder();
    if let Some(configure) = configure {
        builder = configure(builder);
    }
    let advice = "Check the settings of the HTTP client.";
    let http = builder.build().map_err(|error| Error::configuration(root_cause(&error), advice))?;
    Ok((http, None))
}
