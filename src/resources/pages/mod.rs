//! Lists as streams: [`Pages`] as the service gives them, and [`Items`] one by one.
//!
//! What to ask for and what of an answer is new are decided without input and output: in `trail` for items, where nothing may be lost
//! or come twice, in `walk` for pages. `guard` bounds both, and `reading` sends what they decide.

mod guard;
mod items;
mod reading;
mod stream;
mod trail;
mod walk;
mod whole;
mod window;

use std::future::IntoFuture as _;

use chrono::{DateTime, Utc};

pub use self::items::Items;
use self::reading::{Ask, Plan, Reading};
pub use self::stream::Pages;
use self::trail::Trail;
use self::walk::Walk;
use self::whole::Whole;
use super::call::{Call, CallFuture, Endpoint};

/// The part of a list that is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) limit: u32,
    pub(super) offset: u32,
}

/// An item of a list.
pub trait Listed: Send + 'static {
    /// Returns the id, by which the item is recognized.
    fn id(&self) -> &str;

    /// Returns the time that lists are sorted by, newest first, if they are.
    fn time(&self) -> Option<DateTime<Utc>>;
}

/// A page of a list, or a list in one piece.
pub trait Page: Send + 'static {
    /// The type of an item.
    type Item: Listed;

    /// Returns the items.
    fn items(&self) -> &[Self::Item];

    /// Returns the number of items on all pages, if the service gave it.
    fn total(&self) -> Option<u64>;

    /// Returns the items alone.
    fn into_items(self) -> Vec<Self::Item>;

    /// Keeps the first items, up to this number.
    fn truncate(&mut self, items: usize);
}

/// What is left of a page when only its items count.
struct Batch<T> {
    items: Vec<T>,
    total: Option<u64>,
}

fn batches<P: Page>(send: impl Fn(Request) -> CallFuture<P> + Send + 'static) -> Ask<Batch<P::Item>> {
    Box::new(move |request| {
        let call = send(request);
        Box::pin(async move {
            let page = call.await?;
            Ok(Batch { total: page.total(), items: page.into_items() })
        })
    })
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
    /// Returns the items that match as a stream: each one once, also while the list changes.
    ///
    /// See [`Items`] for what that means. The stream begins at the call's `offset`. The call's `limit` is the size of the pages that
    /// it fetches, by default the largest that the service allows; a list without these comes in one response. Time-outs, retries and the deadline are for each page.
    pub fn items(self) -> Items<<E::Output as Page>::Item> {
        let plan: Box<dyn Plan<Batch<_>, _>> = match self.endpoint.part() {
            Some((limit, offset)) => Box::new(Trail::new(limit.unwrap_or(E::PAGE), offset.unwrap_or(0))),
            None => Box::new(Whole::default()),
        };
        Items::new(Reading::new(E::OPERATION, batches(move |request| self.part(request)), plan))
    }

    /// Returns the pages one after another as the service gives them: see [`Pages`]. A list in one piece is one page, or none if it is
    /// empty. Pages have the largest size that the service allows, unless the call's `limit` says otherwise.
    pub fn pages(self) -> Pages<E::Output> {
        let plan: Box<dyn Plan<_, _>> = match self.endpoint.part() {
            Some((limit, offset)) => Box::new(Walk::new(limit.unwrap_or(E::PAGE), offset.unwrap_or(0))),
            None => Box::new(Whole::default()),
        };
        Pages::new(Reading::new(E::OPERATION, Box::new(move |request| self.part(request)), plan))
    }

    /// Sends the call for a part of the list.
    fn part(&self, request: Request) -> CallFuture<E::Output> {
        let mut call = self.clone();
        call.endpoint.set_part(request.limit, request.offset);
        call.into_future()
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
