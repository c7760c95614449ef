//! Lists as streams: [`Pages`] as the service returns them, and [`Items`] one by one.
//!
//! A cursor decides without input and output what to request next and what of a response is new: `ItemCursor` returns
//! each item once, `PageCursor` returns the pages as they come. `ListStream` sends the requests.

mod cursor;
mod item_cursor;
mod items;
mod page;
#[expect(clippy::module_inception, reason = "the file is named after its type")]
mod pages;
mod stall_detector;
mod stream;
mod with_json;

use std::future::IntoFuture as _;

use self::cursor::Request;
use self::item_cursor::ItemCursor;
pub use self::items::Items;
use self::page::Batch;
pub use self::page::{Listed, Page};
use self::pages::PageCursor;
pub use self::pages::Pages;
use self::stream::ListStream;
pub use self::with_json::WithJson;
use super::call::{Call, CallFuture, Endpoint};
use crate::Response;

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

    /// Returns the items that match as a stream, each together with its JSON as it was received: for fields that this
    /// version of the crate does not know. Otherwise the same as [`items`](Self::items).
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
        self.items_by(with_json::batch)
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
