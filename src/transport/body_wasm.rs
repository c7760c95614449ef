//! Request bodies on WebAssembly, where the HTTP client does not report whether they were sent. Each counts as sent.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Request;

use super::submission_state::SentState;

/// The longest time-out of `fetch` that reqwest takes.
const LONGEST_TIMEOUT: Duration = Duration::from_millis(i32::MAX as u64);

/// A body that cannot be withdrawn.
pub(super) struct Unsent;

impl Unsent {
    /// Counts the body of a request as sent. Returns `None` if it has no body.
    pub(super) fn replace_body(request: &mut Request, sent: Option<&Arc<SentState>>) -> Option<Self> {
        if let Some(timeout) = request.timeout_mut() {
            *timeout = LONGEST_TIMEOUT.min(*timeout);
        }
        request.body()?.as_bytes().filter(|bytes| !bytes.is_empty())?;
        if let Some(sent) = sent {
            sent.send();
        }
        Some(Self)
    }

    /// Returns `false`, as the body counts as sent.
    pub(super) fn withdraw(&self) -> bool {
        false
    }
}
