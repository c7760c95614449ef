//! What a call tells the outside while it goes on: a `tracing` span with an event for each wait, attempt and retry, and the
//! [`CallEvent`]s of the client's `on_event`.
//!
//! Names are OpenTelemetry's for HTTP clients where it has one. No secret, header or body is among the values.

#[cfg(feature = "tracing")]
use std::borrow::Cow;
use std::future::Future;
use std::time::Duration;

use reqwest::Request;
#[cfg(feature = "tracing")]
use tracing::{Instrument, Span, field};

use super::Transport;
use super::events::{Attempt, AttemptEnd, CallEnd, CallEvent, CallOutcome, RateLimitWait, Retry};
use crate::rate_limit::Wait;
#[cfg(feature = "tracing")]
use crate::redact::redact_text;
use crate::response::Answer;
use crate::{Error, Operation};

/// Watches one call. Dropped before the [`end`](Self::end), it tells that the call was dropped.
pub(super) struct Observed<'a> {
    transport: &'a Transport,
    operation: Operation,
    begun: Duration,
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
    /// The attempt has ended.
    Decision,
    /// The delay before the next attempt.
    Delay,
    /// The call has ended.
    End,
}

impl<'a> Observed<'a> {
    #[cfg_attr(not(feature = "tracing"), expect(unused_variables, reason = "only a span has it"))]
    pub(super) fn new(transport: &'a Transport, operation: Operation, request: &Request) -> Self {
        let begun = transport.clock.monotonic();
        Self {
            transport,
            operation,
            begun,
            waited: Duration::ZERO,
            delayed: Duration::ZERO,
            attempts: 0,
            phase: Phase::Wait,
            phase_begun: begun,
            #[cfg(feature = "tracing")]
            span: span(operation, request),
        }
    }

    /// Returns the number of attempts so far.
    pub(super) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Returns the time that the call has waited for the rate limit so far.
    pub(super) fn waited(&self) -> Duration {
        self.waited
    }

    /// Begins a phase. Returns how long the phase before took.
    fn begin(&mut self, phase: Phase) -> Duration {
        let now = self.transport.clock.monotonic();
        let duration = now.saturating_sub(self.phase_begun);
        match self.phase {
            Phase::Wait => self.waited += duration,
            Phase::Delay => self.delayed += duration,
            Phase::Attempt | Phase::Decision | Phase::End => {}
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
        self.tell(CallEvent::Wait(RateLimitWait { operation: self.operation, reason, ahead, expected }));
    }

    /// An attempt begins.
    pub(super) fn attempt(&mut self, request_bytes: usize) {
        self.attempts += 1;
        let (operation, attempt, waited) = (self.operation, self.attempts, self.begin(Phase::Attempt));
        #[cfg(feature = "tracing")]
        tracing::debug!(parent: &self.span, attempt, waited_ms = milliseconds(waited), "attempt");
        self.tell(CallEvent::Attempt(Attempt { operation, attempt, request_bytes, waited }));
    }

    /// Puts an attempt inside of the span.
    #[cfg(feature = "tracing")]
    pub(super) fn within<F: Future>(&self, attempt: F) -> impl Future<Output = F::Output> + use<F> {
        attempt.instrument(self.span.clone())
    }

    #[cfg(not(feature = "tracing"))]
    #[expect(clippy::unused_self, reason = "with tracing, it has the span")]
    pub(super) fn within<F: Future>(&self, attempt: F) -> F {
        attempt
    }

    /// The attempt has ended.
    pub(super) fn attempt_end(&mut self, outcome: Result<&Answer, &Error>) {
        let response_bytes = match outcome {
            Ok(answer) => answer.body.len(),
            Err(error) => error.body().map_or(0, <[u8]>::len),
        };
        self.tell_attempt_end(told(outcome), response_bytes);
    }

    fn tell_attempt_end(&mut self, outcome: CallOutcome<'_>, response_bytes: usize) {
        let (operation, attempt, duration) = (self.operation, self.attempts, self.begin(Phase::Decision));
        self.tell(CallEvent::AttemptEnd(AttemptEnd { operation, attempt, duration, response_bytes, outcome }));
    }

    /// The attempt has failed, and another follows after this delay.
    pub(super) fn retry(&mut self, error: &Error, pause: Duration) {
        #[cfg(feature = "tracing")]
        tracing::warn!(
            parent: &self.span,
            attempt = error.attempts(),
            wait_ms = milliseconds(pause),
            error.type = error.kind().as_str(),
            http.response.status_code = error.status().map(|status| status.as_u16()),
            agentgate.request_id = error.request_id(),
            "attempt failed, trying again"
        );
        self.tell(CallEvent::Retry(Retry { operation: self.operation, attempts: error.attempts(), pause, error }));
        // The delay that a 429 asks for is a wait for the rate limit.
        self.begin(if error.is_rate_limited() { Phase::Wait } else { Phase::Delay });
    }

    /// The delay after a failed attempt has ended.
    pub(super) fn delay_end(&mut self) {
        self.begin(Phase::Wait);
    }

    /// The call has ended.
    pub(super) fn end(mut self, outcome: Result<&Answer, &Error>) {
        self.begin(Phase::End);
        #[cfg(feature = "tracing")]
        self.record(outcome);
        self.tell_end(told(outcome));
    }

    fn tell_end(&self, outcome: CallOutcome<'_>) {
        let Self { operation, attempts, waited, delayed, .. } = *self;
        let duration = self.phase_begun.saturating_sub(self.begun);
        self.tell(CallEvent::End(CallEnd { operation, attempts, duration, waited, delayed, outcome }));
    }

    fn tell(&self, event: CallEvent<'_>) {
        for on_event in &self.transport.on_event {
            on_event(event);
        }
    }

    #[cfg(feature = "tracing")]
    fn record(&self, outcome: Result<&Answer, &Error>) {
        let (status, request_id) = match outcome {
            Ok(answer) => {
                let id = crate::response::request_id(&answer.headers);
                (Some(answer.status), id.map(|id| redact_text(id, self.transport.key())))
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

    /// Tells the waits and delays apart from the attempts, which are the rest of the span's duration.
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
        // A panic of the program's own function is no reason to call it once more.
        if self.phase == Phase::End || std::thread::panicking() {
            return;
        }
        if self.phase == Phase::Attempt {
            self.tell_attempt_end(CallOutcome::Dropped, 0);
        }
        self.begin(Phase::End);
        #[cfg(feature = "tracing")]
        {
            self.record_times();
            tracing::debug!(parent: &self.span, attempts = self.attempts, "dropped");
        }
        self.tell_end(CallOutcome::Dropped);
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

fn told<'a>(outcome: Result<&Answer, &'a Error>) -> CallOutcome<'a> {
    match outcome {
        Ok(answer) => CallOutcome::Success(answer.status),
        Err(error) => CallOutcome::Failure(error),
    }
}

#[cfg(feature = "tracing")]
fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
