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

#[cfg(test)]
mod tests {
    use super::SpecError;

    #[test]
    fn an_error_is_always_one_line() {
        let error = SpecError::at("paths./v1/runs", "first\n   second\n");
        assert_eq!(error.to_string(), "openapi.yaml: paths./v1/runs: first second");
    }
}
