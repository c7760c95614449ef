//! Removes secrets from text that is shown.
//!
//! A message of the service may repeat parts of the request, and a response may contain the secret of a webhook. The
//! texts of errors and headers pass through [`redact`] before they are displayed or recorded.

use std::borrow::Cow;

const REDACTED: &[u8] = b"[redacted]";

/// The prefixes of API keys and of the signing secrets of webhooks.
const PREFIXES: [&[u8]; 2] = [b"org_live_", b"whsec_"];

/// A shorter key is not one of the service, and might be a word of the text.
const SHORTEST_KEY: usize = 8;

/// The shortest start of a key that is replaced at the end of a truncated text.
const SHORTEST_START: usize = 4;

/// Replaces this key and everything that looks like a secret of the service, also at the end of a truncated text.
pub(crate) fn redact<'a>(text: &'a [u8], key: &[u8]) -> Cow<'a, [u8]> {
    let (mut clean, mut copied, mut position) = (Vec::new(), 0, 0);
    let is_first = |byte: &u8| PREFIXES.iter().any(|prefix| prefix[0] == *byte) || key.first() == Some(byte);
    // Quick, because every response is searched and most bytes cannot begin a secret.
    while let Some(next) = text[position..].iter().position(is_first) {
        position += next;
        match secret_length(&text[position..], key) {
            0 => position += 1,
            length => {
                clean.extend_from_slice(&text[copied..position]);
                clean.extend_from_slice(REDACTED);
                position += length;
                copied = position;
            }
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    clean.extend_from_slice(&text[copied..]);
    Cow::Owned(clean)
}

/// Redacts a string. Secrets are ASCII, so the rest is UTF-8.
pub(crate) fn redact_text<'a>(text: &'a str, key: &[u8]) -> Cow<'a, str> {
    match redact(text.as_bytes(), key) {
        Cow::Borrowed(_) => Cow::Borrowed(text),
        Cow::Owned(clean) => Cow::Owned(String::from_utf8_lossy(&clean).into_owned()),
    }
}

/// Returns the length of the secret at the start of the text; 0 if there is none.
fn secret_length(text: &[u8], key: &[u8]) -> usize {
    let is_key = key.len() >= SHORTEST_KEY;
    let whole = if is_key && text.starts_with(key) { key.len() } else { 0 };
    let start = if is_key && text.len() >= SHORTEST_START && key.starts_with(text) { text.len() } else { 0 };
    let by_prefix = PREFIXES.iter().find_map(|prefix| {
        let rest = text.strip_prefix(*prefix)?;
        let length = rest.iter().take_while(|byte| is_of_secret(**byte)).count();
        // Documentation writes `org_live_...` for a key.
        rest[..length].iter().any(u8::is_ascii_alphanumeric).then_some(prefix.len() + length)
    });
    whole.max(start).max(by_prefix.unwrap_or_default())
}

/// Returns whether a byte may be part of a secret, possibly an escaped one. Quotation marks, brackets and separators
/// are not.
fn is_of_secret(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\"'`<>()[]{},;&".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::{redact, redact_text};

    const KEY: &[u8] = b"proxy-key-0123456789";

    #[test]
    fn secrets_are_replaced_anywhere_in_a_text() {
        for (text, clean) in [
            ("", ""),
            ("nothing to hide", "nothing to hide"),
            ("whsec_a/b+c==", "[redacted]"),
            ("the key org_live_abc, and whsec_1-2_3.", "the key [redacted], and [redacted]"),
            (r#"{"secret":"whsec_ab\/cd","url":7}"#, r#"{"secret":"[redacted]","url":7}"#),
            ("<b>whsec_ä1</b>", "<b>whsec_ä1</b>"),
            ("https://x/?key=org_live_abc&a=b", "https://x/?key=[redacted]&a=b"),
            ("Bearer proxy-key-0123456789!", "Bearer [redacted]!"),
            ("whsec_awhsec_b org_live_corg_live_d", "[redacted] [redacted]"),
            ("ä whsec_1 ä", "ä [redacted] ä"),
        ] {
            assert_eq!(redact_text(text, KEY), clean);
        }
    }

    #[test]
    fn a_truncated_secret_is_replaced() {
        for secret in ["whsec_0123456789", "org_live_0123456789", "proxy-key-0123456789"] {
            let text = format!("the secret is {secret}");
            for length in 0..=text.len() {
                let clean = redact_text(&text[..length], KEY).into_owned();
                assert!(!clean.contains("0123"), "{clean}");
            }
        }
    }

    #[test]
    fn placeholders_of_secrets_are_kept() {
        for text in ["a key looks like `org_live_…`", "`Bearer org_live_...`", "begins with whsec_", "org_live_ whsec_"]
        {
            assert_eq!(redact_text(text, KEY), text);
        }
    }

    #[test]
    fn a_short_key_is_not_replaced() {
        for key in ["", "k", "service"] {
            assert_eq!(redact_text("the service is ok", key.as_bytes()), "the service is ok");
        }
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_kept() {
        assert_eq!(*redact(b"\xff whsec_1\xfe", KEY), *b"\xff [redacted]\xfe");
    }
}
