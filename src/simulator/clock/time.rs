//! The simulated time.
//!
//! Everything that depends on time is computed from this clock when it is needed: the progress of a run, the end of a
//! rate-limit window. Only deliveries and sleeps wait for a time.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

/// The source of the simulator's time. Set with [`Builder::clock`](crate::simulator::Builder::clock).
///
/// [`Simulator::advance`](crate::simulator::Simulator::advance) moves either clock forward.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum SimulatedClock {
    /// Time starts at 2026-01-01T00:00:00Z and stands still. It moves by
    /// [`Simulator::advance`](crate::simulator::Simulator::advance) and by sleeps on
    /// [`Simulator::clock`](crate::simulator::Simulator::clock). The default: results do not depend on the speed of the
    /// machine.
    #[default]
    Manual,
    /// Time starts at the real time and passes at this multiple of it. `1.0` is real time; at `60.0`, a minute takes a
    /// second. The simulator does not start with a factor that is negative or not finite.
    Scaled(f64),
}

/// 2026-01-01T00:00:00Z.
const MANUAL_START: DateTime<Utc> = at_second(1_767_225_600);

/// 9999-12-31T23:59:59Z, the last second that an ISO 8601 timestamp with a four-digit year can express.
const MAX_TIME: DateTime<Utc> = at_second(253_402_300_799);

const fn at_second(seconds: i64) -> DateTime<Utc> {
    match DateTime::from_timestamp(seconds, 0) {
        Some(time) => time,
        None => DateTime::UNIX_EPOCH,
    }
}

/// A running [`SimulatedClock`].
#[derive(Debug)]
pub(crate) struct Time {
    origin: DateTime<Utc>,
    /// The start and the factor of a scaled clock.
    scale: Option<(Instant, f64)>,
    advanced: Mutex<Duration>,
}

impl Time {
    pub(crate) fn start(clock: SimulatedClock) -> io::Result<Self> {
        let (origin, scale) = match clock {
            SimulatedClock::Manual => (MANUAL_START, None),
            SimulatedClock::Scaled(factor) if factor.is_finite() && factor >= 0.0 => {
                (Utc::now(), Some((Instant::now(), factor)))
            }
            SimulatedClock::Scaled(factor) => {
                let message =
                    format!("the factor of the simulator's clock is {factor}: it must be finite and not negative");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
        };
        Ok(Self { origin, scale, advanced: Mutex::default() })
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        let passed = self.scale.map_or(Duration::ZERO, |(started, factor)| {
            Duration::try_from_secs_f64(started.elapsed().as_secs_f64() * factor).unwrap_or(Duration::MAX)
        });
        later(self.origin, self.advanced().saturating_add(passed))
    }

    pub(crate) fn advance(&self, by: Duration) {
        let mut advanced = self.advanced();
        *advanced = advanced.saturating_add(by);
    }

    fn advanced(&self) -> MutexGuard<'_, Duration> {
        self.advanced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the time at which something scheduled for `time` happens. A manual clock may have been advanced further
    /// meanwhile, which must not change the result; a scaled clock goes on.
    pub(crate) fn effective(&self, time: DateTime<Utc>) -> DateTime<Utc> {
        if self.scale.is_some() { self.now() } else { time }
    }

    /// Returns the real time left until `time` without further advances; `None` if it never comes.
    pub(crate) fn real_time_until(&self, time: DateTime<Utc>) -> Option<Duration> {
        let left = since(self.now(), time);
        if left.is_zero() {
            return Some(left);
        }
        let (_, factor) = self.scale?;
        Duration::try_from_secs_f64(left.as_secs_f64() / factor).ok()
    }
}

/// Returns the time `by` after `from`, but no more than the year 9999.
pub(crate) fn later(from: DateTime<Utc>, by: Duration) -> DateTime<Utc> {
    checked_later(from, by).unwrap_or(MAX_TIME)
}

/// Returns the time `by` after `from`; `None` if that is after the year 9999.
pub(crate) fn checked_later(from: DateTime<Utc>, by: Duration) -> Option<DateTime<Utc>> {
    let time = from.checked_add_signed(TimeDelta::from_std(by).ok()?)?;
    (time <= MAX_TIME).then_some(time)
}

/// Returns the duration from `earlier` to `time`; zero if `time` comes first.
pub(crate) fn since(earlier: DateTime<Utc>, time: DateTime<Utc>) -> Duration {
    (time - earlier).to_std().unwrap_or_default()
}

/// Formats a time as the API does: ISO 8601, UTC, milliseconds.
pub(crate) fn timestamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_reached_after_its_share_of_real_time_or_only_by_advancing() {
        let left = |clock| {
            let time = Time::start(clock).unwrap();
            time.real_time_until(later(time.now(), Duration::from_secs(60)))
        };
        let scaled = left(SimulatedClock::Scaled(60.0)).unwrap();
        assert!(scaled <= Duration::from_secs(1) && scaled > Duration::from_millis(500), "{scaled:?}");
        assert_eq!(left(SimulatedClock::Scaled(0.0)), None);
        assert_eq!(left(SimulatedClock::Manual), None);
        let time = Time::start(SimulatedClock::Manual).unwrap();
        assert_eq!(time.real_time_until(time.now()), Some(Duration::ZERO));
    }

    #[test]
    fn invalid_factors_are_refused() {
        for factor in [-1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(Time::start(SimulatedClock::Scaled(factor)).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn time_stops_at_the_year_9999() {
        let time = Time::start(SimulatedClock::Scaled(1.0)).unwrap();
        time.advance(Duration::MAX);
        time.advance(Duration::MAX);
        assert_eq!(timestamp(time.now()), "9999-12-31T23:59:59.000Z");
    }
}
