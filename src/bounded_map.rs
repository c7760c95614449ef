//! [`BoundedMap`]: a map that can be bounded, because it knows the entry to remove first.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// A map whose entries are removed in the order of `P`, and of insertion where `P` is equal.
#[derive(Debug)]
pub(crate) struct BoundedMap<K, V, P = ()> {
    entries: HashMap<K, ((P, u64), V)>,
    order: BTreeMap<(P, u64), K>,
    next: u64,
}

impl<K, V, P> Default for BoundedMap<K, V, P> {
    fn default() -> Self {
        Self { entries: HashMap::new(), order: BTreeMap::new(), next: 0 }
    }
}

impl<K: Clone + Eq + Hash, V, P: Copy + Ord> BoundedMap<K, V, P> {
    #[cfg(feature = "webhooks")]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|(_, value)| value)
    }

    /// Inserts or replaces an entry.
    pub(crate) fn insert(&mut self, key: K, value: V, priority: P) {
        self.remove(&key);
        let place = (priority, self.next);
        self.order.insert(place, key.clone());
        self.entries.insert(key, (place, value));
        self.next += 1;
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let (place, value) = self.entries.remove(key)?;
        self.order.remove(&place);
        Some(value)
    }

    /// Removes the first entries while `is_over` returns `true` for the number of entries and the `P` of the first.
    pub(crate) fn shrink_while(&mut self, is_over: impl Fn(usize, P) -> bool) {
        while let Some(first) = self.order.first_entry() {
            if !is_over(self.entries.len(), first.key().0) {
                return;
            }
            self.entries.remove(&first.remove());
        }
    }
}
