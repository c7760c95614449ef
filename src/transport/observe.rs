//! Reports the progress of a call: a `tracing` span with an event for each wait, attempt and retry, and the
//! [`CallEvent`]s of the client's `on_event`.
//!
//! Field names follow OpenTelemetry's conventions for HTTP clients where they have one. No field holds a secret, a
//! header or a body.

#[cfg(feature = "tracing")]
use std::borrow::Cow;
use std::future::Future;
use std::time::Duration;

use reqwest::Request;
#[cfg(feature = "tracing")]
use tracing::{Instrument, Span, field};

use super::events::{Attempt, AttemptEnd, CallEnd, CallEvent, CallOutcome, RateLimitWait, Retry};
use super::{CallTime, Transport};
use crate::rate_limit::Wait;
#[cfg(feature = "tracing")]
use crate::redact::redact_text;
use crate::response::RawResponse;
#[cfg(feature = "tracing")]
use crate::response::request_id;
use crate::{Error, Operation};

/// The observer of one call. It reports a dropped call if it is dropped before the [`end`](Self::end).
pub(super) struct Observed<'a> {
    transport: &'a Transport,
    operation: Operation,
    begun: Duration,
    time: &'a CallTime,
    waited: Duration,
    delayed: Duration,
    attempts: u32,
    phase: Phase,
    /// When the phase began.
    phase_begun: Duration,
    #[cfg(feature = "tracing")]
    span: Span,
}

/// The part of a call that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Waiting for the rate limit.
    Wait,
    Attempt,
    /// Between the others.
    Between,
    /// The delay before the next attempt.
    Delay,
    /// The call has ended.
    End,
}

impl<'a> Observed<'a> {
    #[cfg_attr(not(feature = "tracing"), expect(unused_variables, reason = "only a span has it"))]
    pub(super) fn new(transport: &'a Transport, operation: Operation, request: &Request, time: &'a CallTime) -> Self {
        let begun = transport.clock.monotonic();
        Self {
            transport,
            operation,
            begun,
            time,
            waited: Duration::ZERO,
            delayed: Duration::ZERO,
            attempts: 0,
            phase: Phase::Between,
            phase_begun: begun,
            #[cfg(feature = "tracing")]
            span: span(operation, request),
        }
    }

    /// Returns the number of attempts so far.
    pub(super) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Begins a phase. Returns the duration of the phase before.
    fn begin(&mut self, phase: Phase) -> Duration {
        let now = self.transport.clock.monotonic();
        let duration = now.saturating_sub(self.phase_begun);
        match self.phase {
            Phase::Wait => {
                self.waited += duration;
                self.time.add_wait(duration);
            }
            Phase::Delay => self.delayed += duration,
            Phase::Attempt | Phase::Between | Phase::End => {}
        }
        (self.phase, self.phase_begun) = (phase, now);
        duration
    }

    /// A wait for the rate limit begins.
    pub(super) fn wait(&self, Wait { reason, ahead, expected }: Wait) {
        #[cfg(feature = "tracing")]
        tracing::debug!(
            parent: &self.span,
            reason = reason.as_str(),
            ahead,
            expected_ms = expected.map(milliseconds),
            "waiting for the rate limit"
        );
        self.emit(CallEvent::Wait(RateLimitWait { operation: self.operation, reason, ahead, expected }));
    }

    pub(super) fn attempt(&mut self, request_bytes: usize) {
        self.attempts += 1;
        let (operation, attempt, waited) = (self.operation, self.attempts, self.begin(Phase::Attempt));
        #[cfg(feature = "tracing")]
        tracing::debug!(parent: &self.span, attempt, waited_ms = milliseconds(waited), "attempt");
        self.emit(CallEvent::Attempt(Attempt { operation, attempt, request_bytes, waited }));
    }

    /// Runs an attempt inside the span.
    #[cfg(feature = "tracing")]
    pub(super) fn within<F: Future>(&self, attempt: F) -> impl Future<Output = F::Output> + use<F> {
        attempt.instrument(self.span.clone())
    }

    #[cfg(not(feature = "tracing"))]
    #[expect(clippy::unused_self, reason = "with tracing, it has the span")]
    pub(super) fn within<F: Future>(&self, attempt: F) -> F {
        attempt
    }

    pub(super) fn attempt_end(&mut self, outcome: Result<&RawResponse, &Error>) {
        let response_bytes = match outcome {
            Ok(response) => response.body.len(),
            Err(error) => error.body().map_or(0, <[u8]>::len),
        };
        self.emit_attempt_end(outcome_of(outcome), response_bytes);
    }

    fn emit_attempt_end(&mut self, outcome: CallOutcome<'_>, response_bytes: usize) {
        let (operation, attempt, duration) = (self.operation, self.attempts, self.begin(Phase::Between));
        self.emit(CallEvent::AttemptEnd(AttemptEnd { operation, attempt, duration, response_bytes, outcome }));
    }

    /// The attempt has failed, and another follows after this delay.
    pub(super) fn retry(&mut self, error: &Error, delay: Duration) {
        #[cfg(feature = "tracing")]
        tracing::warn!(
            parent: &self.span,
            attempt = error.attempts(),
            wait_ms = milliseconds(delay),
            error.type = error.kind().as_str(),
            http.response.status_code = error.status().map(|status| status.as_u16()),
            agentgate.request_id = error.request_id(),
            "attempt failed, trying again"
        );
        self.emit(CallEvent::Retry(Retry { operation: self.operation, attempts: error.attempts(), delay, error }));
        // The delay that a 429 asks for is a wait for the rate limit.
        self.begin(if error.is_rate_limited() { Phase::Wait } else { Phase::Delay });
    }

    /// The delay after a failed attempt has ended, and the next attempt is prepared.
    pub(super) fn prepare(&mut self) {
        self.begin(Phase::Between);
    }

    /// The next attempt takes its place in the queue.
    pub(super) fn queue(&mut self) {
        self.begin(Phase::Wait);
    }

    /// The call has ended.
    pub(super) fn end(mut self, outcome: Result<&RawResponse, &Error>) {
        self.begin(Phase::End);
        #[cfg(feature = "tracing")]
        self.record(outcome);
        self.emit_end(outcome_of(outcome));
    }

    fn emit_end(&self, outcome: CallOutcome<'_>) {
        let Self { operation, attempts, waited, delayed, .. } = *self;
        let duration = self.phase_begun.saturating_sub(self.begun);
        self.emit(CallEvent::End(CallEnd { operation, attempts, duration, waited, delayed, outcome }));
    }

    fn emit(&self, event: CallEvent<'_>) {
        for on_event in &self.transport.on_event {
            on_event(event);
        }
    }

    #[cfg(feature = "tracing")]
    fn record(&self, outcome: Result<&RawResponse, &Error>) {
        let (status, request_id) = match outcome {
            Ok(response) => {
                let id = request_id(&response.headers);
                (Some(response.status), id.map(|id| redact_text(id, self.transport.key())))
            }
            Err(error) => (error.status(), error.request_id().map(Cow::Borrowed)),
        };
        if let Some(status) = status {
            self.span.record("http.response.status_code", status.as_u16());
        }
        if let Some(id) = request_id {
            self.span.record("agentgate.request_id", &*id);
        }
        self.record_times();
        let attempts = self.attempts;
        match outcome {
            Ok(_) => tracing::debug!(parent: &self.span, attempts, "done"),
            Err(error) => {
                self.span.record("error.type", error.kind().as_str());
                // OpenTelemetry's status of a span.
                self.span.record("otel.status_code", "ERROR");
                tracing::debug!(parent: &self.span, attempts, code = error.code(), "failed");
            }
        }
    }

    /// Records the waits and delays. The rest of the span's duration are attempts.
    #[cfg(feature = "tracing")]
    fn record_times(&self) {
        if self.attempts > 1 {
            self.span.record("http.request.resend_count", self.attempts - 1);
            self.span.record("agentgate.delayed_ms", milliseconds(self.delayed));
        }
        // To get a permit at once takes some microseconds.
        if milliseconds(self.waited) > 0 {
            self.span.record("agentgate.waited_ms", milliseconds(self.waited));
        }
    }
}

impl Drop for Observed<'_> {
    fn drop(&mut self) {
        // If the program's own function has panicked, it is not called again.
        if self.phase == Phase::End || std::thread::panicking() {
            return;
        }
        if self.phase == Phase::Attempt {
            self.emit_attempt_end(CallOutcome::Dropped, 0);
        }
        self.begin(Phase::End);
        #[cfg(feature = "tracing")]
        {
            self.record_times();
            tracing::debug!(parent: &self.span, attempts = self.attempts, "dropped");
        }
        self.emit_end(CallOutcome::Dropped);
    }
}

#[cfg(feature = "tracing")]
fn span(operation: Operation, request: &Request) -> Span {
    tracing::info_span!(
        "agentgate",
        otel.name = %format!("{} {}", operation.method(), operation.path()).trim_end(),
        otel.kind = "client",
        otel.status_code = field::Empty,
        agentgate.operation = operation.id(),
        http.request.method = operation.method(),
        url.template = Some(operation.path()).filter(|path| !path.is_empty()),
        server.address = request.url().host_str(),
        server.port = request.url().port_or_known_default(),
        http.response.status_code = field::Empty,
        http.request.resend_count = field::Empty,
        agentgate.waited_ms = field::Empty,
        agentgate.delayed_ms = field::Empty,
        agentgate.request_id = field::Empty,
        error.type = field::Empty,
    )
}

fn outcome_of<'a>(outcome: Result<&RawResponse, &'a Error>) -> CallOutcome<'a> {
    match outcome {
        Ok(response) => CallOutcome::Success(response.status),
        Err(error) => CallOutcome::Failure(error),
    }
}

#[cfg(feature = "tracing")]
fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
