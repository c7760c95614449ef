//! Polls for all runs that are waited for, in one task that lives as long as somebody waits.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc, oneshot};

use super::book::{Book, Recipient, Step};
use super::news::News;
use super::plan::{FEW, Plan, Situation};
use super::schedule::PollSchedule;
use super::wait::WaitForRun;
use super::watch::WatchRun;
use crate::race::race;
use crate::resources::{PAGE, Submitted};
use crate::transport::Transport;
use crate::types::{RunId, RunStatus};
use crate::{Client, Error, ErrorKind, Operation, Result};

/// Follows any number of runs at little cost: from [`Runs::watcher`](crate::resources::Runs::watcher).
///
/// One request lists a hundred runs, so a watcher that waits for many asks for pages of the list, and for single runs only where that
/// is cheaper. It spends half of the rate limit at most, so that the program's other calls have the rest. A client has one
/// watcher, which its clones share, and which every [`wait`](crate::resources::Runs::wait) of the client joins: what is set here holds
/// for all of them.
///
/// With webhooks, hand it the events: [`notify`](Self::notify) ends a wait the moment the delivery arrives, and while deliveries
/// arrive, there is next to no polling. When they stop, polling takes over.
///
/// ```no_run
/// # async fn example(client: agentgate::Client, ids: Vec<agentgate::types::RunId>) -> agentgate::Result<()> {
/// let watcher = client.runs().watcher().share(0.25);
/// let waits: Vec<_> = ids.iter().map(|id| tokio::spawn(watcher.wait(id).into_future())).collect();
/// for wait in waits {
///     let finished = wait.await.expect("the wait does not panic")?;
///     println!("{} {}", finished.run().id, finished.status());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Watcher {
    client: Client,
}

impl Watcher {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// What share of the organization's rate limit polling may spend: from 0 to 1, 0.5 by default. What is beyond counts as the
    /// nearest bound; some request every ten minutes is made in any case.
    #[must_use]
    pub fn share(self, share: f64) -> Self {
        let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.5 };
        self.follow().book().settings.share = share;
        self.follow().woken.notify_one();
        self
    }

    /// How often a run is asked for.
    #[must_use]
    pub fn schedule(self, schedule: PollSchedule) -> Self {
        self.follow().book().settings.schedule = schedule;
        self.follow().woken.notify_one();
        self
    }

    /// While deliveries can be relied on, a run is asked for no sooner than this after it was last heard of: it is how late the end of
    /// a run can be noticed whose delivery was lost, among others that arrived. 15 minutes by default; for a run that has been waited for
    /// for longer, as long as that.
    #[must_use]
    pub fn safety_net(self, pause: Duration) -> Self {
        self.follow().book().settings.safety_net = pause;
        self.follow().woken.notify_one();
        self
    }

    /// Waits for the end of a run. The same as [`Runs::wait`](crate::resources::Runs::wait).
    pub fn wait(&self, id: impl Into<RunId>) -> WaitForRun {
        WaitForRun::new(self.client.clone(), id.into())
    }

    /// Follows the changes of a run. The same as [`Runs::watch`](crate::resources::Runs::watch).
    pub fn watch(&self, id: impl Into<RunId>) -> WatchRun {
        WatchRun::new(self.client.clone(), id.into())
    }

    /// Tells of an event that was delivered. A wait for its run ends at once if the run has.
    ///
    /// Events may come in any order, more than once, and for runs that nobody waits for; a wait that begins after the
    /// delivery ends by it all the same. Verify deliveries before: [`Verifier`](crate::webhook::Verifier).
    ///
    /// ```no_run
    /// # #[cfg(feature = "axum")]
    /// # mod example {
    /// use agentgate::follow::Watcher;
    /// use agentgate::webhook::Delivery;
    /// use axum::Extension;
    ///
    /// async fn receive(Extension(watcher): Extension<Watcher>, Delivery(event): Delivery) {
    ///     watcher.notify(&event);
    /// }
    /// # }
    /// ```
    #[cfg(feature = "webhooks")]
    pub fn notify(&self, event: &crate::webhook::Event) {
        let follow = self.follow();
        let Some((id, news)) = News::of_event(event) else { return };
        let now = follow.now();
        let mut book = follow.book();
        book.hear_delivery(&id, news, now);
        book.end_if_idle();
    }

    /// How many runs are waited for at this moment.
    #[must_use]
    pub fn len(&self) -> usize {
        self.follow().book().len()
    }

    /// Whether no run is waited for at this moment.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn follow(&self) -> &Follow {
        &self.client.follow
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").field("runs", &self.len()).finish_non_exhaustive()
    }
}

/// What the clones of a client share to follow runs.
pub(crate) struct Follow {
    transport: Arc<Transport>,
    submitted: Arc<Submitted>,
    book: Mutex<Book>,
    /// Something is due sooner than was thought.
    woken: Notify,
}

impl Follow {
    pub(crate) fn new(transport: Arc<Transport>, submitted: Arc<Submitted>) -> Self {
        Self { transport, submitted, book: Mutex::default(), woken: Notify::new() }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.transport.clock.monotonic()
    }

    /// Subscribes to the end of a run.
    pub(super) fn subscribe_end(
        self: &Arc<Self>,
        id: &RunId,
        known: Option<RunStatus>,
    ) -> Result<Subscription<oneshot::Receiver<Result<News>>>> {
        let (sender, receiver) = oneshot::channel();
        self.subscribe(id, known, Recipient::End(sender), receiver)
    }

    /// Subscribes to all changes of a run.
    pub(super) fn subscribe_changes(
        self: &Arc<Self>,
        id: &RunId,
    ) -> Result<Subscription<mpsc::UnboundedReceiver<Result<News>>>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.subscribe(id, None, Recipient::Changes(sender), receiver)
    }

    fn subscribe<R>(
        self: &Arc<Self>,
        id: &RunId,
        known: Option<RunStatus>,
        to: Recipient,
        receiver: R,
    ) -> Result<Subscription<R>> {
        let Ok(runtime) = Handle::try_current() else {
            let advice = "Await it in a task of a tokio runtime, or use the blocking client.";
            let error = Error::configuration("to follow a run takes a tokio runtime, and there is none", advice);
            return Err(error.with_operation(Operation::GET_RUN));
        };
        let now = self.now();
        let mut book = self.book();
        let number = book.subscribe(id, known, to, now);
        let begins = !book.is_empty() && !book.is_driven;
        if begins {
            book.is_driven = true;
            book.generation += 1;
        }
        let generation = book.generation;
        drop(book);
        let subscription = Subscription { follow: Arc::clone(self), id: id.clone(), number, receiver };
        if !begins {
            self.woken.notify_one();
            return Ok(subscription);
        }
        // Not while the book is open: a runtime that shuts down drops the task at once, and that looks into the book.
        let driver = Driver { follow: Arc::clone(self), generation };
        let task = runtime.spawn(driver.run()).abort_handle();
        let mut book = self.book();
        match (book.generation == generation, book.is_driven) {
            (true, true) => book.driver = Some(task),
            (true, false) => {
                drop(book);
                let error =
                    Error::configuration("the tokio runtime is shutting down", "Wait on a runtime that goes on.");
                return Err(error.with_operation(Operation::GET_RUN));
            }
            (false, _) => task.abort(),
        }
        drop(book);
        Ok(subscription)
    }

    /// The last status that was heard of a run that is waited for.
    pub(super) fn status(&self, id: &RunId) -> Option<RunStatus> {
        self.book().status(id)
    }
}

impl fmt::Debug for Follow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follow").finish_non_exhaustive()
    }
}

/// A place among those who wait for a run; dropped, it is given up.
pub(super) struct Subscription<R> {
    follow: Arc<Follow>,
    id: RunId,
    number: u64,
    pub(super) receiver: R,
}

impl<R> Drop for Subscription<R> {
    fn drop(&mut self) {
        let mut book = self.follow.book();
        book.unsubscribe(&self.id, self.number);
        book.end_if_idle();
    }
}

/// The task that polls.
struct Driver {
    follow: Arc<Follow>,
    generation: u64,
}

impl Drop for Driver {
    fn drop(&mut self) {
        let mut book = self.follow.book();
        // If it ends while somebody waits, its runtime has been shut down. Those who wait on another find out, and begin anew.
        if book.generation == self.generation {
            book.driver = None;
            book.is_driven = false;
            if std::thread::panicking() {
                let error = Error::configuration("what polls has panicked", "The message of the panic says why.");
                book.fail_all(&error.with_operation(Operation::GET_RUN));
            } else {
                book.abandon();
            }
        }
    }
}

impl Driver {
    async fn run(self) {
        loop {
            let now = self.now();
            let step = self.book().step(now);
            match step {
                Step::End => {
                    let mut book = self.book();
                    if book.is_empty() {
                        book.end_if_idle();
                        return;
                    }
                }
                Step::Wait(pause) => {
                    let sleep = self.follow.transport.clock.sleep(pause);
                    race(sleep, self.follow.woken.notified()).await;
                }
                Step::Poll => {
                    let outcome = self.round().await;
                    let now = self.now();
                    match outcome {
                        Ok(()) => self.book().release(),
                        Err(error) => self.book().hold(now, error.retry_after()),
                    }
                }
            }
        }
    }

    /// Asks once for everything that is due. It fails with what may pass.
    async fn round(&self) -> Result<()> {
        let began = self.now();
        self.meet_newcomers().await?;
        let situation = self.situation(began);
        if situation.due() > 0 {
            let plan = situation.plan();
            if plan != Plan::Active {
                // What was once too much need not be for ever.
                self.book().note_left(0);
            }
            match plan {
                Plan::Singles => {}
                Plan::Pages => self.read_pages(began).await?,
                Plan::Active => {
                    self.read_active(RunStatus::Running, began).await?;
                    self.read_active(RunStatus::Pending, began).await?;
                    let left = self.situation(began);
                    self.book().note_left(left.due());
                    if left.due() > 0 && left.plan() == Plan::Pages {
                        self.read_pages(began).await?;
                    }
                }
            }
        }
        loop {
            let next = self.book().first_due(began);
            let Some(id) = next else { return Ok(()) };
            self.get(&id).await?;
            self.meet_newcomers().await?;
        }
    }

    /// Asks for the runs that were never heard of, which does not wait for a round to end.
    async fn meet_newcomers(&self) -> Result<()> {
        self.discover(Book::newcomer_count).await?;
        loop {
            let now = self.now();
            let next = self.book().first_newcomer(now);
            let Some(id) = next else { return Ok(()) };
            self.get(&id).await?;
        }
    }

    /// Reads the pages on which runs are that are due.
    async fn read_pages(&self, began: Duration) -> Result<()> {
        self.discover(|book, _| book.unknown(began)).await?;
        // Each page is read for one run at least, whatever the service says of places.
        for _ in 0..self.situation(began).due() {
            let next = self.book().first_page(began);
            match next {
                Some(offset) if self.has_lists() => self.list(None, offset).await?,
                _ => return Ok(()),
            };
            self.meet_newcomers().await?;
        }
        Ok(())
    }

    /// Reads pages from the front of the list, where the newest runs are, for as long as that finds what is looked for: more
    /// pages than runs are left would cost more than to ask for each.
    async fn discover(&self, count: impl Fn(&Book, Duration) -> usize) -> Result<()> {
        let (mut offset, mut in_vain) = (0, 0);
        let left_now = || {
            let now = self.now();
            count(&self.book(), now)
        };
        let mut left = left_now();
        while left > FEW && in_vain < left && self.has_lists() {
            let read = self.list(None, offset).await?;
            let now_left = left_now();
            in_vain = (in_vain + 1_usize).saturating_sub(left.saturating_sub(now_left));
            left = now_left;
            offset = offset.saturating_add(read.count);
            if read.is_last {
                break;
            }
        }
        Ok(())
    }

    /// Reads the runs that have this status, until everything is found that is due.
    async fn read_active(&self, status: RunStatus, began: Duration) -> Result<()> {
        let (mut offset, mut in_vain) = (0_u32, 0);
        let mut left = self.situation(began).due();
        while in_vain <= left && self.has_lists() {
            let read = self.list(Some(&status), offset).await?;
            let now_left = self.situation(began).due();
            in_vain = if now_left < left { 0 } else { in_vain + 1 };
            left = now_left;
            offset = offset.saturating_add(read.count);
            if read.is_last || left == 0 {
                break;
            }
            self.meet_newcomers().await?;
        }
        Ok(())
    }

    /// Reads a page.
    async fn list(&self, status: Option<&RunStatus>, offset: u32) -> Result<Read> {
        self.keep_pace().await;
        let mut call = self.client().runs().list().limit(PAGE).offset(offset);
        if let Some(status) = status {
            call = call.status(status.clone());
        }
        let outcome = call.await;
        let now = self.now();
        match outcome {
            Ok(page) => {
                let count = u32::try_from(page.data.len()).unwrap_or(PAGE);
                let end = u64::from(offset) + u64::from(count);
                let is_last = count == 0 || page.total.is_some_and(|total| end >= total);
                let mut book = self.book();
                match status {
                    Some(status) => book.hear_active(page, status, now),
                    None => book.hear_page(page, offset, now),
                }
                Ok(Read { count, is_last })
            }
            Err(error) => {
                match error.kind() {
                    kind if is_refusal(kind) => self.book().fail_all(&error),
                    // Single runs may be readable all the same.
                    ErrorKind::Decode | ErrorKind::BodyTooLarge => self.book().do_without_lists(now),
                    kind if may_pass(kind) => {
                        self.book().list_failed(now);
                        return Err(error);
                    }
                    _ => self.book().do_without_lists(now),
                }
                Ok(Read { count: 0, is_last: true })
            }
        }
    }

    /// Gets a run.
    async fn get(&self, id: &RunId) -> Result<()> {
        self.keep_pace().await;
        let outcome = self.client().runs().get(id).await;
        let now = self.now();
        match outcome {
            Ok(run) => self.book().hear_run(id, run, now),
            Err(error) => match error.kind() {
                // It may be this one run that the key may not see.
                ErrorKind::PermissionDenied => self.book().fail(id, &error),
                kind if is_refusal(kind) => self.book().fail_all(&error),
                kind if may_pass(kind) => {
                    self.book().put_off(id, now);
                    return Err(error);
                }
                _ => self.book().fail(id, &error),
            },
        }
        Ok(())
    }

    /// Waits until one more request is within the share.
    async fn keep_pace(&self) {
        let clock = &self.follow.transport.clock;
        let limit = self.follow.transport.limiter.known().and_then(|known| known.limit);
        loop {
            let now = clock.monotonic();
            let wait = {
                let mut book = self.book();
                let share = book.settings.share;
                book.pace.spend(now, limit, share)
            };
            if wait.is_zero() {
                return;
            }
            clock.sleep(wait).await;
        }
    }

    fn has_lists(&self) -> bool {
        let now = self.now();
        self.book().has_lists(now)
    }

    /// What a round has to ask for that began then.
    fn situation(&self, began: Duration) -> Situation {
        let now = self.now();
        self.book().situation(began, now)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.follow.book()
    }

    fn now(&self) -> Duration {
        self.follow.now()
    }

    fn client(&self) -> Client {
        Client {
            transport: Arc::clone(&self.follow.transport),
            submitted: Arc::clone(&self.follow.submitted),
            follow: Arc::clone(&self.follow),
        }
    }
}

/// A page that was read.
struct Read {
    count: u32,
    is_last: bool,
}

/// The key does not do: no poll will.
fn is_refusal(kind: ErrorKind) -> bool {
    use ErrorKind::{Authentication, Configuration, OrganizationSuspended, PermissionDenied};
    matches!(kind, Authentication | Configuration | OrganizationSuspended | PermissionDenied)
}

/// The next poll may go well: perhaps with a smaller body, too.
pub(super) fn may_pass(kind: ErrorKind) -> bool {
    kind.may_pass() || kind == ErrorKind::BodyTooLarge
}
