//! JSON that becomes a [`Value`] when somebody asks for it.

use std::fmt;
use std::sync::OnceLock;

use serde_json::Value;

/// The JSON of an event: as text, as a value, or as both.
#[derive(Clone)]
pub(super) struct LazyJson {
    text: Box<[u8]>,
    value: OnceLock<Value>,
}

impl LazyJson {
    /// Keeps JSON that `serde_json` reads.
    pub(super) fn from_strict(text: &[u8]) -> Self {
        Self { text: text.into(), value: OnceLock::new() }
    }

    pub(super) fn get(&self) -> &Value {
        self.value.get_or_init(|| serde_json::from_slice(&self.text).unwrap_or_default())
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
        self.get().fmt(f)
    }
}
