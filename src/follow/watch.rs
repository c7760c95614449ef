//! [`WatchRun`]: the changes of a run as a stream.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use tokio::sync::mpsc;

use super::follower::{RunFollower, Subscription};
use super::run_update::{RunUpdate, has_ended};
use super::wait::whole;
use crate::types::{Run, RunId, RunStatus};
use crate::{Response, Result};

/// The changes of a run, as a stream: from [`Runs::watch`](crate::resources::Runs::watch).
///
/// The first item is the run as it is at first, and the next come each time that its status, its iterations or its pull request has
/// changed, as far as polls and deliveries show it. The last item is the run when it has ended, or an error: that of
/// [`WaitForRun`](super::WaitForRun).
#[must_use = "a stream does nothing until it is polled"]
pub struct WatchRun(State);

enum State {
    Ready(Box<Watch>),
    /// The future of the next item owns the watch.
    Busy(Pin<Box<dyn Future<Output = Progress> + Send>>),
    /// After the last item, and while one state is replaced by another.
    Done,
}

/// The watch, and its next item.
type Progress = (Box<Watch>, Option<Result<Run>>);

impl WatchRun {
    pub(crate) fn new(follower: RunFollower, id: RunId) -> Self {
        Self(State::Ready(Box::new(Watch { follower, id, subscription: None, last: None })))
    }

    /// Returns the next item, or `None` after the last. The same as `StreamExt::next`, for programs without that trait. The future can
    /// be dropped and made anew without loss.
    pub async fn next(&mut self) -> Option<Result<Run>> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }
}

impl Stream for WatchRun {
    type Item = Result<Run>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Run>>> {
        loop {
            match std::mem::replace(&mut self.0, State::Done) {
                State::Done => return Poll::Ready(None),
                State::Ready(mut watch) => {
                    self.0 = State::Busy(Box::pin(async move {
                        let item = watch.next().await;
                        (watch, item)
                    }));
                }
                State::Busy(mut busy) => match busy.as_mut().poll(context) {
                    Poll::Pending => {
                        self.0 = State::Busy(busy);
                        return Poll::Pending;
                    }
                    Poll::Ready((watch, item)) => {
                        let is_last = item.as_ref().is_none_or(|item| item.as_ref().map_or(true, has_ended));
                        if !is_last {
                            self.0 = State::Ready(watch);
                        }
                        return Poll::Ready(item);
                    }
                },
            }
        }
    }
}

impl fmt::Debug for WatchRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.0 {
            State::Ready(_) => "ready",
            State::Busy(_) => "busy",
            State::Done => "done",
        };
        f.debug_struct("WatchRun").field("state", &state).finish_non_exhaustive()
    }
}

/// The fields whose change makes an item.
#[derive(PartialEq)]
struct Mark {
    status: RunStatus,
    iterations: Option<u32>,
    pull_request: Option<String>,
}

struct Watch {
    follower: RunFollower,
    id: RunId,
    subscription: Option<Subscription<mpsc::UnboundedReceiver<Result<RunUpdate>>>>,
    last: Option<Mark>,
}

impl Watch {
    /// Returns the run after its next change.
    async fn next(&mut self) -> Option<Result<Run>> {
        loop {
            let run = match self.update().await {
                Ok(Some(run)) => run,
                Ok(None) => continue,
                Err(error) => return Some(Err(error.with_run_id(&self.id))),
            };
            let mark =
                Mark { status: run.status.clone(), iterations: run.iterations, pull_request: run.pr_url.clone() };
            if self.last.as_ref() != Some(&mark) {
                self.last = Some(mark);
                return Some(Ok(run));
            }
        }
    }

    /// Returns the run after its next update, if it can be had at this moment.
    async fn update(&mut self) -> Result<Option<Run>> {
        let subscription = match &mut self.subscription {
            Some(subscription) => subscription,
            none => none.insert(self.follower.subscribe_changes(&self.id)?),
        };
        let Some(update) = subscription.receiver.recv().await else {
            // The poller is gone with its runtime. The next subscription starts another.
            self.subscription = None;
            return Ok(None);
        };
        let update = update?;
        if update.is_whole {
            return Ok(update.run.map(|run| *run));
        }
        if update.is_final {
            return whole(&self.follower, &self.id, update.status, &mut None).await.map(|run| Some(run.into_inner()));
        }
        // Lists leave out most of a run. What cannot be fetched now comes with the next change.
        let run = self.follower.source.run(&self.id).await.ok();
        Ok(run.map(Response::into_inner).or(update.run.map(|run| *run)))
    }
}
