//! The one place that sends requests: every call goes through [`Call::execute`].
//!
//! ```text
//! generated endpoint ─exec─▶ Call::execute: attempt ─▶ decide ─▶ wait ─▶ attempt …
//!                                │
//!                                └─▶ the answer, rebuilt; or an `Error`, kept in the call
//! ```
//!
//! The generated code can fail with a `reqwest::Error` alone, which nobody but reqwest can make. So a failure is kept in
//! the [`Call`], and what the generated code gets is a placeholder that makes it return; [`Call::finish`] then puts the
//! kept failure in its place.

mod answer;
mod attempt;
mod call;
mod retry;

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderValue;

pub(crate) use self::call::Call;
pub(crate) use self::retry::RetryPolicy;
use crate::clock::Clock;

/// What the clones of a client share.
pub(crate) struct Transport {
    pub(crate) http: reqwest::Client,
    /// Without a trailing slash.
    pub(crate) base_url: String,
    pub(crate) authorization: HeaderValue,
    pub(crate) user_agent: HeaderValue,
    pub(crate) timeout: Duration,
    pub(crate) max_body_size: usize,
    pub(crate) retry: RetryPolicy,
    pub(crate) clock: Arc<dyn Clock>,
}

/// What one call asks for in place of the client's settings.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CallOptions {
    pub(crate) timeout: Option<Duration>,
    pub(crate) max_retries: Option<u32>,
}
