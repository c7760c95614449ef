//! The organization: its keys, limits, credits and resources.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::simulator::clock::time::later;
use crate::simulator::model::credits::Ledger;
use crate::simulator::model::error::ApiError;
use crate::simulator::model::keys::Keys;
use crate::simulator::model::plan::{DefaultRun, RunPlan};
use crate::simulator::model::rate_limit::{Limit, Quota};
use crate::simulator::model::run::Run;
use crate::simulator::model::template::{self, Template};
use crate::simulator::model::webhook::Webhook;
use crate::simulator::model::work_order::WorkOrder;

#[derive(Debug)]
pub(crate) struct Organization {
    pub(crate) settings: Settings,
    pub(crate) keys: Keys,
    pub(crate) suspended: bool,
    pub(crate) credits: Ledger,
    pub(crate) requests: Limit,
    pub(crate) submissions: Limit,
    pub(crate) next_runs: VecDeque<RunPlan>,
    pub(crate) work_orders: Vec<WorkOrder>,
    pub(crate) runs: Vec<Run>,
    pub(crate) webhooks: Vec<Webhook>,
    /// Number of webhooks that were ever created.
    pub(crate) webhooks_created: usize,
    pub(crate) templates: Vec<Template>,
}

/// Prices and limits.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The price of a run in cents.
    pub(crate) price: u32,
    pub(crate) requests: u32,
    pub(crate) submissions: u32,
    pub(crate) concurrent_runs: u32,
    pub(crate) default_run: DefaultRun,
    /// The secret of deliveries to the `webhookUrl` of work orders.
    pub(crate) webhook_secret: Arc<str>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            price: 50,
            requests: 100,
            submissions: 20,
            concurrent_runs: 10,
            default_run: DefaultRun::default(),
            webhook_secret: "whsec_simulator".into(),
        }
    }
}

/// The initial included credits in cents.
const CREDITS: i64 = 10_000;

impl Organization {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            keys: Keys::default(),
            suspended: false,
            credits: Ledger::new(CREDITS),
            requests: Limit::per_minute(settings.requests),
            submissions: Limit::per_minute(settings.submissions),
            next_runs: VecDeque::new(),
            work_orders: Vec::new(),
            runs: Vec::new(),
            webhooks: Vec::new(),
            webhooks_created: 0,
            templates: template::built_in(),
            settings,
        }
    }

    /// Checks the limit of concurrent runs. It resets when the first of them ends.
    pub(crate) fn check_concurrency(&self, now: DateTime<Utc>) -> Result<(), ApiError> {
        let limit = self.settings.concurrent_runs;
        if self.runs.len() < limit as usize {
            return Ok(());
        }
        let active: Vec<_> = self.runs.iter().filter(|run| !run.status(now).is_final()).collect();
        if active.len() < limit as usize {
            return Ok(());
        }
        // If none of them ever ends, the window of the other limits has to do.
        let reset_at =
            active.iter().filter_map(|run| run.end()).min().unwrap_or_else(|| later(now, Duration::from_secs(60)));
        let error = ApiError::rate_limited(Quota { limit, remaining: 0, reset_at }, now);
        Err(error.with_message("Too many runs are pending or running."))
    }

    pub(crate) fn next_plan(&mut self) -> RunPlan {
        self.next_runs.pop_front().unwrap_or_else(|| self.settings.default_run.plan())
    }

    pub(crate) fn run(&self, id: &str) -> Result<&Run, ApiError> {
        self.run_position(id).map(|position| &self.runs[position])
    }

    /// Returns the index of a run. Runs are never removed, and their ids count from one.
    pub(crate) fn run_position(&self, id: &str) -> Result<usize, ApiError> {
        let position = id.strip_prefix("run_").and_then(|number| number.parse::<usize>().ok()?.checked_sub(1));
        position
            .filter(|position| self.runs.get(*position).is_some_and(|run| run.id == id))
            .ok_or_else(|| ApiError::not_found(&format!("run {id}")))
    }

    pub(crate) fn webhook_position(&self, id: &str) -> Result<usize, ApiError> {
        let position = self.webhooks.iter().position(|webhook| &*webhook.id == id);
        position.ok_or_else(|| ApiError::not_found(&format!("webhook {id}")))
    }

    pub(crate) fn template_position(&self, id: &str) -> Result<usize, ApiError> {
        let position = self.templates.iter().position(|template| template.id == id);
        position.ok_or_else(|| ApiError::not_found(&format!("template {id}")))
    }
}
