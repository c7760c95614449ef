//! Limits that end the reading of a list, whatever the service responds.

use super::page::Listed;
use crate::Error;

/// The limit of successive requests without a new item.
const NO_NEW_ITEMS: usize = 100;
/// The limit of successive repetitions of a page.
const REPEATS: u32 = 3;
/// The limit of successive pages after which as many items remain as before.
const GROWING_PAGES: u32 = 1_000;

/// The reason why a list cannot be read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StallReason {
    /// Different offsets return the same page.
    RepeatedPage,
    /// Requests return nothing new.
    NoNewItems,
    /// All items that were returned have left the list.
    PlaceLost,
    /// The list grows at its end as fast as it is read.
    EndlessGrowth,
    /// Nothing comes at the offset, and there are more items by the total.
    EndsBeforeTotal { offset: u64, total: u64 },
    /// The end of the list comes from a cache.
    StaleEnd,
}

impl StallReason {
    pub(super) fn into_error(self) -> Error {
        let (problem, advice) = match self {
            Self::RepeatedPage => (
                format!("the service returned the same page {} times for different offsets", REPEATS + 1),
                "The list is incomplete; look for a proxy that caches responses or drops the query.",
            ),
            Self::NoNewItems => (
                format!("more than {NO_NEW_ITEMS} successive requests returned no new item"),
                "Start again with filters that change less often, or with larger pages.",
            ),
            Self::PlaceLost => (
                "all items that were returned have left the list, so the position in it is lost".to_owned(),
                "Start again without an `offset`, or without a filter by a transient status.",
            ),
            Self::EndlessGrowth => (
                format!("the list grows as fast as it is read: after {GROWING_PAGES} pages, as many items remain"),
                "Limit the list with `max_items`, or narrow the list with a filter.",
            ),
            Self::EndsBeforeTotal { offset, total } => (
                format!("the service reports {total} items in all, and sends none after the first {offset}"),
                "The list may be incomplete; read it again later.",
            ),
            Self::StaleEnd => (
                "the end of the list came from a cache, which may be out of date".to_owned(),
                "The list may be incomplete; look for a proxy that caches responses.",
            ),
        };
        Error::pagination(problem, advice)
    }
}

/// The first id, the last id, the length and the total of a page. The total distinguishes a page that new items in
/// front have moved to the next offset.
type PageKey = (String, String, usize, Option<u64>);

/// Counts the requests that bring the end of the list no nearer.
#[derive(Debug, Default)]
pub(super) struct StallDetector {
    without_new_items: usize,
    last_page: Option<PageKey>,
    repeats: u32,
    /// The number of items that remained after the last page.
    remaining: Option<u64>,
    growing_pages: u32,
}

impl StallDetector {
    /// Records a page. Returns true if it is the same as the page before.
    pub(super) fn record_page<T: Listed>(&mut self, items: &[T], total: Option<u64>) -> bool {
        let ends = items.first().zip(items.last());
        let page = ends.map(|(first, last)| (first.id().to_owned(), last.id().to_owned(), items.len(), total));
        let is_repeated = page.is_some() && page == self.last_page;
        self.repeats = if is_repeated { self.repeats + 1 } else { 0 };
        self.last_page = page;
        is_repeated
    }

    /// Records that the page had new items, and the number of items that remain according to the service.
    pub(super) fn new_items(&mut self, remaining: Option<u64>) -> Result<(), StallReason> {
        (self.without_new_items, self.repeats) = (0, 0);
        let is_growing = remaining.zip(self.remaining).is_some_and(|(now, before)| now >= before && now > 0);
        self.growing_pages = if is_growing { self.growing_pages + 1 } else { 0 };
        self.remaining = remaining;
        if self.growing_pages >= GROWING_PAGES { Err(StallReason::EndlessGrowth) } else { Ok(()) }
    }

    /// Records that the page had no new items. `known_pages` of returned items may have to be read again.
    pub(super) fn no_new_items(&mut self, known_pages: usize) -> Result<(), StallReason> {
        self.without_new_items += 1;
        if self.repeats >= REPEATS {
            Err(StallReason::RepeatedPage)
        } else if self.without_new_items > NO_NEW_ITEMS + known_pages {
            Err(StallReason::NoNewItems)
        } else {
            Ok(())
        }
    }

    /// Returns whether the page that was repeated is the whole list, as of a service without paging: it is longer than
    /// requested, as long as its total, or short and without a total.
    pub(super) fn is_whole_list(&self, count: usize, limit: u32, total: Option<u64>, is_stale: bool) -> bool {
        let limit = limit as usize;
        let is_likely = total.map_or(count < limit && !is_stale, |total| total == count as u64);
        (self.repeats > 0 && count > limit) || (self.repeats >= REPEATS && is_likely)
    }
}
