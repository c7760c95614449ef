//! Faults, as a test orders them.

use std::borrow::Cow;
use std::time::Duration;

use chrono::{DateTime, Utc};
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, StatusCode};

use crate::Operation;
use crate::simulator::clock::time::later;
use crate::simulator::faults::script::{End, Script};
use crate::simulator::model::error::{ApiError, FieldError};
use crate::simulator::model::organization::Organization;
use crate::simulator::model::rate_limit::Quota;
use crate::simulator::model::response::{self, Response};

/// A failure of a request. Ordered with [`Simulator::inject`](crate::simulator::Simulator::inject).
///
/// By default, a fault applies once, to the next request, and the request has no effect. [`times`](Self::times),
/// [`on`](Self::on) and [`after_acting`](Self::after_acting) change that. If several faults match a request, the one
/// injected first applies.
///
/// | Kind | Constructors |
/// |---|---|
/// | An error of the API | [`error`](Self::error) |
/// | Another response, as of a proxy | [`response`](Self::response), [`bad_gateway`](Self::bad_gateway), [`gateway_timeout`](Self::gateway_timeout), [`redirect`](Self::redirect) |
/// | No response | [`reset`](Self::reset), [`close`](Self::close), [`stall`](Self::stall) |
/// | An incomplete response | [`cut_body`](Self::cut_body), [`stall_body`](Self::stall_body) |
/// | Bytes that are not HTTP | [`garbage`](Self::garbage), [`bytes`](Self::bytes) |
///
/// The last three kinds end the connection of their request. Other connections are not affected.
///
/// ```
/// use agentgate::simulator::Fault;
///
/// // The next two requests are rate limited:
/// let busy = Fault::error("RATE_LIMITED").header("retry-after", "0").times(2);
///
/// // The work order is accepted and charged, but a proxy loses the response:
/// let lost = Fault::bad_gateway().on("createWorkOrder").after_acting();
///
/// // The same, but the connection is reset:
/// let reset = Fault::reset().on("createWorkOrder").after_acting();
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

#[derive(Clone, Debug)]
enum Effect {
    /// An error of the API.
    Error { code: Cow<'static, str>, message: Option<String> },
    /// A response that is not the service's.
    Response { status: StatusCode, body: Vec<u8> },
    /// Bytes in place of a response.
    Script(Script),
    /// The first half of the service's response.
    Truncate(End),
}

/// The result of a request with a fault.
#[derive(Debug)]
pub(crate) enum Outcome {
    Response(Response),
    /// The first half of a response.
    Truncated(Response, End),
    Script(Script),
}

/// # Errors and other responses
impl Fault {
    /// An error of the API with this code: its documented status, a message, and its documented details. An
    /// undocumented code has status 500.
    ///
    /// `RATE_LIMITED` has a `Retry-After` of one second.
    #[must_use]
    pub fn error(code: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Effect::Error { code: code.into(), message: None })
    }

    /// A response with this status and body, such as a proxy's. It has none of the service's headers. An empty
    /// `content_type` is omitted.
    ///
    /// # Panics
    ///
    /// Panics if `status` is not from 200 to 599, or `content_type` is not a valid header value.
    #[must_use]
    pub fn response(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let fault = Self::new(Effect::Response { status: status_code(status), body: body.into() });
        if content_type.is_empty() { fault } else { fault.header(CONTENT_TYPE.as_str(), content_type) }
    }

    /// The HTML page of a proxy that received no valid response from the service: 502.
    #[must_use]
    pub fn bad_gateway() -> Self {
        page(502, "Bad Gateway")
    }

    /// The HTML page of a proxy whose request to the service timed out: 504. The service may have carried out the
    /// request, see [`after_acting`](Self::after_acting).
    #[must_use]
    pub fn gateway_timeout() -> Self {
        page(504, "Gateway Time-out")
    }

    /// A redirect to a login page, as from a proxy that protects a network: 302. The page does not exist.
    #[must_use]
    pub fn redirect() -> Self {
        page(302, "Found").header("location", "https://login.example.com/?return=%2Fv1")
    }
}

/// # No response, or none that is valid
///
/// The request has no effect, unless [`after_acting`](Self::after_acting) is set.
impl Fault {
    /// Resets the connection. The client's read fails with "connection reset by peer".
    #[must_use]
    pub fn reset() -> Self {
        Self::script("", End::Reset)
    }

    /// Closes the connection. The client reads the end of the stream in place of a status line.
    #[must_use]
    pub fn close() -> Self {
        Self::script("", End::Close)
    }

    /// Sends nothing, and keeps the connection open until the client closes it, the simulator is dropped, or it
    /// [refuses connections](crate::simulator::Simulator::refuse_connections).
    #[must_use]
    pub fn stall() -> Self {
        Self::script("", End::Stall)
    }

    /// Sends these bytes and closes the connection.
    #[must_use]
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self::script(bytes, End::Close)
    }

    /// Sends bytes that are not HTTP, and closes the connection.
    #[must_use]
    pub fn garbage() -> Self {
        // The banner of a mail server, and bytes that are not text.
        Self::bytes(b"220 mail.example.com ESMTP\r\n\x00\xff\xfe\x80garbage\r\n\r\n")
    }

    fn script(bytes: impl Into<Vec<u8>>, end: End) -> Self {
        Self::new(Effect::Script(Script { bytes: bytes.into(), end }))
    }
}

/// # An incomplete response
///
/// The request is carried out, because otherwise there would be no response. A response without a body (204) is
/// complete.
impl Fault {
    /// Sends the first half of the body, and closes the connection.
    #[must_use]
    pub fn cut_body() -> Self {
        Self::new(Effect::Truncate(End::Close))
    }

    /// Sends the first half of the body and nothing more, and keeps the connection open, as [`stall`](Self::stall)
    /// does.
    #[must_use]
    pub fn stall_body() -> Self {
        Self::new(Effect::Truncate(End::Stall))
    }
}

/// # Settings
impl Fault {
    fn new(effect: Effect) -> Self {
        Self { effect, status: None, headers: Vec::new(), operation: None, times: 1, after_acting: false }
    }

    /// Sets the status of the response. Has no effect on a fault without a response.
    ///
    /// # Panics
    ///
    /// Panics if `status` is not from 200 to 599.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = Some(status_code(status));
        self
    }

    /// Sets the message of an [`error`](Self::error). Has no effect on other faults.
    #[must_use]
    pub fn message(mut self, text: impl Into<String>) -> Self {
        if let Effect::Error { message, .. } = &mut self.effect {
            *message = Some(text.into());
        }
        self
    }

    /// Adds a header to the response. It replaces the header that the response has by itself. Has no effect on a fault
    /// without a response.
    ///
    /// # Panics
    ///
    /// Panics if the name or the value is invalid in HTTP.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let header = HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_str(value).ok());
        assert!(header.is_some(), "HTTP does not allow the header {name:?} with the value {value:?}");
        self.headers.extend(header);
        self
    }

    /// Sets the number of requests that the fault applies to. Defaults to 1.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// Restricts the fault to an operation, such as `createWorkOrder`. Defaults to all requests.
    ///
    /// # Panics
    ///
    /// Panics if the API has no such operation.
    #[must_use]
    pub fn on(mut self, operation_id: &str) -> Self {
        let operation = Operation::ALL.iter().find(|operation| operation.id() == operation_id);
        assert!(operation.is_some(), "there is no operation {operation_id:?}");
        self.operation = operation.map(Operation::id);
        self
    }

    /// Carries out the request before the fault applies: the work order exists, but the client does not know. By
    /// default, the request has no effect.
    ///
    /// The request has been carried out when the client notices the fault.
    #[must_use]
    pub fn after_acting(mut self) -> Self {
        self.after_acting = true;
        self
    }

    /// Returns `true` if the request is carried out: with [`after_acting`](Self::after_acting), and for a fault that
    /// needs the service's response.
    #[must_use]
    pub fn is_after_acting(&self) -> bool {
        self.after_acting || matches!(self.effect, Effect::Truncate(_))
    }

    /// Returns one fault of each kind with a short name, for a test of all faults. Kinds may be added.
    ///
    /// [`stall`](Self::stall) and [`stall_body`](Self::stall_body) are included, so the client needs a short time-out.
    ///
    /// ```
    /// use agentgate::simulator::{Fault, Simulator};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// for (name, fault) in Fault::catalogue() {
    ///     let simulator = Simulator::start().await?;
    ///     simulator.inject(fault.on("createWorkOrder").after_acting());
    ///     // ... submit a work order here ...
    ///     assert!(simulator.work_order_count() <= 1, "submitted twice: {name}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn catalogue() -> Vec<(&'static str, Self)> {
        vec![
            ("rate_limited", Self::error("RATE_LIMITED")),
            ("service_unavailable", Self::error("SERVICE_UNAVAILABLE")),
            ("internal_error", Self::error("INTERNAL_ERROR")),
            ("bad_gateway", Self::bad_gateway()),
            ("empty_bad_gateway", Self::response(502, "", "")),
            ("gateway_timeout", Self::gateway_timeout()),
            ("redirect", Self::redirect()),
            ("no_content", Self::response(204, "", "")),
            ("reset", Self::reset()),
            ("close", Self::close()),
            ("stall", Self::stall()),
            ("garbage", Self::garbage()),
            ("cut_body", Self::cut_body()),
            ("stall_body", Self::stall_body()),
        ]
    }
}

impl Fault {
    /// Returns `true` if the response is the service's and has its headers.
    pub(crate) fn is_from_service(&self) -> bool {
        matches!(self.effect, Effect::Error { .. } | Effect::Truncate(_))
    }

    /// Applies the fault to a request. `own` is the service's response if the request was carried out.
    pub(crate) fn apply(
        self,
        own: Option<Response>,
        operation: Option<Operation>,
        organization: &Organization,
        now: DateTime<Utc>,
    ) -> Outcome {
        let (mut response, end) = match self.effect {
            Effect::Script(script) => return Outcome::Script(script),
            Effect::Response { status, body } => (response::new(status, body), None),
            Effect::Error { code, message } => {
                let error = api_error(code, operation, organization, now);
                let error = if let Some(message) = message { error.with_message(message) } else { error };
                (error.into_response(), None)
            }
            Effect::Truncate(end) => (own.unwrap_or_else(response::no_content), Some(end)),
        };
        if let Some(status) = self.status {
            *response.status_mut() = status;
        }
        for (name, _) in &self.headers {
            response.headers_mut().remove(name);
        }
        for (name, value) in self.headers {
            response.headers_mut().append(name, value);
        }
        match end {
            None => Outcome::Response(response),
            Some(end) => Outcome::Truncated(response, end),
        }
    }
}

/// A page as nginx writes it.
fn page(status: u16, reason: &str) -> Fault {
    let body = format!(
        "<html>\r\n<head><title>{status} {reason}</title></head>\r\n<body>\r\n<center><h1>{status} {reason}</h1></center>\
         \r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    );
    Fault::response(status, "text/html", body).header("server", "nginx")
}

fn status_code(status: u16) -> StatusCode {
    assert!((200..600).contains(&status), "{status} is not the status of a response");
    StatusCode::from_u16(status).unwrap_or_default()
}

/// Returns the error of a code, with details as if the service had caused it.
fn api_error(
    code: Cow<'static, str>,
    operation: Option<Operation>,
    organization: &Organization,
    now: DateTime<Utc>,
) -> ApiError {
    let field = |code, name, message: &str| ApiError::fields(code, &[FieldError::new(name, message)]);
    let scope = |code| ApiError::scope_required(code, operation.map_or("*", |operation| operation.scope()), &[]);
    match code.as_ref() {
        "MISSING_FIELD" => field("MISSING_FIELD", "taskPrompt", "is required"),
        "INVALID_VALUE" => field("INVALID_VALUE", "taskPrompt", "must not be empty"),
        "INVALID_FORMAT" => field("INVALID_FORMAT", "body", "is not JSON"),
        "INSUFFICIENT_CREDITS" => {
            let required = i64::from(organization.settings.price).max(1);
            ApiError::insufficient_credits(required, organization.credits.total().min(required - 1))
        }
        "SCOPE_REQUIRED" => scope("SCOPE_REQUIRED"),
        "INSUFFICIENT_PERMISSIONS" => scope("INSUFFICIENT_PERMISSIONS"),
        "RATE_LIMITED" => {
            let reset_at = later(now, Duration::from_secs(1));
            let quota = organization.requests.quota(now);
            ApiError::rate_limited(Quota { remaining: 0, reset_at, ..quota }, now)
        }
        _ => ApiError::new(code),
    }
}

/// The injected faults that have not applied yet, in order.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    pub(crate) fn inject(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub(crate) fn take(&mut self, operation: Option<Operation>) -> Option<Fault> {
        self.0.retain(|fault| fault.times > 0);
        let matches = |fault: &&mut Fault| fault.operation.is_none_or(|id| operation.is_some_and(|it| it.id() == id));
        let fault = self.0.iter_mut().find(matches)?;
        fault.times -= 1;
        Some(fault.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "there is no operation \"createWorkorder\"")]
    fn an_unknown_operation_panics() {
        let _ = Fault::error("A").on("createWorkorder");
    }

    #[test]
    #[should_panic(expected = "HTTP does not allow the header")]
    fn an_invalid_header_panics() {
        let _ = Fault::error("A").header("retry after", "1");
    }

    #[test]
    #[should_panic(expected = "600 is not the status of a response")]
    fn an_invalid_status_panics() {
        let _ = Fault::response(600, "", "");
    }
}
