//! Whether a thread may block.
//!
//! That a thread has a tokio runtime does not tell: so have the threads of `spawn_blocking`, which are there to block. Tokio itself
//! knows, but panics instead of telling. What it does tell is its budget: everything that a runtime polls (tasks, `block_on`, a `LocalSet`)
//! may do so many things before it has to let others go on, and where blocking is allowed, there is no such limit.
//!
//! What is polled in `tokio::task::unconstrained` has no limit either, and is not recognized: there, a blocking call blocks, as any
//! other blocking function does.

use std::task::{Context, Poll, Waker};

use tokio::runtime::Handle;
use tokio::task::coop;

/// More than any budget: tokio keeps it in a byte.
const MORE_THAN_A_BUDGET: usize = 256;

/// Whether a runtime polls something on this thread at this moment.
pub(super) fn drives_a_runtime() -> bool {
    Handle::try_current().is_ok() && has_a_budget()
}

/// Spends the budget to see whether it ends, and gives it back.
fn has_a_budget() -> bool {
    let mut context = Context::from_waker(Waker::noop());
    let mut spent = Vec::with_capacity(MORE_THAN_A_BUDGET);
    while spent.len() < MORE_THAN_A_BUDGET {
        match coop::poll_proceed(&mut context) {
            Poll::Ready(unit) => spent.push(unit),
            Poll::Pending => break,
        }
    }
    let has_an_end = spent.len() < MORE_THAN_A_BUDGET;
    // Each unit restores what there was before it, so the first comes last.
    while let Some(unit) = spent.pop() {
        drop(unit);
    }
    has_an_end
}

#[cfg(test)]
mod tests {
    use tokio::runtime::{Builder, Runtime};
    use tokio::task::{LocalSet, block_in_place, consume_budget, coop, spawn_blocking};

    use super::drives_a_runtime;

    fn one_thread() -> Runtime {
        Builder::new_current_thread().build().unwrap()
    }

    fn many_threads() -> Runtime {
        Builder::new_multi_thread().worker_threads(1).build().unwrap()
    }

    #[test]
    fn a_thread_of_ones_own_may_block() {
        assert!(!drives_a_runtime());
        let runtime = one_thread();
        let _entered = runtime.enter();
        assert!(!drives_a_runtime());
    }

    #[test]
    fn what_a_runtime_polls_may_not_block() {
        for runtime in [one_thread(), many_threads()] {
            assert!(runtime.block_on(async { drives_a_runtime() }));
            assert!(runtime.block_on(async { tokio::spawn(async { drives_a_runtime() }).await.unwrap() }));
            let local = LocalSet::new();
            assert!(local.block_on(&runtime, async { drives_a_runtime() }));
            assert!(
                local.block_on(&runtime, async {
                    tokio::task::spawn_local(async { drives_a_runtime() }).await.unwrap()
                })
            );
        }
    }

    #[test]
    fn where_tokio_allows_to_block_it_is_allowed() {
        for runtime in [one_thread(), many_threads()] {
            assert!(!runtime.block_on(async { spawn_blocking(drives_a_runtime).await.unwrap() }));
        }
        let runtime = many_threads();
        assert!(!runtime.block_on(async { block_in_place(drives_a_runtime) }));
        assert!(!runtime.block_on(async { tokio::spawn(async { block_in_place(drives_a_runtime) }).await.unwrap() }));
    }

    #[test]
    fn to_look_costs_nothing_of_the_budget() {
        one_thread().block_on(async {
            consume_budget().await;
            for _ in 0..1000 {
                assert!(drives_a_runtime());
            }
            assert!(coop::has_budget_remaining());
        });
    }
}
