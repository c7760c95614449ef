//! Detects asynchronous contexts, in which a thread must not block.
//!
//! `Handle::try_current` alone does not distinguish them: the threads of `spawn_blocking` have a handle too. Tokio has
//! no API for this check; its `block_on` panics. The cooperative budget distinguishes them: everything that a runtime
//! polls (tasks, `block_on`, a `LocalSet`) has a limited budget, and code that may block has none.
//!
//! Futures in `tokio::task::unconstrained` have no budget either, and are not recognized. A blocking call blocks there,
//! as any other blocking function does.

use std::task::{Context, Poll, Waker};

use tokio::runtime::Handle;
use tokio::task::coop;

/// Tokio stores the budget in a byte, so no budget is larger.
const MAX_BUDGET: usize = 256;

/// Returns whether a tokio runtime is polling a future on this thread.
pub(super) fn in_async_context() -> bool {
    Handle::try_current().is_ok() && has_limited_budget()
}

/// Spends the budget to find out whether it is limited, and restores it.
fn has_limited_budget() -> bool {
    let mut context = Context::from_waker(Waker::noop());
    let mut spent = Vec::with_capacity(MAX_BUDGET);
    while spent.len() < MAX_BUDGET {
        match coop::poll_proceed(&mut context) {
            Poll::Ready(unit) => spent.push(unit),
            Poll::Pending => break,
        }
    }
    let is_limited = spent.len() < MAX_BUDGET;
    // Each unit restores the budget from before it was spent, so the first one is dropped last.
    while let Some(unit) = spent.pop() {
        drop(unit);
    }
    is_limited
}

#[cfg(test)]
mod tests {
    use tokio::runtime::Builder;
    use tokio::task::{consume_budget, coop};

    use super::in_async_context;

    #[test]
    fn the_check_spends_no_budget() {
        Builder::new_current_thread().build().unwrap().block_on(async {
            consume_budget().await;
            for _ in 0..1000 {
                assert!(in_async_context());
            }
            assert!(coop::has_budget_remaining());
        });
    }
}
