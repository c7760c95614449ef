//! Work orders: submitted with a token, for a tenant, and awaited.

use std::future::IntoFuture as _;

use super::reconcile::{self, TOKEN};
use super::{Call, CreateWorkOrder, SubmissionToken, WorkOrders};
use crate::follow::WaitForRun;
use crate::transport::Execution;
use crate::types::{self, TenantContext, WorkOrderCreated};
use crate::{Response, Result};
use serde_json::Value;

impl WorkOrders {
    /// Submits a [`NewWorkOrder`](types::NewWorkOrder), for example from a queue: another name of
    /// [`create_from`](Self::create_from).
    ///
    /// # Unknown outcomes
    ///
    /// A run costs credits, so a submission that the service may have accepted is not sent again. Each submission has a
    /// random token in the `metadata` of the work order, as `agentgate-submission`. If the response is lost (a cut
    /// connection, a time-out, a 5xx that may come from a gateway, a response that cannot be read), the client waits
    /// for a second, lists the recent runs, and fetches the work orders that it does not know. It returns the one with
    /// the token, with the status and the headers of the response that contained it. It never returns a work order
    /// without the token, even an equal one. A search that fails is repeated, up to three times within half a minute,
    /// as what lost the response often lasts for seconds.
    ///
    /// If the search finds none, the call returns the error, and
    /// [`may_have_reached_server`](crate::Error::may_have_reached_server) is `true`. With
    /// [`reconcile`](Call::reconcile), the client then submits the work order again. With
    /// [`repeatable`](Call::repeatable), it does so without a search.
    ///
    /// A work order counts as absent only if the list of runs was read to its proven end, or is sorted by time and was
    /// read to runs that are older than the submission. A list that contradicts its own total, or that comes from a
    /// cache, proves nothing.
    ///
    /// A proxy that repeats a POST, such as nginx with `proxy_next_upstream non_idempotent` or Envoy with `retry_on:
    /// 5xx`, makes two paid runs of one submission before the client can know: switch that off. If the search finds a
    /// second work order with the token, it is reported as [`CallEvent::Duplicate`](crate::events::CallEvent) and as a
    /// warning of `tracing`, with the id of its run, so that it can be cancelled.
    ///
    /// A call that is dropped does not search. [`tracked`](Call::tracked) reports whether it was sent, and finds its
    /// work order.
    ///
    /// The search fetches 10 pages and 50 work orders at most, within the [`deadline`](Call::deadline). The API key
    /// needs the scopes `runs:read` and `work-orders:read` for it.
    ///
    /// ```no_run
    /// use agentgate::WorkspaceSource;
    /// use agentgate::types::NewWorkOrder;
    ///
    /// # async fn example(client: agentgate::Client) -> agentgate::Result<()> {
    /// let waiting = NewWorkOrder::new("Fix it", WorkspaceSource::template("python-flask"));
    /// let order = client.work_orders().submit(waiting).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn submit(&self, order: types::NewWorkOrder) -> Call<CreateWorkOrder> {
        self.create_from(order)
    }
}

impl CreateWorkOrder {
    /// Gives the submission a token of its own, by which it can be found if its outcome is unknown.
    pub(super) fn prepared(call: &mut Call<Self>) {
        call.ensure_token();
    }

    /// Looks for a submission whose outcome is unknown.
    pub(super) async fn resolved(
        call: &Call<Self>,
        result: Result<Response<WorkOrderCreated>>,
        sent: &Execution,
    ) -> Result<Response<WorkOrderCreated>> {
        let result = reconcile::resolved(call, result, sent).await;
        if let Ok(response) = &result {
            let created = response.value();
            call.client.follow.apply_status(&created.run_id, &created.status);
        }
        result
    }
}

impl Call<CreateWorkOrder> {
    /// Returns the token of the submission, after giving it one unless it has one.
    pub(super) fn ensure_token(&mut self) -> SubmissionToken {
        self.token().unwrap_or_else(|| {
            let token = SubmissionToken::random();
            self.set_token(token);
            token
        })
    }

    /// Returns the token, unless it is one that the work order was copied with.
    pub(super) fn token(&self) -> Option<SubmissionToken> {
        let metadata = self.endpoint.body.metadata.as_ref().filter(|_| self.settings.has_token)?;
        SubmissionToken::of_order(metadata.get(TOKEN)?.as_str()?)
    }

    pub(super) fn set_token(&mut self, token: SubmissionToken) {
        let token = token.to_string();
        self.settings.has_token = true;
        self.endpoint.body.metadata.get_or_insert_default().insert(TOKEN.to_owned(), token.as_str().into());
        self.settings.idempotency_key.get_or_insert(token);
    }

    /// Sets the tenant of the work order, such as a customer of yours. [`tenant`](Self::tenant) sets one of its users,
    /// too.
    pub fn tenant_id(self, tenant_id: impl Into<String>) -> Self {
        self.tenant_context(TenantContext { tenant_id: Some(tenant_id.into()), ..TenantContext::new() })
    }

    /// Sets the tenant of the work order, such as a customer of yours, and one of its users. Runs and credits can be
    /// listed by both.
    pub fn tenant(self, tenant_id: impl Into<String>, tenant_user_id: impl Into<String>) -> Self {
        let (tenant_id, tenant_user_id) = (Some(tenant_id.into()), Some(tenant_user_id.into()));
        self.tenant_context(TenantContext { tenant_id, tenant_user_id, ..TenantContext::new() })
    }

    /// Adds an entry to the metadata that is kept with the work order.
    ///
    /// The client sets the entry `agentgate-submission` itself, and ignores other values for it, such as those of
    /// metadata that was copied from another work order.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        let key = key.into();
        if key != TOKEN {
            self.endpoint.body.metadata.get_or_insert_default().insert(key, value.into());
        }
        self
    }

    /// Submits the work order, and waits for its run to end. An error after the submission has the id of the run:
    /// [`Error::run_id`](crate::Error::run_id).
    ///
    /// The settings of the call apply to the submission: [`reconcile`](Self::reconcile),
    /// [`repeatable`](Self::repeatable), [`timeout`](Self::timeout), [`deadline`](Self::deadline),
    /// [`max_retries`](Self::max_retries). Its status and headers are not kept. To get them, submit by
    /// [`with_response`](Self::with_response), and wait by [`Runs::wait`](super::Runs::wait).
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use agentgate::WorkspaceSource;
    ///
    /// # async fn example(client: agentgate::Client) -> agentgate::Result<()> {
    /// let run = client
    ///     .work_orders()
    ///     .create("Fix it", WorkspaceSource::git("https://github.com/your-org/your-repo"))
    ///     .and_wait()
    ///     .timeout(Duration::from_secs(30 * 60))
    ///     .await?
    ///     .succeeded()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn and_wait(self) -> WaitForRun {
        WaitForRun::after(self.client.follower(), self.into_future())
    }
}
