//! The simulator's time, which is the test's to set.
//!
//! Everything that depends on time (how far a run has come, when a rate limit opens again, whether a key has expired)
//! is worked out from one clock at the moment somebody asks, so a test that moves the clock never waits for it. Two wait for moments to
//! come: the courier, as webhooks are told of events that nobody asks about, and those who sleep on the simulator's clock.

use std::io;
use std::time::{Duration, Instant};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

/// How the simulator's time passes.
///
/// [`Simulator::advance`](crate::simulator::Simulator::advance) adds to either.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum SimulatedClock {
    /// Time stands still but for [`Simulator::advance`](crate::simulator::Simulator::advance) and for those who sleep on
    /// [`Simulator::clock`](crate::simulator::Simulator::clock), and starts at 2026-01-01T00:00:00Z.
    /// The default: nothing a test sees depends on how fast the machine is.
    #[default]
    Manual,
    /// Time starts at the real time and passes at this multiple of it: `1.0` is real time, at `60.0` a minute takes a
    /// second. Negative and infinite factors are refused when the simulator starts.
    Scaled(f64),
}

/// The first moment of [`SimulatedClock::Manual`]: 2026-01-01T00:00:00Z.
const MANUAL_START: DateTime<Utc> = at_second(1_767_225_600);

/// Time stops here, 9999-12-31T23:59:59Z: the last moment that an ISO 8601 timestamp of four-digit years can name.
const END_OF_TIME: DateTime<Utc> = at_second(253_402_300_799);

const fn at_second(seconds: i64) -> DateTime<Utc> {
    match DateTime::from_timestamp(seconds, 0) {
        Some(moment) => moment,
        None => DateTime::UNIX_EPOCH,
    }
}

/// A [`SimulatedClock`] that has been started.
#[derive(Debug)]
pub(crate) struct Time {
    origin: DateTime<Utc>,
    /// When the clock was started, and how much faster than real time it goes. `None` stands still.
    pace: Option<(Instant, f64)>,
    advanced: Duration,
}

impl Time {
    /// Starts `clock`. Fails if its factor is not a number that time can be multiplied by.
    pub(crate) fn start(clock: SimulatedClock) -> io::Result<Self> {
        let (origin, pace) = match clock {
            SimulatedClock::Manual => (MANUAL_START, None),
            SimulatedClock::Scaled(factor) if factor.is_finite() && factor >= 0.0 => {
                (Utc::now(), Some((Instant::now(), factor)))
            }
            SimulatedClock::Scaled(factor) => {
                let message = format!("the simulator's clock cannot go at {factor} times real time");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
        };
        Ok(Self { origin, pace, advanced: Duration::ZERO })
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        let passed = self.pace.map_or(Duration::ZERO, |(started, factor)| {
            Duration::try_from_secs_f64(started.elapsed().as_secs_f64() * factor).unwrap_or(Duration::MAX)
        });
        later(self.origin, self.advanced.saturating_add(passed))
    }

    pub(crate) fn advance(&mut self, by: Duration) {
        self.advanced = self.advanced.saturating_add(by);
    }

    /// The time of something that was to be at this moment. On a clock that stands still, it was, however far the clock
    /// was advanced before anybody came to do it; on one that goes by itself, it is now.
    pub(crate) fn settled(&self, moment: DateTime<Utc>) -> DateTime<Utc> {
        if self.pace.is_some() { self.now() } else { moment }
    }

    /// How much real time it takes until this moment, if nobody advances the clock; `None` if it does not come then.
    pub(crate) fn until(&self, moment: DateTime<Utc>) -> Option<Duration> {
        let left = since(self.now(), moment);
        if left.is_zero() {
            return Some(left);
        }
        let (_, factor) = self.pace?;
        Duration::try_from_secs_f64(left.as_secs_f64() / factor).ok()
    }
}

/// The moment `by` after `from`, or the end of time if that comes first.
pub(crate) fn later(from: DateTime<Utc>, by: Duration) -> DateTime<Utc> {
    within_time(from, by).unwrap_or(END_OF_TIME)
}

/// The moment `by` after `from`; `None` if time ends before.
pub(crate) fn within_time(from: DateTime<Utc>, by: Duration) -> Option<DateTime<Utc>> {
    let moment = from.checked_add_signed(TimeDelta::from_std(by).ok()?)?;
    (moment <= END_OF_TIME).then_some(moment)
}

/// How long `moment` comes after `earlier`; zero if it does not.
pub(crate) fn since(earlier: DateTime<Utc>, moment: DateTime<Utc>) -> Duration {
    (moment - earlier).to_std().unwrap_or_default()
}

/// A moment as the API writes it: ISO 8601, UTC, milliseconds.
pub(crate) fn timestamp(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let mut time = Time::start(SimulatedClock::Manual).unwrap();
        assert_eq!(timestamp(time.now()), "2026-01-01T00:00:00.000Z");
        time.advance(Duration::from_millis(61_500));
        assert_eq!(timestamp(time.now()), "2026-01-01T00:01:01.500Z");
    }

    #[test]
    fn a_scaled_clock_starts_at_the_real_time() {
        let before = Utc::now();
        let mut time = Time::start(SimulatedClock::Scaled(1.0)).unwrap();
        assert!(time.now() >= before);
        time.advance(Duration::from_secs(3600));
        assert!(time.now() >= later(before, Duration::from_secs(3600)));
    }

    #[test]
    fn a_factor_that_is_no_pace_is_refused() {
        for factor in [-1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(Time::start(SimulatedClock::Scaled(factor)).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn a_moment_comes_after_its_share_of_real_time_or_only_when_the_clock_is_advanced() {
        let wait = |clock| {
            let time = Time::start(clock).unwrap();
            time.until(later(time.now(), Duration::from_secs(60)))
        };
        let soon = wait(SimulatedClock::Scaled(60.0)).unwrap();
        assert!(soon <= Duration::from_secs(1) && soon > Duration::from_millis(500), "{soon:?}");
        assert_eq!(wait(SimulatedClock::Scaled(0.0)), None);
        assert_eq!(wait(SimulatedClock::Manual), None);
        let time = Time::start(SimulatedClock::Manual).unwrap();
        assert_eq!(time.until(time.now()), Some(Duration::ZERO));
    }

    #[test]
    fn time_ends_rather_than_overflows() {
        let mut time = Time::start(SimulatedClock::Scaled(1.0)).unwrap();
        time.advance(Duration::MAX);
        time.advance(Duration::MAX);
        assert_eq!(timestamp(time.now()), "9999-12-31T23:59:59.000Z");
    }
}
