//! The pages of a list as a stream.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::cursor::{Cursor, Request, Step};
use super::page::Page;
use super::stall_detector::{StallDetector, StallReason, checked};
use super::stream::ListStream;
use crate::Result;

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
/// returned. The stream
/// ends for the same reasons as [`Items`](super::Items), and continues after the same errors.
#[must_use = "a stream does nothing until it is polled"]
pub struct Pages<P>(ListStream<P, P>);

impl<P> Pages<P> {
    pub(super) fn new(stream: ListStream<P, P>) -> Self {
        Self(stream)
    }

    /// Ends the stream after this number of items, counted from now. The last page is no larger than needed.
    pub fn max_items(mut self, items: usize) -> Self {
        self.0.max_items(items);
        self
    }

    /// Enables or disables fetching the next page in advance. See [`Items::read_ahead`](super::Items::read_ahead).
    /// Defaults to `true`.
    pub fn read_ahead(mut self, reads_ahead: bool) -> Self {
        self.0.read_ahead(reads_ahead);
        self
    }

    /// Returns the next page, or `None` at the end. The same as `StreamExt::next`, for programs without that trait. The
    /// future can be dropped and `next` called again; nothing is lost.
    pub async fn next(&mut self) -> Option<Result<P>> {
        poll_fn(|context| self.0.poll_next(context)).await
    }

    /// Returns all pages, or the first error. The same as `TryStreamExt::try_collect`, for programs without that trait.
    ///
    /// See [`Items::try_collect`](super::Items::try_collect).
    pub async fn try_collect<C: Default + Extend<P>>(mut self) -> Result<C> {
        let mut collected = C::default();
        while let Some(item) = self.next().await {
            collected.extend([item?]);
        }
        Ok(collected)
    }
}

/// Nothing in it is pinned.
impl<P> Unpin for Pages<P> {}

impl<P> Stream for Pages<P> {
    type Item = Result<P>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<P>>> {
        self.0.poll_next(context)
    }
}

impl<P> fmt::Debug for Pages<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.debug("Pages", f)
    }
}

/// The position in a list whose pages are returned as they come.
pub(super) struct PageCursor {
    is_paged: bool,
    limit: u32,
    /// The number of items that may still be returned.
    remaining: usize,
    /// The offset of the next request.
    offset: u64,
    longest_page: usize,
    stall: StallDetector,
}

impl PageCursor {
    /// Creates a cursor that begins with this request, or one for a list that comes in one response.
    pub(super) fn new(first: Option<Request>) -> Self {
        let Request { limit, offset } = first.unwrap_or_default();
        let stall = StallDetector::default();
        Self { is_paged: first.is_some(), limit, remaining: usize::MAX, offset: offset.into(), longest_page: 0, stall }
    }

    /// Returns whether the page is one to return, and what to do next.
    fn step<P: Page>(&mut self, page: &P) -> (bool, Step) {
        let (count, total, limit) = (page.items().len(), page.total(), self.limit_of_next() as usize);
        let is_short = count < limit && (self.longest_page == 0 || count < self.longest_page);
        self.longest_page = self.longest_page.max(count);
        let is_repeated = self.stall.record_page(page.items(), total);
        // A service without paging returns the whole list each time.
        let is_whole_list = is_repeated && (total == Some(count as u64) || count > limit);
        if count == 0 || is_whole_list {
            return (false, Step::End);
        }
        if self.stall.repeats_too_often() {
            return (false, Step::Fail(StallReason::RepeatedPage));
        }
        self.offset += count as u64;
        let remaining = total.map(|total| total.saturating_sub(self.offset));
        if !is_repeated && let Err(reason) = self.stall.new_items(remaining) {
            return (true, Step::Fail(reason));
        }
        self.remaining = self.remaining.saturating_sub(count);
        if !self.is_paged || self.remaining == 0 || (is_short && total == Some(self.offset)) {
            return (true, Step::End);
        }
        (true, checked(self.offset).map_or_else(Step::Fail, |_| Step::Fetch))
    }

    fn limit_of_next(&self) -> u32 {
        self.limit.min(u32::try_from(self.remaining).unwrap_or(u32::MAX))
    }
}

impl<P: Page> Cursor<P, P> for PageCursor {
    fn request(&self) -> Request {
        Request { limit: self.limit_of_next(), offset: u32::try_from(self.offset).unwrap_or(u32::MAX) }
    }

    fn advance(&mut self, mut page: P, ready: &mut VecDeque<P>) -> Step {
        let most = self.remaining;
        let (is_returned, step) = self.step(&page);
        if is_returned {
            page.truncate(most);
            ready.push_back(page);
        }
        step
    }

    fn max_items(&mut self, items: usize) {
        self.remaining = items;
    }
}
