//! The pages of a list as a stream.

use super::cursor::{Cursor, Request, Step};
use super::end_of_list::EndOfList;
use super::items::Items;
use super::page::{Batch, Page};
use super::stall_detector::{StallDetector, StallReason};

/// The pages of a list as a stream, as the service returns them. Returned by `.pages()` on a list:
/// [`Call::pages`](crate::resources::Call::pages).
///
/// ```no_run
/// # async fn example(client: agentgate::Client) -> agentgate::Result<()> {
/// let mut pages = client.runs().list().pages();
/// while let Some(page) = pages.next().await {
///     let page = page?;
///     println!("{} of {:?}", page.data.len(), page.total);
/// }
/// # Ok(())
/// # }
/// ```
///
/// Each page begins at the offset where the previous page ended. If the list changes meanwhile, an item may be returned
/// twice or missed; [`Items`](super::Items) prevents that. The stream ends at the first empty page, which is not
/// returned, unless its `total` says that more items are to come. It fails for the same reasons as
/// [`Items`](super::Items), and continues after the same errors.
pub type Pages<P> = Items<P>;

/// The position in a list whose pages are returned as they come.
pub(super) struct PageCursor {
    limit: u32,
    /// The number of items that may still be returned.
    remaining: usize,
    /// The offset of the next request.
    offset: u64,
    end_of_list: EndOfList,
    stall: StallDetector,
}

impl PageCursor {
    /// Creates a cursor that begins with this request.
    pub(super) fn new(Request { limit, offset }: Request) -> Self {
        let (end_of_list, stall) = (EndOfList::default(), StallDetector::default());
        Self { limit, remaining: usize::MAX, offset: offset.into(), end_of_list, stall }
    }

    /// Returns whether the page is one to return, and what to do next.
    fn step<P: Page>(&mut self, page: &P, total: Option<u64>, is_stale: bool) -> Result<(bool, Step), StallReason> {
        let (count, limit) = (page.items().len(), self.limit_of_next());
        let is_repeated = self.stall.record_page(page.items(), total);
        if count == 0 {
            let is_end = self.end_of_list.is_proven(self.offset, total, is_stale)?;
            return Ok((false, if is_end { Step::End } else { Step::Fetch }));
        }
        let is_behind_last = is_repeated && total == Some(self.offset) && !is_stale;
        if is_behind_last || self.stall.is_whole_list(count, limit, total, is_stale) {
            return Ok((false, Step::End));
        }
        self.offset += count as u64;
        if is_repeated {
            self.stall.no_new_items(0)?;
            return Ok((false, Step::Fetch));
        }
        self.remaining = self.remaining.saturating_sub(count);
        let growth = self.stall.new_items(total.map(|total| total.saturating_sub(self.offset)));
        let is_over = self.remaining == 0;
        Ok((true, if is_over { Step::End } else { growth.map_or_else(Step::Fail, |()| Step::Fetch) }))
    }

    fn limit_of_next(&self) -> u32 {
        self.end_of_list.vary(self.limit).min(u32::try_from(self.remaining).unwrap_or(u32::MAX))
    }
}

impl<P: Page> Cursor<P> for PageCursor {
    fn request(&self) -> Request {
        Request { limit: self.limit_of_next(), offset: u32::try_from(self.offset).unwrap_or(u32::MAX) }
    }

    fn advance(&mut self, Batch { mut items, total, is_stale }: Batch<P>) -> (Vec<P>, Step) {
        let most = self.remaining;
        let Some(page) = items.first_mut() else { return (items, Step::End) };
        let (is_new, next) = self.step(page, total, is_stale).unwrap_or_else(|reason| (false, Step::Fail(reason)));
        page.truncate(most);
        items.truncate(usize::from(is_new));
        (items, next)
    }

    fn max_items(&mut self, items: usize) {
        self.remaining = items;
    }
}
