//! WebAssembly in a JavaScript host: its event loop and timers, and reqwest on `fetch`.
//!
//! There is one thread. Futures that hold JavaScript values are wrapped, so that futures and clients are `Send` as on
//! other targets.

use std::any::Any;
use std::error::Error as _;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use gloo_timers::future::TimeoutFuture;
use send_wrapper::SendWrapper;
use tokio::sync::{Notify, oneshot};
pub(crate) use web_time::Instant;

use crate::run_until::run_until;

/// A timer of the host takes at most 2³¹ − 1 milliseconds. One that is asked for more ends at once.
const LONGEST_TIMER: u32 = i32::MAX.unsigned_abs();

pub(crate) fn sleep(duration: Duration) -> impl Future<Output = ()> + Send {
    SendWrapper::new(async move {
        let mut left = duration.as_nanos().div_ceil(1_000_000);
        while left > 0 {
            let part = u32::try_from(left).unwrap_or(LONGEST_TIMER).min(LONGEST_TIMER);
            TimeoutFuture::new(part).await;
            left -= u128::from(part);
        }
    })
}

/// Wraps a future that holds values of JavaScript.
pub(crate) fn sendable<F: Future>(future: F) -> SendWrapper<F> {
    SendWrapper::new(future)
}

/// Returns `false`: each call has a task.
pub(crate) fn polls_calls() -> bool {
    false
}

pub(crate) type RuntimeId = ();

pub(crate) fn runtime_id() -> RuntimeId {}

/// The event loop, which is always there.
pub(crate) struct Handle;

impl Handle {
    #[expect(clippy::unnecessary_wraps, reason = "natively, there may be no runtime")]
    pub(crate) fn try_current() -> Result<Self, JoinError> {
        Ok(Self)
    }

    #[expect(clippy::unused_self, reason = "natively, there may be several runtimes")]
    pub(crate) fn enter(&self) {}

    #[expect(clippy::unused_self, reason = "natively, there may be several runtimes")]
    pub(crate) fn spawn<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        let (sender, output) = oneshot::channel();
        let abort = Arc::new(Notify::new());
        let aborted = Arc::clone(&abort);
        wasm_bindgen_futures::spawn_local(async move {
            if let Some(output) = run_until(future, aborted.notified()).await {
                // Nobody may wait for it any more.
                let _ = sender.send(output);
            }
        });
        JoinHandle { output, abort }
    }
}

/// A task. It goes on when this is dropped.
pub(crate) struct JoinHandle<T> {
    output: oneshot::Receiver<T>,
    abort: Arc<Notify>,
}

impl<T> JoinHandle<T> {
    pub(crate) fn abort(&self) {
        self.abort.notify_one();
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.output).poll(context).map_err(|_| JoinError)
    }
}

/// The task was aborted. A panic ends the whole program.
pub(crate) struct JoinError;

impl JoinError {
    pub(crate) fn try_into_panic(self) -> Result<Box<dyn Any + Send>, Self> {
        Err(self)
    }
}

/// Tasks that are aborted on drop.
pub(crate) struct JoinSet<T>(Vec<JoinHandle<T>>);

impl<T: Send + 'static> JoinSet<T> {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn spawn(&mut self, future: impl Future<Output = T> + Send + 'static) {
        self.0.push(Handle.spawn(future));
    }

    pub(crate) fn poll_join_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<T, JoinError>>> {
        for index in 0..self.0.len() {
            if let Poll::Ready(output) = Pin::new(&mut self.0[index]).poll(context) {
                self.0.swap_remove(index);
                return Poll::Ready(Some(output));
            }
        }
        if self.0.is_empty() { Poll::Ready(None) } else { Poll::Pending }
    }
}

impl<T> Drop for JoinSet<T> {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

/// The body of a response.
pub(crate) struct Chunks(Pin<Box<dyn Stream<Item = reqwest::Result<Bytes>>>>);

pub(crate) fn chunks(response: reqwest::Response) -> Chunks {
    Chunks(Box::pin(response.bytes_stream()))
}

impl Chunks {
    pub(crate) async fn chunk(&mut self) -> reqwest::Result<Option<Bytes>> {
        std::future::poll_fn(|context| self.0.as_mut().poll_next(context)).await.transpose()
    }
}

/// Returns `false`, as `fetch` does not report failures to connect.
pub(crate) fn is_connect(_: &reqwest::Error) -> bool {
    false
}

pub(crate) fn is_timeout(error: &reqwest::Error) -> bool {
    // reqwest recognizes its own reason of an abort before the headers have come, and not in the middle of a body.
    error.is_timeout() || error.source().is_some_and(|source| source.to_string().contains("reqwest::errors::TimedOut"))
}
