//! [`EndOfList`]: the rule for the end of a list.
//!
//! Services send pages that are shorter than requested, because they page by bytes or filter afterwards, and totals
//! that count something else. So only an empty page ends a list, and only if its total does not say that more is to
//! come, and if it does not come from a cache. Anything else is asked again, and is an error if it stays so.

use super::stall_detector::StallReason;

/// The number of responses that contradict the end of the list, after which reading it fails.
const CONTRADICTIONS: u32 = 3;

/// The responses that contradicted the end of a list since the last new item.
#[derive(Debug, Default)]
pub(super) struct EndOfList {
    contradictions: u32,
}

impl EndOfList {
    /// Returns whether the list ends at this offset, where nothing more was returned.
    pub(super) fn is_proven(&mut self, offset: u64, total: Option<u64>, is_stale: bool) -> Result<bool, StallReason> {
        let total = total.filter(|total| *total > offset);
        if total.is_none() && !is_stale {
            return Ok(true);
        }
        self.contradictions += 1;
        match total {
            _ if self.contradictions < CONTRADICTIONS => Ok(false),
            Some(total) => Err(StallReason::EndsBeforeTotal { offset, total }),
            None => Err(StallReason::StaleEnd),
        }
    }

    /// Returns a page size close to `limit`, which differs with each repetition: a cache answers to the same request
    /// with the same response.
    pub(super) fn vary(&self, limit: u32) -> u32 {
        limit.saturating_sub(self.contradictions).max(limit.min(2))
    }
}
