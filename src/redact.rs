//! Removes secrets from text that is shown.
//!
//! A message of the service may repeat parts of the request, and a response may contain the secret of a webhook. The
//! texts of errors and headers pass through [`redact`] before they are displayed or recorded.

use std::borrow::Cow;
use std::ops::Range;

const REDACTED: &[u8] = b"[redacted]";

/// The prefixes of API keys, of the signing secrets of webhooks, and of the tokens of repository hosts.
const PREFIXES: [&[u8]; 6] = [b"org_live_", b"whsec_", b"ghp_", b"ghs_", b"github_pat_", b"glpat-"];

/// The beginning of a URL behind its scheme, plain and escaped in JSON.
const AUTHORITY: [&[u8]; 2] = [b"://", b":\\/\\/"];

/// A shorter key is not one of the service, and might be a word of the text.
const SHORTEST_KEY: usize = 8;

/// The shortest start of a key that is replaced at the end of a truncated text.
const SHORTEST_START: usize = 4;

/// Replaces this key, everything that looks like a secret, and the user information and the query of each URL, also at
/// the end of a truncated text.
pub(crate) fn redact<'a>(text: &'a [u8], key: &[u8]) -> Cow<'a, [u8]> {
    let (mut clean, mut copied, mut position, mut query) = (Vec::new(), 0, 0, 0..0);
    let is_first = |byte: &u8| {
        b":?".contains(byte) || PREFIXES.iter().any(|prefix| prefix[0] == *byte) || key.first() == Some(byte)
    };
    // Quick, because every response is searched and most bytes cannot begin a secret.
    while let Some(next) = text[position..].iter().position(is_first) {
        position += next;
        let mut secret = position..position + secret_length(&text[position..], key);
        if position + 1 == query.start {
            secret = query.clone();
        } else if secret.is_empty() {
            (secret, query) = secrets_of_url(text, position).unwrap_or((0..0, query));
        }
        position += 1;
        if !secret.is_empty() {
            clean.extend_from_slice(&text[copied..secret.start]);
            clean.extend_from_slice(REDACTED);
            (copied, position) = (secret.end, secret.end);
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
        (!is_placeholder(&rest[..length])).then_some(prefix.len() + length)
    });
    whole.max(start).max(by_prefix.unwrap_or_default())
}

/// Documentation writes `org_live_...`, `org_live_xxxxxxxx` or `org_live_YOUR_KEY` for a key.
fn is_placeholder(secret: &[u8]) -> bool {
    let letters: Vec<u8> = secret.iter().copied().filter(u8::is_ascii_alphanumeric).collect();
    letters.is_empty()
        || (letters.len() >= SHORTEST_START && letters.iter().all(|letter| *letter == letters[0]))
        || letters.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"your"))
}

/// Returns whether a byte may be part of a secret, possibly an escaped one. Quotation marks, brackets and separators
/// are not.
fn is_of_secret(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\"'`<>()[]{},;&@".contains(&byte)
}

/// Returns the places of the user information and of the query of a URL whose scheme ends here. A user name alone is no
/// secret if it is that of SSH, or `git`.
fn secrets_of_url(text: &[u8], colon: usize) -> Option<(Range<usize>, Range<usize>)> {
    let start = colon + AUTHORITY.into_iter().find(|slashes| text[colon..].starts_with(slashes))?.len();
    let length = text[start..].iter().position(|byte| byte.is_ascii_control() || b" \"'<>`".contains(byte));
    let length = length.unwrap_or(text.len() - start);
    let url = &text[start..start + length];
    let authority = url.split(|byte| b"/\\?#".contains(byte)).next().unwrap_or_default();
    let port = authority.rsplit(|byte| *byte == b':').next().unwrap_or(authority);
    let has_password = authority != port && !port.iter().all(u8::is_ascii_digit);
    // A password may hold a slash, and the `@` may have been cut off.
    let rest = if has_password { url } else { authority };
    let is_cut = has_password && start + authority.len() == text.len();
    let at = rest.iter().rposition(|byte| *byte == b'@').or(is_cut.then_some(authority.len())).unwrap_or_default();
    let is_name = url[..at] == *b"git" || (text[..colon].ends_with(b"ssh") && !url[..at].contains(&b':'));
    let query = url[at..].iter().position(|byte| *byte == b'?').map_or(length, |mark| at + mark + 1);
    let end = url[query..].iter().rposition(|byte| !b".,;:!?)]}".contains(byte)).map_or(query, |last| query + last + 1);
    let end = if url[query..].starts_with(REDACTED) { query } else { end };
    Some((start..start + if is_name { 0 } else { at }, start + query..start + end))
}

#[cfg(test)]
mod tests {
    use super::{redact, redact_text};

    const KEY_TEXT: &str = "proxy-key-0123456789";
    const KEY: &[u8] = KEY_TEXT.as_bytes();

    #[test]
    fn secrets_are_replaced_anywhere_in_a_text() {
        for (text, clean) in [
            ("", ""),
            ("nothing to hide", "nothing to hide"),
            ("whsec_a/b+c==", "[redacted]"),
            ("the key org_live_abc, and whsec_1-2_3.", "the key [redacted], and [redacted]"),
            (r#"{"secret":"whsec_ab\/cd","url":7}"#, r#"{"secret":"[redacted]","url":7}"#),
            ("<b>whsec_ä1</b>", "<b>whsec_ä1</b>"),
            ("the token ghp_16C7e42F, or x:ghs_1@host", "the token [redacted], or x:[redacted]@host"),
            ("Bearer proxy-key-0123456789!", "Bearer [redacted]!"),
            ("whsec_awhsec_b org_live_corg_live_d", "[redacted] [redacted]"),
            ("ä whsec_1 ä", "ä [redacted] ä"),
        ] {
            assert_eq!(redact_text(text, KEY), clean);
        }
    }

    #[test]
    fn the_user_information_and_the_query_of_urls_are_replaced() {
        for (text, clean) in [
            ("https://x-access-token:ghp_1@github.com/org/repo.git", "https://[redacted]@github.com/org/repo.git"),
            ("clone https://ghp_1@github.com/org: no", "clone https://[redacted]@github.com/org: no"),
            ("https://user:p@ss@host:8080/path", "https://[redacted]@host:8080/path"),
            ("redis://:hunter2@host", "redis://[redacted]@host"),
            ("https://user:hun/ter?2@host/a?b=c", "https://[redacted]@host/a?[redacted]"),
            ("ssh://user:hunter2@host/a", "ssh://[redacted]@host/a"),
            (
                "{\"url\":\"https:\\/\\/u:p@host\\/a?sig=1\\u0026b\"}",
                "{\"url\":\"https:\\/\\/[redacted]@host\\/a?[redacted]\"}",
            ),
            ("https://x/?key=org_live_abc&a=b", "https://x/?[redacted]"),
            ("see <https://s3/a.zip?X-Amz-Signature=1&a=b> now", "see <https://s3/a.zip?[redacted]> now"),
            (
                "https://u:p@host/a?token=1 and https://b/?sig=2",
                "https://[redacted]@host/a?[redacted] and https://b/?[redacted]",
            ),
            ("https://h/a?next=https://u:p@other/b", "https://h/a?[redacted]"),
            ("cut https://user:hunter", "cut https://[redacted]"),
            ("https://h/whsec_1/a?b=c", "https://h/[redacted]"),
            ("https://h/b,whsec_1,c/a?b=c", "https://h/b,[redacted],c/a?[redacted]"),
            ("a (https://h/a?b=c). More", "a (https://h/a?[redacted]). More"),
            ("[https://h/a?[redacted]].", "[https://h/a?[redacted]]."),
        ] {
            assert_eq!(redact_text(text, KEY), clean);
        }
    }

    #[test]
    fn what_is_no_secret_in_a_url_is_kept() {
        for text in [
            "https://github.com/your-org/your-repo/pull/42",
            "git@github.com:org/repo.git",
            "ssh://git@github.com/org/repo",
            "ssh://deploy@host:2222/repo",
            "https://git@host/repo",
            "https://www.npmjs.com/package/@scope/name",
            "https://example.com:8080",
            "http://[::1]:8080/a#part",
            "Is it https://example.com/a?",
            "Is it there? See https://example.com: it is.",
            "me@example.com",
        ] {
            assert_eq!(redact_text(text, KEY), text);
        }
    }

    #[cfg(feature = "client")]
    #[test]
    fn a_key_is_replaced_whatever_surrounds_it() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..20_000 {
            let parts = [
                "://", ":\\/\\/", "@", "?", "/", ":", "git", "ssh", "whsec_", "ab", "1", " ", "\"", "ä", "[", ".",
                KEY_TEXT,
            ];
            let text: String = (0..random.usize(0..12)).filter_map(|_| random.choice(parts)).collect();
            let clean = redact_text(&text, KEY);
            assert!(!clean.contains(KEY_TEXT), "{text}");
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
        for text in [
            "a key looks like `org_live_…`",
            "`Bearer org_live_...`",
            "begins with whsec_",
            "org_live_ whsec_",
            "it must look like org_live_xxxxxxxx.",
            "org_live_YOUR_KEY",
        ] {
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
