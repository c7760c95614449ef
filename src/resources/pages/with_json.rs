//! [`WithJson`]: items of a list together with their JSON.

use std::ops::Deref;

use serde_json::Value;

use super::page::{Listed, Page, item_values};

/// An item of a list together with its JSON as it was received, for fields that this version of the crate does not
/// know. It dereferences to the item. Returned by [`Call::items_with_json`](crate::resources::Call::items_with_json).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct WithJson<T> {
    /// The item.
    pub item: T,
    /// The JSON of the item. `Null` if the items cannot be told apart in the response.
    pub json: Value,
}

impl<T> Deref for WithJson<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.item
    }
}

impl<T: Listed> Listed for WithJson<T> {
    fn id(&self) -> &str {
        self.item.id()
    }
}

pub(super) fn with_json<P: Page>(body: &[u8], keys: &[&str], page: P) -> Vec<WithJson<P::Item>> {
    let (values, items) = (item_values(body, keys), page.into_items());
    let mut values = if values.len() == items.len() { values } else { vec![Value::Null; items.len()] }.into_iter();
    let with_json = |item| WithJson { item, json: values.next().unwrap_or_default() };
    items.into_iter().map(with_json).collect()
}
