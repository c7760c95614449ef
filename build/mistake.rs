//! Mistakes in a contract.

use std::fmt;

/// One mistake in `openapi.yaml`. Displays as a single line: the file, the place in it, what is wrong and what to do.
#[derive(Debug)]
pub struct Mistake {
    place: String,
    message: String,
}

impl Mistake {
    /// A mistake at a place such as `paths./v1/runs.get.parameters[2]`.
    pub fn at(place: impl fmt::Display, message: impl fmt::Display) -> Self {
        Self { place: place.to_string(), message: message.to_string() }
    }
}

impl fmt::Display for Mistake {
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

impl std::error::Error for Mistake {}

#[cfg(test)]
mod tests {
    use super::Mistake;

    #[test]
    fn a_mistake_is_always_one_line() {
        let mistake = Mistake::at("paths./v1/runs", "first\n   second\n");
        assert_eq!(mistake.to_string(), "openapi.yaml: paths./v1/runs: first second");
    }
}
