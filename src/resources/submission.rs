//! [`Submission`]: a handle to a submission whose call may be dropped.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::reconcile;
use super::{Call, CallFuture, CreateWorkOrder, SubmissionToken, WorkOrders};
use crate::transport::{SentState, SubmissionState};
use crate::types::{WorkOrderCreated, WorkOrderId};

/// A handle to a submission in progress, independent of its call. Returned by [`Call::tracked`].
///
/// A dropped call stops. If it was waiting for the rate limit or connecting, nothing was sent. If it was waiting for
/// the response, the service may still create the work order. The handle distinguishes the two cases, and finds the
/// work order:
///
/// ```no_run
/// use agentgate::WorkspaceSource;
/// use agentgate::resources::SubmissionState;
///
/// # async fn shutdown() {}
/// # fn put_back(prompt: &str) {}
/// # async fn example(client: agentgate::Client) -> agentgate::Result<()> {
/// let source = WorkspaceSource::template("python-flask");
/// let (submission, call) = client.work_orders().create("Fix it", source).tracked();
/// tokio::select! {
///     order = call => println!("run {}", order?.run_id),
///     () = shutdown() => match submission.state() {
///         SubmissionState::NotSubmitted => put_back("Fix it"),
///         _ => match submission.find().await? {
///             Some(order) => println!("run {}", order.run_id),
///             None => put_back("Fix it"),
///         },
///     },
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Submission {
    call: Call<CreateWorkOrder>,
    token: SubmissionToken,
    begun: DateTime<Utc>,
    state: Arc<SentState>,
}

/// Held by the future of the call, so that nothing is sent after it.
struct CloseOnDrop(Arc<SentState>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Call<CreateWorkOrder> {
    /// Returns the future of this call, and a [`Submission`] that finds its outcome if that future is dropped.
    ///
    /// Until the future is polled, nothing is sent.
    #[must_use = "a call does nothing until it is awaited"]
    pub fn tracked(mut self) -> (Submission, CallFuture<WorkOrderCreated>) {
        let token = self.ensure_token();
        let state = Arc::new(SentState::default());
        self.settings.sent = Some(Arc::clone(&state));
        let begun = self.client.transport.clock.now();
        let (end, call) = (CloseOnDrop(Arc::clone(&state)), self.clone());
        let future = Box::pin(async move {
            let _end = end;
            self.await
        });
        (Submission { call, token, begun, state }, future)
    }
}

/// Submissions that outlive the process.
impl Call<CreateWorkOrder> {
    /// Sets the token by which the work order can be found after a restart. Store it before you submit. Defaults to a
    /// random token.
    ///
    /// Use a token for one submission only. Otherwise, a search may return the work order of another submission. Do not
    /// send clones of a call that has a token.
    pub fn submission_token(mut self, token: SubmissionToken) -> Self {
        self.set_token(token);
        self
    }

    /// Submits the work order unless it was submitted already: for a program that stopped between storing the token and
    /// storing the work order.
    ///
    /// The client first looks for a work order that has the [token](Self::submission_token) among the runs since
    /// `since`, three times within 30 seconds, because a request of the previous process may still be in transit. If it
    /// finds the work order, it returns it, and submits nothing. It submits the work order only if all three searches
    /// succeeded and proved that it is not there. Without a [`submission_token`](Self::submission_token), there is
    /// nothing to look for, and the work order is submitted.
    ///
    /// The [`deadline`](Self::deadline), [`max_wait`](Self::max_wait) and other settings of the call hold for the
    /// search and the submission together.
    ///
    /// `since` is the time at which the token was stored; an hour is added for clocks that differ. The client fetches
    /// work orders that it does not know to read their tokens, 50 at most. Pass those that you know to
    /// [`WorkOrders::remember`].
    ///
    /// ```no_run
    /// use agentgate::WorkspaceSource;
    /// use agentgate::chrono::{DateTime, Utc};
    /// use agentgate::resources::SubmissionToken;
    ///
    /// # type Stored = (SubmissionToken, DateTime<Utc>);
    /// # async fn example(client: agentgate::Client, (token, stored_at): Stored) -> agentgate::Result<()> {
    /// // At the start of the program, for each task whose token is stored, and whose run is not:
    /// let source = WorkspaceSource::template("python-flask");
    /// let order = client.work_orders().create("Fix it", source).submission_token(token).resume(stored_at).await?;
    /// println!("run {}", order.run_id);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Submission::find`] and of a submission. Nothing was submitted if the search has failed.
    #[must_use = "a call does nothing until it is awaited"]
    pub fn resume(mut self, since: DateTime<Utc>) -> CallFuture<WorkOrderCreated> {
        Box::pin(async move {
            self.settings.time = Some(self.client.transport.time_of(&self.settings));
            if let Some(token) = self.token()
                && let Some(order) = reconcile::find(&self, token, since).await?
            {
                return Ok(order);
            }
            self.await
        })
    }
}

impl WorkOrders {
    /// Records the token of a work order, so that no search fetches it. The client records the last 10,000
    /// work orders that it has submitted or fetched itself.
    pub fn remember(&self, id: &WorkOrderId, token: SubmissionToken) {
        self.client.known_tokens.insert(id, Some(token));
    }
}

impl Submission {
    /// Returns the token by which the work order is found.
    #[must_use]
    pub fn token(&self) -> SubmissionToken {
        self.token
    }

    /// Returns the known state of the submission.
    ///
    /// [`NotSubmitted`](SubmissionState::NotSubmitted) is final only after the call has ended or was dropped. Until
    /// then, the request may be sent at any time.
    #[must_use]
    pub fn state(&self) -> SubmissionState {
        self.state.get()
    }

    /// Looks for the work order among the recent runs, by the token that the submission has: three times within half a
    /// minute, as the request may still be in transit. `None` if it is not there, which all three searches have to
    /// prove; at once if the [state](Self::state) is [`NotSubmitted`](SubmissionState::NotSubmitted).
    ///
    /// The API key needs the scopes `runs:read` and `work-orders:read`. This submits nothing. Submitting the
    /// work order again after `None` has the same risk as [`reconcile`](Call::reconcile).
    ///
    /// # Errors
    ///
    /// Those of the calls that list runs and get work orders; and an error of the kind
    /// [`Pagination`](crate::ErrorKind::Pagination) if there are too many recent runs to fetch them all, or if the list
    /// of runs contradicts itself or comes from a cache.
    #[must_use = "a call does nothing until it is awaited"]
    pub fn find(&self) -> CallFuture<Option<WorkOrderCreated>> {
        let submission = self.clone();
        Box::pin(async move {
            if submission.state() == SubmissionState::NotSubmitted {
                return Ok(None);
            }
            reconcile::find(&submission.call, submission.token, submission.begun).await
        })
    }
}

/// Shows the state, and none of the content.
impl fmt::Debug for Submission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submission").field("state", &self.state()).finish_non_exhaustive()
    }
}
