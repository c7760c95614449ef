//! [`PollBudget`]: the delay before the next poll.
//!
//! Each request adds one to a debt, which decreases at the rate at which polling may send requests. A round begins when
//! the round before it is paid for, so the delay between rounds is the number of requests of a round over the rate. A
//! burst is paid for later: until then, rounds begin at a quarter of the rate.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::RateLimit;

/// The documented limit, until a response reports another.
const REQUESTS_A_MINUTE: u32 = 100;

const MINUTE: f64 = 60.0;

/// The lowest rate, whatever the share: a request every ten minutes.
const MIN_RATE: f64 = 1.0 / 600.0;

/// The part of a minute's requests that may be sent at once.
const BURST: f64 = 0.4;

/// The factor by which the delay between rounds is longer while a burst is paid for.
const BURST_SLOWDOWN: f64 = 4.0;

/// The largest random addition to the cost of a request, so that the programs of an organization do not poll at the
/// same time.
const JITTER: f64 = 0.05;

/// A debt of less than this, in requests, is a rounding error.
const ROUNDING: f64 = 1e-6;

/// Returns the requests per second that polling may send: its share of the limit, or of the rest of the window if that
/// is less.
pub(super) fn rate(share: f64, limit: Option<RateLimit>, now: DateTime<Utc>) -> f64 {
    let requests = limit.and_then(|limit| limit.limit).unwrap_or(REQUESTS_A_MINUTE).max(1);
    let rate = (f64::from(requests) * share / MINUTE).max(MIN_RATE);
    let window = limit.and_then(|limit| limit.remaining.zip(limit.reset_at));
    let Some((left, reset_at)) = window else { return rate };
    let to_reset = (reset_at - now).as_seconds_f64();
    // A reset beyond an hour is a mistake.
    if to_reset <= 0.0 || to_reset > 60.0 * MINUTE {
        return rate;
    }
    // When nothing is left, the next request fits into the next window.
    rate.min((f64::from(left) * share).max(1.0) / to_reset)
}

/// The requests that are not paid for yet.
#[derive(Debug, Default)]
pub(super) struct PollBudget {
    debt: f64,
    /// The debt for the first request of the last round, which decreases more slowly.
    round_debt: f64,
    paid_at: Duration,
}

impl PollBudget {
    /// Reduces the debt by the rate times the time since the last call.
    pub(super) fn pay(&mut self, now: Duration, rate: f64) {
        let worth = now.saturating_sub(self.paid_at).as_secs_f64() * rate;
        self.debt = (self.debt - worth).max(0.0);
        self.round_debt = (self.round_debt - worth / BURST_SLOWDOWN).max(0.0);
        self.paid_at = now;
    }

    /// Returns the delay before the first request of a round.
    pub(super) fn round_delay(&self, rate: f64) -> Duration {
        duration((self.debt / rate).min(self.burst(rate).max(self.round_debt * BURST_SLOWDOWN / rate)), rate)
    }

    /// Returns the delay before any other request.
    pub(super) fn delay(&self, rate: f64) -> Duration {
        duration(self.burst(rate), rate)
    }

    /// Returns the seconds until the debt is small enough for another request.
    fn burst(&self, rate: f64) -> f64 {
        (self.debt - (rate * MINUTE * BURST - 1.0).max(0.0)) / rate
    }

    /// Adds a request. `chance` is a number from 0 to 1.
    pub(super) fn add(&mut self, begins_round: bool, chance: f64) {
        let cost = 1.0 + JITTER * chance;
        self.debt += cost;
        if begins_round {
            self.round_debt = cost;
        }
    }
}

fn duration(seconds: f64, rate: f64) -> Duration {
    if seconds * rate <= ROUNDING {
        Duration::ZERO
    } else {
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the times of these requests, each sent as soon as possible. `true` is the first request of a round.
    fn times(begins_round: impl IntoIterator<Item = bool>, rate: f64) -> Vec<f64> {
        let (mut budget, mut now, mut times) = (PollBudget::default(), Duration::ZERO, Vec::new());
        for begins_round in begins_round {
            budget.pay(now, rate);
            now += if begins_round { budget.round_delay(rate) } else { budget.delay(rate) };
            budget.pay(now, rate);
            budget.add(begins_round, 0.0);
            times.push(now.as_secs_f64());
        }
        times
    }

    #[test]
    fn a_round_begins_when_the_round_before_is_paid_for() {
        let rate = rate(0.25, None, DateTime::UNIX_EPOCH);
        let rounds = [true, true, true, false, true, false, false, false, false, true, true];
        let times: Vec<_> = times(rounds, rate).iter().map(|time| (time * 10.0).round() / 10.0).collect();
        assert_eq!(times, [0.0, 2.4, 4.8, 4.8, 9.6, 9.6, 9.6, 9.6, 9.6, 19.2, 24.0]);
    }

    #[test]
    fn no_minute_has_more_than_one_and_two_fifths_of_the_share() {
        for share in [0.05, 0.25, 0.5, 1.0] {
            let rate = rate(share, None, DateTime::UNIX_EPOCH);
            for rounds in [0, 1, 2, 5] {
                let times = times((0..400).map(|number| rounds > 0 && number % rounds == 0), rate);
                for (index, first) in times.iter().enumerate() {
                    let count = times[index..].iter().take_while(|time| **time < first + MINUTE - 0.001).count();
                    let allowed = (100.0 * share * (1.0 + BURST)).ceil();
                    assert!(u32::try_from(count).map(f64::from).unwrap() <= allowed, "{count} at a share of {share}");
                }
            }
        }
    }

    #[test]
    fn the_rate_follows_the_limit_and_the_rest_of_the_window() {
        let now = DateTime::from_timestamp(1_000, 0).unwrap();
        let limit = |limit, remaining, seconds| {
            Some(RateLimit { limit, remaining, reset_at: DateTime::from_timestamp(seconds, 0) })
        };
        for (reported, a_minute) in [
            (None, 25.0),
            (limit(Some(1_000), None, 1_030), 250.0),
            (limit(Some(0), None, 1_030), 0.25),
            // Half of the requests are left for half of the minute.
            (limit(Some(100), Some(50), 1_030), 25.0),
            (limit(Some(100), Some(10), 1_030), 5.0),
            // The next request comes after the reset.
            (limit(Some(100), Some(0), 1_030), 2.0),
            (limit(Some(100), Some(100), 1_300), 5.0),
            // The window is over, or is longer than any.
            (limit(Some(100), Some(0), 1_000), 25.0),
            (limit(Some(100), Some(0), 9_999), 25.0),
        ] {
            let rate = rate(0.25, reported, now) * MINUTE;
            assert!((rate - a_minute).abs() < 1e-9, "{rate} and not {a_minute} for {reported:?}");
        }
        assert!((rate(0.0, None, now) - MIN_RATE).abs() < 1e-9);
    }
}
