//! Lists as streams: [`Pages`] as the service returns them, and [`Items`] one by one.
//!
//! A cursor decides without input and output what to request next and what of a response is new: `ItemCursor` returns
//! each item once, `PageCursor` returns the pages as they come. `Items` sends the requests.

mod cursor;
mod end_of_list;
mod item_cursor;
mod items;
#[macro_use]
mod page;
#[expect(clippy::module_inception, reason = "the file is named after its type")]
mod pages;
mod stall_detector;
mod with_json;

use self::cursor::{Cursor, Request};
use self::item_cursor::ItemCursor;
pub use self::items::Items;
pub(in crate::resources) use self::page::Batch;
pub use self::page::{Listed, Page};
use self::pages::PageCursor;
pub use self::pages::Pages;
pub use self::with_json::WithJson;
use super::call::{Call, CallFuture, Endpoint};
use crate::Response;

/// An operation that returns a list in pages. Implemented by the generated code.
pub trait ListEndpoint: Endpoint<Output: Page> {
    /// The size of the pages that are fetched unless the call has a `limit`: the largest that the contract allows.
    #[doc(hidden)]
    const PAGE: u32;

    /// The keys under which the list may be in a response.
    #[doc(hidden)]
    const KEYS: &'static [&'static str];

    /// Returns the size of a page and the offset, as far as the call has them.
    #[doc(hidden)]
    fn part(&self) -> (Option<u32>, Option<u32>);

    /// Sets the size of a page and the offset.
    #[doc(hidden)]
    fn set_part(&mut self, limit: u32, offset: u32);
}

impl<E: ListEndpoint> Call<E> {
    /// Returns the items that match as a stream: each item once, also while the list changes. See [`Items`].
    ///
    /// The stream begins at the call's `offset`. The call's `limit` is the size of the pages that are fetched, by
    /// default the largest that the service allows. Time-outs, retries and the deadline are for each page.
    pub fn items(self) -> Items<<E::Output as Page>::Item> {
        self.items_by(|response| Batch::new(response, Page::into_items))
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
        self.items_by(|response| {
            let body = response.body().clone();
            Batch::new(response, |page| with_json::with_json(&body, E::KEYS, page))
        })
    }

    pub(in crate::resources) fn items_by<T: Listed>(self, read: fn(Response<E::Output>) -> Batch<T>) -> Items<T> {
        self.stream(ItemCursor::new, read)
    }

    /// Returns the pages as a stream, as the service returns them. See [`Pages`].
    ///
    /// Pages have the largest size that the service allows, unless the call's `limit` says otherwise.
    pub fn pages(self) -> Pages<E::Output> {
        self.stream(PageCursor::new, |response| Batch::new(response, |page| vec![page]))
    }

    fn stream<T, C>(self, cursor: fn(Request) -> C, read: fn(Response<E::Output>) -> Batch<T>) -> Items<T>
    where
        T: 'static,
        C: Cursor<T> + 'static,
    {
        let (limit, offset) = self.endpoint.part();
        let first = Request { limit: limit.unwrap_or(E::PAGE), offset: offset.unwrap_or(0) };
        let fetch = move |request: Request| -> CallFuture<Batch<T>> {
            let mut call = self.clone();
            call.endpoint.set_part(request.limit, request.offset);
            let response = call.with_response();
            Box::pin(async move { response.await.map(read) })
        };
        Items::new(E::OPERATION, Box::new(fetch), cursor(first))
    }
}
