//! API keys: who may ask, and for what.

use std::collections::HashMap;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

use crate::simulator::model::error::ApiError;

const PREFIX: &str = "org_live_";

/// The keys of the organization.
#[derive(Debug, Default)]
pub(crate) struct Keys(HashMap<String, Key>);

#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) scopes: Vec<String>,
    expired: bool,
}

impl Key {
    fn grants(&self, scope: &str) -> bool {
        self.scopes.iter().any(|granted| granted == "*" || granted == scope)
    }

    /// Refuses what this key may not do.
    pub(crate) fn require(&self, scope: &'static str) -> Result<(), ApiError> {
        if self.grants(scope) {
            return Ok(());
        }
        Err(ApiError::scope_required("SCOPE_REQUIRED", scope, &self.scopes)
            .with_message(format!("The API key lacks the scope {scope}.")))
    }
}

impl Keys {
    /// Makes a key with these scopes.
    pub(crate) fn add(&mut self, scopes: &[&str]) -> String {
        let name = format!("{PREFIX}simulator{:06}", self.0.len() + 1);
        let scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
        self.0.insert(name.clone(), Key { scopes, expired: false });
        name
    }

    pub(crate) fn expire(&mut self, key: &str) {
        if let Some(key) = self.0.get_mut(key) {
            key.expired = true;
        }
    }

    /// The key that a request carries.
    pub(crate) fn authenticate(&self, headers: &HeaderMap) -> Result<&Key, ApiError> {
        let header = headers.get(AUTHORIZATION).ok_or_else(|| ApiError::new("MISSING_API_KEY"))?;
        let key = bearer(header.as_bytes()).ok_or_else(|| ApiError::new("INVALID_API_KEY_FORMAT"))?;
        let key = self.0.get(key).ok_or_else(|| ApiError::new("INVALID_API_KEY"))?;
        if key.expired {
            return Err(ApiError::new("EXPIRED_API_KEY"));
        }
        Ok(key)
    }
}

/// The key in an `Authorization` header, if it looks like one.
fn bearer(header: &[u8]) -> Option<&str> {
    let (scheme, key) = std::str::from_utf8(header).ok()?.split_once(' ')?;
    let key = key.trim();
    (scheme.eq_ignore_ascii_case("bearer") && key.len() > PREFIX.len() && key.starts_with(PREFIX)).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_looks_like_a_key_is_one() {
        assert_eq!(bearer(b"Bearer org_live_x"), Some("org_live_x"));
        assert_eq!(bearer(b"bearer  org_live_x"), Some("org_live_x"));
        for header in
            [&b"Bearer org_live_"[..], b"Bearer sk_x", b"Basic org_live_x", b"org_live_x", b"Bearer \xff", b""]
        {
            assert_eq!(bearer(header), None, "{header:?}");
        }
    }

    #[test]
    fn a_star_grants_everything_and_other_scopes_only_themselves() {
        let mut keys = Keys::default();
        let (all, one) = (keys.add(&["*"]), keys.add(&["runs:read"]));
        assert!(keys.0[&all].grants("runs:write"));
        assert!(keys.0[&one].grants("runs:read"));
        assert!(!keys.0[&one].grants("runs:write"));
    }
}
