//! Sends requests. Every call goes through [`Execution::send`].
//!
//! ```text
//! generated function ─request─▶ Execution::send ─task─▶ run: attempt ─▶ decide ─▶ delay ─▶ attempt …
//!                                     │                         │
//!                                     ▼                         ▼
//!                                  decode ◀──────────────── response
//! ```

mod attempt;
#[cfg_attr(target_family = "wasm", path = "body_wasm.rs")]
mod body;
mod call_task;
mod decode;
mod events;
mod execution;
mod freshness;
mod middleware;
mod observe;
mod options;
#[cfg(feature = "test-util")]
mod replay;
mod request_extras;
mod reserved_headers;
mod retry;
mod retry_after;
mod retry_budget;
mod submission_state;

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderValue;

pub(crate) use self::events::OnEvent;
pub use self::events::{Attempt, AttemptEnd, CallEnd, CallEvent, CallOutcome, Duplicate, RateLimitWait, Retry};
pub(crate) use self::execution::Execution;
pub(crate) use self::freshness::Freshness;
pub(crate) use self::middleware::Stack;
pub use self::middleware::{AttemptRequest, AttemptResponse, Middleware, MiddlewareFuture, Refusal};
pub use self::options::CallOptions;
pub(crate) use self::options::{CallSettings, CallTime};
#[cfg(feature = "test-util")]
pub(crate) use self::replay::{ReplayFn, error_of, result_of};
pub(crate) use self::request_extras::RequestExtras;
pub(crate) use self::retry::Backoff;
pub(crate) use self::retry_budget::RetryBudget;
pub(crate) use self::submission_state::SentState;
pub use self::submission_state::SubmissionState;
use crate::clock::Clock;
use crate::rate_limit::RateLimiter;
use crate::types::{RunId, WorkOrderId};

/// The origin of an API key that the program has set.
pub(crate) const KEY_IN_CODE: &str = "given in code";

/// The settings and the state that the clones of a client share.
pub(crate) struct Transport {
    pub(crate) http: reqwest::Client,
    /// Without a trailing slash.
    pub(crate) base_url: String,
    pub(crate) authorization: HeaderValue,
    /// The origin of the API key, such as `in AGENTGATE_API_KEY`.
    pub(crate) key_origin: &'static str,
    pub(crate) user_agent: HeaderValue,
    /// The options of calls that set none of their own.
    pub(crate) options: CallOptions,
    pub(crate) max_body_size: usize,
    pub(crate) backoff: Backoff,
    pub(crate) budget: RetryBudget,
    pub(crate) limiter: Arc<RateLimiter>,
    pub(crate) freshness: Freshness,
    pub(crate) on_event: Vec<OnEvent>,
    pub(crate) middleware: Stack,
    pub(crate) clock: Arc<dyn Clock>,
    /// Responds in place of the service.
    #[cfg(feature = "test-util")]
    pub(crate) replay: Option<ReplayFn>,
}

impl Transport {
    /// Returns the time of a call that begins now, or of the call that it is a part of.
    pub(crate) fn time_of(&self, settings: &CallSettings) -> CallTime {
        settings.time.clone().unwrap_or_else(|| {
            let deadline = settings.options.deadline.or(self.options.deadline);
            CallTime::new(deadline.map(|deadline| self.clock.monotonic().saturating_add(deadline)))
        })
    }

    /// Returns the time to the deadline of a call, if it has one.
    pub(crate) fn time_left(&self, time: &CallTime) -> Option<Duration> {
        Some(time.deadline?.saturating_sub(self.clock.monotonic()))
    }

    /// Reports a second work order of a submission.
    pub(crate) fn report_duplicate(&self, work_order_id: &WorkOrderId, run_id: &RunId) {
        #[cfg(feature = "tracing")]
        tracing::warn!(%work_order_id, %run_id, "a proxy has repeated a submission: cancel the second run");
        for on_event in &self.on_event {
            on_event(CallEvent::Duplicate(Duplicate { work_order_id, run_id }));
        }
    }

    /// Returns the API key, to be removed from texts.
    pub(crate) fn key(&self) -> &[u8] {
        self.authorization.as_bytes().strip_prefix(b"Bearer ").unwrap_or_default()
    }
}
