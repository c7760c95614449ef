//! Streams as iterators.

use std::fmt;
use std::future::poll_fn;
use std::iter::FusedIterator;
use std::pin::Pin;
use std::sync::Arc;

use futures_core::Stream;

use super::runtime::Runtime;
use super::{check_place, run};
use crate::Result;

/// Makes an iterator of a stream of this crate.
pub trait BlockingStream: Sized {
    /// An iterator that waits for each item.
    ///
    /// It asks for an item only when it is asked for one itself. On a thread that drives an async runtime, its only item is an error of
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration).
    ///
    /// ```no_run
    /// use agentgate::blocking::{BlockingStream, Client};
    ///
    /// # fn main() -> agentgate::Result<()> {
    /// let client = Client::from_env()?;
    /// for run in client.runs().watch("run_3n9x2p").blocking() {
    ///     let run = run?;
    ///     println!("{}, {} iterations", run.status, run.iterations.unwrap_or(0));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    fn blocking(self) -> Iter<Self>;
}

impl<S, T> BlockingStream for S
where
    S: Stream<Item = Result<T>> + Unpin,
{
    fn blocking(self) -> Iter<Self> {
        Iter { stream: Some(self), runtime: None }
    }
}

/// The items of a stream, each of which is waited for: from [`BlockingStream::blocking`].
#[must_use = "an iterator does nothing until it is asked for an item"]
pub struct Iter<S> {
    /// Nothing after the end.
    stream: Option<S>,
    /// Held from the first item to the last, so that what the stream does in between goes on.
    runtime: Option<Arc<Runtime>>,
}

impl<S, T> Iter<S>
where
    S: Stream<Item = Result<T>> + Unpin,
{
    /// The next item of the stream. It fails if it cannot be asked for.
    fn advance(&mut self) -> Result<Option<S::Item>> {
        let Some(stream) = &mut self.stream else { return Ok(None) };
        check_place()?;
        let runtime = match &mut self.runtime {
            Some(runtime) => runtime,
            none => none.insert(Runtime::shared()?),
        };
        Ok(run(runtime, || poll_fn(|context| Pin::new(&mut *stream).poll_next(context))))
    }

    fn end(&mut self) {
        self.stream = None;
        self.runtime = None;
    }
}

impl<S, T> Iterator for Iter<S>
where
    S: Stream<Item = Result<T>> + Unpin,
{
    type Item = S::Item;

    fn next(&mut self) -> Option<S::Item> {
        match self.advance() {
            Ok(Some(item)) => Some(item),
            // Where one item cannot be waited for, no other can, and a loop that passes over errors has to end.
            last => {
                self.end();
                last.err().map(Err)
            }
        }
    }
}

impl<S, T> FusedIterator for Iter<S> where S: Stream<Item = Result<T>> + Unpin {}

impl<S: fmt::Debug> fmt::Debug for Iter<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter").field("stream", &self.stream).finish_non_exhaustive()
    }
}
