//! TLS by rustls with the cryptography of ring, for builds without the C library that the default brings.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls_platform_verifier::BuilderVerifierExt;

use crate::{Error, Result};

/// Sets up TLS with ring and the platform's certificate verifier.
///
/// The provider is not installed as the default of the process, which other crates may set.
pub(super) fn with_ring(builder: reqwest::ClientBuilder) -> Result<reqwest::ClientBuilder> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(BuilderVerifierExt::with_platform_verifier)
        .map_err(|error| Error::configuration(error.to_string(), "Check the machine's TLS certificates."))?;
    Ok(builder.tls_backend_preconfigured(config.with_no_client_auth()))
}
