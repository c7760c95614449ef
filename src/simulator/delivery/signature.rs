//! How a receiver can tell that a delivery is genuine.

use std::fmt::Write;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The value of `X-AgentGate-Signature`: the HMAC-SHA256 of the body as it is sent, in lower-case hex. The key is the whole
/// secret, with the prefix it has.
pub(crate) fn sign(secret: &str, body: &[u8]) -> String {
    let mut signature = String::from("sha256=");
    // HMAC takes keys of every length, so this is always one.
    if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) {
        mac.update(body);
        for byte in mac.finalize().into_bytes() {
            // Writing to a string cannot fail.
            let _ = write!(signature, "{byte:02x}");
        }
    }
    signature
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_other_implementations() {
        // RFC 4231, test case 2.
        assert_eq!(
            sign("Jefe", b"what do ya want for nothing?"),
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        // By OpenSSL: a secret as it is here, and one that is longer than a block.
        assert_eq!(
            sign("whsec_simulator000001", br#"{"id":"evt_000001"}"#),
            "sha256=d4e3769dcae81d855b3032d320b083b516da911f2bf49565b1a611bba1eefae6"
        );
        assert_eq!(
            sign(&"*".repeat(131), br#"{"id":"evt_000001"}"#),
            "sha256=3b424706810c28e759a75d5639eec74fbcac5d1bff6b08408522449c21a9b450"
        );
    }
}
