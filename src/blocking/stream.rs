//! Streams as iterators.

use std::fmt;
use std::future::poll_fn;
use std::iter::FusedIterator;
use std::pin::Pin;
use std::sync::Arc;

use futures_core::Stream;

use super::run;
use super::runtime::Runtime;
use crate::Result;

/// A stream that can be iterated without `async`. Implemented for the streams of this crate.
pub trait BlockingStream: Sized {
    /// Returns an iterator that blocks until the next item is available.
    ///
    /// The stream is polled only during `Iterator::next`. In an asynchronous context, the only item of the iterator is
    /// an error of [`ErrorKind::Configuration`](crate::ErrorKind::Configuration).
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

/// A blocking iterator over the items of a stream. Returned by [`BlockingStream::blocking`].
#[must_use = "an iterator does nothing until it is advanced"]
pub struct Iter<S> {
    /// `None` after the end.
    stream: Option<S>,
    /// Kept from the first item to the last, so that pending requests continue between items.
    runtime: Option<Arc<Runtime>>,
}

impl<S, T> Iter<S>
where
    S: Stream<Item = Result<T>> + Unpin,
{
    fn advance(&mut self) -> Result<Option<S::Item>> {
        let Some(stream) = &mut self.stream else { return Ok(None) };
        let runtime = match &mut self.runtime {
            Some(runtime) => runtime,
            none => none.insert(Runtime::shared()?),
        };
        run(runtime, || poll_fn(|context| Pin::new(&mut *stream).poll_next(context)))
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
            // No later item could be returned either, and a loop that ignores errors has to end.
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
