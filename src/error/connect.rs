//! Explains why there is no connection: a certificate, a TLS alert, or a proxy.
//!
//! The types of these errors belong to the TLS libraries and to the HTTP client's own dependencies, and differ between
//! features and platforms. So their texts are read. A text that is not recognized is shown as it is.

use std::error::Error as StdError;

use super::root_cause;

/// The reason for which the server, the client or a proxy refused a connection.
#[derive(Debug, PartialEq)]
pub(super) struct Refusal {
    pub(super) problem: String,
    pub(super) advice: &'static str,
    /// Another attempt would fail in the same way.
    pub(super) is_final: bool,
    /// The server ended the handshake, so it has read no request.
    pub(super) is_alert: bool,
}

const CHECK_CLOCK: &str = "Check the clock of this machine, and whether a proxy decrypts; `configure_http` sets which certificates are trusted.";
const CHECK_HOST: &str =
    "Check the base URL, and whether a proxy decrypts; `configure_http` sets which certificates are trusted.";
const ADD_AUTHORITY: &str = "Add the certificate of a private authority, or of a proxy that decrypts, by `add_root_certificate` in `configure_http`.";
const CHECK_IDENTITY: &str =
    "Set the client's certificate by `identity` in `configure_http`, or check the one that is set.";
const CHECK_TLS: &str = "Check the port, and the versions of TLS and the `identity` that `configure_http` sets.";
const CHECK_PROXY: &str = "Check the proxy of HTTPS_PROXY or `configure_http` (SOCKS needs the feature `socks`); NO_PROXY names hosts that need none.";
const LOG_IN: &str = "Put them in front of the host in the address of the proxy.";

/// What is wrong with a certificate, in the words of rustls, OpenSSL, Secure Transport and Schannel.
const CERTIFICATES: [(&str, &str, &str); 4] = [
    ("not valid for name|hostname mismatch|address mismatch|principal name", "is for another host", CHECK_HOST),
    ("unknown issuer|local issuer|self-signed|not trusted", "is of an authority that is not trusted", ADD_AUTHORITY),
    ("not valid yet|not yet valid", "is not valid yet", CHECK_CLOCK),
    ("certificate expired|has expired", "has expired", CHECK_CLOCK),
];

/// The alerts by which a server ends a handshake (RFC 8446, 6.2), and what they mean.
const ALERTS: [(&str, &str, &str); 4] = [
    ("certificate required", "the server requires a certificate of the client", CHECK_IDENTITY),
    ("bad certificate|unsupported certificate|certificate unknown", NOT_ACCEPTED, CHECK_IDENTITY),
    ("certificate revoked|certificate expired|unknown ca|access denied", NOT_ACCEPTED, CHECK_IDENTITY),
    ("handshake failure|protocol version|insufficient security", "the server refused the handshake", CHECK_TLS),
];
const NOT_ACCEPTED: &str = "the server does not accept the client's certificate";

/// The beginning of the failure of a proxy to open a tunnel.
const TUNNEL: &str = "tunnel error: ";

impl Refusal {
    /// Returns the reason that the causes of an error give.
    pub(super) fn of(error: &(dyn StdError + 'static)) -> Option<Self> {
        let chain = std::iter::successors(Some(error), |&error| error.source());
        let text = chain.map(|error| plain(&error.to_string())).collect::<Vec<_>>().join(": ");
        Self::read(&text.to_lowercase(), &plain(&root_cause(error)))
    }

    fn read(text: &str, cause: &str) -> Option<Self> {
        let is_proxy = text.contains("tunnel error: failed to create");
        let refusal = |problem: String, advice| {
            let problem = if is_proxy { problem.replace("the server", "the proxy") } else { problem };
            Self { problem, advice, is_final: true, is_alert: false }
        };
        for (names, problem, advice) in ALERTS {
            // As rustls and as OpenSSL write it.
            let is_it =
                |name: &&str| ["alert: ", "alert "].iter().any(|alert| text.contains(&format!("{alert}{name}")));
            if let Some(name) = names.split('|').find(is_it) {
                return Some(Self { is_alert: true, ..refusal(format!("{problem} (alert: {name})"), advice) });
            }
        }
        let known = CERTIFICATES.iter().find(|(words, ..)| words.split('|').any(|words| text.contains(words)));
        if let Some((_, problem, advice)) = known {
            let names = cause.rsplit_once("certificate is only ").map(|(_, names)| format!(" (only {names})"));
            let names = names.unwrap_or_default();
            return Some(refusal(format!("the certificate of the server {problem}{names}"), advice));
        }
        if text.contains("invalid peer certificate") || text.contains("certificate verify failed") {
            return Some(refusal(format!("the certificate of the server is not accepted: {cause}"), CHECK_HOST));
        }
        let (_, failure) = text.split_once(TUNNEL)?;
        if failure.starts_with("proxy authorization required") {
            return Some(refusal("the proxy requires a user name and a password (407)".to_owned(), LOG_IN));
        }
        let problem = match failure {
            _ if is_proxy => format!("the proxy cannot be reached: {cause}"),
            "unsuccessful" => "the proxy refused to connect to it".to_owned(),
            _ => format!("the proxy broke off: {}", cause.trim_start_matches(TUNNEL)),
        };
        Some(Self { is_final: false, ..refusal(problem, CHECK_PROXY) })
    }
}

/// Returns a text in which the names of Rust's variants are words: rustls shows `UnknownIssuer` and
/// `Other(OtherError(CaUsedAsEndEntity))`.
pub(super) fn plain(text: &str) -> String {
    text.split(' ').map(plain_word).collect::<Vec<_>>().join(" ")
}

fn plain_word(word: &str) -> String {
    let (outer, inner) = word.rsplit_once('(').unwrap_or(("", word));
    let name = if outer.starts_with(char::is_uppercase) { inner.trim_matches([')', '"', ',']) } else { word };
    let is_name = name.starts_with(char::is_uppercase) && name.chars().all(char::is_alphanumeric);
    if !is_name {
        return name.to_owned();
    }
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && words.ends_with(char::is_lowercase) {
            words.push(' ');
        }
        words.push(letter);
    }
    if words.contains(' ') { words.to_lowercase() } else { words }
}

#[cfg(test)]
mod tests {
    use super::{Refusal, plain};

    #[test]
    fn names_of_variants_become_words() {
        for (text, expected) in [
            ("received fatal alert: CertificateRequired", "received fatal alert: certificate required"),
            ("received fatal alert: UnknownCA", "received fatal alert: unknown ca"),
            (
                "invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))",
                "invalid peer certificate: ca used as end entity",
            ),
            ("certificate is only valid for DnsName(\"a.example\")", "certificate is only valid for a.example"),
            ("Connection refused (os error 111)", "Connection refused (os error 111)"),
            ("SSL routines: (Hostname mismatch)", "SSL routines: (Hostname mismatch)"),
        ] {
            assert_eq!(plain(text), expected);
        }
    }

    #[test]
    fn certificates_alerts_and_proxies_are_recognized_in_the_texts_of_each_library() {
        for (text, expected) in [
            (
                "the certificate chain was issued by an authority that is not trusted. (os error -2146893019)",
                Some("the certificate of the server is of an authority that is not trusted"),
            ),
            (
                "the target principal name is incorrect. (os error -2146893022)",
                Some("the certificate of the server is for another host"),
            ),
            (
                "the certificate was not trusted.",
                Some("the certificate of the server is of an authority that is not trusted"),
            ),
            ("invalid peer certificate: bad signature", Some("the certificate of the server is not accepted: cause")),
            (
                "tunnel error: failed to create underlying connection: invalid peer certificate: unknown issuer",
                Some("the certificate of the proxy is of an authority that is not trusted"),
            ),
            (
                "ssl routines:ssl3_read_bytes:tlsv1 alert unknown ca:../ssl/record/rec_layer_s3.c:1590:ssl alert number 48",
                Some("the server does not accept the client's certificate (alert: unknown ca)"),
            ),
            ("client error (connect): connection refused (os error 111)", None),
            ("received fatal alert: internal error", None),
        ] {
            assert_eq!(Refusal::read(text, "cause").map(|refusal| refusal.problem).as_deref(), expected, "{text}");
        }
    }
}
