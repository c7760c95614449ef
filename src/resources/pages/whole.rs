//! Lists that come in one answer.

use std::collections::VecDeque;

use super::reading::Plan;
use super::trail::Next;
use super::{Batch, Page, Request};

/// The reading of such a list.
#[derive(Debug, Default)]
pub(super) struct Whole {
    /// How many items may be given.
    left: Option<u64>,
}

impl Whole {
    fn most(&self) -> usize {
        self.left.and_then(|left| usize::try_from(left).ok()).unwrap_or(usize::MAX)
    }
}

impl<T> Plan<Batch<T>, T> for Whole {
    fn request(&self) -> Request {
        Request::default()
    }

    fn hear(&mut self, batch: Batch<T>, give: &mut VecDeque<T>) -> Next {
        give.extend(batch.items.into_iter().take(self.most()));
        Next::End
    }

    fn at_most(&mut self, items: u64) {
        self.left = Some(items);
    }

    fn is_over(&self) -> bool {
        self.left == Some(0)
    }
}

/// The page is given as it is, but for what is not wanted.
impl<P: Page> Plan<P, P> for Whole {
    fn request(&self) -> Request {
        Request::default()
    }

    fn hear(&mut self, mut page: P, give: &mut VecDeque<P>) -> Next {
        page.truncate(self.most());
        if !page.items().is_empty() {
            give.push_back(page);
        }
        Next::End
    }

    fn at_most(&mut self, items: u64) {
        self.left = Some(items);
    }

    fn is_over(&self) -> bool {
        self.left == Some(0)
    }
}
