//! [`CallEvent`]: the events of calls that a program can observe.

use std::time::Duration;

use http::StatusCode;

use crate::rate_limit::WaitReason;
use crate::types::{RunId, WorkOrderId};
use crate::{Error, Operation};

/// An event in the course of a call. Received by the function that was given to
/// [`ClientBuilder::on_event`](crate::ClientBuilder::on_event).
///
/// The events of one call have this order, and are emitted on the task or thread that polls the call:
///
/// ```text
/// (Wait)  Attempt  AttemptEnd  (Retry  (Wait)  Attempt  AttemptEnd)…  End
/// ```
///
/// If a call is dropped, it has an [`AttemptEnd`](Self::AttemptEnd) for an attempt under way, and an
/// [`End`](Self::End), both with [`CallOutcome::Dropped`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum CallEvent<'a> {
    /// The call begins to wait for the rate limit.
    Wait(RateLimitWait),
    /// An attempt begins.
    Attempt(Attempt),
    /// An attempt has ended.
    AttemptEnd(AttemptEnd<'a>),
    /// An attempt has failed, and another follows after a delay.
    Retry(Retry<'a>),
    /// The call has ended.
    End(CallEnd<'a>),
    /// A submission has created more than one work order. This happens behind a proxy that repeats requests. The search
    /// for a submission whose response was lost reports it, beside the events of its own calls.
    Duplicate(Duplicate<'a>),
}

/// A work order that a submission has created beside the one that its call returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Duplicate<'a> {
    /// The work order.
    pub work_order_id: &'a WorkOrderId,
    /// Its run, which costs credits unless it is [cancelled](crate::resources::Runs::cancel).
    pub run_id: &'a RunId,
}

/// A wait for the rate limit that begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimitWait {
    /// The operation that is called.
    pub operation: Operation,
    /// The reason for the wait.
    pub reason: WaitReason,
    /// The number of calls in front of this one, in this client and its clones.
    pub ahead: u32,
    /// The expected time of the wait, at least. `None` if it is not known.
    pub expected: Option<Duration>,
}

/// An attempt that begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// The operation that is called.
    pub operation: Operation,
    /// The number of the attempt in its call, from 1.
    pub attempt: u32,
    /// The size of the request's body in bytes.
    pub request_bytes: usize,
    /// The time that this attempt waited for the rate limit.
    pub waited: Duration,
}

/// An attempt that has ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct AttemptEnd<'a> {
    /// The operation that is called.
    pub operation: Operation,
    /// The number of the attempt in its call, from 1.
    pub attempt: u32,
    /// The time from the beginning of the attempt to the last byte of the response, or to the failure.
    pub duration: Duration,
    /// The size of the response's body in bytes. At most 64 KiB for a failure, which is all that is kept.
    pub response_bytes: usize,
    /// The result.
    pub outcome: CallOutcome<'a>,
}

/// A retry that is about to happen. Received by [`ClientBuilder::on_retry`](crate::ClientBuilder::on_retry), too.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Retry<'a> {
    /// The operation that failed.
    pub operation: Operation,
    /// The number of attempts that were made.
    pub attempts: u32,
    /// The delay before the next attempt.
    pub delay: Duration,
    /// The failure of the last attempt.
    pub error: &'a Error,
}

/// A call that has ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct CallEnd<'a> {
    /// The operation that was called.
    pub operation: Operation,
    /// The number of attempts that were made. 0 if nothing was sent.
    pub attempts: u32,
    /// The total time of the call.
    pub duration: Duration,
    /// The part of the duration in which the call waited for the rate limit, including the delays after a 429.
    pub waited: Duration,
    /// The part of the duration that were other delays between attempts.
    pub delayed: Duration,
    /// The result.
    pub outcome: CallOutcome<'a>,
}

/// The result of an attempt or a call.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum CallOutcome<'a> {
    /// A successful response, with its status. The body is decoded later, which may fail.
    Success(StatusCode),
    /// A failure.
    Failure(&'a Error),
    /// The future was dropped before there was a result.
    Dropped,
}

impl CallOutcome<'_> {
    /// Returns the status of the response, if there was one.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Success(status) => Some(*status),
            Self::Failure(error) => error.status(),
            Self::Dropped => None,
        }
    }

    /// Returns the failure, if it is one.
    #[must_use]
    pub fn error(&self) -> Option<&Error> {
        match self {
            Self::Failure(error) => Some(error),
            Self::Success(_) | Self::Dropped => None,
        }
    }
}

/// Receives the events of all calls of a client.
pub(crate) type OnEvent = std::sync::Arc<dyn Fn(CallEvent<'_>) + Send + Sync>;
