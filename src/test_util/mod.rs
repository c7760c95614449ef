//! Values, responses without a server, and a clock, for tests of programs that use the client (feature `test-util`).
//!
//! | to test | use |
//! |---|---|
//! | a function that takes an [`Error`](crate::Error) or a [`Response`](crate::Response) | [`Reply::into_error`], [`Reply::into_result`] |
//! | a function that takes a [`Run`], or another type of [`types`](crate::types) | [`example`] |
//! | a program that makes calls, without sockets | [`Replay`], with [`TokioClock`] |
//! | a program with calls, runs and deliveries that depend on each other | the `simulator` (a feature of its own), with `Simulator::clock` |
//!
//! Add the crate to the `dev-dependencies` with this feature; no program needs it to run:
//!
//! ```toml
//! [dev-dependencies]
//! agentgate = { version = "0.1", features = ["test-util"] }
//! tokio = { version = "1", features = ["macros", "rt", "test-util"] }
//! ```

mod clock;
mod replay;
mod reply;

use serde::de::DeserializeOwned;

pub use self::clock::TokioClock;
pub use self::replay::Replay;
pub use self::reply::Reply;

use crate::follow::FinishedRun;
use crate::types::Run;
use crate::{Operation, Result};

/// Returns the value of the contract's example of a response of this operation. Its fields are public, and can be
/// changed.
///
/// # Errors
///
/// [`ErrorKind::Decode`](crate::ErrorKind::Decode) if the operation responds with another type.
///
/// ```
/// use agentgate::Operation;
/// use agentgate::test_util::{example, finished};
/// use agentgate::types::{Run, RunStatus};
///
/// # fn main() -> agentgate::Result<()> {
/// let mut run: Run = example(Operation::GET_RUN)?;
/// run.status = RunStatus::Failed;
/// assert!(run.is_terminal());
///
/// let error = finished(run).succeeded().unwrap_err();
/// assert_eq!(error.kind(), agentgate::ErrorKind::RunFailed);
/// # Ok(())
/// # }
/// ```
pub fn example<T: DeserializeOwned + 'static>(operation: Operation) -> Result<T> {
    Ok(Reply::example(operation).into_result(operation)?.into_inner())
}

/// Returns a run as [`Runs::wait`](crate::resources::Runs::wait) does when it has ended.
pub fn finished(run: Run) -> FinishedRun {
    FinishedRun::new(run)
}
