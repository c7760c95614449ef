//! The client without `async`: for scripts, command-line tools and services that have a thread for each request.
//!
//! A blocking [`Client`] wraps the asynchronous client. It has the same resources with the same methods. Where an
//! asynchronous program writes `.await`, a blocking program writes [`send`](Call::send).
//!
//! ```no_run
//! use agentgate::WorkspaceSource;
//! use agentgate::blocking::{BlockingStream, Call, Client};
//!
//! fn main() -> agentgate::Result<()> {
//!     let client = Client::from_env()?;
//!     let source = WorkspaceSource::template("python-flask");
//!     let order = client.work_orders().create("Fix it", source).send()?;
//!     for run in client.runs().watch(&order.run_id).blocking() {
//!         println!("{}", run?.status);
//!     }
//!     let run = client.runs().wait(&order.run_id).send()?.succeeded()?;
//!     println!("{}", run.pr_url.unwrap_or_default());
//!     Ok(())
//! }
//! ```
//!
//! # Threads
//!
//! A call runs on the thread that sends it. Its retries, callbacks and `tracing` events run there, and a panic in a
//! callback unwinds that thread. A background thread named `agentgate` drives connections and timers. It also makes the
//! polls of waits and fetches the pages of iterators, so the callbacks of these run there and must not block. All
//! blocking clients of the process share it. It starts with the first client and ends, with its connections, after the
//! last one is dropped.
//!
//! # Inside an async runtime
//!
//! In an asynchronous context, a blocking call would block all other tasks of the thread, and could deadlock. There, it
//! fails immediately with [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) and sends nothing. Blocking
//! calls work where tokio allows blocking: in `spawn_blocking` (also known as actix-web's `web::block`), in
//! `block_in_place`, and on threads that your program starts. The check is tokio's own, which reports the mistake by a
//! panic: its message is printed, the panic is caught, and a program with `panic = "abort"` ends. Only tokio is
//! recognized; on a thread of another executor, the call blocks. Clients can be created and dropped anywhere.

mod call;
mod client;
mod runtime;
mod stream;
mod wait;

use std::future::{Future, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};

pub use self::call::Call;
pub use self::client::Client;
use self::runtime::Runtime;
pub use self::stream::{BlockingStream, Iter};
use crate::{Error, Result};

/// Runs the future on the current thread, with the connections and timers of the shared runtime. In an asynchronous
/// context, returns an error.
fn run<F: Future>(runtime: &Runtime, future: impl FnOnce() -> F) -> Result<F::Output> {
    // Tokio knows the context, and its only way to say so is a panic.
    let may_block = catch_unwind(AssertUnwindSafe(|| runtime.block_on(ready(()))));
    may_block.map_err(|_| Error::would_block())?;
    let _entered = runtime.enter();
    Ok(wait::wait(future()))
}
