//! Pages of lists and their items.

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

/// The items of a page, and the total.
pub(super) struct Batch<T> {
    pub(super) items: Vec<T>,
    pub(super) total: Option<u64>,
}

impl<P: Page> From<P> for Batch<P::Item> {
    fn from(page: P) -> Self {
        Self { total: page.total(), items: page.into_items() }
    }
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
