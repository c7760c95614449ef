//! What a call tells the outside while it goes on: a `tracing` span with an event for each attempt, and the client's
//! `on_retry`.
//!
//! Names are OpenTelemetry's for HTTP clients where it has one. No secret, header or body is among the values.

#![cfg_attr(not(feature = "tracing"), allow(clippy::unused_self, reason = "without tracing there is nobody to tell"))]

#[cfg(feature = "tracing")]
use std::borrow::Cow;
use std::future::Future;
use std::time::Duration;

use reqwest::Request;
#[cfg(feature = "tracing")]
use tracing::{Instrument, Span, field};

use super::Transport;
#[cfg(feature = "tracing")]
use crate::redact::redact_text;
use crate::response::Answer;
use crate::{Error, Operation};

/// A retry that is about to happen: what [`ClientBuilder::on_retry`](crate::ClientBuilder::on_retry) is told.
#[derive(Debug)]
#[non_exhaustive]
pub struct Retry<'a> {
    /// The operation that failed.
    pub operation: Operation,
    /// How many attempts have been made.
    pub attempts: u32,
    /// The pause before the next one.
    pub pause: Duration,
    /// Why the last attempt failed.
    pub error: &'a Error,
}

/// Watches one call.
pub(super) struct Observed<'a> {
    transport: &'a Transport,
    operation: Operation,
    #[cfg(feature = "tracing")]
    span: Span,
}

impl<'a> Observed<'a> {
    #[cfg(feature = "tracing")]
    pub(super) fn new(transport: &'a Transport, operation: Operation, request: &Request) -> Self {
        let span = tracing::info_span!(
            "agentgate",
            otel.name = %format!("{} {}", operation.method(), operation.path()).trim_end(),
            otel.kind = "client",
            agentgate.operation = operation.id(),
            http.request.method = operation.method(),
            url.template = Some(operation.path()).filter(|path| !path.is_empty()),
            server.address = request.url().host_str(),
            server.port = request.url().port_or_known_default(),
            http.response.status_code = field::Empty,
            http.request.resend_count = field::Empty,
            agentgate.request_id = field::Empty,
            error.type = field::Empty,
        );
        Self { transport, operation, span }
    }

    #[cfg(not(feature = "tracing"))]
    pub(super) fn new(transport: &'a Transport, operation: Operation, _: &Request) -> Self {
        Self { transport, operation }
    }

    pub(super) fn attempt(&self, attempt: u32) {
        #[cfg(feature = "tracing")]
        tracing::debug!(parent: &self.span, attempt, "attempt");
        #[cfg(not(feature = "tracing"))]
        let _ = attempt;
    }

    /// Puts an attempt inside of the span.
    #[cfg(feature = "tracing")]
    pub(super) fn within<F: Future>(&self, attempt: F) -> impl Future<Output = F::Output> + use<F> {
        attempt.instrument(self.span.clone())
    }

    #[cfg(not(feature = "tracing"))]
    pub(super) fn within<F: Future>(&self, attempt: F) -> F {
        attempt
    }

    pub(super) fn retry(&self, error: &Error, pause: Duration) {
        #[cfg(feature = "tracing")]
        tracing::warn!(
            parent: &self.span,
            attempt = error.attempts(),
            wait_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
            error.type = error.kind().as_str(),
            http.response.status_code = error.status().map(|status| status.as_u16()),
            agentgate.request_id = error.request_id(),
            "attempt failed, trying again"
        );
        if let Some(on_retry) = &self.transport.on_retry {
            on_retry(&Retry { operation: self.operation, attempts: error.attempts(), pause, error });
        }
    }

    #[cfg(feature = "tracing")]
    pub(super) fn end(&self, outcome: Result<&Answer, &Error>) {
        let (attempts, status, request_id) = match outcome {
            Ok(answer) => {
                let id = crate::response::request_id(&answer.headers);
                (answer.attempts, Some(answer.status), id.map(|id| redact_text(id, self.transport.key())))
            }
            Err(error) => (error.attempts(), error.status(), error.request_id().map(Cow::Borrowed)),
        };
        if attempts > 1 {
            self.span.record("http.request.resend_count", attempts - 1);
        }
        if let Some(status) = status {
            self.span.record("http.response.status_code", status.as_u16());
        }
        if let Some(id) = request_id {
            self.span.record("agentgate.request_id", &*id);
        }
        match outcome {
            Ok(_) => tracing::debug!(parent: &self.span, attempts, "done"),
            Err(error) => {
                self.span.record("error.type", error.kind().as_str());
                tracing::debug!(parent: &self.span, attempts, code = error.code(), "failed");
            }
        }
    }

    #[cfg(not(feature = "tracing"))]
    pub(super) fn end(&self, _: Result<&Answer, &Error>) {}
}
