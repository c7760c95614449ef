//! The organization that the simulator serves: its keys, its limits, its credits and everything it has submitted or
//! created.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::simulator::clock::time::later;
use crate::simulator::delivery::Agenda;
use crate::simulator::model::credits::Ledger;
use crate::simulator::model::error::ApiError;
use crate::simulator::model::keys::Keys;
use crate::simulator::model::plan::{DefaultRun, RunPlan};
use crate::simulator::model::rate_limit::{Limit, Quota};
use crate::simulator::model::run::Run;
use crate::simulator::routes::templates::{self, Template};
use crate::simulator::routes::webhooks::Webhook;
use crate::simulator::routes::work_orders::WorkOrder;

#[derive(Debug)]
pub(crate) struct Organization {
    pub(crate) keys: Keys,
    pub(crate) suspended: bool,
    /// The secret of deliveries to the `webhookUrl` of work orders.
    pub(crate) webhook_secret: Arc<str>,
    pub(crate) credits: Ledger,
    /// What a run costs, in cents.
    pub(crate) price: u32,
    pub(crate) requests: Limit,
    pub(crate) submissions: Limit,
    pub(crate) concurrent_runs: u32,
    pub(crate) default_run: DefaultRun,
    pub(crate) next_runs: VecDeque<RunPlan>,
    pub(crate) work_orders: Vec<WorkOrder>,
    pub(crate) runs: Vec<Run>,
    pub(crate) webhooks: Vec<Webhook>,
    /// How many webhooks were ever created.
    pub(crate) webhooks_created: usize,
    pub(crate) templates: Vec<Template>,
    /// What is to happen that webhooks are told of.
    pub(crate) agenda: Agenda,
}

/// What the organization may do, and at what price.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) price: u32,
    pub(crate) requests: u32,
    pub(crate) submissions: u32,
    pub(crate) concurrent_runs: u32,
    pub(crate) default_run: DefaultRun,
    pub(crate) webhook_secret: Arc<str>,
}

/// The included credits to begin with, in cents.
const CREDITS: i64 = 10_000;

impl Organization {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            keys: Keys::default(),
            suspended: false,
            webhook_secret: settings.webhook_secret,
            credits: Ledger::new(CREDITS),
            price: settings.price,
            requests: Limit::a_minute(settings.requests),
            submissions: Limit::a_minute(settings.submissions),
            concurrent_runs: settings.concurrent_runs,
            default_run: settings.default_run,
            next_runs: VecDeque::new(),
            work_orders: Vec::new(),
            runs: Vec::new(),
            webhooks: Vec::new(),
            webhooks_created: 0,
            templates: templates::built_in(),
            agenda: Agenda::default(),
        }
    }

    /// Refuses one more run while too many go on. The limit opens again when the first of them ends.
    pub(crate) fn room_for_a_run(&self, now: DateTime<Utc>) -> Result<(), ApiError> {
        if self.runs.len() < self.concurrent_runs as usize {
            return Ok(());
        }
        let active: Vec<_> = self.runs.iter().filter(|run| !run.status(now).is_final()).collect();
        if active.len() < self.concurrent_runs as usize {
            return Ok(());
        }
        // None of them may ever end. Some time has to be told, so it is that of the other limits.
        let reset_at =
            active.iter().filter_map(|run| run.end()).min().unwrap_or_else(|| later(now, Duration::from_secs(60)));
        let error = ApiError::rate_limited(Quota { limit: self.concurrent_runs, remaining: 0, reset_at }, now);
        Err(error.with_message("Too many runs go on at the same time."))
    }

    /// Takes the plan of the next run.
    pub(crate) fn next_plan(&mut self) -> RunPlan {
        self.next_runs.pop_front().unwrap_or_else(|| self.default_run.plan())
    }

    pub(crate) fn run(&self, id: &str) -> Result<&Run, ApiError> {
        self.runs.get(self.run_position(id)?).ok_or_else(|| ApiError::not_found(&format!("run {id}")))
    }

    /// Where a run stands among the runs: they never go, and their ids count from one.
    pub(crate) fn run_position(&self, id: &str) -> Result<usize, ApiError> {
        let position = id.strip_prefix("run_").and_then(|number| number.parse::<usize>().ok()?.checked_sub(1));
        position
            .filter(|position| self.runs.get(*position).is_some_and(|run| run.id == id))
            .ok_or_else(|| ApiError::not_found(&format!("run {id}")))
    }

    /// The webhook of this number, unless it was deleted. They are listed in the order of their numbers.
    pub(crate) fn webhook(&self, number: usize) -> Option<&Webhook> {
        let position = self.webhooks.binary_search_by_key(&number, |webhook| webhook.number).ok()?;
        self.webhooks.get(position)
    }
}
