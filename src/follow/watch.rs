//! [`WatchRun`]: the changes of a run as a stream.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::finished_run::fetch_finished;
use super::follower::{RunFollower, Subscription};
use super::run_update::has_ended;
use crate::types::{Run, RunId, RunStatus};
use crate::{Response, Result};
use futures_core::Stream;

/// A stream of the changes of a run: from [`Runs::watch`](crate::resources::Runs::watch).
///
/// The first item is the current state of the run. Another item follows each time that a poll or a delivery shows a
/// change of the status, the number of iterations or the pull request. The last item is the ended run, or an error. See
/// [`WaitForRun`](super::WaitForRun) for the errors.
#[must_use = "a stream does nothing until it is polled"]
pub struct WatchRun(Option<NextItem>);

/// The future of the next item, which owns the watch. `None` after the last item.
type NextItem = Pin<Box<dyn Future<Output = (Watch, Result<Run>)> + Send>>;

impl WatchRun {
    pub(crate) fn new(follower: RunFollower, id: RunId) -> Self {
        Self(Some(Watch { follower, id, subscription: None, last: None }.into_next()))
    }

    /// Returns the next item, or `None` after the last, as `StreamExt::next` does. Dropping the future loses no item.
    pub async fn next(&mut self) -> Option<Result<Run>> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }
}

impl Stream for WatchRun {
    type Item = Result<Run>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Run>>> {
        let Some(next) = &mut self.0 else { return Poll::Ready(None) };
        let (watch, item) = ready!(next.as_mut().poll(context));
        let is_last = item.as_ref().map_or(true, |run| has_ended(run, watch.follower.state.clock.now()));
        self.0 = (!is_last).then(|| watch.into_next());
        Poll::Ready(Some(item))
    }
}

impl fmt::Debug for WatchRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchRun").field("has_ended", &self.0.is_none()).finish_non_exhaustive()
    }
}

/// The fields of which a change makes an item: the status, the iterations and the pull request.
type WatchedFields = (RunStatus, Option<u32>, Option<String>);

struct Watch {
    follower: RunFollower,
    id: RunId,
    subscription: Option<Subscription>,
    last: Option<WatchedFields>,
}

impl Watch {
    fn into_next(mut self) -> NextItem {
        Box::pin(async move {
            let item = self.next().await.map_err(|error| error.with_run_id(&self.id));
            (self, item)
        })
    }

    async fn next(&mut self) -> Result<Run> {
        loop {
            let Some(run) = self.next_update().await? else { continue };
            let fields = (run.status.clone(), run.iterations, run.pr_url.clone());
            if self.last.as_ref() != Some(&fields) {
                self.last = Some(fields);
                return Ok(run);
            }
        }
    }

    /// Returns the run after its next update. `None` if it cannot be fetched now.
    async fn next_update(&mut self) -> Result<Option<Run>> {
        let subscription = match &mut self.subscription {
            Some(subscription) => subscription,
            none => none.insert(self.follower.subscribe(&self.id, true)),
        };
        let update = subscription.next().await?;
        if update.is_whole {
            return Ok(update.run.map(|run| *run));
        }
        if update.is_final {
            return fetch_finished(&self.follower, &self.id, update.status, &mut None)
                .await
                .map(|run| Some(run.into_inner()));
        }
        // Lists omit most fields. If this fetch fails, they come with the next change.
        let run = self.follower.source.run(&self.id).await.ok();
        Ok(run.map(Response::into_inner).or(update.run.map(|run| *run)))
    }
}
