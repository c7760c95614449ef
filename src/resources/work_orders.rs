//! Work orders: what an agent is asked to do.

use serde_json::{Map, Value};

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
    /// A run costs credits, so a submission is not repeated by itself when the first may have been accepted: such an error says
    /// [`may_have_reached_server`](crate::Error::may_have_reached_server).
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

    /// Submits a work order that is held as a value, for example in a queue.
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
    pub fn submit(&self, order: types::CreateWorkOrder) -> CreateWorkOrder {
        CreateWorkOrder::new(self.client.clone(), order)
    }

    /// Gets a work order by its id.
    pub fn get(&self, id: impl Into<WorkOrderId>) -> GetWorkOrder {
        GetWorkOrder::new(self.client.clone(), id.into())
    }
}

call! {
    /// Submits a work order: from [`WorkOrders::create`].
    CreateWorkOrder(CREATE_WORK_ORDER) -> WorkOrderCreated { body: types::CreateWorkOrder }
    path []
    |this, api| api.create_work_order(&this.body)
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
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.body.metadata.get_or_insert_default().insert(key.into(), value.into());
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
