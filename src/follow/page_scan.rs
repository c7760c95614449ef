//! [`PageScan`]: a series of pages of runs, from the newest run on.

use std::time::Duration;

use super::run_registry::{AwaitedRun, RunRegistry};
use crate::types::RunStatus;

/// The runs that a page lists.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scope {
    Pending,
    Running,
    All,
}

impl Scope {
    pub(super) fn status(self) -> Option<RunStatus> {
        match self {
            Self::Pending => Some(RunStatus::Pending),
            Self::Running => Some(RunStatus::Running),
            Self::All => None,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct PageScan {
    pub(super) scope: Scope,
    pub(super) offset: u32,
    pub(super) began: Duration,
    pub(super) pages: usize,
    /// Number of the latest pages that showed less than one awaited run each.
    pub(super) unproductive: usize,
    /// Number of runs that it found ended.
    pub(super) ended: usize,
    /// It lists the runs that a scan of another scope has not shown.
    pub(super) is_second: bool,
}

impl PageScan {
    pub(super) fn new(scope: Scope, began: Duration) -> Self {
        Self { scope, offset: 0, began, pages: 0, unproductive: 0, ended: 0, is_second: false }
    }

    /// Returns whether the scan should list this run and has not shown it yet.
    pub(super) fn is_missing(&self, run: &AwaitedRun) -> bool {
        let is_listed = match self.scope {
            Scope::Pending => run.is_pending(),
            Scope::Running => !run.is_pending(),
            Scope::All => true,
        };
        is_listed && run.since <= self.began && run.seen.is_none_or(|seen| seen < self.began)
    }

    /// Returns the number of awaited runs that the scan has not shown yet.
    pub(super) fn missing(&self, runs: &RunRegistry) -> usize {
        runs.iter().filter(|(_, run)| self.is_missing(run)).count()
    }
}
