//! The simulated time, and sleeps on it.

pub(crate) mod handle;
pub(crate) mod sleepers;
pub(crate) mod time;
