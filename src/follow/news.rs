//! What polls and deliveries tell of a run, brought into one form.

use crate::types::{Run, RunId, RunStatus, RunSummary, RunTiming};

/// What is known of a run now.
#[derive(Clone, Debug)]
pub(super) struct News {
    pub(super) id: RunId,
    pub(super) status: RunStatus,
    pub(super) iterations: Option<u32>,
    pub(super) pull_request: Option<String>,
    /// The run, if enough is known to show one.
    pub(super) run: Option<Box<Run>>,
    /// Whether that is all of it, and not the brief form of lists.
    pub(super) is_whole: bool,
}

impl From<Run> for News {
    fn from(run: Run) -> Self {
        Self {
            id: run.id.clone(),
            status: run.status.clone(),
            iterations: run.iterations,
            pull_request: run.pr_url.clone(),
            run: Some(Box::new(run)),
            is_whole: true,
        }
    }
}

impl From<RunSummary> for News {
    fn from(summary: RunSummary) -> Self {
        let timing = summary.completed_at.map(|completed_at| RunTiming {
            started_at: None,
            completed_at: Some(completed_at),
            duration_ms: None,
        });
        let run = Run {
            id: summary.id,
            work_order_id: summary.work_order_id,
            status: summary.status,
            iterations: summary.iterations,
            timing,
            pr_url: None,
            cost: None,
            error: None,
            tenant_context: None,
        };
        Self { is_whole: false, ..Self::from(run) }
    }
}

impl News {
    /// What an event tells of a run; `None` if it is about none. An event that tells of no status leaves it open.
    #[cfg(feature = "webhooks")]
    pub(super) fn of_event(event: &crate::webhook::Event) -> Option<(RunId, Option<Self>)> {
        use crate::types::WebhookEventType as Type;

        let id = event.run_id()?.clone();
        let by_type = match event.event_type {
            Type::RunCreated => RunStatus::Pending,
            Type::RunStarted => RunStatus::Running,
            Type::RunCompleted => RunStatus::Succeeded,
            Type::RunFailed => RunStatus::Failed,
            Type::RunCancelled => RunStatus::Cancelled,
            _ => return Some((id, None)),
        };
        let Some(data) = event.run() else { return Some((id, None)) };
        // What has ended may have ended in another way than its type says, if the run itself says so.
        let told = data.status.clone().filter(|status| by_type.is_terminal() && status.is_terminal());
        let status = told.unwrap_or(by_type);
        let run = data.work_order_id.clone().map(|work_order_id| {
            Box::new(Run {
                id: id.clone(),
                work_order_id,
                status: status.clone(),
                iterations: data.iterations,
                pr_url: data.pr_url.clone(),
                timing: data.timing.clone(),
                cost: data.cost.clone(),
                error: data.error.clone(),
                tenant_context: data.tenant_context.clone(),
            })
        });
        // Which fields an event carries is not documented: one that has none of these is too brief to be all.
        let says_more = data.timing.is_some() || data.cost.is_some() || data.pr_url.is_some() || data.error.is_some();
        let news = Self {
            id: id.clone(),
            iterations: data.iterations,
            pull_request: data.pr_url.clone(),
            is_whole: run.is_some() && says_more,
            run,
            status,
        };
        Some((id, Some(news)))
    }
}

/// How far a status is on the way from submission to end. A word that nobody knows is somewhere in between.
pub(super) fn progress(status: &RunStatus) -> u8 {
    match status {
        RunStatus::Pending => 0,
        RunStatus::Succeeded | RunStatus::Failed | RunStatus::Cancelled => 2,
        _ => 1,
    }
}
