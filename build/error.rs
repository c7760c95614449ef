//! The error of a contract that cannot be used.

use std::fmt;

/// An error in `openapi.yaml`. Displays as a single line: the file, the place in it, the problem and its correction.
#[derive(Debug)]
pub struct SpecError {
    place: String,
    message: String,
}

impl SpecError {
    /// Creates the error of a place such as `paths./v1/runs.get.parameters[2]`.
    pub fn at(place: impl fmt::Display, message: impl fmt::Display) -> Self {
        Self { place: place.to_string(), message: message.to_string() }
    }
}

/// Returns the error at a place.
pub fn fail<T>(place: impl fmt::Display, message: impl fmt::Display) -> Result<T, SpecError> {
    Err(SpecError::at(place, message))
}

/// Returns the error at a place if there is a problem.
pub fn refuse(is_wrong: bool, place: impl fmt::Display, message: impl fmt::Display) -> Result<(), SpecError> {
    if is_wrong { fail(place, message) } else { Ok(()) }
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = self.message.split_whitespace().collect::<Vec<_>>().join(" ");
        if self.place.is_empty() {
            write!(f, "openapi.yaml: {message}")
        } else {
            // A key may hold anything.
            write!(f, "openapi.yaml: {}: {message}", self.place.replace(char::is_control, "?"))
        }
    }
}

impl std::error::Error for SpecError {}
