//! [`PageScan`]: a series of pages of runs, from the newest run on.

use super::run_source::PAGE_SIZE;
use crate::types::RunStatus;

/// The runs that a page lists.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scope {
    Pending,
    /// The runs with the status `running`. Awaited runs of any other status but `pending` may be among them.
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

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct PageScan {
    pub(super) scope: Scope,
    pub(super) offset: u32,
    pub(super) pages: usize,
    /// Number of the latest pages that showed less than one awaited run each.
    pub(super) unproductive: usize,
    /// Number of runs that it found ended.
    pub(super) ended: usize,
    /// It lists the runs that a scan of another scope has not shown.
    pub(super) is_second: bool,
}

impl PageScan {
    pub(super) fn new(scope: Scope) -> Self {
        Self { scope, offset: 0, pages: 0, unproductive: 0, ended: 0, is_second: false }
    }

    /// Returns the scan after a page of `count` runs, which has shown `shown` awaited runs.
    pub(super) fn with_page(mut self, count: usize, shown: usize, ended: usize) -> Self {
        self.pages += 1;
        self.offset = self.offset.saturating_add(u32::try_from(count).unwrap_or(PAGE_SIZE));
        self.unproductive = (self.unproductive + 1).saturating_sub(shown);
        self.ended += ended;
        self
    }

    /// Returns whether more pages would take more requests than fetches of the runs that are missing.
    pub(super) fn is_unproductive(&self, missing: usize) -> bool {
        self.unproductive > missing / 10
    }
}
