//! The rules that decide which failures can be retried.

use http::StatusCode;

use super::body::ErrorBody;
use super::{Error, ErrorKind};
use crate::Operation;

impl Error {
    /// Returns `true` if the same call may succeed later and is safe to repeat, because it cannot take effect twice.
    /// The client uses the same rule for its retries:
    ///
    /// | failure | idempotent operations | others |
    /// |---|---|---|
    /// | could not connect; the deadline or the rate limit prevented sending | true | true |
    /// | a certificate was refused, or a proxy requires a password | false | false |
    /// | 429; 503 with the service's own `SERVICE_UNAVAILABLE` | true | true |
    /// | 408, 500, 502, 504, 520 to 530, any other 503, 303 to a POST, cut connection, time-out | true | false: it may have taken effect |
    /// | everything else | false | false |
    ///
    /// The client has already retried such a failure, as often as [`max_retries`](crate::ClientBuilder::max_retries)
    /// and its retry budget allow. Use this for a queue or a timer that makes the call again minutes later, and not
    /// before [`retry_after`](Self::retry_after).
    ///
    /// The result depends on [`Operation::is_idempotent`], and not on
    /// [`Call::repeatable`](crate::resources::Call::repeatable). It is false if
    /// [`may_have_reached_server`](Self::may_have_reached_server) is true for an operation that is not idempotent, even
    /// if only an earlier attempt of the call may have reached the service. It is false for the errors of waits, which
    /// have a [`run_id`](Self::run_id): the run must not be submitted again. Wait for that run again.
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

    /// Returns whether another attempt may succeed, and cannot take effect twice. `repeatable` means that a second
    /// effect does no harm. See [`is_retryable`](Self::is_retryable) for the table.
    pub(crate) fn may_be_repeated(&self, repeatable: bool) -> bool {
        // The kind follows from the code, and the possible effect from the status. Both have to allow a retry.
        let is_safe = repeatable || !self.may_have_reached_server();
        let may_help = match self.kind() {
            ErrorKind::Connect => !self.0.is_final,
            ErrorKind::RateLimited | ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Interrupted => true,
            ErrorKind::Server => {
                self.status().is_some_and(|status| matches!(status.as_u16(), 500 | 502..=504 | 520..=530))
            }
            ErrorKind::UnexpectedStatus => {
                self.status() == Some(StatusCode::SEE_OTHER) && self.may_have_reached_server()
            }
            _ => false,
        };
        may_help && is_safe
    }
}

/// Returns whether the request may have taken effect although the service responded with a failure.
///
/// | response | may have acted |
/// |---|---|
/// | 429 | no |
/// | 503 whose body is the service's own error with the code `SERVICE_UNAVAILABLE` | no |
/// | any other 503: a gateway may have forwarded the request | yes |
/// | 408, any other 5xx, an error with a 2xx | yes |
/// | 303 to a POST: the result is elsewhere | yes |
/// | everything else, whoever responded: gateways refuse requests before they forward them | no |
pub(super) fn may_have_acted(operation: Operation, status: StatusCode, read: &ErrorBody) -> bool {
    match status {
        StatusCode::SERVICE_UNAVAILABLE => read.code.as_deref() != Some("SERVICE_UNAVAILABLE"),
        StatusCode::SEE_OTHER => operation.method() == "POST",
        _ => status == StatusCode::REQUEST_TIMEOUT || status.is_server_error() || status.is_success(),
    }
}
