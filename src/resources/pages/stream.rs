//! The stream that fetches pages, one page ahead of the reader.

use std::collections::VecDeque;
use std::fmt;
use std::task::{Context, Poll};

use super::cursor::{Cursor, Request, Step};
use crate::resources::CallFuture;
use crate::{Error, Operation, Result};

/// The limit of successive failures.
const FAILURES: u32 = 100;

pub(super) type Fetch<P> = Box<dyn Fn(Request) -> CallFuture<P> + Send>;

/// A stream of things `T` that are made from the pages `P` of a list.
///
/// Between two polls, an attempt that was sent goes on, and nothing else does. Dropping the stream cancels it.
pub(super) struct ListStream<P, T> {
    operation: Operation,
    fetch: Fetch<P>,
    cursor: Box<dyn Cursor<P, T>>,
    ready: VecDeque<T>,
    pending: Option<CallFuture<P>>,
    /// The response that arrived while `ready` was not empty.
    arrived: Option<Result<P>>,
    /// The error that follows the last item.
    final_error: Option<Error>,
    failures: u32,
    is_over: bool,
    reads_ahead: bool,
}

impl<P, T> ListStream<P, T> {
    pub(super) fn new(operation: Operation, fetch: Fetch<P>, cursor: impl Cursor<P, T> + 'static) -> Self {
        Self {
            operation,
            fetch,
            cursor: Box::new(cursor),
            ready: VecDeque::new(),
            pending: None,
            arrived: None,
            final_error: None,
            failures: 0,
            is_over: false,
            reads_ahead: true,
        }
    }

    pub(super) fn max_items(&mut self, items: usize) {
        self.cursor.max_items(items);
        self.is_over |= items == 0;
    }

    pub(super) fn read_ahead(&mut self, reads_ahead: bool) {
        self.reads_ahead = reads_ahead;
    }

    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                if self.reads_ahead {
                    self.poll_fetch(context);
                }
                return Poll::Ready(Some(Ok(item)));
            }
            if let Some(error) = self.final_error.take() {
                return Poll::Ready(Some(Err(error)));
            }
            if self.is_over {
                return Poll::Ready(None);
            }
            self.poll_fetch(context);
            match self.arrived.take() {
                None => return Poll::Pending,
                Some(Ok(page)) => self.advance(page),
                Some(Err(error)) => {
                    self.failures += 1;
                    self.is_over = !error.kind().may_pass() || self.failures >= FAILURES;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }

    /// Sends the next request, or polls the one that was sent.
    fn poll_fetch(&mut self, context: &mut Context<'_>) {
        if self.is_over || self.arrived.is_some() {
            return;
        }
        let (fetch, cursor) = (&self.fetch, &self.cursor);
        let pending = self.pending.get_or_insert_with(|| fetch(cursor.request()));
        if let Poll::Ready(outcome) = pending.as_mut().poll(context) {
            self.pending = None;
            self.arrived = Some(outcome);
        }
    }

    fn advance(&mut self, page: P) {
        self.failures = 0;
        let step = self.cursor.advance(page, &mut self.ready);
        self.is_over = step != Step::Fetch;
        if let Step::Fail(reason) = step {
            self.final_error = Some(reason.into_error().with_operation(self.operation));
        }
    }

    pub(super) fn debug(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(name)
            .field("operation", &self.operation)
            .field("ready", &self.ready.len())
            .field("is_asking", &self.pending.is_some())
            .field("is_over", &self.is_over)
            .finish_non_exhaustive()
    }
}
