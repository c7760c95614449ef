//! The one place that sends requests: every call goes through [`Execution::execute`].
//!
//! ```text
//! generated endpoint ─exec─▶ Execution::execute: attempt ─▶ decide ─▶ wait ─▶ attempt …
//!                                │
//!                                └─▶ the response, or an `Error`, kept in the call
//! ```
//!
//! The generated code can fail with a `reqwest::Error` alone, and reads the body in its own way. So the result is kept in the
//! [`Execution`], and the generated code gets an error that makes it return; [`Execution::finish`] then reads the kept response.

mod answer;
mod attempt;
#[cfg_attr(target_family = "wasm", path = "plain_body.rs")]
mod body;
mod events;
mod exchange;
mod execution;
mod extras;
mod middleware;
mod observe;
mod options;
mod own_headers;
#[cfg(feature = "test-util")]
mod replay;
mod retry;
mod retry_budget;
mod sent;
mod server_wait;

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderValue;

pub(crate) use self::events::OnEvent;
pub use self::events::{Attempt, AttemptEnd, CallEnd, CallEvent, CallOutcome, RateLimitWait, Retry};
pub(crate) use self::execution::Execution;
pub(crate) use self::extras::Extras;
pub(crate) use self::middleware::Stack;
pub use self::middleware::{AttemptRequest, AttemptResponse, Middleware, MiddlewareFuture, Refusal};
pub use self::options::CallOptions;
#[cfg(feature = "test-util")]
pub(crate) use self::replay::{error_of, result_of};
pub(crate) use self::retry::RetryPolicy;
pub(crate) use self::retry_budget::RetryBudget;
pub(crate) use self::sent::SentState;
pub use self::sent::SubmissionState;
pub(crate) use self::server_wait::service_now;
use crate::clock::Clock;
use crate::rate_limit::{RateLimitMode, RateLimiter};

/// Where the API key is found that a program has given itself.
pub(crate) const KEY_IN_CODE: &str = "given in code";

/// What the clones of a client share.
pub(crate) struct Transport {
    pub(crate) http: reqwest::Client,
    /// Without a trailing slash.
    pub(crate) base_url: String,
    pub(crate) authorization: HeaderValue,
    /// Where the API key was found: `in AGENTGATE_API_KEY`.
    pub(crate) key_origin: &'static str,
    pub(crate) user_agent: HeaderValue,
    pub(crate) timeout: Duration,
    pub(crate) deadline: Option<Duration>,
    pub(crate) max_wait: Option<Duration>,
    pub(crate) rate_limit_mode: RateLimitMode,
    pub(crate) max_body_size: usize,
    pub(crate) retry: RetryPolicy,
    pub(crate) budget: RetryBudget,
    pub(crate) limiter: Arc<RateLimiter>,
    pub(crate) on_event: Vec<OnEvent>,
    pub(crate) middleware: Stack,
    pub(crate) clock: Arc<dyn Clock>,
    /// Responds in place of the service.
    #[cfg(feature = "test-util")]
    pub(crate) replay: Option<crate::test_util::Replay>,
}

impl Transport {
    /// When a call that begins now has to end, by the clock's [`monotonic`](Clock::monotonic).
    pub(crate) fn deadline_of(&self, options: &CallOptions) -> Option<Duration> {
        let deadline = options.deadline.or(self.deadline)?;
        Some(self.clock.monotonic().saturating_add(deadline))
    }

    /// The time to a deadline, if there is one.
    pub(crate) fn time_left(&self, deadline: Option<Duration>) -> Option<Duration> {
        Some(deadline?.saturating_sub(self.clock.monotonic()))
    }

    /// The API key, to be removed from what is shown.
    pub(crate) fn key(&self) -> &[u8] {
        self.authorization.as_bytes().strip_prefix(b"Bearer ").unwrap_or_default()
    }

    /// Returns the longest time that a call waits for the rate limit.
    pub(crate) fn max_wait_of(&self, options: &CallOptions) -> Option<Duration> {
        options.max_wait.or(self.max_wait)
    }

    pub(crate) fn rate_limit_mode_of(&self, options: &CallOptions) -> RateLimitMode {
        options.rate_limit_mode.unwrap_or(self.rate_limit_mode)
    }

    /// How many attempts may follow the first.
    pub(crate) fn max_retries_of(&self, options: &CallOptions) -> u32 {
        options.max_retries.unwrap_or(self.retry.max_retries)
    }
}
