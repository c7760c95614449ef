//! [`SubmissionToken`], by which a submission is recognized, and the tokens that a client has seen.

use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::bounded_map::BoundedMap;
use crate::types::WorkOrderId;
use crate::{Error, Result};

/// The largest number of work orders in [`KnownTokens`].
const MAX_KNOWN: usize = 10_000;

/// A token by which a submitted work order is recognized: in its metadata, as `agentgate-submission`. It is a random
/// UUID.
///
/// Each submission gets one by default. A program that has to find its submissions after a restart stores the token
/// before it submits: see [`Call::resume`](crate::resources::Call::resume).
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
    /// Creates a random token.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// Returns the token of a work order, unless this crate did not write the text.
    pub(crate) fn of_order(text: &str) -> Option<Self> {
        text.parse().ok()
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
        let error = || Error::invalid_request("this is not a submission token", advice).with_task("read the text");
        token.map(Self).ok_or_else(error)
    }
}

/// The tokens of the work orders that the clones of a client have seen last, so that no search fetches a work order
/// again to see its token.
#[derive(Debug, Default)]
pub(crate) struct KnownTokens(Mutex<BoundedMap<WorkOrderId, Option<SubmissionToken>>>);

impl KnownTokens {
    /// Records the token of a work order. `None` is a token that this crate did not write.
    pub(crate) fn insert(&self, id: &WorkOrderId, token: Option<SubmissionToken>) {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.insert(id.clone(), token, ());
        tokens.shrink_while(|count, ()| count > MAX_KNOWN);
    }

    /// Returns whether the work order is known to have another token.
    pub(crate) fn is_of_another(&self, id: &WorkOrderId, token: SubmissionToken) -> bool {
        let tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.get(id).is_some_and(|owner| *owner != Some(token))
    }
}

#[cfg(test)]
mod tests {
    use super::{KnownTokens, MAX_KNOWN, SubmissionToken};
    use crate::types::WorkOrderId;

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

    #[test]
    fn a_work_order_belongs_to_the_submission_with_its_token() {
        let (tokens, id, token) = (KnownTokens::default(), WorkOrderId::from("wo_1"), SubmissionToken::random());
        assert!(!tokens.is_of_another(&id, token));
        tokens.insert(&id, Some(token));
        assert!(!tokens.is_of_another(&id, token));
        assert!(tokens.is_of_another(&id, SubmissionToken::random()));
    }

    #[test]
    fn the_latest_work_orders_are_known() {
        let tokens = KnownTokens::default();
        for number in 0..=MAX_KNOWN {
            tokens.insert(&WorkOrderId::from(format!("wo_{number}")), SubmissionToken::of_order("no token"));
        }
        let is_known = |number: usize| tokens.is_of_another(&format!("wo_{number}").into(), SubmissionToken::random());
        assert!(is_known(MAX_KNOWN) && is_known(1));
        assert!(!is_known(0));
    }
}
