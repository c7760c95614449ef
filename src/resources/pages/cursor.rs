//! [`Cursor`]: decides which part of a list is fetched next.

use std::collections::VecDeque;

use super::stall_detector::StallReason;

/// The part of a list that is requested.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) limit: u32,
    pub(super) offset: u32,
}

/// Decides what to request next, and what of a page is returned.
pub(super) trait Cursor<P, T>: Send {
    fn request(&self) -> Request;
    fn advance(&mut self, page: P, ready: &mut VecDeque<T>) -> Step;
    /// Sets how many more items are returned.
    fn max_items(&mut self, items: usize);
}

/// The next step after a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Fetch,
    End,
    Fail(StallReason),
}
