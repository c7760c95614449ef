//! The JSON of an event, which becomes a [`Value`] when it is first needed.

use std::fmt;
use std::sync::OnceLock;

use serde_json::Value;

use crate::json;

#[derive(Clone)]
pub(super) struct LazyJson {
    text: Box<[u8]>,
    value: OnceLock<Value>,
}

impl LazyJson {
    /// Keeps the text of JSON that [`json::read`] accepts.
    pub(super) fn new(text: &[u8]) -> Self {
        Self { text: text.into(), value: OnceLock::new() }
    }

    pub(super) fn get(&self) -> &Value {
        self.value.get_or_init(|| json::read(&self.text).unwrap_or_default())
    }
}

impl From<Value> for LazyJson {
    fn from(value: Value) -> Self {
        Self { text: Box::default(), value: value.into() }
    }
}

impl PartialEq for LazyJson {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl fmt::Debug for LazyJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::types::Redacted(self.get()).fmt(f)
    }
}
