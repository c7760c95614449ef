//! Following the changes of a run.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use tokio::sync::mpsc;

use super::news::News;
use super::wait::whole;
use super::watcher::Subscription;
use crate::resources::check_id;
use crate::types::{Run, RunId, RunStatus};
use crate::{Client, Operation, Result};

/// The changes of a run, as a stream: from [`Runs::watch`](crate::resources::Runs::watch).
///
/// It gives the run as it is found at first, and then each time that its status, its iterations or its pull request has changed, as
/// far as polls and deliveries see it. The last item is the run when it has ended. An error is the last item, too; failures of polls
/// that may pass are none.
#[must_use = "a stream does nothing until it is polled"]
pub struct WatchRun(State);

enum State {
    Ready(Box<Watch>),
    /// Busy with the next item, and no hands free.
    Busy(Pin<Box<dyn Future<Output = Progress> + Send>>),
    /// Only while it is on the way from one to the other, and at the end.
    Done,
}

/// The watch, and its next item.
type Progress = (Box<Watch>, Option<Result<Run>>);

impl WatchRun {
    pub(crate) fn new(client: Client, id: RunId) -> Self {
        Self(State::Ready(Box::new(Watch { client, id, subscription: None, last: None })))
    }

    /// The next item, or `None` at the end. The same as `StreamExt::next`, for programs without that trait. It can be dropped and
    /// called again; nothing is lost.
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
                        let is_last = item.as_ref().is_none_or(|item| item.as_ref().map_or(true, Run::is_terminal));
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

/// What makes one change different from another.
#[derive(PartialEq)]
struct Mark {
    status: RunStatus,
    iterations: Option<u32>,
    pull_request: Option<String>,
}

struct Watch {
    client: Client,
    id: RunId,
    subscription: Option<Subscription<mpsc::UnboundedReceiver<Result<News>>>>,
    last: Option<Mark>,
}

impl Watch {
    /// The next change.
    async fn next(&mut self) -> Option<Result<Run>> {
        loop {
            let run = match self.change().await {
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

    /// The run after the next news of it; none if it cannot be had at this moment.
    async fn change(&mut self) -> Result<Option<Run>> {
        let subscription = if let Some(subscription) = &mut self.subscription {
            subscription
        } else {
            check_id(&self.id).map_err(|error| error.with_operation(Operation::GET_RUN))?;
            self.subscription.insert(self.client.follow.subscribe_changes(&self.id)?)
        };
        let Some(news) = subscription.receiver.recv().await else {
            // The task that polled is gone with its runtime. Another takes its place.
            self.subscription = None;
            return Ok(None);
        };
        let news = news?;
        if news.is_whole {
            return Ok(news.run.map(|run| *run));
        }
        if news.status.is_terminal() {
            return whole(&self.client, &self.id, news.status).await.map(Some);
        }
        // Lists leave out most of a run. What cannot be had now comes with the next change.
        let run = self.client.runs().get(&self.id).await.ok();
        Ok(run.or(news.run.map(|run| *run)))
    }
}
