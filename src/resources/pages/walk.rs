//! Which page to ask for next, if pages are given as they come: the part of [`Pages`](super::Pages) without input and output.

use super::Request;
use super::guard::{Guard, Trouble, checked};
use super::trail::Next;

/// The reading of a list, page by page.
#[derive(Debug)]
pub(super) struct Walk {
    limit: u32,
    /// How many items may still be given.
    left: Option<u64>,
    ask: u64,
    /// Items on the fullest page.
    fullest: usize,
    guard: Guard,
}

impl Walk {
    pub(super) fn new(limit: u32, start: u32) -> Self {
        Self { limit, left: None, ask: start.into(), fullest: 0, guard: Guard::default() }
    }

    /// Gives no more than so many items from now on.
    pub(super) fn at_most(&mut self, items: u64) {
        self.left = Some(items);
    }

    pub(super) fn is_over(&self) -> bool {
        self.left == Some(0)
    }

    pub(super) fn request(&self) -> Request {
        let few = self.left.and_then(|left| u32::try_from(left).ok());
        let limit = few.map_or(self.limit, |few| few.min(self.limit));
        Request { limit, offset: u32::try_from(self.ask).unwrap_or(u32::MAX) }
    }

    /// Takes in the answer to the request. Says whether the page is to be given, and what to do next.
    pub(super) fn hear<'a>(
        &mut self,
        ids: impl ExactSizeIterator<Item = &'a str> + DoubleEndedIterator,
        total: Option<u64>,
    ) -> (bool, Next) {
        let asked = self.request();
        let (count, was_fullest) = (ids.len(), self.fullest);
        self.fullest = self.fullest.max(count);
        let is_repeated = self.guard.sees(ids, total);
        // A service that does not know of pages gives the whole list each time.
        let is_whole = is_repeated && (total == Some(count as u64) || count > asked.limit as usize);
        if count == 0 || is_whole {
            return (false, Next::End);
        }
        self.ask += count as u64;
        if self.guard.repeats_too_often() {
            return (false, Next::Fail(Trouble::Repeats));
        }
        if !is_repeated && let Err(trouble) = self.guard.progress(total.map(|total| total.saturating_sub(self.ask))) {
            return (true, Next::Fail(trouble));
        }
        self.left = self.left.map(|left| left.saturating_sub(count as u64));
        let is_short = count < asked.limit as usize && (was_fullest == 0 || count < was_fullest);
        if self.is_over() || (is_short && total == Some(self.ask)) {
            return (true, Next::End);
        }
        (true, checked(self.ask).map_or_else(Next::Fail, |_| Next::Ask))
    }
}
