//! The state of [`Items`](super::Items) without input and output: which page to fetch next, and which of its items are
//! new.
//!
//! Offsets count from the front of the list, and the front moves: items are added to it, and with a filter they leave
//! from anywhere. So the ids of all returned items are kept, and each page begins with the last item of the page
//! before. Items keep their order, so what comes after a returned item has not been returned unless its id is known.
//!
//! A page without any returned item has come from the wrong offset. The change of the total then gives the right one.
//! Without a total, or if that page has no returned item either, the cursor steps back page by page to the front.
//!
//! Returning an item that entered the list meanwhile is allowed, and skipping one that was there from the start is not.
//! So when all returned items seem to have left the list, all that it holds is new.

use std::collections::HashSet;

use super::cursor::{Request, Step};
use super::page::Listed;
use super::stall_detector::{StallDetector, StallReason, checked};

/// The limit of successive restarts at the front of a list that does not shrink.
const RESTARTS: u32 = 100;

/// The position in a list that may change between two requests.
#[derive(Debug)]
pub(super) struct ItemCursor {
    is_paged: bool,
    limit: u32,
    start: u64,
    /// The number of items that may still be returned.
    remaining: usize,
    /// The offset of the next request.
    offset: u64,
    /// The ids of all items that were returned.
    returned: HashSet<Box<str>>,
    /// The offset of the last item on the last page that had new items, and the total at that time.
    last_offset: u64,
    last_total: Option<u64>,
    /// The total that the offset was last corrected for.
    corrected_for: Option<u64>,
    longest_page: usize,
    search: Search,
    restarts: u32,
    stall: StallDetector,
}

/// The state of the search for a page with a returned item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Search {
    Backward,
    /// Forward from the last known offset, after a search backward without a total.
    Forward,
    /// No page has a returned item.
    Failed,
}

impl ItemCursor {
    /// Creates a cursor that begins with this request, or one for a list that comes in one response.
    pub(super) fn new(first: Option<Request>) -> Self {
        let Request { limit, offset } = first.unwrap_or_default();
        Self {
            is_paged: first.is_some(),
            // A page of one item has no room for a returned item and a new one.
            limit: if limit == 1 { 2 } else { limit },
            start: offset.into(),
            remaining: usize::MAX,
            offset: offset.into(),
            returned: HashSet::new(),
            last_offset: offset.into(),
            last_total: None,
            corrected_for: None,
            longest_page: 0,
            search: Search::Backward,
            restarts: 0,
            stall: StallDetector::default(),
        }
    }

    /// Sets how many more items are returned.
    pub(super) fn max_items(&mut self, items: usize) {
        self.remaining = items;
    }

    pub(super) fn is_done(&self) -> bool {
        self.remaining == 0
    }

    pub(super) fn request(&self) -> Request {
        let most = if self.returned.is_empty() { u32::try_from(self.remaining).unwrap_or(u32::MAX) } else { u32::MAX };
        Request { limit: self.limit.min(most), offset: u32::try_from(self.offset).unwrap_or(u32::MAX) }
    }

    /// Takes the response to the request. Returns the new items, and what to do next.
    pub(super) fn advance<T: Listed>(&mut self, mut page: Vec<T>, total: Option<u64>) -> (Vec<T>, Step) {
        if !self.is_paged {
            page.truncate(self.remaining);
            return (page, Step::End);
        }
        let (count, limit) = (page.len(), self.request().limit as usize);
        let is_first = self.longest_page == 0;
        let is_shorter = count < self.longest_page;
        self.longest_page = self.longest_page.max(count);
        self.stall.record_page(&page, total);
        if count == 0 && (self.offset == 0 || self.returned.is_empty() || self.longest_page == 1) {
            return (Vec::new(), Step::End);
        }
        let first_new = match self.first_new(&page, total) {
            Ok(Some(index)) => index,
            Ok(None) => return (Vec::new(), self.search(is_shorter, total).unwrap_or_else(Step::Fail)),
            Err(reason) => return (Vec::new(), Step::Fail(reason)),
        };
        let after = page.into_iter().skip(first_new);
        let new: Vec<_> = after.filter(|item| self.returned.insert(item.id().into())).take(self.remaining).collect();
        self.remaining -= new.len();
        self.search = Search::Backward;
        let step = if new.is_empty() {
            self.skip(count, is_shorter, total)
        } else {
            let is_short = count < limit && (is_first || is_shorter);
            self.proceed(count, is_short, total)
        };
        (new, if self.is_done() { Step::End } else { step.unwrap_or_else(Step::Fail) })
    }

    /// Returns the index behind the last item of the page that was returned before. `None` if there is none.
    fn first_new<T: Listed>(&mut self, page: &[T], total: Option<u64>) -> Result<Option<usize>, StallReason> {
        if self.returned.is_empty() || self.longest_page == 1 {
            return Ok(Some(0));
        }
        if let Some(last) = page.iter().rposition(|item| self.returned.contains(item.id())) {
            self.restarts = 0;
            return Ok(Some(last + 1));
        }
        let has_totals = total.is_some() && self.last_total.is_some();
        let is_searched = self.search == Search::Failed || (has_totals && self.corrected_offset(total).is_none());
        if self.offset > 0 || !is_searched {
            return Ok(None);
        }
        self.restarts += u32::from(total >= self.last_total);
        // Items in front of the first offset cannot be told from those behind it.
        if self.start > 0 || self.restarts >= RESTARTS { Err(StallReason::PlaceLost) } else { Ok(Some(0)) }
    }

    /// The page had new items.
    fn proceed(&mut self, count: usize, is_short: bool, total: Option<u64>) -> Result<Step, StallReason> {
        let end = self.offset + count as u64;
        self.stall.new_items(total.map(|total| total.saturating_sub(end)))?;
        (self.last_offset, self.last_total, self.corrected_for) = (end - 1, total, total);
        // A full page is never taken for the last one: some services count no further than some number.
        if is_short && total == Some(end) {
            return Ok(Step::End);
        }
        // A service that returns one item a page leaves no room for an overlap.
        self.offset = checked(if self.longest_page == 1 { end } else { end - 1 })?;
        Ok(Step::Fetch)
    }

    /// The page ended with an item that was returned before.
    fn skip(&mut self, count: usize, is_shorter: bool, total: Option<u64>) -> Result<Step, StallReason> {
        if is_shorter {
            return Ok(Step::End);
        }
        match self.stall.no_new_items() {
            // A service without paging returns the whole list each time.
            Err(StallReason::RepeatedPage) if total == Some(count as u64) || count > self.limit as usize => {
                return Ok(Step::End);
            }
            result => result?,
        }
        let next = self.offset + self.stride();
        let corrected = self.corrected_offset(total).filter(|offset| *offset > next);
        if corrected.is_some() {
            self.corrected_for = total;
        }
        self.offset = checked(corrected.unwrap_or(next))?;
        Ok(Step::Fetch)
    }

    /// The page had no item that was returned before.
    fn search(&mut self, is_shorter: bool, total: Option<u64>) -> Result<Step, StallReason> {
        self.stall.no_new_items()?;
        let offset = match (self.corrected_offset(total), self.search) {
            (Some(corrected), _) => {
                (self.corrected_for, self.search) = (total, Search::Backward);
                corrected
            }
            (None, Search::Forward) if is_shorter => {
                self.search = Search::Failed;
                0
            }
            (None, Search::Forward) => self.offset + self.stride(),
            (None, _) if self.offset > 0 => self.offset.saturating_sub(self.stride()),
            (None, _) => {
                self.search = Search::Forward;
                self.last_offset + self.stride()
            }
        };
        self.offset = checked(offset)?;
        Ok(Step::Fetch)
    }

    /// Returns where the change of the total has moved the last returned item, unless that was tried for this total.
    /// Items that left from behind it make the offset too small, never too large, so that nothing is skipped.
    fn corrected_offset(&self, total: Option<u64>) -> Option<u64> {
        let (now, before) = (total?, self.last_total?);
        let offset = checked(self.last_offset.saturating_add(now).saturating_sub(before)).ok()?;
        (total != self.corrected_for && offset != self.offset).then_some(offset)
    }

    /// The distance between pages that overlap by one item.
    fn stride(&self) -> u64 {
        (self.longest_page as u64).saturating_sub(1).max(1)
    }
}

#[cfg(test)]
mod tests;
