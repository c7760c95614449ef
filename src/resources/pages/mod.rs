//! Lists as streams: [`Pages`] as the service returns them, and [`Items`] one by one.
//!
//! A cursor decides without input and output what to request next and what of a response is new: `ItemCursor` returns
//! each item once, `PageCursor` returns the pages as they come. `ListStream` sends the requests.

mod item_cursor;
mod items;
#[expect(clippy::module_inception, reason = "the file is named after its type")]
mod pages;
mod raw;
mod stall;
mod stream;

use std::collections::VecDeque;
use std::future::IntoFuture as _;

use self::item_cursor::ItemCursor;
pub use self::items::Items;
use self::pages::PageCursor;
pub use self::pages::Pages;
pub use self::raw::WithJson;
use self::stall::StallReason;
use self::stream::ListStream;
use super::call::{Call, CallFuture, Endpoint};
use crate::Response;

/// The part of a list that is requested.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Request {
    limit: u32,
    offset: u32,
}

/// Decides what to request next, and what of a page is returned.
trait Cursor<P, T>: Send {
    fn request(&self) -> Request;
    fn advance(&mut self, page: P, ready: &mut VecDeque<T>) -> Step;
    /// Sets how many more items are returned.
    fn max_items(&mut self, items: usize);
}

/// The next step after a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Fetch,
    End,
    Fail(StallReason),
}

/// An item of a list.
pub trait Listed: Send + 'static {
    /// Returns the id, by which the item is recognized.
    fn id(&self) -> &str;
}

/// A page of a list, or a list in one piece.
pub trait Page: Send + 'static {
    /// The type of an item.
    type Item: Listed;

    /// Returns the items.
    fn items(&self) -> &[Self::Item];

    /// Returns the number of items on all pages, if the service gave it.
    fn total(&self) -> Option<u64>;

    /// Converts the page into its items.
    fn into_items(self) -> Vec<Self::Item>;

    /// Removes all items after this number of items.
    fn truncate(&mut self, items: usize);
}

/// The items of a page, and the total.
struct Batch<T> {
    items: Vec<T>,
    total: Option<u64>,
}

impl<P: Page> From<P> for Batch<P::Item> {
    fn from(page: P) -> Self {
        Self { total: page.total(), items: page.into_items() }
    }
}

/// An operation that returns a list. Implemented by the generated code, for lists in pages and for lists in one piece.
pub trait ListEndpoint: Endpoint<Output: Page> {
    /// The size of the pages that are fetched unless the call has a `limit`: the largest that the contract allows.
    #[doc(hidden)]
    const PAGE: u32;

    /// Returns the size of a page and the offset that the call has; `None` if the list comes in one piece.
    #[doc(hidden)]
    fn part(&self) -> Option<(Option<u32>, Option<u32>)>;

    /// Sets the size of a page and the offset.
    #[doc(hidden)]
    fn set_part(&mut self, limit: u32, offset: u32);
}

impl<E: ListEndpoint> Call<E> {
    /// Returns the items that match as a stream: each item once, also while the list changes. See [`Items`].
    ///
    /// The stream begins at the call's `offset`. The call's `limit` is the size of the pages that are fetched, by
    /// default the largest that the service allows. A list without these comes in one response. Time-outs, retries and
    /// the deadline are for each page.
    pub fn items(self) -> Items<<E::Output as Page>::Item> {
        self.items_by(|page| Batch::from(page.into_inner()))
    }

    /// Returns the items that match as a stream, each together with its JSON as it was received: for fields that this version of the crate
    /// does not know. Otherwise the same as [`items`](Self::items).
    ///
    /// ```no_run
    /// # async fn example(client: agentgate::Client) -> agentgate::Result<()> {
    /// let mut runs = client.runs().list().items_with_json();
    /// while let Some(run) = runs.next().await {
    ///     let run = run?;
    ///     println!("{} {}", run.id, run.json["priority"]);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn items_with_json(self) -> Items<WithJson<<E::Output as Page>::Item>> {
        self.items_by(raw::batch)
    }

    fn items_by<T: Listed>(self, read: fn(Response<E::Output>) -> Batch<T>) -> Items<T> {
        let cursor = ItemCursor::new(self.first_request());
        let fetch = move |request| -> CallFuture<Batch<T>> {
            let call = self.part(request).with_response();
            Box::pin(async move { call.await.map(read) })
        };
        Items::new(ListStream::new(E::OPERATION, Box::new(fetch), cursor))
    }

    /// Returns the pages as a stream, as the service returns them. See [`Pages`].
    ///
    /// A list in one piece is one page, or none if it is empty. Pages have the largest size that the service allows,
    /// unless the call's `limit` says otherwise.
    pub fn pages(self) -> Pages<E::Output> {
        let cursor = PageCursor::new(self.first_request());
        let fetch = move |request| self.part(request).into_future();
        Pages::new(ListStream::new(E::OPERATION, Box::new(fetch), cursor))
    }

    /// Returns the first part to request. `None` if the list comes in one piece.
    fn first_request(&self) -> Option<Request> {
        let (limit, offset) = self.endpoint.part()?;
        Some(Request { limit: limit.unwrap_or(E::PAGE), offset: offset.unwrap_or(0) })
    }

    /// Returns the call for a part of the list.
    fn part(&self, request: Request) -> Self {
        let mut call = self.clone();
        call.endpoint.set_part(request.limit, request.offset);
        call
    }
}

impl<T: Listed> Page for Vec<T> {
    type Item = T;

    fn items(&self) -> &[T] {
        self
    }

    fn total(&self) -> Option<u64> {
        None
    }

    fn into_items(self) -> Vec<T> {
        self
    }

    fn truncate(&mut self, items: usize) {
        self.truncate(items);
    }
}
