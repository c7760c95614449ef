//! What the simulator counts: figures for a test to compare, that take no more room however many requests come.

use std::collections::BTreeMap;

use axum::http::StatusCode;

/// The counts since the start, or since the test set them back.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) requests: usize,
    /// Answers by status. There are only so many.
    answers: BTreeMap<u16, usize>,
}

impl Tally {
    pub(crate) fn answered(&mut self, status: StatusCode) {
        *self.answers.entry(status.as_u16()).or_default() += 1;
    }

    pub(crate) fn answers(&self, status: u16) -> usize {
        self.answers.get(&status).copied().unwrap_or_default()
    }
}
