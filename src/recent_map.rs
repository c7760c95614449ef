//! [`RecentMap`]: a map that can be bounded, because it knows its oldest entry.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

#[derive(Debug)]
pub(crate) struct RecentMap<K, V> {
    entries: HashMap<K, (u64, V)>,
    /// The keys in the order of insertion.
    order: BTreeMap<u64, K>,
    next: u64,
}

impl<K, V> Default for RecentMap<K, V> {
    fn default() -> Self {
        Self { entries: HashMap::new(), order: BTreeMap::new(), next: 0 }
    }
}

impl<K: Clone + Eq + Hash, V> RecentMap<K, V> {
    #[cfg(feature = "webhooks")]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|(_, value)| value)
    }

    /// Inserts or replaces an entry, which becomes the newest.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        self.remove(&key);
        self.order.insert(self.next, key.clone());
        self.entries.insert(key, (self.next, value));
        self.next += 1;
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let (number, value) = self.entries.remove(key)?;
        self.order.remove(&number);
        Some(value)
    }

    /// Removes the oldest entries while `is_over` returns `true` for the number of entries and the value of the oldest.
    pub(crate) fn shrink_while(&mut self, is_over: impl Fn(usize, &V) -> bool) {
        while let Some(oldest) = self.order.first_entry() {
            if !self.entries.get(oldest.get()).is_none_or(|(_, value)| is_over(self.entries.len(), value)) {
                return;
            }
            self.entries.remove(&oldest.remove());
        }
    }
}
