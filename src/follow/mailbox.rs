//! [`Mailbox`]: the updates that a subscriber has not taken yet.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use super::run_update::RunUpdate;
use crate::{Error, Result};

#[derive(Debug, Default)]
pub(super) struct Mailbox(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    updates: VecDeque<Result<RunUpdate>>,
    waker: Option<Waker>,
}

impl Mailbox {
    pub(super) fn put(&self, update: Result<RunUpdate>, outbound: &mut Outbound) {
        self.lock().updates.push_back(update);
        self.wake(outbound);
    }

    /// Lets the subscriber poll again.
    pub(super) fn wake(&self, outbound: &mut Outbound) {
        outbound.wakers.extend(self.lock().waker.take());
    }

    pub(super) fn take(&self) -> Option<Result<RunUpdate>> {
        self.lock().updates.pop_front()
    }

    /// Takes the next update. If there is none, the waker is woken with the next.
    pub(super) fn poll(&self, waker: Waker) -> Poll<Result<RunUpdate>> {
        let mut inner = self.lock();
        let update = inner.updates.pop_front();
        let unused = if update.is_none() { inner.waker.replace(waker) } else { Some(waker) };
        drop(inner);
        drop(unused);
        update.map_or(Poll::Pending, Poll::Ready)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakers to wake and errors to drop when no lock is held, as both may run code of the user.
#[derive(Debug, Default)]
#[must_use]
pub(super) struct Outbound {
    wakers: Vec<Waker>,
    pub(super) dropped: Vec<Error>,
}

impl Outbound {
    pub(super) fn deliver(self) {
        for waker in self.wakers {
            // A waker that panics keeps no other from being woken. The panic hook has reported it.
            let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
        }
    }
}
