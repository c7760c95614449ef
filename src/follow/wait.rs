//! Waiting for the end of a run.

use std::fmt;
use std::future::IntoFuture;
use std::time::Duration;

use tokio::sync::oneshot;

use super::book::LONGEST_ASKED;
use super::finished::FinishedRun;
use super::news::News;
use super::watcher::{Subscription, may_pass};
use crate::race::race;
use crate::resources::{Call, CallFuture, CreateWorkOrder, check_id};
use crate::types::{Run, RunId, RunStatus};
use crate::{Client, Error, Operation, Result};

/// How often a run is asked for in full after its end was heard of, until the answer says so, too.
const LOOKS: u32 = 5;

/// The pause before such a look after the first, and after a failure that may pass: it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Waits for a run to end: from [`Runs::wait`](crate::resources::Runs::wait) and
/// [`Call::and_wait`](crate::resources::Call::and_wait).
///
/// Failures of polls that may pass (a cut connection, a 500, a 429) do not end the wait. It fails if there is no such run, if
/// the key may not read runs, or if the [`timeout`](Self::timeout) passes. Without a time-out it waits for as long as the run takes.
#[must_use = "a wait does nothing until it is awaited"]
pub struct WaitForRun {
    client: Client,
    of: Of,
    timeout: Option<Duration>,
    cancel_on_timeout: bool,
    in_brief: bool,
}

/// Whose run it is.
enum Of {
    Run(RunId),
    Order(Box<Call<CreateWorkOrder>>),
}

impl WaitForRun {
    pub(crate) fn new(client: Client, id: RunId) -> Self {
        Self::of(client, Of::Run(id))
    }

    pub(crate) fn after(client: Client, order: Call<CreateWorkOrder>) -> Self {
        Self::of(client, Of::Order(Box::new(order)))
    }

    fn of(client: Client, of: Of) -> Self {
        Self { client, of, timeout: None, cancel_on_timeout: false, in_brief: false }
    }

    /// How long to wait, counted from when the work order was accepted if this wait submits it. Then the wait fails with
    /// [`ErrorKind::WaitTimeout`](crate::ErrorKind::WaitTimeout), which tells the last [status](crate::Error::run_status); the run
    /// goes on.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Cancels the run when the [`timeout`](Self::timeout) passes. The wait fails all the same, unless the run turns out to have ended
    /// by then and can be fetched.
    pub fn cancel_on_timeout(mut self) -> Self {
        self.cancel_on_timeout = true;
        self
    }

    /// Is content with what a list or a delivery tells of the run: its status, its iterations, when it ended. What lists leave
    /// out (pull request, cost, error, tenant) may be missing then. It saves the request that gets the run when it has ended,
    /// which counts for who waits for thousands.
    pub fn in_brief(mut self) -> Self {
        self.in_brief = true;
        self
    }

    async fn run(self) -> Result<FinishedRun> {
        let (id, known) = match self.of {
            Of::Run(id) => {
                check_id(&id).map_err(|error| error.with_operation(Operation::GET_RUN))?;
                (id, None)
            }
            Of::Order(order) => {
                let created = order.into_future().await?;
                (created.run_id, Some(created.status))
            }
        };
        let mut wait = Wait { client: self.client, id, in_brief: self.in_brief, subscription: None, ended: None };
        let ended = match self.timeout {
            None => wait.end(known).await,
            Some(timeout) => {
                let sleep = wait.client.transport.clock.sleep(timeout);
                match race(wait.end(known), sleep).await {
                    Some(ended) => ended,
                    None => return Box::pin(wait.give_up(timeout, self.cancel_on_timeout)).await,
                }
            }
        };
        ended.map(FinishedRun::new).map_err(|error| error.with_run_id(&wait.id))
    }
}

impl IntoFuture for WaitForRun {
    type Output = Result<FinishedRun>;
    type IntoFuture = CallFuture<FinishedRun>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for WaitForRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitForRun")
            .field("timeout", &self.timeout)
            .field("cancel_on_timeout", &self.cancel_on_timeout)
            .field("in_brief", &self.in_brief)
            .finish_non_exhaustive()
    }
}

/// One wait under way.
struct Wait {
    client: Client,
    id: RunId,
    in_brief: bool,
    subscription: Option<Subscription<oneshot::Receiver<Result<News>>>>,
    /// How the run ended, once that was heard of.
    ended: Option<RunStatus>,
}

impl Wait {
    /// The run, when it has ended.
    async fn end(&mut self, known: Option<RunStatus>) -> Result<Run> {
        let news = loop {
            let subscription = self.client.follow.subscribe_end(&self.id, known.clone())?;
            if let Ok(outcome) = (&mut self.subscription.insert(subscription).receiver).await {
                break outcome?;
            }
            // The task that polled is gone with its runtime. Another takes its place.
        };
        self.subscription = None;
        self.ended = Some(news.status.clone());
        match news.run {
            Some(run) if news.is_whole || self.in_brief => Ok(*run),
            _ => Box::pin(whole(&self.client, &self.id, news.status)).await,
        }
    }

    /// What is left to do when the time is up.
    async fn give_up(self, timeout: Duration, cancel: bool) -> Result<FinishedRun> {
        let status = self.ended.clone().or_else(|| self.client.follow.status(&self.id));
        let error = Error::wait_timeout(self.id.clone(), status, timeout);
        drop(self.subscription);
        if !cancel || self.ended.is_some() {
            return Err(error);
        }
        match self.client.runs().cancel(&self.id).await {
            Ok(_) => Err(error.with_cancellation()),
            // It has ended in the meantime.
            Err(refused) if refused.is_conflict() => match self.client.runs().get(&self.id).await {
                Ok(run) if run.is_terminal() => Ok(FinishedRun::new(run)),
                _ => Err(error.with_failed_cancellation(refused)),
            },
            Err(failed) => Err(error.with_failed_cancellation(failed)),
        }
    }
}

/// The whole of a run that has ended in this way. Failures that may pass are waited out.
pub(super) async fn whole(client: &Client, id: &RunId, status: RunStatus) -> Result<Run> {
    let (mut pause, mut looks) = (FIRST_PAUSE, 0);
    loop {
        let asked = match client.runs().get(id).await {
            Ok(run) if run.is_terminal() => return Ok(run),
            // An answer from a copy that lags behind: what has ended stays so.
            Ok(run) => {
                looks += 1;
                if looks == LOOKS {
                    return Ok(Run { status, ..run });
                }
                None
            }
            Err(error) if may_pass(error.kind()) => error.retry_after(),
            Err(error) => return Err(error),
        };
        client.transport.clock.sleep(asked.unwrap_or(pause).clamp(FIRST_PAUSE, LONGEST_ASKED)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
