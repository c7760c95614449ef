//! TLS by rustls with the cryptography of ring, for builds without the C library that the default brings.

use rustls::crypto::{CryptoProvider, ring};

/// Makes ring the cryptography of rustls in this process, unless the program has installed another.
///
/// reqwest takes the provider of the process. A TLS configuration that is made here would name its own, but would also
/// replace what `configure_http` sets: certificates, versions, the client's identity.
pub(super) fn install_ring() {
    if CryptoProvider::get_default().is_none() {
        // Another thread may have installed one since.
        let _ = ring::default_provider().install_default();
    }
}
