//! [`SubmissionToken`]: by which a submission is recognized.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Error, Result};

/// A token by which a submitted work order is recognized: in its metadata, as `agentgate-submission`. It is a random UUID.
///
/// Each submission has one of its own, without your doing. A program that has to find its submissions after a restart stores the token
/// before it submits: see [`Call::resume`](super::Call::resume).
///
/// ```
/// use agentgate::resources::SubmissionToken;
///
/// let token = SubmissionToken::random();
/// let stored = token.to_string();
/// assert_eq!(stored.parse::<SubmissionToken>()?, token);
/// # Ok::<(), agentgate::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SubmissionToken(Uuid);

impl SubmissionToken {
    /// Creates a random token, which no other submission has.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// Returns the token that a work order has, from its text. A text that this crate did not write is nobody's token.
    pub(super) fn of_order(text: &str) -> Self {
        Self(text.parse().unwrap_or_default())
    }
}

/// 36 characters: lower-case hexadecimal digits in five groups.
impl fmt::Display for SubmissionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for SubmissionToken {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let token = text.parse().ok().filter(|token: &Uuid| !token.is_nil());
        let advice = "Store what `to_string` of a token has returned.";
        token.map(Self).ok_or_else(|| Error::invalid_request("this is not a submission token", advice))
    }
}

#[cfg(test)]
mod tests {
    use super::SubmissionToken;

    #[test]
    fn a_token_survives_as_text_and_as_json() {
        let token = SubmissionToken::random();
        assert_eq!(token.to_string().parse::<SubmissionToken>().unwrap(), token);
        let json = serde_json::to_string(&token).unwrap();
        assert_eq!(json, format!("\"{token}\""));
        assert_eq!(serde_json::from_str::<SubmissionToken>(&json).unwrap(), token);
        assert_ne!(SubmissionToken::random(), token);
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for text in ["", "1", "00000000-0000-0000-0000-000000000000", "zzzzzzzz-0000-0000-0000-000000000000"] {
            assert!(text.parse::<SubmissionToken>().unwrap_err().is_invalid_request(), "{text}");
        }
        assert!(serde_json::from_str::<SubmissionToken>("7").is_err());
        assert!(serde_json::from_str::<SubmissionToken>("\"7\"").is_err());
    }
}
