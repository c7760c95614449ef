//! The thread that serves connections and timers, for all blocking clients of the process.
//!
//! Connections belong to the runtime on which they were made, so it has to outlive the calls. It is held by every blocking client, and by
//! every call under way. It is one for the process and not one for each client, so that anything that can be awaited can be sent, without
//! having to know whose it is.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use std::thread;

use tokio::runtime::{Builder, EnterGuard, Handle};
use tokio::sync::oneshot;

use crate::{Error, Result};

/// The runtime, for as long as somebody holds it.
static SHARED: Mutex<Weak<Runtime>> = Mutex::new(Weak::new());

/// Ends with its last holder, in the background: nobody waits for it, so it can be dropped everywhere.
pub(super) struct Runtime {
    handle: Handle,
    /// Dropped, it ends the thread. Nothing is ever sent.
    _alive: oneshot::Sender<Infallible>,
}

impl Runtime {
    /// The one that is running, or a new one.
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
        // Tokio's runtime is made and dropped on the thread that it runs on: to drop it elsewhere may panic, or take its time.
        thread::Builder::new().name("agentgate".to_owned()).spawn(move || {
            match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => {
                    // Who has asked for it waits for it.
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

    /// What this thread polls from now on finds connections and timers here.
    pub(super) fn enter(&self) -> EnterGuard<'_> {
        self.handle.enter()
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").finish_non_exhaustive()
    }
}
