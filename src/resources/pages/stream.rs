//! The pages of a list, one after another.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::reading::{Plan, Reading};
use super::trail::Next;
use super::walk::Walk;
use super::{Listed, Page, Request};
use crate::Result;

/// The pages of a list as a stream, as the service gives them: from `.pages()` on a list:
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
/// Each page begins at the offset where the one before has ended, so an item may come twice or be missed when the list changes
/// meanwhile. [`Items`](super::Items) sees to that. An empty page is the end, and is not given. How the stream ends when the service
/// misbehaves, and how it goes on after an error, are the same as with [`Items`](super::Items).
#[must_use = "a stream does nothing until it is polled"]
pub struct Pages<P>(Reading<P, P>);

impl<P> Pages<P> {
    pub(super) fn new(reading: Reading<P, P>) -> Self {
        Self(reading)
    }

    /// Ends after so many items, counted from here. The last page asks for no more than that.
    pub fn max_items(mut self, items: usize) -> Self {
        self.0.at_most(items);
        self
    }

    /// Whether the next page is asked for while the present one is handed out; the default. See
    /// [`Items::read_ahead`](super::Items::read_ahead).
    pub fn read_ahead(mut self, reads_ahead: bool) -> Self {
        self.0.read_ahead(reads_ahead);
        self
    }

    /// The next page, or `None` at the end. The same as `StreamExt::next`, for programs without that trait. It can be dropped and
    /// called again; nothing is lost.
    pub async fn next(&mut self) -> Option<Result<P>> {
        poll_fn(|context| self.0.poll_next(context)).await
    }
}

impl<P: Page> Plan<P, P> for Walk {
    fn request(&self) -> Request {
        Self::request(self)
    }

    fn hear(&mut self, page: P, give: &mut VecDeque<P>) -> Next {
        let (is_given, next) = Self::hear(self, page.items().iter().map(Listed::id), page.total());
        if is_given {
            give.push_back(page);
        }
        next
    }

    fn at_most(&mut self, items: u64) {
        Self::at_most(self, items);
    }

    fn is_over(&self) -> bool {
        Self::is_over(self)
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
