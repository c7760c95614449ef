//! The final status of a run.

use super::Run;

impl Run {
    /// Returns `true` if the status is a known final one: see
    /// [`RunStatus::is_terminal`](super::RunStatus::is_terminal).
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.status.is_terminal()
    }
}
