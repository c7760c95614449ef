//! A budget for retries, so that retries do not multiply the load of a service in an outage.
//!
//! Every retry takes tokens from the budget, and every success puts some back. While most calls succeed, there are
//! always enough. When most fail, the budget is empty after some hundred retries, and calls fail with their first error
//! until successes fill it again. The figures are those of the AWS SDKs: a capacity of 500, 5 for a retry, 10 for one
//! after a time-out, 1 back for each success at the first attempt, and the cost of the last retry back for each later
//! success.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::{Error, ErrorKind};

const CAPACITY: u32 = 500;
const RETRY: u32 = 5;
const RETRY_AFTER_TIMEOUT: u32 = 10;
const SUCCESS: u32 = 1;

/// The tokens that the clones of a client have left for retries.
#[derive(Debug)]
pub(crate) struct RetryBudget {
    left: AtomicU32,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { left: AtomicU32::new(CAPACITY) }
    }
}

impl RetryBudget {
    /// Takes the tokens for a retry after this error, and returns their number. Returns `None` if there are not enough.
    ///
    /// A retry after a 429 is free, as the service itself says when to try again.
    pub(super) fn withdraw(&self, error: &Error) -> Option<u32> {
        let cost = match error.kind() {
            ErrorKind::RateLimited => 0,
            ErrorKind::Timeout => RETRY_AFTER_TIMEOUT,
            _ => RETRY,
        };
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(cost))
            .is_ok()
            .then_some(cost)
    }

    /// Puts back the tokens of the last retry before a success, or one token if there was no retry.
    pub(super) fn deposit(&self, last_retry: Option<u32>) {
        let worth = last_retry.unwrap_or(SUCCESS);
        // Always `Some`, so it never fails.
        let _ = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left.saturating_add(worth).min(CAPACITY)));
    }
}

#[cfg(test)]
mod tests {
    use super::{CAPACITY, RetryBudget};
    use crate::{Error, Operation};

    fn failure(status: u16) -> Error {
        Error::of_response(Operation::GET_RUN, status, "")
    }

    #[test]
    fn an_outage_empties_the_budget_and_successes_fill_it() {
        let budget = RetryBudget::default();
        let retries = (0..1_000).filter(|_| budget.withdraw(&failure(503)).is_some()).count();
        assert_eq!(retries, 100);
        for _ in 0..4 {
            budget.deposit(None);
        }
        assert_eq!(budget.withdraw(&failure(503)), None);
        budget.deposit(None);
        assert_eq!(budget.withdraw(&failure(503)), Some(5));
    }

    #[test]
    fn a_successful_retry_returns_its_tokens() {
        let budget = RetryBudget::default();
        for _ in 0..1_000 {
            let cost = budget.withdraw(&failure(503));
            assert_eq!(cost, Some(5));
            budget.deposit(cost);
        }
    }

    #[test]
    fn a_time_out_takes_double_and_a_429_nothing() {
        let budget = RetryBudget::default();
        assert_eq!(budget.withdraw(&failure(408)), Some(10));
        assert_eq!(budget.withdraw(&failure(429)), Some(0));
    }

    #[test]
    fn the_budget_never_grows_beyond_its_capacity() {
        let budget = RetryBudget::default();
        budget.deposit(Some(u32::MAX));
        assert_eq!(budget.left.into_inner(), CAPACITY);
    }
}
