//! The items of a list as a stream.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::cursor::{Cursor, Request, Step};
use super::item_cursor::ItemCursor;
use super::page::{Batch, Listed};
use super::stream::ListStream;
use crate::Result;

/// The items of a list as a stream, page after page. Returned by `.items()` on a list:
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
/// The service pages by offset, newest first. New runs push the others back, and with a filter by status runs leave the
/// list while it is read, so that plain offsets would return items twice or skip them. This stream keeps the ids of all
/// items that it returned, and each page begins with the last item of the page before. A page without any returned item
/// has come from the wrong offset; the stream then steps to the right one. In effect:
///
/// - an item that is in the list during the whole iteration is returned **exactly once**, in the order of the list;
/// - an item that enters or leaves the list during the iteration is returned at most once. Items that are added at the
///   front are returned only if all items that were returned before have left the list, or appear to have left it.
///
/// This requires that items keep their order among themselves, as they do when sorted by creation time, and that a page
/// which is shorter than an earlier one is the last. **Memory grows with the list**: two pages, and the ids of all
/// items that were returned, some 100 bytes each.
///
/// # End of the stream
///
/// The stream ends with `None` at the end of the list. If the responses of the service are inconsistent, its last item
/// is an error of the kind [`Pagination`](crate::ErrorKind::Pagination). This happens if
///
/// - the same page comes 4 times in succession for different offsets, unless it is longer than requested or as long as
///   its `total`: then it is the whole list, and the end;
/// - 100 requests in succession bring nothing new. Without a true `total`, some 5,000 new items between two requests
///   may cause that, with 100 a page;
/// - everything that was returned has left the list, and the call has an `offset`, so that what is in front of it
///   cannot be told from the rest; or that happens 100 times in succession while the `total` does not fall;
/// - 1,000 pages in succession leave as many items to come, by the service's `total`, as there were before;
/// - the list goes on past the offset 2,147,483,647, the largest that the API allows.
///
/// The stream does not limit the number of items: set [`max_items`](Self::max_items) for this. If the `total` is
/// missing or wrong, or if the last page is full, the stream sends one more request at the end. Pages that are shorter
/// than requested are supported.
///
/// # Errors
///
/// A call that fails is an `Err` item, after its own retries. If the failure may pass (the network, 429, 5xx, a
/// response that cannot be read), the stream has not ended: polling it again requests the same page again, and nothing
/// is lost. After any other failure, and after 100 failures in succession, the stream has ended.
#[must_use = "a stream does nothing until it is polled"]
pub struct Items<T>(ListStream<Batch<T>, T>);

impl<T> Items<T> {
    pub(super) fn new(stream: ListStream<Batch<T>, T>) -> Self {
        Self(stream)
    }

    /// Sets the largest number of further items that the stream returns. Defaults to no limit.
    ///
    /// ```no_run
    /// # async fn example(client: agentgate::Client) -> agentgate::Result<()> {
    /// let mut newest = client.runs().list().items().max_items(250);
    /// # drop(newest.next().await);
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_items(mut self, items: usize) -> Self {
        self.0.max_items(items);
        self
    }

    /// Enables or disables fetching the next page while the items of the current page are returned. The stream is at
    /// most one page ahead. The request waits for the rate limit only while the stream is polled, does not delay other
    /// calls, and is cancelled when the stream is dropped. If disabled, the next page is fetched after the last item of
    /// the current page. Defaults to `true`.
    pub fn read_ahead(mut self, reads_ahead: bool) -> Self {
        self.0.read_ahead(reads_ahead);
        self
    }

    /// Returns the next item, or `None` at the end. The same as `StreamExt::next`, for programs without that trait. The
    /// future can be dropped and `next` called again; nothing is lost.
    pub async fn next(&mut self) -> Option<Result<T>> {
        poll_fn(|context| self.0.poll_next(context)).await
    }

    /// Returns all items, or the first error. The same as `TryStreamExt::try_collect`, for programs without that trait.
    ///
    /// The stream ends with the error, and what was read before is dropped. To read on after a failure that may pass,
    /// use [`next`](Self::next).
    ///
    /// ```no_run
    /// # async fn example(client: agentgate::Client) -> agentgate::Result<()> {
    /// let newest: Vec<_> = client.runs().list().items().max_items(250).try_collect().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn try_collect<C: Default + Extend<T>>(mut self) -> Result<C> {
        let mut collected = C::default();
        while let Some(item) = self.next().await {
            collected.extend([item?]);
        }
        Ok(collected)
    }
}

impl<T: Listed> Cursor<Batch<T>, T> for ItemCursor {
    fn request(&self) -> Request {
        Self::request(self)
    }

    fn advance(&mut self, batch: Batch<T>, ready: &mut VecDeque<T>) -> Step {
        let (new, step) = Self::advance(self, batch.items, batch.total);
        ready.extend(new);
        step
    }

    fn max_items(&mut self, items: usize) {
        Self::max_items(self, items);
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
