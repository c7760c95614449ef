//! Pages of lists and their items.

use serde_json::Value;

use crate::{Response, json};

/// An item of a list.
pub trait Listed: Send + 'static {
    /// Returns the id, by which the item is recognized.
    fn id(&self) -> &str;
}

/// A page of a list, or a list in one piece.
pub trait Page: Send + 'static {
    /// The type of an item.
    type Item: Listed;

    /// Returns the items.
    fn items(&self) -> &[Self::Item];

    /// Returns the number of items on all pages, if the service gave it.
    fn total(&self) -> Option<u64>;

    /// Converts the page into its items.
    fn into_items(self) -> Vec<Self::Item>;

    /// Removes all items after this number of items.
    fn truncate(&mut self, items: usize);
}

/// Implements the traits of a page for a generated type: `page! { RunPage of RunSummary in data }`.
macro_rules! page {
    ($page:ident of $item:ident in $field:ident) => {
        impl Page for crate::types::$page {
            type Item = crate::types::$item;

            fn items(&self) -> &[Self::Item] {
                &self.$field
            }

            fn total(&self) -> Option<u64> {
                self.total.into()
            }

            fn into_items(self) -> Vec<Self::Item> {
                self.$field
            }

            fn truncate(&mut self, items: usize) {
                self.$field.truncate(items);
            }
        }

        impl IntoIterator for crate::types::$page {
            type Item = crate::types::$item;
            type IntoIter = ::std::vec::IntoIter<Self::Item>;

            fn into_iter(self) -> Self::IntoIter {
                self.$field.into_iter()
            }
        }

        impl<'a> IntoIterator for &'a crate::types::$page {
            type Item = &'a crate::types::$item;
            type IntoIter = ::std::slice::Iter<'a, crate::types::$item>;

            fn into_iter(self) -> Self::IntoIter {
                self.$field.iter()
            }
        }
    };
}

/// The items of a page, and what its response says about the list.
pub(in crate::resources) struct Batch<T> {
    pub(super) items: Vec<T>,
    pub(super) total: Option<u64>,
    /// The response came from a cache.
    pub(super) is_stale: bool,
}

impl<T> Batch<T> {
    pub(in crate::resources) fn new<P: Page>(response: Response<P>, items: impl FnOnce(P) -> Vec<T>) -> Self {
        let (total, is_stale) = (total(&response), response.is_stale());
        Self { items: items(response.into_inner()), total, is_stale }
    }
}

/// Returns the number of items on all pages, if the service gave it. The type of a list whose shape is not known does
/// not have it.
pub(super) fn total<P: Page>(response: &Response<P>) -> Option<u64> {
    let find = || {
        let body = json::read(response.body()).ok()?;
        body.get("total").or_else(|| body.get("data")?.get("total"))?.as_u64()
    };
    response.value().total().or_else(find)
}

/// Returns the JSON of each item. `keys` are those under which a list may be.
pub(super) fn item_values(body: &[u8], keys: &[&str]) -> Vec<Value> {
    fn array(value: Value, keys: &[&str]) -> Option<Vec<Value>> {
        match value {
            Value::Array(values) => Some(values),
            Value::Object(mut object) => keys.iter().chain(&["data"]).find_map(|key| array(object.remove(*key)?, keys)),
            _ => None,
        }
    }
    json::read(body).ok().and_then(|body| array(body, keys)).unwrap_or_default()
}

impl<T: Listed> Page for Vec<T> {
    type Item = T;

    fn items(&self) -> &[T] {
        self
    }

    fn total(&self) -> Option<u64> {
        None
    }

    fn into_items(self) -> Vec<T> {
        self
    }

    fn truncate(&mut self, items: usize) {
        self.truncate(items);
    }
}
