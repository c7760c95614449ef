//! The `Debug` form of the fields of the generated types.

use std::collections::BTreeMap;
use std::fmt;

use crate::redact::redact_text;

/// A value without what looks like a secret, such as the token in a URL.
pub(crate) struct Redacted<'a, T>(pub(crate) &'a T);

impl<T: fmt::Debug> fmt::Debug for Redacted<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = if f.alternate() { format!("{:#?}", self.0) } else { format!("{:?}", self.0) };
        f.write_str(&redact_text(&text, &[]))
    }
}

/// The keys of a map whose values are secrets.
#[allow(dead_code, reason = "for `x-secret-values` of the contract")]
pub(crate) fn without_values<'a>(map: impl Iterator<Item = (&'a String, &'a String)>) -> impl fmt::Debug {
    map.map(|(name, _)| (name, "[redacted]")).collect::<BTreeMap<_, _>>()
}

#[cfg(test)]
mod tests {
    use crate::types::NewWebhook;

    #[test]
    fn the_values_of_a_webhooks_headers_are_not_shown() {
        let mut webhook = NewWebhook::new("https://example.com", []);
        assert!(format!("{webhook:?}").contains("headers: {}"), "{webhook:?}");
        webhook.headers = Some([("Authorization".to_owned(), "Basic c2VjcmV0".to_owned())].into());
        for text in [format!("{webhook:?}"), format!("{webhook:#?}")] {
            assert!(text.contains("https://example.com") && text.contains("Authorization"), "{text}");
            assert!(text.contains("[redacted]") && !text.contains("c2VjcmV0"), "{text}");
        }
    }
}
