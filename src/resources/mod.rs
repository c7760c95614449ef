//! The resources of the API, and one builder for each call.
//!
//! A [`Client`](crate::Client) hands out the resources. What a call requires are the arguments of its method, what it can do
//! without are methods of the builder that comes back, and `.await` sends it:
//!
//! ```no_run
//! use std::time::Duration;
//!
//! # async fn example(client: agentgate::Client) -> agentgate::Result<()> {
//! let page = client.runs().list().limit(100).timeout(Duration::from_secs(5)).await?;
//! for run in &page.data {
//!     println!("{} {}", run.id, run.status);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Lists are also streams: `items()` gives each item once, `pages()` gives the pages ([`Items`], [`Pages`]).
//!
//! Each call also takes `timeout` and `max_retries` for itself, and `with_response`, which gives the
//! [`Response`](crate::Response) around the value. Calls own what they need: they can be stored, sent to another task and
//! spawned.

#[macro_use]
mod call;
mod credits;
mod pages;
mod reconcile;
mod runs;
mod templates;
mod webhooks;
mod work_orders;

pub use call::CallFuture;
pub(crate) use call::check_id;
pub use credits::{Credits, GetCredits, ListCreditUsage};
pub(crate) use pages::PAGE;
pub use pages::{Items, Pages};
pub(crate) use reconcile::Submitted;
pub use runs::{CancelRun, GetRun, ListRuns, Runs};
pub use templates::{CreateTemplate, DeleteTemplate, GetTemplate, ListTemplates, Templates, UpdateTemplate};
pub use webhooks::{CreateWebhook, DeleteWebhook, GetWebhook, ListWebhooks, TestWebhook, UpdateWebhook, Webhooks};
pub use work_orders::{CreateWorkOrder, GetWorkOrder, WorkOrders};
