//! The resources of the API, and one builder for each call.
//!
//! A [`Client`](crate::Client) has a method for each resource, such as [`Client::runs`](crate::Client::runs). Required
//! values of a call are the arguments of its method. Optional values are set on the builder that the method returns.
//! `.await` sends the call:
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
//! `items()` on a list returns a stream of its items, and `pages()` a stream of its pages ([`Items`], [`Pages`]).
//!
//! [`Call`] has the methods of every call. [`Client::request`](crate::Client::request) sends other requests. The
//! resources and their calls are generated from the contract of the API.

mod call;
mod client;
#[macro_use]
mod pages;
mod raw_request;
mod reconcile;
mod runs;
mod submission;
mod webhooks;
mod work_orders;

pub use call::{Call, CallFuture, Endpoint, NotIdempotent};
pub use generated::*;
pub use pages::{Items, ListEndpoint, Listed, Page, Pages, WithJson};
pub use raw_request::RawRequest;
pub use submission::Submission;

pub use crate::client::SubmissionToken;
pub use crate::transport::SubmissionState;

mod generated {
    #![allow(
        clippy::all,
        clippy::pedantic,
        deprecated,
        unused_imports,
        unused_variables,
        rustdoc::bare_urls,
        rustdoc::invalid_html_tags,
        reason = "generated code"
    )]

    use super::call::{Call, Endpoint, NotIdempotent, built, check_segment, deleted};
    use super::pages::{ListEndpoint, Listed, Page};
    use crate::transport::Execution;

    include!(concat!(env!("OUT_DIR"), "/calls.rs"));
}
