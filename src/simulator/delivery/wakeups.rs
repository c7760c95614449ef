//! How those are woken who wait for something.

use tokio::sync::Notify;

/// One bell for each thing that is waited for. They ring after the state has changed, never instead.
#[derive(Debug, Default)]
pub(crate) struct Bells {
    /// For the courier: there is a target to serve, or something is due sooner than it thinks.
    pub(crate) courier: Notify,
    /// For those who wait for quiet: a target was served to its end.
    pub(crate) served: Notify,
}
