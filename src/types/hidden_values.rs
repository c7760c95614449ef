//! [`HiddenValues`]: the `Debug` form of a map whose values are secrets.

use std::collections::BTreeMap;
use std::fmt;

pub(super) struct HiddenValues<'a>(pub(super) &'a Option<BTreeMap<String, String>>);

impl fmt::Debug for HiddenValues<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.0.iter().flat_map(BTreeMap::keys);
        f.debug_map().entries(keys.map(|key| (key, format_args!("[redacted]")))).finish()
    }
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
