//! The simulated time, and sleeps on it.

pub(crate) mod sleepers;
pub(crate) mod time;
