//! [`ClaimToken`]: the owner of a claim.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The owner of a claim of an event.
///
/// A claim expires with its lease. After that, another handler may claim the event, and the token keeps the first
/// handler from releasing that claim.
///
/// [`once`](super::once) creates a token for each attempt to handle an event. To use a
/// [`ReplayGuard`](super::ReplayGuard) directly:
///
/// ```
/// use agentgate::webhook::{Claim, ClaimToken, MemoryReplayGuard, ReplayGuard};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (guard, id) = (MemoryReplayGuard::new(), "evt_1".into());
/// let (mine, yours) = (ClaimToken::new(), ClaimToken::new());
/// assert_eq!(guard.claim(&id, &mine).await?, Claim::First);
/// assert_eq!(guard.claim(&id, &yours).await?, Claim::InProgress);
/// guard.release(&id, &yours).await?; // does nothing
/// assert_eq!(guard.claim(&id, &yours).await?, Claim::InProgress);
/// guard.release(&id, &mine).await?;
/// assert_eq!(guard.claim(&id, &yours).await?, Claim::First);
/// # Ok(())
/// # }
/// ```
///
/// A guard stores the token with the claim, and compares them. In a store of strings, the text of the token is unique:
/// 32 hexadecimal digits.
#[derive(Clone, PartialEq, Eq)]
pub struct ClaimToken(u128);

impl ClaimToken {
    /// Creates a token that is unique, also among processes. It is not a secret.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "two defaults should be equal, and two tokens are not")]
    pub fn new() -> Self {
        /// Random in each process.
        static PROCESS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        static CREATED: AtomicU64 = AtomicU64::new(0);
        let number = CREATED.fetch_add(1, Ordering::Relaxed);
        Self(u128::from(PROCESS.hash_one(number)) << 64 | u128::from(number))
    }
}

impl fmt::Display for ClaimToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for ClaimToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClaimToken({self})")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn tokens_are_unique_and_a_clone_is_equal() {
        let make = || (0..1000).map(|_| ClaimToken::new()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(make)).collect();
        let tokens: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        assert_eq!(tokens.iter().map(ToString::to_string).collect::<HashSet<_>>().len(), 4000);
        assert_eq!(tokens[0], tokens[0].clone());
        assert_ne!(tokens[0], tokens[1]);
    }

    #[test]
    fn the_text_of_a_token_is_32_hexadecimal_digits() {
        assert_eq!(ClaimToken(10).to_string(), "0000000000000000000000000000000a");
        assert_eq!(ClaimToken(u128::MAX).to_string(), "f".repeat(32));
        assert_eq!(format!("{:?}", ClaimToken(10)), "ClaimToken(0000000000000000000000000000000a)");
        assert_eq!(ClaimToken::new().to_string().len(), 32);
    }
}
