//! What the status of a run means.

use super::{Run, RunStatus};

impl RunStatus {
    /// Whether the run has ended, for good: succeeded, failed or cancelled. A word that this version does not know is
    /// not taken for an end.
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
    /// Whether the run has ended, for good. See [`RunStatus::is_terminal`].
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.status.is_terminal()
    }
}
