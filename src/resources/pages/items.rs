//! The items of a list, one after another.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::reading::{Plan, Reading};
use super::trail::{Next, Trail};
use super::{Batch, Listed, Request};
use crate::Result;

/// The items of a list as a stream, page after page: from `.items()` on a list:
/// [`Call::items`](crate::resources::Call::items).
///
/// ```no_run
/// use agentgate::types::RunStatus;
///
/// # async fn example(client: agentgate::Client) -> agentgate::Result<()> {
/// let mut runs = client.runs().list().status(RunStatus::Failed).tenant("acme-corp").items();
/// while let Some(run) = runs.next().await {
///     println!("{}", run?.id);
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Each item once, while the list changes
///
/// The service pages by offset, newest first. New runs push the others back, and with a filter by status runs leave the list while it
/// is read; plain offsets would then give items twice, or miss them. Here, each page begins with the last item of the page before, and
/// the ids of the last 300 items are kept, so that the reading knows where it is and steps forward or back to it. What this comes to:
///
/// - an item that is in the list from the beginning to the end of the reading is given **exactly once**, in the order of the list;
/// - an item that enters or leaves meanwhile is given once or not at all. What is new in front of the place that the reading has come
///   to is not given;
/// - an item that has left and comes back may be given again, if 300 others were given between.
///
/// It takes that items keep their order among themselves, as they do when sorted by when they were created, and that a page which is
/// shorter than an earlier one is the last. Memory does not grow
/// with the list: two pages, and 300 ids (600 after all that was given has left the list at once).
///
/// # It ends
///
/// With `None` when the list has been read to its end, or with an error of the kind
/// [`Pagination`](crate::ErrorKind::Pagination) as the last item if the service makes that impossible:
///
/// - the same page comes 4 times in succession, though for other offsets; unless it is longer than was asked for, or as long as the
///   list is by its `total`: then it is the whole list, and the end;
/// - 100 requests in succession bring nothing that is new. Without a true `total`, some 5,000 new items between two requests may
///   come to that, with 100 a page;
/// - all of the last 300 items have left the list, and the times of the items do not tell the rest from what was given;
/// - 1,000 pages in succession have left as many items to come, by the service's `total`, as there were before;
/// - the list goes on past the offset 2,147,483,647, the last that the API's numbers reach.
///
/// A list that truly goes on, page after page of new items and without a `total`, is read on: [`max_items`](Self::max_items) bounds it.
/// A `total` that is missing or wrong costs a request more at the end, and so does a last page that is full. A service that gives fewer
/// items than asked for is read by what comes.
///
/// # Errors
///
/// A call that fails is an `Err` item, after its own retries. Where the failure may pass (the network, 429, 5xx, an answer that
/// cannot be read), the stream has not ended: going on asks for the same page again, and nothing is lost. After any other failure, and
/// after 100 failures in succession, the stream has ended.
#[must_use = "a stream does nothing until it is polled"]
pub struct Items<T>(Reading<Batch<T>, T>);

impl<T> Items<T> {
    pub(super) fn new(reading: Reading<Batch<T>, T>) -> Self {
        Self(reading)
    }

    /// Ends after so many items in all, counted from here. A list that holds fewer ends before.
    ///
    /// ```no_run
    /// # async fn example(client: agentgate::Client) -> agentgate::Result<()> {
    /// let mut newest = client.runs().list().items().max_items(250);
    /// # drop(newest.next().await);
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_items(mut self, items: usize) -> Self {
        self.0.at_most(items);
        self
    }

    /// Sets whether the next page is requested while the items of the present one are handed out. It is never more than one page
    /// ahead. The request waits for the rate limit only while the stream is polled, holds up no other call, and is cancelled when
    /// the stream is dropped. Without it, a page is requested when the one before is used up. Defaults to true.
    pub fn read_ahead(mut self, reads_ahead: bool) -> Self {
        self.0.read_ahead(reads_ahead);
        self
    }

    /// The next item, or `None` at the end. The same as `StreamExt::next`, for programs without that trait. It can be dropped and
    /// called again; nothing is lost.
    pub async fn next(&mut self) -> Option<Result<T>> {
        poll_fn(|context| self.0.poll_next(context)).await
    }
}

impl<T: Listed> Plan<Batch<T>, T> for Trail {
    fn request(&self) -> Request {
        Self::request(self)
    }

    fn hear(&mut self, batch: Batch<T>, give: &mut VecDeque<T>) -> Next {
        let (new, next) = Self::hear(self, &batch.items, batch.total);
        let mut new = new.into_iter().peekable();
        give.extend(
            batch.items.into_iter().enumerate().filter_map(|(index, item)| new.next_if_eq(&index).map(|_| item)),
        );
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
impl<T> Unpin for Items<T> {}

impl<T> Stream for Items<T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        self.0.poll_next(context)
    }
}

impl<T> fmt::Debug for Items<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.debug("Items", f)
    }
}
