//! The client without `async`: for scripts, command-line tools and services that have a thread for each request.
//!
//! It is the asynchronous client and nothing beside it. A blocking [`Client`] hands out the same resources, whose methods make the
//! same calls; where a program with `async` writes `.await`, this one writes [`send`](Call::send). So there is no second set of
//! methods that could fall behind the first.
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
//! **Threads.** A call is made on the thread that sends it: its retries, its callbacks and its `tracing` events happen there, and a panic
//! in one of them is that thread's. Beside them there is one thread, `agentgate`, which sends attempts and serves timers. All blocking
//! clients of the process share it; it begins with the first of them and ends after the last, with its connections.
//!
//! **Inside of an async runtime** a blocking call would hold up everything else that the thread has to do, at worst for ever. There,
//! it fails at once, with [`ErrorKind::Configuration`](crate::ErrorKind::Configuration), and sends nothing. It works where tokio allows to
//! block: in `spawn_blocking` (which is also actix-web's `web::block`), in `block_in_place` and on threads of one's own. Only tokio is
//! recognized; on the thread of another executor it blocks. To make and to drop a client is fine everywhere.

mod call;
mod client;
mod place;
mod runtime;
mod stream;
mod wait;

use std::future::Future;
use std::sync::Arc;

pub use self::call::Call;
pub use self::client::Client;
use self::runtime::Runtime;
pub use self::stream::{BlockingStream, Iter};
use crate::{Error, Result};

/// Runs this to its end on the current thread, if that thread may block, with the connections and timers of the shared runtime.
fn run<F: Future>(runtime: &Arc<Runtime>, future: impl FnOnce() -> F) -> F::Output {
    let _entered = runtime.enter();
    wait::wait(future())
}

/// Refuses to block a thread that others rely on.
fn check_place() -> Result<()> {
    if place::drives_a_runtime() { Err(Error::would_block()) } else { Ok(()) }
}
