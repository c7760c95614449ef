//! The background thread that drives connections and timers for all blocking clients of the process.
//!
//! Connections are bound to the runtime that opened them, so the runtime must live longer than the calls. Every
//! blocking client and every call in progress holds a reference to it. The process has one runtime, not one per client,
//! because `send` works for any future and cannot know to which client a future belongs.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use std::thread;

use tokio::runtime::{Builder, EnterGuard, Handle};
use tokio::sync::oneshot;

use crate::{Error, Result};

static SHARED: Mutex<Weak<Runtime>> = Mutex::new(Weak::new());

/// The shared runtime. Dropping the last reference ends the thread in the background without blocking, so it can be
/// dropped anywhere.
pub(super) struct Runtime {
    handle: Handle,
    /// Ends the thread when it is dropped. Nothing is sent.
    _alive: oneshot::Sender<Infallible>,
}

impl Runtime {
    /// Returns the running runtime, or starts one.
    pub(super) fn shared() -> Result<Arc<Self>> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = shared.upgrade() {
            return Ok(runtime);
        }
        let runtime = Self::start().map(Arc::new).map_err(|error| {
            Error::configuration(
                format!("the thread for connections could not be started: {error}"),
                "Check how many threads and open files the system allows.",
            )
        })?;
        *shared = Arc::downgrade(&runtime);
        Ok(runtime)
    }

    fn start() -> io::Result<Self> {
        let (started, start) = mpsc::sync_channel(1);
        let (alive, end) = oneshot::channel::<Infallible>();
        // Tokio's runtime is created and dropped on its own thread: dropping it in an asynchronous context panics, and
        // may block.
        thread::Builder::new().name("agentgate".to_owned()).spawn(move || {
            match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => {
                    let _ = started.send(Ok(runtime.handle().clone()));
                    let _ = runtime.block_on(end);
                }
                Err(error) => {
                    let _ = started.send(Err(error));
                }
            }
        })?;
        let handle = start.recv().map_err(io::Error::other)??;
        Ok(Self { handle, _alive: alive })
    }

    /// Enters the runtime: futures that are polled on this thread use its connections and timers.
    pub(super) fn enter(&self) -> EnterGuard<'_> {
        self.handle.enter()
    }

    /// Runs the future on this thread. Panics in an asynchronous context.
    pub(super) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.handle.block_on(future)
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").finish_non_exhaustive()
    }
}
