//! The options of calls: those that users set ([`CallOptions`]), and the state of a single call ([`CallSettings`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::RequestExtras;
use super::submission_state::SentState;
use crate::rate_limit::RateLimitMode;

/// As the vendor's own SDK.
const TIMEOUT: Duration = Duration::from_secs(30);
const MAX_RETRIES: u32 = 3;

/// Options that override the client's settings for many calls. Passed to
/// [`Client::with_options`](crate::Client::with_options). The setters of a single call take precedence.
///
/// ```no_run
/// use std::time::Duration;
///
/// use agentgate::CallOptions;
///
/// # async fn example(client: agentgate::Client) -> agentgate::Result<()> {
/// let options = CallOptions::new().timeout(Duration::from_secs(120)).max_retries(8);
/// let patient = client.with_options(options);
/// let balance = patient.credits().balance().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "options do nothing until a client has them"]
pub struct CallOptions {
    pub(crate) timeout: Option<Duration>,
    pub(crate) deadline: Option<Duration>,
    pub(crate) max_retries: Option<u32>,
    pub(crate) max_wait: Option<Duration>,
    pub(crate) rate_limit_mode: Option<RateLimitMode>,
    pub(crate) extras: RequestExtras,
}

/// The settings of a single call: its options, and those that only some calls have.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallSettings {
    pub(crate) options: CallOptions,
    pub(crate) idempotency_key: Option<String>,
    /// Retries the call also if it may have had its effect.
    pub(crate) repeatable: bool,
    /// Searches for a submission whose outcome is unknown until the result is certain, and then submits it again.
    pub(crate) reconcile: bool,
    /// The submission has the token by which it is recognized.
    pub(crate) has_token: bool,
    /// Records whether the request was sent.
    pub(crate) sent: Option<Arc<SentState>>,
    /// Of a call that is part of another call: the time of that call.
    pub(crate) time: Option<CallTime>,
}

impl CallSettings {
    /// Returns the settings of a call of another operation that is part of this call.
    pub(crate) fn of_part(&self, time: &CallTime) -> Self {
        let options = CallOptions { extras: self.options.extras.headers_only(), ..self.options.clone() };
        Self { time: Some(time.clone()), ..options.into() }
    }
}

/// The time that a call has, together with the calls that are parts of it, such as a search.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallTime {
    /// By the clock's [`monotonic`](crate::Clock::monotonic).
    pub(crate) deadline: Option<Duration>,
    /// The time for which they have waited for the rate limit, in microseconds.
    waited: Arc<AtomicU64>,
}

impl CallTime {
    pub(crate) fn new(deadline: Option<Duration>) -> Self {
        Self { deadline, ..Self::default() }
    }

    pub(super) fn waited(&self) -> Duration {
        Duration::from_micros(self.waited.load(Ordering::Relaxed))
    }

    pub(super) fn add_wait(&self, wait: Duration) {
        let wait = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
        self.waited.fetch_add(wait, Ordering::Relaxed);
    }
}

impl From<CallOptions> for CallSettings {
    fn from(options: CallOptions) -> Self {
        Self { options, ..Self::default() }
    }
}

impl CallOptions {
    /// Creates options that leave every setting to the client.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the time limit for one attempt. See [`ClientBuilder::timeout`](crate::ClientBuilder::timeout).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets the total time limit for a call, including retries and waits. See
    /// [`ClientBuilder::deadline`](crate::ClientBuilder::deadline).
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Sets the number of attempts that may follow the first. See
    /// [`ClientBuilder::max_retries`](crate::ClientBuilder::max_retries).
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.max_retries = Some(retries);
        self
    }

    /// Sets the longest time that a call waits for the rate limit. See
    /// [`ClientBuilder::max_wait`](crate::ClientBuilder::max_wait).
    pub fn max_wait(mut self, wait: Duration) -> Self {
        self.max_wait = Some(wait);
        self
    }

    /// Sets the behavior of calls when the rate limit is exhausted. See
    /// [`ClientBuilder::rate_limit_mode`](crate::ClientBuilder::rate_limit_mode).
    pub fn rate_limit_mode(mut self, mode: RateLimitMode) -> Self {
        self.rate_limit_mode = Some(mode);
        self
    }

    /// Adds a header to each request. See [`Call::request_header`](crate::resources::Call::request_header).
    pub fn request_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.extras.headers.push((name.into(), value.into()));
        self
    }

    /// Returns the time limit for one attempt.
    pub(crate) fn attempt_timeout(&self) -> Duration {
        self.timeout.unwrap_or(TIMEOUT)
    }

    /// Returns the number of attempts that may follow the first.
    pub(crate) fn retries(&self) -> u32 {
        self.max_retries.unwrap_or(MAX_RETRIES)
    }

    /// Returns the behavior when the rate limit is exhausted.
    pub(super) fn mode(&self) -> RateLimitMode {
        self.rate_limit_mode.unwrap_or_default()
    }

    /// Returns these options, with those of `base` where these leave a setting open. Headers add up.
    pub(crate) fn or(mut self, base: Option<&Self>) -> Self {
        if let Some(base) = base {
            self.timeout = self.timeout.or(base.timeout);
            self.deadline = self.deadline.or(base.deadline);
            self.max_retries = self.max_retries.or(base.max_retries);
            self.max_wait = self.max_wait.or(base.max_wait);
            self.rate_limit_mode = self.rate_limit_mode.or(base.rate_limit_mode);
            self.extras.headers.splice(0..0, base.extras.headers.iter().cloned());
        }
        self
    }
}
