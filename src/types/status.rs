//! The final status of a run.

use super::{Run, RunStatus};

impl RunStatus {
    /// Returns `true` if the run has ended: succeeded, failed or cancelled. An unknown status does not count as an end.
    ///
    /// ```
    /// use agentgate::types::RunStatus;
    ///
    /// assert!(RunStatus::Failed.is_terminal());
    /// assert!(!RunStatus::Running.is_terminal());
    /// assert!(!RunStatus::from("no-such-status").is_terminal());
    /// ```
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

impl Run {
    /// Returns `true` if the run has ended: see [`RunStatus::is_terminal`].
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.status.is_terminal()
    }
}
