//! Requests and what they bring, one page ahead of the reader.

use std::collections::VecDeque;
use std::fmt;
use std::task::{Context, Poll};

use super::Request;
use super::guard::FRUITLESS;
use super::trail::Next;
use crate::resources::CallFuture;
use crate::{Error, Operation, Result};

/// Sends a request.
pub(super) type Ask<A> = Box<dyn Fn(Request) -> CallFuture<A> + Send>;

/// Decides what to ask for, and what of an answer is given.
pub(super) trait Plan<A, T>: Send {
    fn request(&self) -> Request;
    fn hear(&mut self, answer: A, give: &mut VecDeque<T>) -> Next;
    fn at_most(&mut self, items: u64);
    fn is_over(&self) -> bool;
}

/// A list that is being read: answers `A` come, things `T` are given.
///
/// Between two polls, an attempt that was sent goes on, and nothing else does. Dropped, it is cancelled.
pub(super) struct Reading<A, T> {
    operation: Operation,
    ask: Ask<A>,
    plan: Box<dyn Plan<A, T>>,
    ready: VecDeque<T>,
    pending: Option<CallFuture<A>>,
    /// What the request has come to while there was still something to give.
    arrived: Option<Result<A>>,
    /// What is said when all has been given.
    last_word: Option<Error>,
    failures: u32,
    is_over: bool,
    reads_ahead: bool,
}

impl<A, T> Reading<A, T> {
    pub(super) fn new(operation: Operation, ask: Ask<A>, plan: Box<dyn Plan<A, T>>) -> Self {
        Self {
            operation,
            ask,
            plan,
            ready: VecDeque::new(),
            pending: None,
            arrived: None,
            last_word: None,
            failures: 0,
            is_over: false,
            reads_ahead: true,
        }
    }

    pub(super) fn at_most(&mut self, items: usize) {
        self.plan.at_most(items as u64);
        self.is_over |= self.plan.is_over();
    }

    pub(super) fn read_ahead(&mut self, reads_ahead: bool) {
        self.reads_ahead = reads_ahead;
    }

    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                if self.reads_ahead {
                    self.drive(context);
                }
                return Poll::Ready(Some(Ok(item)));
            }
            if let Some(error) = self.last_word.take() {
                return Poll::Ready(Some(Err(error)));
            }
            if self.is_over {
                return Poll::Ready(None);
            }
            self.drive(context);
            match self.arrived.take() {
                None => return Poll::Pending,
                Some(Ok(answer)) => self.hear(answer),
                Some(Err(error)) => {
                    self.failures += 1;
                    self.is_over = !error.kind().may_pass() || self.failures >= FRUITLESS;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }

    /// Goes on with the request, or begins it.
    fn drive(&mut self, context: &mut Context<'_>) {
        if self.is_over || self.arrived.is_some() {
            return;
        }
        let (ask, plan) = (&self.ask, &self.plan);
        let pending = self.pending.get_or_insert_with(|| ask(plan.request()));
        if let Poll::Ready(outcome) = pending.as_mut().poll(context) {
            self.pending = None;
            self.arrived = Some(outcome);
        }
    }

    fn hear(&mut self, answer: A) {
        self.failures = 0;
        match self.plan.hear(answer, &mut self.ready) {
            Next::Ask => {}
            Next::End => self.is_over = true,
            Next::Fail(trouble) => {
                self.is_over = true;
                self.last_word = Some(trouble.into_error().with_operation(self.operation));
            }
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
