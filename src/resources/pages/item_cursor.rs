//! The state of [`Items`](super::Items) without input and output: which page to fetch next, and which of its items are
//! new.
//!
//! Offsets count from the front of the list, and the front moves: items are added to it, and with a filter they leave
//! from anywhere. So the ids of all returned items are kept, and each page begins with the last item of the page
//! before. Items keep their order, so what comes after a returned item has not been returned unless its id is known.
//!
//! A page without any returned item has come from the wrong offset. The cursor then begins again at the front, and
//! skips what it has returned. It returns items that were added to the front meanwhile, which is allowed; to skip an
//! item that was there from the start is not.
//!
//! The list ends where a page is empty, if neither the totals nor the item in front of it say otherwise.

use std::collections::HashSet;

use super::cursor::{Cursor, Request, Step};
use super::end_of_list::EndOfList;
use super::page::{Batch, Listed};
use super::stall_detector::{StallDetector, StallReason};

/// The number of pages behind the last item after which one is accepted that does not begin with it.
const GAPS: u32 = 3;

/// The limit of successive restarts at the front of a list that does not shrink.
const RESTARTS: u32 = 20;

/// The position in a list that may change between two requests.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is another fact about the list")]
pub(super) struct ItemCursor {
    limit: u32,
    start: u64,
    /// The number of items that may still be returned.
    remaining: usize,
    /// The offset of the next request.
    offset: u64,
    /// The ids of all items that were returned.
    returned: HashSet<Box<str>>,
    /// The offset behind the last page that was in its place, and the total of that page, unless it came from a cache.
    end: u64,
    total: Option<u64>,
    is_stale: bool,
    /// The last item of that page.
    last: Option<Box<str>>,
    longest_page: usize,
    /// A page has shown that the list changes while it is read.
    has_changed: bool,
    /// A page without a total was short, and was not the last.
    are_pages_short: bool,
    /// The number of pages at `end` that have shown items, and none that was returned.
    gaps: u32,
    restarts: u32,
    /// Nothing was at `end`, which ends the list if `last` is still in front of it.
    is_empty_at_end: bool,
    end_of_list: EndOfList,
    stall: StallDetector,
}

impl ItemCursor {
    /// Creates a cursor that begins with this request.
    pub(super) fn new(Request { limit, offset }: Request) -> Self {
        // A page of one item has no room for a returned item and a new one.
        let limit = if limit == 1 { 2 } else { limit };
        let start = offset.into();
        Self { limit, start, remaining: usize::MAX, offset: start, end: start, ..Self::default() }
    }

    fn read<T: Listed>(&mut self, page: Batch<T>) -> (Vec<T>, Result<Step, StallReason>) {
        let Batch { items, total, is_stale } = page;
        let count = items.len();
        self.longest_page = self.longest_page.max(count);
        self.stall.record_page(&items, total);
        if count == 0 {
            return (Vec::new(), self.empty_page(total, is_stale));
        }
        let last_known = items.iter().rposition(|item| self.returned.contains(item.id()));
        if last_known.is_none() && !self.continues(total, is_stale) {
            return (Vec::new(), self.misplaced_page(total));
        }
        self.restarts = last_known.map_or(self.restarts, |_| 0);
        // A service may respond with its last page to an offset behind it.
        let is_behind_last = total > Some(count as u64) && self.is_at_total(total) && !is_stale;
        let is_next = self.offset + 1 == self.end && last_known == Some(0) && total == self.total;
        self.has_changed |= !self.returned.is_empty() && !is_next;
        let last = items.last().map(|item| item.id().into());
        self.is_empty_at_end &= last == self.last;
        self.last = last;
        let after = items.into_iter().skip(last_known.map_or(0, |last| last + 1));
        let new: Vec<_> = after.filter(|item| self.returned.insert(item.id().into())).take(self.remaining).collect();
        self.remaining -= new.len();
        let end = self.offset + count as u64;
        self.gaps = if end == self.end { self.gaps } else { 0 };
        (self.end, self.total, self.is_stale) = (end, total.filter(|_| !is_stale), is_stale);
        let is_all = self.start == 0 && count >= self.returned.len() && !self.are_pages_short;
        let step = match new.is_empty() {
            false => self.new_items(count),
            true if is_behind_last => Ok(Step::End),
            true if is_all && self.stall.is_whole_list(count, self.limit, total, is_stale) => Ok(Step::End),
            true => self.no_new_items(count, is_stale),
        };
        (new, step)
    }

    /// Returns whether a page without any returned item continues the list.
    fn continues(&self, total: Option<u64>, is_stale: bool) -> bool {
        if self.returned.is_empty() || self.offset == 0 {
            return true;
        }
        // A service that returns one item a page leaves no room for an overlap, nor does one that cuts a page behind a
        // large item. The item in front was at its place just before, unless the total says that one has left.
        let is_likely = self.has_single_pages() || self.gaps >= GAPS;
        self.offset == self.end && is_likely && !is_stale && !self.is_stale && !self.has_shrunk(total)
    }

    /// Returns whether the total says, as it did before, that the list ends where the request begins.
    fn is_at_total(&self, total: Option<u64>) -> bool {
        self.offset == self.end && total == Some(self.end) && total == self.total && !self.has_changed
    }

    fn has_single_pages(&self) -> bool {
        self.longest_page == 1 && self.returned.len() > 1
    }

    fn has_shrunk(&self, total: Option<u64>) -> bool {
        total.zip(self.total).is_some_and(|(now, before)| now < before)
    }

    fn new_items(&mut self, count: usize) -> Result<Step, StallReason> {
        self.stall.new_items(self.total.map(|total| total.saturating_sub(self.end)))?;
        (self.is_empty_at_end, self.end_of_list) = (false, EndOfList::default());
        let is_short = count < self.limit as usize;
        let may_be_last = self.total.map_or(is_short && !self.are_pages_short, |total| total == self.end);
        // Where nothing is expected, there is no need to see the last item again.
        let overlap = u64::from(!may_be_last && !self.has_single_pages());
        self.offset = self.end - overlap;
        Ok(Step::Fetch)
    }

    /// The page ended with an item that was returned before.
    fn no_new_items(&mut self, count: usize, is_stale: bool) -> Result<Step, StallReason> {
        self.stall.no_new_items(self.known_pages())?;
        if self.is_empty_at_end && self.end_of_list.is_proven(self.end, self.total, is_stale)? {
            return Ok(Step::End);
        }
        let is_full = count >= self.limit as usize && count > 1;
        self.offset = self.end - u64::from(is_full);
        Ok(Step::Fetch)
    }

    fn empty_page(&mut self, total: Option<u64>, is_stale: bool) -> Result<Step, StallReason> {
        self.stall.no_new_items(self.known_pages())?;
        let is_proven = self.end_of_list.is_proven(self.offset, total, is_stale)?;
        let is_first = self.returned.is_empty() || self.offset == 0;
        if is_proven && (is_first || self.is_at_total(total)) {
            return Ok(Step::End);
        }
        if is_first {
            return Ok(Step::Fetch);
        }
        if self.offset < self.end {
            return self.begin_again(total);
        }
        self.is_empty_at_end = is_proven;
        self.offset = self.end - 1;
        Ok(Step::Fetch)
    }

    /// The page had no item that was returned before.
    fn misplaced_page(&mut self, total: Option<u64>) -> Result<Step, StallReason> {
        self.stall.no_new_items(self.known_pages())?;
        if self.offset < self.end {
            return self.begin_again(total);
        }
        self.gaps += 1;
        self.are_pages_short |= self.total.is_none();
        self.offset = self.end - 1;
        Ok(Step::Fetch)
    }

    fn begin_again(&mut self, total: Option<u64>) -> Result<Step, StallReason> {
        self.restarts += u32::from(!self.has_shrunk(total));
        // Items in front of the first offset cannot be told from those behind it.
        if self.start > 0 || self.restarts > RESTARTS {
            return Err(StallReason::PlaceLost);
        }
        (self.offset, self.end, self.total, self.gaps, self.is_empty_at_end) = (0, 0, None, 0, false);
        Ok(Step::Fetch)
    }

    /// Returns the number of pages with returned items alone that a second reading meets.
    fn known_pages(&self) -> usize {
        self.returned.len() / self.longest_page.saturating_sub(1).max(1)
    }
}

impl<T: Listed> Cursor<T> for ItemCursor {
    fn request(&self) -> Request {
        let most = if self.returned.is_empty() { u32::try_from(self.remaining).unwrap_or(u32::MAX) } else { u32::MAX };
        // A page that is asked for again is of another size, for which a cache has no response yet.
        let limit = self.limit.saturating_sub(self.gaps).max(self.limit.min(2));
        let limit = self.end_of_list.vary(limit).min(most);
        Request { limit, offset: u32::try_from(self.offset).unwrap_or(u32::MAX) }
    }

    fn advance(&mut self, page: Batch<T>) -> (Vec<T>, Step) {
        let (new, step) = self.read(page);
        (new, if self.remaining == 0 { Step::End } else { step.unwrap_or_else(Step::Fail) })
    }

    fn max_items(&mut self, items: usize) {
        self.remaining = items;
    }
}

#[cfg(test)]
mod tests;
