//! Whether deliveries can be relied on to tell of runs.
//!
//! While they arrive, polling is a waste; when they stop, it is all there is. Nobody says that they stopped, so it is told by two
//! signs: silence, measured by how often deliveries came before; and runs whose end was found by polling and not told.

use std::time::Duration;

/// Silence of this length is no sign yet, however often deliveries came.
const SILENCE: Duration = Duration::from_secs(2 * 60);

/// Silence is a sign when it lasts this many times the usual gap between deliveries.
const GAPS: u32 = 10;

/// How much the latest end, or gap, counts beside the earlier ones.
const WEIGHT: f64 = 0.1;

/// Deliveries are not relied on while they leave out more ends than this.
const MISSED: f64 = 0.3;

/// What is known of the deliveries that a watcher was notified of.
#[derive(Debug, Default)]
pub(super) struct Trust {
    /// By the clock's `monotonic`; `None` before the first.
    last: Option<Duration>,
    usual_gap: Duration,
    /// The share of ends that no delivery told, lately.
    missed: f64,
}

impl Trust {
    /// A delivery came; it told of the end of a run that was waited for, or of something else.
    #[cfg(any(feature = "webhooks", test))]
    pub(super) fn delivered(&mut self, now: Duration, is_end: bool) {
        if let Some(last) = self.last {
            let gap = now.saturating_sub(last);
            self.usual_gap = self.usual_gap.mul_f64(1.0 - WEIGHT) + gap.mul_f64(WEIGHT);
        }
        self.last = Some(now);
        if is_end {
            self.missed *= 1.0 - WEIGHT;
        }
    }

    /// The end of a run was found by polling, and no delivery had told of it.
    pub(super) fn missed(&mut self) {
        self.missed = self.missed * (1.0 - WEIGHT) + WEIGHT;
    }

    /// Whether any delivery came.
    pub(super) fn has_begun(&self) -> bool {
        self.last.is_some()
    }

    pub(super) fn is_given(&self, now: Duration) -> bool {
        self.has_begun() && self.missed < MISSED && now < self.ends_at()
    }

    /// When silence ends the trust.
    pub(super) fn ends_at(&self) -> Duration {
        let silence = SILENCE.max(self.usual_gap.saturating_mul(GAPS));
        self.last.unwrap_or_default().saturating_add(silence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn nothing_is_trusted_before_the_first_delivery() {
        assert!(!Trust::default().is_given(seconds(0)));
    }

    #[test]
    fn silence_ends_the_trust_and_the_next_delivery_restores_it() {
        let mut trust = Trust::default();
        for second in 0..100 {
            trust.delivered(seconds(second), false);
        }
        assert!(trust.is_given(seconds(99 + 119)));
        assert!(!trust.is_given(seconds(99 + 120)));
        trust.delivered(seconds(1000), false);
        assert!(trust.is_given(seconds(1001)));
    }

    #[test]
    fn rare_deliveries_may_be_silent_for_longer() {
        let mut trust = Trust::default();
        for hour in 0..50 {
            trust.delivered(seconds(hour * 3600), true);
        }
        assert!(trust.is_given(seconds(49 * 3600 + 3600)));
    }

    #[test]
    fn ends_that_were_not_told_end_the_trust_until_enough_are() {
        let mut trust = Trust::default();
        trust.delivered(seconds(0), true);
        for _ in 0..3 {
            trust.missed();
        }
        assert!(trust.is_given(seconds(1)), "a few may be lost");
        trust.missed();
        trust.missed();
        assert!(!trust.is_given(seconds(1)));
        for _ in 0..5 {
            trust.delivered(seconds(1), true);
        }
        assert!(trust.is_given(seconds(1)));
    }
}
