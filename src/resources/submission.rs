//! [`Submission`]: what became of a submission whose call was dropped.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::reconcile;
use super::{Call, CallFuture, CreateWorkOrder};
use crate::transport::{SentState, SubmissionState};
use crate::types::WorkOrderCreated;

/// A submission under way, seen from outside of its call: from [`Call::tracked`].
///
/// A call that is dropped stops: where it waits for the rate limit or connects, nothing was sent; where it waits for the response, the
/// service may create the work order all the same. This tells one from the other, and finds the work order:
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
    /// Returns the future of this call, and a [`Submission`] that tells what became of it when that future is dropped.
    ///
    /// Until the future is polled, nothing is sent.
    #[must_use = "a call does nothing until it is awaited"]
    pub fn tracked(mut self) -> (Submission, CallFuture<WorkOrderCreated>) {
        self.set_token();
        let state = Arc::new(SentState::default());
        self.options.sent = Some(Arc::clone(&state));
        let begun = self.client.transport.clock.now();
        let (end, call) = (CloseOnDrop(Arc::clone(&state)), self.clone());
        let future = Box::pin(async move {
            let _end = end;
            self.await
        });
        (Submission { call, begun, state }, future)
    }
}

impl Submission {
    /// Returns what is known of the submission.
    ///
    /// [`NotSubmitted`](SubmissionState::NotSubmitted) is sure once the call has ended or was dropped; while it goes on, it may be sent at
    /// any moment.
    #[must_use]
    pub fn state(&self) -> SubmissionState {
        self.state.get()
    }

    /// Looks for the work order among the recent runs, by the token that the submission has: up to three times within half a minute, as
    /// the request may still be on its way. `None` if it is not there.
    ///
    /// The API key needs the scopes `runs:read` and `work-orders:read`. It does not submit anything. To submit a work order again after
    /// `None` is as safe as [`reconcile`](Call::reconcile) is.
    ///
    /// # Errors
    ///
    /// Those of the calls that list runs and get work orders; and an error of the kind
    /// [`Pagination`](crate::ErrorKind::Pagination) if there are too many recent runs to look at them all.
    #[must_use = "a call does nothing until it is awaited"]
    pub fn find(&self) -> CallFuture<Option<WorkOrderCreated>> {
        let submission = self.clone();
        Box::pin(async move { reconcile::find(&submission.call, submission.begun).await })
    }
}

/// Shows the state, and none of the content.
impl fmt::Debug for Submission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submission").field("state", &self.state()).finish_non_exhaustive()
    }
}
