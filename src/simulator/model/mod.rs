//! The state of the simulated service.

pub(crate) mod credits;
pub(crate) mod error;
pub(crate) mod event;
pub(crate) mod keys;
pub(crate) mod organization;
pub(crate) mod plan;
pub(crate) mod rate_limit;
pub(crate) mod response;
pub(crate) mod run;
pub(crate) mod template;
pub(crate) mod webhook;
pub(crate) mod work_order;
