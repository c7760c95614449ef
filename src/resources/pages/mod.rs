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

use chrono::{DateTime, Utc};

pub use self::items::Items;
use self::reading::{Ask, Reading};
pub use self::stream::Pages;
use self::trail::Trail;
use self::walk::Walk;
use self::whole::Whole;
use crate::Operation;
use crate::resources::CallFuture;
use crate::types::{CreditTransaction, CreditTransactionPage, RunPage, RunSummary, Template, Webhook};

/// Items on a page unless a list is asked for another number: the most that the service gives.
pub(crate) const PAGE: u32 = 100;

/// The part of a list that is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) limit: u32,
    pub(super) offset: u32,
}

/// What stands in lists.
pub(super) trait Listed: Send + 'static {
    fn id(&self) -> &str;

    /// What lists of it are sorted by, newest first, if they are.
    fn time(&self) -> Option<DateTime<Utc>>;
}

/// A part of a list, as it comes.
pub(super) trait Page: Send + 'static {
    type Item: Listed;

    fn items(&self) -> &[Self::Item];

    fn total(&self) -> Option<u64>;

    fn into_items(self) -> Vec<Self::Item>;

    /// Keeps the first so many.
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

/// The items of a list that comes in pages.
pub(super) fn items<P: Page>(
    operation: Operation,
    (limit, offset): (Option<u32>, Option<u32>),
    send: impl Fn(Request) -> CallFuture<P> + Send + 'static,
) -> Items<P::Item> {
    let trail = Trail::new(limit.unwrap_or(PAGE), offset.unwrap_or(0));
    Items::new(Reading::new(operation, batches(send), Box::new(trail)))
}

/// Its pages.
pub(super) fn pages<P: Page>(
    operation: Operation,
    (limit, offset): (Option<u32>, Option<u32>),
    send: impl Fn(Request) -> CallFuture<P> + Send + 'static,
) -> Pages<P> {
    let walk = Walk::new(limit.unwrap_or(PAGE), offset.unwrap_or(0));
    Pages::new(Reading::new(operation, Box::new(send), Box::new(walk)))
}

/// The items of a list that comes in one piece.
pub(super) fn whole_items<P: Page>(
    operation: Operation,
    send: impl Fn(Request) -> CallFuture<P> + Send + 'static,
) -> Items<P::Item> {
    Items::new(Reading::new(operation, batches(send), Box::new(Whole::default())))
}

/// The one page of it.
pub(super) fn whole_page<P: Page>(
    operation: Operation,
    send: impl Fn(Request) -> CallFuture<P> + Send + 'static,
) -> Pages<P> {
    Pages::new(Reading::new(operation, Box::new(send), Box::new(Whole::default())))
}

impl Listed for RunSummary {
    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn time(&self) -> Option<DateTime<Utc>> {
        self.created_at
    }
}

impl Listed for CreditTransaction {
    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn time(&self) -> Option<DateTime<Utc>> {
        Some(self.created_at)
    }
}

impl Listed for Webhook {
    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn time(&self) -> Option<DateTime<Utc>> {
        None
    }
}

impl Listed for Template {
    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn time(&self) -> Option<DateTime<Utc>> {
        None
    }
}

macro_rules! page {
    ($page:ty, $items:ident: $item:ty) => {
        impl Page for $page {
            type Item = $item;

            fn items(&self) -> &[$item] {
                &self.$items
            }

            fn total(&self) -> Option<u64> {
                self.total
            }

            fn into_items(self) -> Vec<$item> {
                self.$items
            }

            fn truncate(&mut self, items: usize) {
                self.$items.truncate(items);
            }
        }
    };
}

page!(RunPage, data: RunSummary);
page!(CreditTransactionPage, transactions: CreditTransaction);

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

/// Defines the streams of a list that comes in pages. The filters named hold for all of them.
macro_rules! in_pages {
    ($call:ident($operation:ident) -> $page:ty { $($filter:ident),* } of $item:ty, $items:literal) => {
        impl $call {
            #[doc = concat!("Gives all the ", $items, " that match, as a stream: each one once, also while the list changes.")]
            ///
            /// See [`Items`](crate::resources::Items) for what that means. [`limit`](Self::limit) is the size of the pages it asks
            /// for, 100 by default; [`offset`](Self::offset) is where it begins. Time-outs, retries and the deadline are for each page.
            pub fn items(self) -> $crate::resources::Items<$item> {
                let part = (self.limit, self.offset);
                $crate::resources::pages::items($crate::Operation::$operation, part, move |request| self.part(request))
            }

            /// Gives the pages one after another as the service gives them: see [`Pages`](crate::resources::Pages). 100 items a page,
            /// unless [`limit`](Self::limit) says otherwise.
            pub fn pages(self) -> $crate::resources::Pages<$page> {
                let part = (self.limit, self.offset);
                $crate::resources::pages::pages($crate::Operation::$operation, part, move |request| self.part(request))
            }

            /// Sends the call for a part of the list.
            fn part(&self, request: $crate::resources::pages::Request) -> $crate::resources::CallFuture<$page> {
                ::std::future::IntoFuture::into_future(Self {
                    client: self.client.clone(),
                    options: self.options.clone(),
                    $($filter: self.$filter.clone(),)*
                    limit: Some(request.limit),
                    offset: Some(request.offset),
                })
            }
        }
    };
}
pub(super) use in_pages;

/// Defines the same for a list that comes in one piece.
macro_rules! in_one_piece {
    ($call:ident($operation:ident) of $item:ty { $($filter:ident),* }, $items:literal) => {
        impl $call {
            #[doc = concat!("Gives the ", $items, " as a stream, as other lists do. The service gives them in one answer.")]
            pub fn items(self) -> $crate::resources::Items<$item> {
                $crate::resources::pages::whole_items($crate::Operation::$operation, move |_| self.again())
            }

            /// Gives the one page that there is as a stream, as other lists do; none if it is empty.
            pub fn pages(self) -> $crate::resources::Pages<Vec<$item>> {
                $crate::resources::pages::whole_page($crate::Operation::$operation, move |_| self.again())
            }

            /// Sends the call.
            fn again(&self) -> $crate::resources::CallFuture<Vec<$item>> {
                ::std::future::IntoFuture::into_future(Self {
                    client: self.client.clone(),
                    options: self.options.clone(),
                    $($filter: self.$filter.clone(),)*
                })
            }
        }
    };
}
pub(super) use in_one_piece;
