//! The rule for retries: whether another attempt may help, and whether the service may have acted already.

use http::StatusCode;

use super::body::ErrorBody;
use super::{Error, ErrorKind};
use crate::Operation;

impl Error {
    /// Returns whether the same call may succeed later without a change, and cannot do twice what was asked. It is the rule by which the
    /// client retries:
    ///
    /// | failure | idempotent operations | others |
    /// |---|---|---|
    /// | could not connect; the deadline or the rate limit let nothing be sent | true | true |
    /// | 429; 503 with the service's own `SERVICE_UNAVAILABLE` | true | true |
    /// | any other 503, 408, 500, 502, 504, 303 to a POST, cut connection, time-out | true | false: it may have been done |
    /// | everything else | false | false |
    ///
    /// The client has retried such a failure already, as often as [`max_retries`](crate::ClientBuilder::max_retries) and its retry budget
    /// allow. So this is for a queue or a timer that makes the call again in minutes, after [`retry_after`](Self::retry_after) at the
    /// earliest.
    ///
    /// [`Operation::is_idempotent`] decides, and not what a call [stated](crate::resources::Call::repeatable). It is false if
    /// [`may_have_reached_server`](Self::may_have_reached_server) is true for an operation that is not idempotent, also where an earlier
    /// attempt of the call is the reason. It is false for the errors of waits, which have a [`run_id`](Self::run_id): what submitted the
    /// run must not be repeated. Wait for that run again.
    ///
    /// ```no_run
    /// # async fn example(client: agentgate::Client) -> agentgate::Result<()> {
    /// match client.runs().cancel("run_3n9x2p").await {
    ///     Err(error) if error.is_retryable() => println!("later, in {:?}", error.retry_after()),
    ///     other => println!("{}", other?.status),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        let is_idempotent = self.operation().is_some_and(|operation| operation.is_idempotent());
        self.run_id().is_none() && self.may_be_repeated(is_idempotent)
    }

    /// Returns whether another attempt may help, and cannot do what was asked a second time. See [`is_retryable`](Self::is_retryable)
    /// for the table; `repeatable` is whether to do it twice is as good as once.
    ///
    /// The error knows by its response whether it may have been done.
    pub(crate) fn may_be_repeated(&self, repeatable: bool) -> bool {
        // A code can say more than the status, so the possible effect counts beside the kind.
        let is_safe = repeatable || !self.may_have_reached_server();
        let may_help = match self.kind() {
            ErrorKind::Connect
            | ErrorKind::RateLimited
            | ErrorKind::Unavailable
            | ErrorKind::Timeout
            | ErrorKind::Interrupted => true,
            ErrorKind::Server => self.status().is_some_and(|status| matches!(status.as_u16(), 500 | 502..=504)),
            ErrorKind::UnexpectedStatus => self.may_have_reached_server(),
            _ => false,
        };
        may_help && is_safe
    }
}

/// Returns whether the service may have acted although it responded with a failure.
///
/// | response | may have acted |
/// |---|---|
/// | 429 | no |
/// | 503 whose body is the service's own error with the code `SERVICE_UNAVAILABLE` | no |
/// | any other 503: gateways send one after they forwarded the request, too | yes |
/// | 408, any other 5xx | yes |
/// | 303 to a POST: the result is elsewhere | yes |
/// | everything else | no |
pub(super) fn may_have_acted(operation: Operation, status: StatusCode, read: &ErrorBody) -> bool {
    match status {
        StatusCode::SERVICE_UNAVAILABLE => !(read.is_documented && read.code.as_deref() == Some("SERVICE_UNAVAILABLE")),
        StatusCode::SEE_OTHER => operation.method() == "POST",
        _ => status == StatusCode::REQUEST_TIMEOUT || status.is_server_error(),
    }
}
