//! [`Items`]: the items of a list as a stream, which fetches pages one page ahead of the reader.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::cursor::{Cursor, Request, Step};
use super::page::Batch;
use crate::resources::CallFuture;
use crate::{Error, Operation, Result, platform};

/// The limit of successive failures.
const FAILURES: u32 = 100;

pub(super) type Fetch<T> = Box<dyn Fn(Request) -> CallFuture<Batch<T>> + Send>;

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
/// items that it returned, and each page begins with the last item of the page before. After a page without any
/// returned item, the stream begins again at the front, and skips what it has returned. In effect:
///
/// - an item that is in the list during the whole iteration is returned **exactly once**, in the order of the list;
/// - an item that enters or leaves the list during the iteration is returned at most once.
///
/// This requires that items keep their order among themselves, as they do when sorted by creation time. It does not
/// require that the service fills its pages, or that its totals are right. **Memory grows with the list**: two pages,
/// and the ids of all items that were returned, some 100 bytes each.
///
/// # End of the stream
///
/// The stream ends with `None` at a page that is empty, unless its `total` says that more items are to come. So reading
/// a list to its end takes one request more than the list has pages; [`max_items`](Self::max_items) saves it. If no
/// `total` confirms the end, another request checks that the last item is still in its place.
///
/// If the responses of the service are inconsistent, the last item of the stream is an error of the kind
/// [`Pagination`](crate::ErrorKind::Pagination), after everything that could be read. This happens if
///
/// - the page behind the last item is empty 3 times although the `total` says that there are more items, or comes from
///   a cache 3 times (by its `Age`, its `Date` or its request id);
/// - the same page comes 4 times in succession for different offsets. It is the whole list, and the end, if it is
///   longer than requested, as long as its `total`, or shorter than requested and without a `total`;
/// - more than 100 requests in succession bring nothing new, not counting pages that are read again;
/// - the call has an `offset`, and the position in the list is lost, as what is in front of the offset cannot be told
///   from the rest; or that happens 20 times in succession while the `total` does not fall;
/// - 1,000 pages in succession leave as many items to come, by the service's `total`, as there were before.
///
/// Three things cannot be detected: items that the service leaves out and does not count; a list without totals from
/// which items leave while the service returns one item a page; and a cache that shows nothing of itself.
///
/// The stream does not limit the number of items: set [`max_items`](Self::max_items) for this.
///
/// # Errors
///
/// A call that fails is an `Err` item, after its own retries. If the failure may pass (the network, 429, 5xx, a
/// response that cannot be read), the stream has not ended: polling it again requests the same page again, and nothing
/// is lost. After any other failure, and after 100 failures in succession, the stream has ended.
#[must_use = "a stream does nothing until it is polled"]
pub struct Items<T> {
    operation: Operation,
    fetch: Fetch<T>,
    cursor: Box<dyn Cursor<T>>,
    ready: VecDeque<T>,
    /// The request under way. Between two polls, an attempt that was sent goes on, and nothing else does.
    pending: Option<CallFuture<Batch<T>>>,
    /// The response that arrived while `ready` was not empty.
    arrived: Option<Result<Batch<T>>>,
    /// The error that follows the last item.
    final_error: Option<Error>,
    failures: u32,
    is_over: bool,
    reads_ahead: bool,
}

impl<T> Items<T> {
    pub(super) fn new(operation: Operation, fetch: Fetch<T>, cursor: impl Cursor<T> + 'static) -> Self {
        Self {
            operation,
            fetch,
            cursor: Box::new(cursor),
            ready: VecDeque::new(),
            pending: None,
            arrived: None,
            final_error: None,
            failures: 0,
            is_over: false,
            reads_ahead: true,
        }
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
        self.cursor.max_items(items);
        self.is_over |= items == 0;
        self
    }

    /// Enables or disables fetching the next page while the items of the current page are returned. The stream is at
    /// most one page ahead. The request waits for the rate limit only while the stream is polled, does not delay other
    /// calls, and is cancelled when the stream is dropped. If disabled, the next page is fetched after the last item of
    /// the current page. Defaults to `true`.
    pub fn read_ahead(mut self, reads_ahead: bool) -> Self {
        self.reads_ahead = reads_ahead;
        self
    }

    /// Returns the next item, or `None` at the end. The same as `StreamExt::next`, for programs without that trait. The
    /// future can be dropped and `next` called again; nothing is lost.
    pub async fn next(&mut self) -> Option<Result<T>> {
        poll_fn(|context| self.poll(context)).await
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

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                // A thread that blocks on a future polls nothing in the loop's body.
                if self.reads_ahead && !platform::polls_calls() {
                    self.poll_fetch(context);
                }
                return Poll::Ready(Some(Ok(item)));
            }
            if let Some(error) = self.final_error.take() {
                return Poll::Ready(Some(Err(error)));
            }
            if self.is_over {
                return Poll::Ready(None);
            }
            self.poll_fetch(context);
            match self.arrived.take() {
                None => return Poll::Pending,
                Some(Ok(page)) => self.advance(page),
                Some(Err(error)) => {
                    self.failures += 1;
                    self.is_over = !error.kind().may_pass() || self.failures >= FAILURES;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }

    /// Sends the next request, or polls the one that was sent.
    fn poll_fetch(&mut self, context: &mut Context<'_>) {
        if self.is_over || self.arrived.is_some() {
            return;
        }
        let (fetch, cursor) = (&self.fetch, &self.cursor);
        let pending = self.pending.get_or_insert_with(|| fetch(cursor.request()));
        if let Poll::Ready(outcome) = pending.as_mut().poll(context) {
            self.pending = None;
            self.arrived = Some(outcome);
        }
    }

    fn advance(&mut self, page: Batch<T>) {
        self.failures = 0;
        let (new, step) = self.cursor.advance(page);
        self.ready.extend(new);
        self.is_over = step != Step::Fetch;
        if let Step::Fail(reason) = step {
            self.final_error = Some(reason.into_error().with_operation(self.operation));
        }
    }
}

/// Nothing in it is pinned.
impl<T> Unpin for Items<T> {}

impl<T> Stream for Items<T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        self.poll(context)
    }
}

impl<T> fmt::Debug for Items<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Items").field("operation", &self.operation).finish_non_exhaustive()
    }
}
