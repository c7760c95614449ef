//! The description of a wait for a permit.

use std::fmt;
use std::time::Duration;

/// The reason why a call waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WaitReason {
    /// The requests of the present minute are spent.
    RateLimit,
    /// The work orders that may be submitted in a minute are spent.
    Submissions,
    /// A response that was not the service's own has reported the limit, such as that of a gateway.
    Gateway,
    /// No response has arrived yet, so the rate limit is not known. Until then, no more than 10 requests are in flight.
    FirstResponse,
}

impl WaitReason {
    /// Returns the name as an identifier, such as `rate_limit`: fit for a metric's label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RateLimit => "rate_limit",
            Self::Submissions => "submissions",
            Self::Gateway => "gateway",
            Self::FirstResponse => "first_response",
        }
    }
}

/// The same as [`as_str`](Self::as_str).
impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    pub(crate) reason: WaitReason,
    /// The number of calls in front.
    pub(crate) ahead: u32,
    /// `None` if it is not known.
    pub(crate) expected: Option<Duration>,
}
