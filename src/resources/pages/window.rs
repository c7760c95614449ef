//! The ids of what was given last.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// So many ids are kept: three of the largest pages.
pub(super) const KEPT: usize = 300;

/// The last [`KEPT`] ids, in the order they were given.
#[derive(Debug, Default)]
pub(super) struct Window {
    order: VecDeque<Arc<str>>,
    /// The how-manieth each was.
    numbers: HashMap<Arc<str>, u64>,
    count: u64,
}

impl Window {
    /// Keeps an id, unless it is known already. Says whether it is new.
    pub(super) fn insert(&mut self, id: &str) -> bool {
        if self.numbers.contains_key(id) {
            return false;
        }
        let id: Arc<str> = id.into();
        self.numbers.insert(Arc::clone(&id), self.count);
        self.order.push_back(id);
        self.count += 1;
        if self.order.len() > KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.numbers.remove(&oldest);
        }
        true
    }

    pub(super) fn knows(&self, id: &str) -> bool {
        self.numbers.contains_key(id)
    }

    /// Never forgets those that are known now. They are no more than [`KEPT`], as it is done only while nothing was forgotten.
    pub(super) fn pin(&mut self) {
        self.order.clear();
    }

    /// How many were given after this one.
    pub(super) fn since(&self, id: &str) -> u64 {
        self.numbers.get(id).map_or(0, |number| self.count - 1 - number)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether nothing was forgotten.
    pub(super) fn is_whole(&self) -> bool {
        self.count <= KEPT as u64
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT, Window};

    #[test]
    fn no_more_ids_are_kept_than_three_pages_hold() {
        let mut window = Window::default();
        for number in 0..10 * KEPT {
            assert!(window.insert(&number.to_string()));
        }
        assert_eq!((window.order.len(), window.numbers.len()), (KEPT, KEPT));
        assert!(!window.knows("2699") && window.knows("2700") && window.knows("2999"));
        assert!(!window.insert("2999"));
        assert_eq!((window.since("2999"), window.since("2700")), (0, 299));
        assert!(!window.is_whole());
    }
}
