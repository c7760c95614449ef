//! The texts of errors: one line with the operation, the failure and the advice.

use std::fmt;

use super::response::FailedResponse;
use super::text::one_line;
use super::{Error, ceil_seconds};
use crate::redact::redact_text;

/// One line with the operation, the failure and the advice. Secrets that got into the text, for example from a run, are
/// redacted.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = String::new();
        write_line(&mut line, self)?;
        f.write_str(&redact_text(&line, &[]))
    }
}

fn write_line(f: &mut impl fmt::Write, error: &Error) -> fmt::Result {
    match (&error.0.description, error.operation(), error.run_id()) {
        (Some(description), ..) => write!(f, "could not {}: ", one_line(description))?,
        (None, Some(operation), _) => write!(f, "could not {}: ", lower_first(operation.summary()))?,
        (None, None, Some(id)) => write!(f, "run {} ", one_line(id.as_str()))?,
        (None, None, None) => write!(f, "could not {}: ", error.0.task)?,
    }
    match (&error.0.problem, error.response()) {
        (Some(problem), Some(response)) => {
            write!(f, "{}", one_line(problem))?;
            if hides_body(error, response) {
                write!(f, "; status {}, {HIDDEN}", response.raw.status.as_u16())?;
            } else if !response.excerpt.is_empty() {
                let says = if response.raw.is_page() { "the page says" } else { "the body starts with" };
                write!(f, "; status {}, {says} `{}`", response.raw.status.as_u16(), response.excerpt)?;
            }
        }
        (Some(problem), None) => write!(f, "{}", one_line(problem))?,
        (None, Some(response)) if hides_body(error, response) => write!(f, "{}, {HIDDEN}", response.status())?,
        (None, Some(response)) => write_response(f, response)?,
        (None, None) => write!(f, "{}", error.kind())?,
    }
    write_details(f, error)?;
    write!(f, ". {}", error.0.advice)?;
    if let Some(origin) = error.0.key_origin {
        write!(f, " The key is the one {origin}.")?;
    }
    if let Some(wait) = error.retry_after().filter(|_| error.response().is_some()) {
        write!(f, " The next attempt should wait {} s.", ceil_seconds(wait))?;
    }
    if error.may_have_reached_server() && error.operation().is_some_and(|operation| !operation.is_idempotent()) {
        match &error.0.search {
            Some(result) => write!(f, " The request may have taken effect: {}", one_line(result))?,
            None => f.write_str(" The request may have taken effect: check before you repeat it.")?,
        }
    }
    write_footer(f, error)
}

const HIDDEN: &str = "the body is not shown, as it may hold the secret";

/// Returns whether the response may contain a secret that redaction does not recognize. Failures (4xx, 5xx) do not.
fn hides_body(error: &Error, response: &FailedResponse) -> bool {
    let may_succeed = !response.raw.status.is_client_error() && !response.raw.status.is_server_error();
    may_succeed && error.operation().is_some_and(|operation| operation.returns_secret())
}

/// The same as `Display` for `{:?}`, which a program prints when its `main` returns the error. `{:#?}` shows every
/// field.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() { f.write_str(&redact_text(&format!("{:#?}", self.0), &[])) } else { write!(f, "{self}") }
    }
}

fn write_response(f: &mut impl fmt::Write, response: &FailedResponse) -> fmt::Result {
    let status = response.status();
    match (&response.read.code, &response.read.message) {
        (Some(code), Some(message)) => write!(f, "{} {code}: {}", response.raw.status.as_u16(), sentence(message)),
        (Some(code), None) => write!(f, "{} {code}", response.raw.status.as_u16()),
        (None, Some(message)) => write!(f, "{status}: {}", sentence(message)),
        (None, None) if response.excerpt.is_empty() => write!(f, "{status} with an empty body"),
        (None, None) if response.raw.is_page() => write!(f, "{status} with a page that says `{}`", response.excerpt),
        (None, None) => {
            write!(f, "{status} with a body that is not an error of the service; it starts with `{}`", response.excerpt)
        }
    }
}

fn write_details(f: &mut impl fmt::Write, error: &Error) -> fmt::Result {
    // Some messages already contain their field errors.
    let message = error.message().unwrap_or_default();
    let faults: Vec<_> = error
        .field_errors()
        .iter()
        .filter(|fault| !message.contains(&fault.message) || !message.contains(&fault.field))
        .map(|fault| format!("{}: {}", one_line(&fault.field), sentence(&fault.message)))
        .collect();
    if !faults.is_empty() {
        write!(f, " [{}]", faults.join("; "))?;
    }
    if let Some(scope) = error.required_scope() {
        write!(f, " [needs scope {}; the key has {}]", one_line(scope), one_line(&list(&error.available_scopes())))?;
    }
    if let Some(credits) = error.credits() {
        write!(f, " [required {}, available {}]", credits.required, credits.available)?;
    }
    if let Some(senders) = error.response().map(|response| &response.senders).filter(|senders| !senders.is_empty()) {
        write!(f, " [{senders}]")?;
    }
    Ok(())
}

fn write_footer(f: &mut impl fmt::Write, error: &Error) -> fmt::Result {
    let mut parts = Vec::new();
    if let Some(id) = error.run_id().filter(|_| error.operation().is_some()) {
        parts.push(format!("run {}", one_line(id.as_str())));
    }
    if error.attempts() > 1 {
        parts.push(format!("{} attempts", error.attempts()));
    }
    if let Some(id) = error.request_id() {
        parts.push(format!("request id {}", one_line(id)));
    }
    if parts.is_empty() { Ok(()) } else { write!(f, " ({})", parts.join(", ")) }
}

fn list(words: &[&str]) -> String {
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

/// `Submit a work order` → `submit a work order`.
fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// Returns the message without a trailing full stop, which the line adds itself.
fn sentence(text: &str) -> String {
    one_line(text).trim_end_matches('.').to_owned()
}
