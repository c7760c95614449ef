//! Removes secrets from text that is shown.
//!
//! A service may repeat in a message what it was sent, and a response may hold the secret of a webhook. Errors and headers pass
//! through [`redact`] before anything of them is displayed or recorded.

use std::borrow::Cow;

/// The text that takes the place of a secret.
const REDACTED: &[u8] = b"[redacted]";

/// What the secrets of the service begin with: API keys, and the signing secrets of webhooks.
const PREFIXES: [&[u8]; 2] = [b"org_live_", b"whsec_"];

/// A shorter key is no key of the service, and might be a word of the text.
const SHORTEST_KEY: usize = 8;

/// The shortest start of a key that is removed where the text breaks off within it.
const SHORTEST_START: usize = 4;

/// Replaces all that looks like a secret of the service, and this key, also where the text breaks off within it.
pub(crate) fn redact<'a>(text: &'a [u8], key: &[u8]) -> Cow<'a, [u8]> {
    let (mut clean, mut copied, mut position) = (Vec::new(), 0, 0);
    let is_first = |byte: &u8| PREFIXES.iter().any(|prefix| prefix[0] == *byte) || key.first() == Some(byte);
    // Each response passes through here, and most bytes cannot begin a secret.
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

/// [`redact`] for a string. Secrets are ASCII, so what remains is text.
pub(crate) fn redact_text<'a>(text: &'a str, key: &[u8]) -> Cow<'a, str> {
    match redact(text.as_bytes(), key) {
        Cow::Borrowed(_) => Cow::Borrowed(text),
        Cow::Owned(clean) => Cow::Owned(String::from_utf8_lossy(&clean).into_owned()),
    }
}

/// The length of the secret at the start of the text; 0 if there is none.
fn secret_length(text: &[u8], key: &[u8]) -> usize {
    let is_key = key.len() >= SHORTEST_KEY;
    let whole = if is_key && text.starts_with(key) { key.len() } else { 0 };
    let start = if is_key && text.len() >= SHORTEST_START && key.starts_with(text) { text.len() } else { 0 };
    let by_prefix = PREFIXES.iter().find_map(|prefix| {
        let rest = text.strip_prefix(*prefix)?;
        let length = rest.iter().take_while(|byte| is_of_secret(**byte)).count();
        // `org_live_...` is how texts speak of keys.
        rest[..length].iter().any(u8::is_ascii_alphanumeric).then_some(prefix.len() + length)
    });
    whole.max(start).max(by_prefix.unwrap_or_default())
}

/// Whether a byte may belong to a secret, also one that is escaped. What encloses or separates texts does not.
fn is_of_secret(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\"'`<>()[]{},;&".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::{redact, redact_text};

    const KEY: &[u8] = b"proxy-key-0123456789";

    #[test]
    fn secrets_are_replaced_wherever_they_stand() {
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
    fn a_secret_that_is_cut_off_is_replaced_as_far_as_it_goes() {
        for secret in ["whsec_0123456789", "org_live_0123456789", "proxy-key-0123456789"] {
            let text = format!("the secret is {secret}");
            for length in 0..=text.len() {
                let clean = redact_text(&text[..length], KEY).into_owned();
                assert!(!clean.contains("0123"), "{clean}");
            }
        }
    }

    #[test]
    fn the_way_texts_speak_of_secrets_is_kept() {
        for text in ["a key looks like `org_live_…`", "`Bearer org_live_...`", "begins with whsec_", "org_live_ whsec_"]
        {
            assert_eq!(redact_text(text, KEY), text);
        }
    }

    #[test]
    fn a_key_that_might_be_a_word_is_no_secret() {
        for key in ["", "k", "service"] {
            assert_eq!(redact_text("the service is ok", key.as_bytes()), "the service is ok");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_kept() {
        assert_eq!(*redact(b"\xff whsec_1\xfe", KEY), *b"\xff [redacted]\xfe");
    }
}
