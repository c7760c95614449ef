//! Work orders.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::simulator::clock::time::timestamp;
use crate::simulator::model::plan::Status;
use crate::simulator::model::response::without_nulls;
use crate::simulator::model::run::Tenant;

#[derive(Debug)]
pub(crate) struct WorkOrder {
    pub(crate) id: String,
    pub(crate) run_id: String,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) task_prompt: String,
    pub(crate) workspace_source: Option<Value>,
    pub(crate) max_iterations: u32,
    pub(crate) tenant: Tenant,
    pub(crate) metadata: Option<Value>,
    pub(crate) webhook_url: Option<Arc<str>>,
}

impl WorkOrder {
    /// Returns the web address of the repository; a placeholder if the workspace source has none.
    pub(crate) fn repository(&self) -> &str {
        let repository = self.workspace_source.as_ref().and_then(|source| source["repository"].as_str());
        match repository {
            Some(url) if url.starts_with("https://") => url.trim_end_matches('/').trim_end_matches(".git"),
            _ => "https://github.com/your-org/your-repo",
        }
    }

    pub(crate) fn to_json(&self, status: Status) -> Value {
        without_nulls(json!({
            "id": self.id,
            "taskPrompt": self.task_prompt,
            "workspaceSource": self.workspace_source,
            "runId": self.run_id,
            "status": status.as_str(),
            "maxIterations": self.max_iterations,
            "tenantContext": self.tenant.json(),
            "metadata": self.metadata,
            "createdAt": timestamp(self.created_at),
        }))
    }
}
