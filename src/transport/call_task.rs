//! A call in a task of its own.
//!
//! A call may be held unpolled after its first poll: by a stream that reads ahead while the loop's body runs, or by a
//! `select!` on `&mut call`. If only the caller polled it, it would stop in the middle of a TLS handshake or a body
//! while its time-outs went on, and keep a permit that others wait for. In a task, it takes as long as the service
//! takes.
//!
//! Dropping the call drops its future at once, and with it its permit and a body that was not sent. Cancelling the task
//! alone would wait for a runtime that may not run.

use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use crate::platform::{self, Handle, JoinHandle};
use crate::{Error, Result};

type Boxed<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// Runs a future in a task. It is dropped when the returned future is dropped. A thread that blocks on the call polls
/// it itself, so that callbacks run there.
pub(super) async fn in_task<T: Send + 'static>(future: Boxed<T>) -> Result<T> {
    let Ok(runtime) = Handle::try_current() else {
        let advice = "Await it in a task of a tokio runtime, or use the blocking client.";
        return Err(Error::configuration("a call takes a tokio runtime, and there is none", advice));
    };
    if platform::polls_calls() {
        return future.await;
    }
    let slot = Arc::new(Slot(Mutex::new(State::Idle(future))));
    let task = runtime.spawn(Polling(Arc::clone(&slot)));
    let mut caller = Caller { runtime, task, slot };
    match (&mut caller.task).await {
        Ok(Some(result)) => result,
        Ok(None) => Err(Error::runtime_shut_down()),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            Err(_) => Err(Error::runtime_shut_down()),
        },
    }
}

/// A future that a task polls and its caller may drop.
struct Slot<T>(Mutex<State<T>>);

enum State<T> {
    Idle(Boxed<T>),
    /// The task has the future. No code of the program runs under the lock.
    Polled,
    Closed,
}

impl<T> Slot<T> {
    fn replace(&self, new: State<T>) -> State<T> {
        std::mem::replace(&mut self.lock(), new)
    }

    /// Puts the future back after a poll. Returns it if it is to be dropped.
    fn put_back(&self, future: Boxed<T>) -> Option<Boxed<T>> {
        let mut state = self.lock();
        if matches!(*state, State::Closed) {
            return Some(future);
        }
        *state = State::Idle(future);
        None
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The future of the task. Its output is `None` if the call was dropped.
struct Polling<T>(Arc<Slot<T>>);

impl<T> Future for Polling<T> {
    type Output = Option<Result<T>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut future = {
            let mut state = self.0.lock();
            match std::mem::replace(&mut *state, State::Polled) {
                State::Idle(future) => future,
                State::Polled | State::Closed => {
                    *state = State::Closed;
                    return Poll::Ready(None);
                }
            }
        };
        match future.as_mut().poll(context) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending if self.0.put_back(future).is_some() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// A runtime that shuts down drops the future, whoever holds the call.
impl<T> Drop for Polling<T> {
    fn drop(&mut self) {
        drop(self.0.replace(State::Closed));
    }
}

/// The caller's end of the task.
struct Caller<T> {
    runtime: Handle,
    task: JoinHandle<Option<Result<T>>>,
    slot: Arc<Slot<T>>,
}

impl<T> Drop for Caller<T> {
    fn drop(&mut self) {
        // A connection that goes back to its pool may spawn a task.
        let _entered = self.runtime.enter();
        let future = self.slot.replace(State::Closed);
        // A callback may panic when it hears of the drop.
        self.task.abort();
        drop(future);
    }
}
