//! [`Cursor`]: decides which part of a list is fetched next.

use super::page::Batch;
use super::stall_detector::StallReason;

/// The part of a list that is requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) limit: u32,
    pub(super) offset: u32,
}

/// Decides what to request next, and which `T` a page gives.
pub(super) trait Cursor<T>: Send {
    fn request(&self) -> Request;
    /// Takes the response to the request. Returns what is new of it, and what to do next.
    fn advance(&mut self, page: Batch<T>) -> (Vec<T>, Step);
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
