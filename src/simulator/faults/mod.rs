//! Faults on demand: what goes wrong in the world, happening when the test says so.

mod catalogue;
mod damage;
mod network;

use std::borrow::Cow;
use std::time::Duration;

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use chrono::{DateTime, Utc};

use crate::simulator::clock::time::later;
use crate::simulator::faults::damage::Damage;
use crate::simulator::model::error::{ApiError, FieldError};
use crate::simulator::model::rate_limit::Quota;
use crate::simulator::model::response::Answer;
use crate::simulator::routes;
use crate::simulator::server::wire::Script;

/// Something to go wrong with a request, to be given to [`Simulator::inject`](crate::simulator::Simulator::inject).
///
/// A fault happens once, to the next request, in place of what the simulator would have done. The methods change each
/// of these. Of several faults that match a request, the one injected first happens.
///
/// There are three sorts:
///
/// - **Answers**: [`error`](Self::error) and [`response`](Self::response), with [`bad_gateway`](Self::bad_gateway),
///   [`gateway_timeout`](Self::gateway_timeout) and [`redirect`](Self::redirect) made ready.
/// - **No answer**: [`reset`](Self::reset), [`close`](Self::close), [`stall`](Self::stall), and
///   [`bytes`](Self::bytes) that are no HTTP, such as [`garbage`](Self::garbage) and [`tls_alert`](Self::tls_alert).
/// - **The answer itself, damaged on its way**: [`cut_status_line`](Self::cut_status_line),
///   [`cut_headers`](Self::cut_headers), [`cut_body`](Self::cut_body), [`cut_chunks`](Self::cut_chunks),
///   [`stall_body`](Self::stall_body), [`drip`](Self::drip), [`halve_body`](Self::halve_body),
///   [`understate_length`](Self::understate_length) and [`overstate_length`](Self::overstate_length). These carry out
///   the request, for there is no other way to come by its answer.
///
/// The last two end the connection that the request came on, and touch no other.
///
/// ```
/// use agentgate::simulator::Fault;
///
/// // Two answers "come back later", then business as usual:
/// let busy = Fault::error("RATE_LIMITED").header("retry-after", "0").times(2);
///
/// // The work order is accepted and paid for, but the answer gets lost in a proxy:
/// let lost = Fault::bad_gateway().on("createWorkOrder").after_acting();
///
/// // The same, but the connection breaks:
/// let broken = Fault::reset().on("createWorkOrder").after_acting();
/// ```
#[derive(Clone, Debug)]
pub struct Fault {
    effect: Effect,
    status: Option<StatusCode>,
    headers: Vec<(HeaderName, HeaderValue)>,
    operation: Option<&'static str>,
    times: u32,
    after_acting: bool,
}

/// What a fault does to a request.
#[derive(Clone, Debug)]
enum Effect {
    /// It is answered with an error of the API.
    Error { code: Cow<'static, str>, message: Option<String> },
    /// It is answered with these bytes, by nobody who knows the API.
    Response { status: StatusCode, body: Vec<u8> },
    /// It is not answered; this happens instead.
    NoAnswer(Script),
    /// It is answered as it deserves, but the answer suffers on its way.
    Damage(Damage),
}

/// What a fault makes of the answer to a request.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is this one, and arrives.
    Answer(Answer),
    /// It is this one, and suffers on its way.
    Damaged(Answer, Damage),
    /// There is none; this happens instead.
    NoAnswer(Script),
}

/// What the simulator knows when a fault happens, for an error to be about.
pub(crate) struct Scene {
    pub(crate) now: DateTime<Utc>,
    pub(crate) quota: Quota,
    /// The scope that the operation needs.
    pub(crate) scope: Option<&'static str>,
    /// The price of a run, and the credits left, in cents.
    pub(crate) price: u32,
    pub(crate) credits: i64,
}

impl Fault {
    /// An error of the API: the documented status of this code, a message, and details such as the service gives with
    /// it. A code that is not documented has status 500.
    ///
    /// `RATE_LIMITED` says to come back in a second.
    #[must_use]
    pub fn error(code: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Effect::Error { code: code.into(), message: None })
    }

    /// A raw answer, such as a proxy in front of the service would give: HTML, half a JSON, or nothing at all. It
    /// carries no headers of the service, only those that HTTP needs and those of [`header`](Self::header). An empty
    /// `content_type` is left out.
    ///
    /// # Panics
    ///
    /// If `status` is not from 200 to 599, or `content_type` cannot be the value of a header.
    #[must_use]
    pub fn response(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let fault = Self::new(Effect::Response { status: status_code(status), body: body.into() });
        if content_type.is_empty() { fault } else { fault.header(CONTENT_TYPE.as_str(), content_type) }
    }

    fn new(effect: Effect) -> Self {
        Self { effect, status: None, headers: Vec::new(), operation: None, times: 1, after_acting: false }
    }

    /// Answers with this status. Where there is no answer, this changes nothing.
    ///
    /// # Panics
    ///
    /// If `status` is not from 200 to 599.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = Some(status_code(status));
        self
    }

    /// Gives an [`error`](Self::error) another message. Other faults have none and stay as they are.
    #[must_use]
    pub fn message(mut self, message: impl Into<String>) -> Self {
        if let Effect::Error { message: ours, .. } = &mut self.effect {
            *ours = Some(message.into());
        }
        self
    }

    /// Adds a header to the answer, in place of any of this name that it would have by itself. Where there is no answer,
    /// this changes nothing.
    ///
    /// # Panics
    ///
    /// If HTTP does not allow such a name or value.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let header = HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_str(value).ok());
        assert!(header.is_some(), "HTTP does not allow the header {name:?} with the value {value:?}");
        self.headers.extend(header);
        self
    }

    /// Happens to so many requests. 1 by default.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// Happens only to this operation, such as `createWorkOrder`. By default, to all requests, known to the API or not.
    ///
    /// # Panics
    ///
    /// If the API has no such operation.
    #[must_use]
    pub fn on(mut self, operation_id: &str) -> Self {
        let operation = routes::OPERATIONS.iter().find(|operation| operation.id == operation_id);
        assert!(operation.is_some(), "there is no operation {operation_id:?}");
        self.operation = operation.map(|operation| operation.id);
        self
    }

    /// Carries out the request first, and then lets the fault happen instead of the outcome: the work order is there, but
    /// the client does not hear of it. By default, the request has no effect.
    ///
    /// It has been carried out by the time the client sees anything of the fault.
    #[must_use]
    pub fn after_acting(mut self) -> Self {
        self.after_acting = true;
        self
    }

    /// Whether the request is carried out nevertheless: [`after_acting`](Self::after_acting), or by nature.
    #[must_use]
    pub fn is_after_acting(&self) -> bool {
        self.after_acting || matches!(self.effect, Effect::Damage(_))
    }

    /// Whether the answer comes from the service, and so has its headers.
    pub(crate) fn is_from_service(&self) -> bool {
        matches!(self.effect, Effect::Error { .. } | Effect::Damage(_))
    }

    fn matches(&self, operation_id: Option<&str>) -> bool {
        self.operation.is_none_or(|operation| operation_id == Some(operation))
    }

    /// What becomes of a request whose own answer would be this; `None` if it was not carried out.
    pub(crate) fn happen(self, own: Option<Answer>, scene: &Scene) -> Outcome {
        let mut damage = None;
        let mut answer = match self.effect {
            Effect::NoAnswer(script) => return Outcome::NoAnswer(script),
            Effect::Response { status, body } => Answer::raw(status, body),
            Effect::Error { code, message } => {
                let error = api_error(code, scene);
                if let Some(message) = message { error.with_message(message) } else { error }.into_answer()
            }
            Effect::Damage(kind) => {
                damage = Some(kind);
                own.unwrap_or_else(Answer::no_content)
            }
        };
        answer.status = self.status.unwrap_or(answer.status);
        for (name, _) in &self.headers {
            answer.headers.remove(name);
        }
        for (name, value) in self.headers {
            answer.headers.append(name, value);
        }
        match damage {
            None => Outcome::Answer(answer),
            Some(damage) => Outcome::Damaged(answer, damage),
        }
    }
}

fn status_code(status: u16) -> StatusCode {
    assert!((200..600).contains(&status), "{status} is not the status of an answer");
    StatusCode::from_u16(status).unwrap_or_default()
}

/// The error of a code, with details as if it had come about by itself.
fn api_error(code: Cow<'static, str>, scene: &Scene) -> ApiError {
    let field = |code, message: &str| ApiError::fields(code, &[FieldError::new("taskPrompt", message)]);
    match code.as_ref() {
        "MISSING_FIELD" => field("MISSING_FIELD", "is required"),
        "INVALID_VALUE" => field("INVALID_VALUE", "must not be empty"),
        "INVALID_FORMAT" => ApiError::fields("INVALID_FORMAT", &[FieldError::new("body", "is not JSON")]),
        "INSUFFICIENT_CREDITS" => {
            let required = i64::from(scene.price).max(1);
            ApiError::insufficient_credits(required, scene.credits.min(required - 1))
        }
        "SCOPE_REQUIRED" => ApiError::scope_required("SCOPE_REQUIRED", scene.scope.unwrap_or("*"), &[]),
        "INSUFFICIENT_PERMISSIONS" => {
            ApiError::scope_required("INSUFFICIENT_PERMISSIONS", scene.scope.unwrap_or("*"), &[])
        }
        "RATE_LIMITED" => {
            let soon = later(scene.now, Duration::from_secs(1));
            ApiError::rate_limited(Quota { remaining: 0, reset_at: soon, ..scene.quota }, scene.now)
        }
        _ => ApiError::new(code),
    }
}

/// The faults that are still to happen, in the order they were injected.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    pub(crate) fn inject(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    /// The fault that happens to a request of this operation, if any.
    pub(crate) fn take(&mut self, operation_id: Option<&str>) -> Option<Fault> {
        self.0.retain(|fault| fault.times > 0);
        let fault = self.0.iter_mut().find(|fault| fault.matches(operation_id))?;
        fault.times -= 1;
        Some(fault.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(faults: &mut Faults, operations: &[&str]) -> Vec<Option<String>> {
        let code = |fault: Fault| match fault.effect {
            Effect::Error { code, .. } => code.into_owned(),
            other => format!("{other:?}"),
        };
        operations.iter().map(|operation| faults.take(Some(operation)).map(code)).collect()
    }

    #[test]
    fn faults_happen_in_their_order_as_often_as_they_say() {
        let mut faults = Faults::default();
        faults.inject(Fault::error("NEVER").times(0));
        faults.inject(Fault::error("A").times(2));
        faults.inject(Fault::error("B"));
        let seen = codes(&mut faults, &["getRun", "getRun", "getRun", "getRun"]);
        assert_eq!(seen, [Some("A".to_owned()), Some("A".to_owned()), Some("B".to_owned()), None]);
    }

    #[test]
    fn a_fault_of_an_operation_waits_for_it() {
        let mut faults = Faults::default();
        faults.inject(Fault::error("A").on("createWorkOrder"));
        assert!(faults.take(None).is_none());
        assert_eq!(codes(&mut faults, &["getRun", "createWorkOrder"]), [None, Some("A".to_owned())]);
    }

    #[test]
    #[should_panic(expected = "there is no operation \"createWorkorder\"")]
    fn a_misspelt_operation_is_noticed() {
        let _ = Fault::error("A").on("createWorkorder");
    }

    #[test]
    #[should_panic(expected = "HTTP does not allow the header")]
    fn a_header_beyond_http_is_noticed() {
        let _ = Fault::error("A").header("retry after", "1");
    }

    #[test]
    #[should_panic(expected = "600 is not the status of an answer")]
    fn a_status_beyond_http_is_noticed() {
        let _ = Fault::response(600, "", "");
    }
}
