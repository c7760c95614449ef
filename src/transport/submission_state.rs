//! Records whether the request of a submission was sent, for programs that drop the call.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};

/// The state of a submission. Returned by [`Submission::state`](crate::resources::Submission::state).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SubmissionState {
    /// The service has not accepted the work order: nothing was sent, or it was refused. It can be submitted again
    /// without being submitted twice.
    NotSubmitted,
    /// The request was sent, and its outcome is not known.
    Unknown,
    /// The service has accepted the work order.
    Submitted,
}

/// A few words: `not submitted`, `unknown` or `submitted`.
impl fmt::Display for SubmissionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NotSubmitted => "not submitted",
            Self::Unknown => "unknown",
            Self::Submitted => "submitted",
        })
    }
}

const NOT_SENT: u8 = 0;
/// The call has ended, and nothing may be sent.
const NEVER_SENT: u8 = 1;
const SENT: u8 = 2;
/// An attempt has ended, and may have had its effect. No later refusal changes that.
const AMBIGUOUS: u8 = 3;
const ACCEPTED: u8 = 4;

/// The state of a submission, shared by its call and its [`Submission`](crate::resources::Submission).
#[derive(Debug, Default)]
pub(crate) struct SentState(AtomicU8);

impl SentState {
    pub(crate) fn get(&self) -> SubmissionState {
        match self.0.load(Ordering::Acquire) {
            NOT_SENT | NEVER_SENT => SubmissionState::NotSubmitted,
            SENT | AMBIGUOUS => SubmissionState::Unknown,
            _ => SubmissionState::Submitted,
        }
    }

    /// Records that a request is about to be sent. Returns `false` if the call has ended, and it must not be.
    pub(super) fn send(&self) -> bool {
        let sent = self.0.compare_exchange(NOT_SENT, SENT, Ordering::AcqRel, Ordering::Acquire);
        sent != Err(NEVER_SENT)
    }

    /// Records that an attempt has failed, and whether it may have had its effect.
    pub(super) fn failed(&self, may_have_acted: bool) {
        if may_have_acted {
            self.0.store(AMBIGUOUS, Ordering::Release);
        } else {
            let _ = self.0.compare_exchange(SENT, NOT_SENT, Ordering::AcqRel, Ordering::Acquire);
        }
    }

    pub(crate) fn accepted(&self) {
        self.0.store(ACCEPTED, Ordering::Release);
    }

    /// Records that the call has ended or was dropped, so that nothing is sent any more.
    pub(crate) fn close(&self) {
        let _ = self.0.compare_exchange(NOT_SENT, NEVER_SENT, Ordering::AcqRel, Ordering::Acquire);
    }
}

#[cfg(test)]
mod tests {
    use super::{SentState, SubmissionState};

    #[test]
    fn nothing_is_sent_after_a_call_was_dropped_unsent() {
        let state = SentState::default();
        state.close();
        assert!(!state.send());
        assert_eq!(state.get(), SubmissionState::NotSubmitted);
    }

    #[test]
    fn a_sent_request_is_unknown_until_its_response() {
        let state = SentState::default();
        assert!(state.send());
        state.close();
        assert_eq!(state.get(), SubmissionState::Unknown);
        assert!(state.send());
        state.accepted();
        assert_eq!(state.get(), SubmissionState::Submitted);
    }

    #[test]
    fn a_refused_request_may_be_sent_again() {
        let state = SentState::default();
        assert!(state.send());
        state.failed(false);
        assert_eq!(state.get(), SubmissionState::NotSubmitted);
        assert!(state.send());
    }

    #[test]
    fn a_refusal_after_an_unknown_outcome_leaves_it_unknown() {
        let state = SentState::default();
        assert!(state.send());
        state.failed(true);
        assert!(state.send());
        state.failed(false);
        state.close();
        assert_eq!(state.get(), SubmissionState::Unknown);
    }
}
