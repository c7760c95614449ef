//! [`List`]: a list with an undocumented wrapping.

use serde::Deserialize;

/// A list, taken out of its wrapping: see [`Shape::WrappedList`](super::Shape::WrappedList).
#[derive(Debug, Deserialize)]
pub(crate) struct List<T>(pub(crate) Vec<T>);

impl<T> From<List<T>> for Vec<T> {
    fn from(list: List<T>) -> Self {
        list.0
    }
}
