//! Native targets: tokio, and reqwest on hyper.

use std::cell::Cell;
use std::future::Future;

pub(crate) use std::time::Instant;
pub(crate) use tokio::runtime::Handle;
pub(crate) use tokio::task::{JoinError, JoinHandle, JoinSet};
pub(crate) use tokio::time::sleep;

/// The identity of a runtime. `None` outside of one.
pub(crate) type RuntimeId = Option<tokio::runtime::Id>;

pub(crate) fn runtime_id() -> RuntimeId {
    Handle::try_current().ok().map(|runtime| runtime.id())
}

thread_local! {
    static POLLS_CALLS: Cell<bool> = const { Cell::new(false) };
}

/// Runs a function that polls calls on this thread until they end, so that they need no task.
#[cfg(feature = "blocking")]
pub(crate) fn polling_calls<T>(run: impl FnOnce() -> T) -> T {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            POLLS_CALLS.set(self.0);
        }
    }
    let _restore = Restore(POLLS_CALLS.replace(true));
    run()
}

/// Returns whether this thread polls calls until they end.
pub(crate) fn polls_calls() -> bool {
    POLLS_CALLS.get()
}

/// Returns the future, which can be sent to another thread as it is.
pub(crate) fn sendable<F: Future>(future: F) -> F {
    future
}

/// Returns the response, whose body is read by its `chunk`.
pub(crate) fn chunks(response: reqwest::Response) -> reqwest::Response {
    response
}

pub(crate) fn is_connect(error: &reqwest::Error) -> bool {
    error.is_connect()
}

pub(crate) fn is_timeout(error: &reqwest::Error) -> bool {
    error.is_timeout()
}
