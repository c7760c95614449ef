//! Work orders: what an agent is asked to do.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::reconcile::{self, TOKEN};
use crate::follow::WaitForRun;
use crate::types::{self, TenantContext, WorkOrder, WorkOrderCreated, WorkOrderId, WorkspaceSource};

resource! {
    /// Work orders: from [`Client::work_orders`](crate::Client::work_orders).
    WorkOrders
}

impl WorkOrders {
    /// Submits a work order: what to do, and where the files to do it with come from. The answer has the id of the run that
    /// carries it out.
    ///
    /// A run costs credits, so a submission that may have been accepted is not sent again. Each submission carries a random token in
    /// the `metadata` of the work order, as `agentgate-submission`. When the response is lost (a cut connection, a time-out, a 5xx
    /// that may come from a gateway, a response that cannot be read), the client waits for a second, lists the recent runs, and
    /// fetches the work orders that it does not know. The one with the token is returned as though the response had arrived, with
    /// the status and the headers of the response that it was found in. Any other is left alone, also one that is equal.
    ///
    /// If it is not found, the failure is returned, and says
    /// [`may_have_reached_server`](crate::Error::may_have_reached_server). [`reconcile`](CreateWorkOrder::reconcile) submits it again
    /// then, and [`repeatable`](CreateWorkOrder::repeatable) does so without a search.
    ///
    /// The search fetches 10 pages and 50 work orders at most, within the [`deadline`](CreateWorkOrder::deadline). The API key needs the
    /// scopes `runs:read` and `work-orders:read` for it.
    ///
    /// ```no_run
    /// use agentgate::WorkspaceSource;
    ///
    /// # async fn example(client: agentgate::Client) -> agentgate::Result<()> {
    /// let order = client
    ///     .work_orders()
    ///     .create(
    ///         "Add error handling to the API routes",
    ///         WorkspaceSource::git("https://github.com/your-org/your-repo").branch("main"),
    ///     )
    ///     .max_iterations(5)
    ///     .tenant("acme-corp", "user_123")
    ///     .await?;
    /// println!("run {}", order.run_id);
    /// # Ok(())
    /// # }
    /// ```
    pub fn create(&self, task_prompt: impl Into<String>, source: impl Into<WorkspaceSource>) -> CreateWorkOrder {
        self.submit(types::CreateWorkOrder::new(task_prompt, source))
    }

    /// Submits a work order that is held as a value, for example in a queue. It is otherwise the same as [`create`](Self::create):
    /// each call has a token of its own.
    ///
    /// ```no_run
    /// use agentgate::WorkspaceSource;
    /// use agentgate::types::CreateWorkOrder;
    ///
    /// # async fn example(client: agentgate::Client) -> agentgate::Result<()> {
    /// let waiting = CreateWorkOrder::new("Fix it", WorkspaceSource::template("python-flask"));
    /// let order = client.work_orders().submit(waiting).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn submit(&self, mut order: types::CreateWorkOrder) -> CreateWorkOrder {
        let token = Uuid::new_v4();
        order.metadata.get_or_insert_default().insert(TOKEN.to_owned(), token.to_string().into());
        let mut call = CreateWorkOrder::new(self.client.clone(), order, token, false);
        call.options.idempotency_key = Some(token.to_string());
        call
    }

    /// Gets a work order by its id.
    pub fn get(&self, id: impl Into<WorkOrderId>) -> GetWorkOrder {
        GetWorkOrder::new(self.client.clone(), id.into())
    }
}

call! {
    /// Submits a work order: from [`WorkOrders::create`].
    CreateWorkOrder(CREATE_WORK_ORDER) -> WorkOrderCreated {
        body: types::CreateWorkOrder,
        token: Uuid,
        reconcile: bool,
    }
    path []
    |this, api| api.create_work_order(&this.body)
    ; then reconcile::resolved
}

call! {
    /// Gets a work order: from [`WorkOrders::get`].
    GetWorkOrder(GET_WORK_ORDER) -> WorkOrder { id: WorkOrderId }
    path [id]
    |this, api| api.get_work_order(&this.id)
}

impl CreateWorkOrder {
    /// How many iterations the agent may take. The service's default is 10.
    pub fn max_iterations(mut self, iterations: u32) -> Self {
        self.body.max_iterations = Some(iterations);
        self
    }

    /// For whom the work is done: a customer of yours, and a user of theirs. Runs and credits can be listed by both.
    pub fn tenant(self, tenant_id: impl Into<String>, tenant_user_id: impl Into<String>) -> Self {
        let mut tenant = TenantContext::new();
        tenant.tenant_id = Some(tenant_id.into());
        tenant.tenant_user_id = Some(tenant_user_id.into());
        self.tenant_context(tenant)
    }

    /// For whom the work is done, with what [`tenant`](Self::tenant) leaves out.
    pub fn tenant_context(mut self, tenant: TenantContext) -> Self {
        self.body.tenant_context = Some(tenant);
        self
    }

    /// Adds an entry to the metadata that is kept with the work order.
    ///
    /// The entry `agentgate-submission` belongs to the client. A value of yours for it has no effect, so that metadata which was
    /// copied from another work order cannot pass for this one.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        let key = key.into();
        if key != TOKEN {
            self.body.metadata.get_or_insert_default().insert(key, value.into());
        }
        self
    }

    /// Settings for the verification of the result, in free form.
    pub fn gate_plan(mut self, plan: Map<String, Value>) -> Self {
        self.body.gate_plan = Some(plan);
        self
    }

    /// Submits the work order, and waits for its run to end. An error after the submission tells the run's id:
    /// [`Error::run_id`](crate::Error::run_id).
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
        WaitForRun::after(self.client.clone(), self)
    }

    /// An address that is told about the events of this work order's run.
    pub fn webhook_url(mut self, url: impl Into<String>) -> Self {
        self.body.webhook_url = Some(url.into());
        self
    }
}

not_idempotent!(CreateWorkOrder, "two runs for one work order, each of which costs credits.");
