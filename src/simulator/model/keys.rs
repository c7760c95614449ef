//! API keys and their scopes.

use std::collections::HashMap;

use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::simulator::model::error::ApiError;

const PREFIX: &str = "org_live_";

#[derive(Debug, Default)]
pub(crate) struct Keys(HashMap<String, Key>);

#[derive(Debug)]
pub(crate) struct Key {
    scopes: Vec<String>,
    expired: bool,
}

impl Key {
    /// Checks that the key grants a scope.
    pub(crate) fn require(&self, scope: &'static str) -> Result<(), ApiError> {
        // An operation may need no scope.
        if scope.is_empty() || self.scopes.iter().any(|granted| granted == "*" || granted == scope) {
            return Ok(());
        }
        Err(ApiError::scope_required("SCOPE_REQUIRED", scope, &self.scopes)
            .with_message(format!("The API key lacks the scope {scope}.")))
    }
}

impl Keys {
    pub(crate) fn add(&mut self, scopes: &[&str]) -> String {
        let key = format!("{PREFIX}simulator{:06}", self.0.len() + 1);
        let scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
        self.0.insert(key.clone(), Key { scopes, expired: false });
        key
    }

    pub(crate) fn expire(&mut self, key: &str) {
        if let Some(key) = self.0.get_mut(key) {
            key.expired = true;
        }
    }

    pub(crate) fn authenticate(&self, headers: &HeaderMap) -> Result<&Key, ApiError> {
        let header = headers.get(AUTHORIZATION).ok_or_else(|| ApiError::new("MISSING_API_KEY"))?;
        let key = bearer(header.as_bytes()).ok_or_else(|| ApiError::new("INVALID_API_KEY_FORMAT"))?;
        let key = self.0.get(key).ok_or_else(|| ApiError::new("INVALID_API_KEY"))?;
        if key.expired { Err(ApiError::new("EXPIRED_API_KEY")) } else { Ok(key) }
    }
}

/// Returns the key in an `Authorization` header, if it has the format of a key.
fn bearer(header: &[u8]) -> Option<&str> {
    let (scheme, key) = std::str::from_utf8(header).ok()?.split_once(' ')?;
    let key = key.trim();
    (scheme.eq_ignore_ascii_case("bearer") && key.len() > PREFIX.len() && key.starts_with(PREFIX)).then_some(key)
}
