//! How fast a watcher may spend requests.

use std::time::Duration;

/// What the organization has by its documentation, until an answer says otherwise.
const REQUESTS_A_MINUTE: u32 = 100;

/// So much of a minute's requests may come at once.
const BURST: f64 = 0.1;

const MINUTE: Duration = Duration::from_secs(60);

/// Spreads a share of the rate limit evenly, but for a small burst.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When all that was spent is made up for, by the clock's `monotonic`.
    even_at: Duration,
}

impl Pace {
    /// Spends one request, if it may be sent now; else it says how long to wait before that.
    pub(super) fn spend(&mut self, now: Duration, limit: Option<u32>, share: f64) -> Duration {
        let a_minute = (f64::from(limit.unwrap_or(REQUESTS_A_MINUTE).max(1)) * share).max(0.1);
        let between = MINUTE.div_f64(a_minute);
        let burst = between.mul_f64((a_minute * BURST).max(1.0) - 1.0);
        let from = self.even_at.max(now);
        let wait = from.saturating_sub(now).saturating_sub(burst);
        // What is not sent is not spent: whoever waits for it may give up.
        if wait.is_zero() {
            self.even_at = from.saturating_add(between);
        }
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When each of so many requests is sent, if all are wanted at once.
    fn times(count: usize, limit: u32, share: f64) -> Vec<Duration> {
        let (mut pace, mut now) = (Pace::default(), Duration::ZERO);
        let mut send = || loop {
            match pace.spend(now, Some(limit), share) {
                Duration::ZERO => break now,
                wait => now += wait,
            }
        };
        (0..count).map(|_| send()).collect()
    }

    #[test]
    fn no_minute_has_more_than_the_share_and_its_burst() {
        for (limit, share) in [(100, 0.5), (100, 1.0), (1000, 0.25), (10, 0.5), (1, 0.1)] {
            let times = times(400, limit, share);
            let allowed = (f64::from(limit) * share * (1.0 + BURST)).max(1.0);
            for (index, first) in times.iter().enumerate() {
                let in_minute = times[index..].iter().take_while(|time| **time < *first + MINUTE).count();
                assert!(
                    u32::try_from(in_minute).map(f64::from).unwrap() <= allowed + 1.0,
                    "{in_minute} in a minute of {limit} × {share}"
                );
            }
        }
    }

    #[test]
    fn the_share_is_used_in_full() {
        let times = times(501, 100, 0.5);
        let minutes = times[500].as_secs_f64() / 60.0;
        assert!((9.5..10.1).contains(&minutes), "500 requests at 50 a minute took {minutes} minutes");
    }

    #[test]
    fn who_gives_up_waiting_has_spent_nothing() {
        let mut pace = Pace::default();
        for _ in 0..1000 {
            pace.spend(Duration::ZERO, Some(100), 0.5);
        }
        assert!(pace.spend(Duration::ZERO, Some(100), 0.5) <= Duration::from_secs(2));
    }

    #[test]
    fn what_was_not_spent_is_not_saved_up_beyond_the_burst() {
        let mut pace = Pace::default();
        pace.spend(Duration::ZERO, Some(100), 0.5);
        let now = Duration::from_secs(3600);
        let at_once = (0..100).take_while(|_| pace.spend(now, Some(100), 0.5) == Duration::ZERO).count();
        assert_eq!(at_once, 5);
    }
}
