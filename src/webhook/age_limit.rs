//! [`AgeLimit`]: the age of an event that is accepted.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::error::Error;

#[derive(Clone)]
pub(super) struct AgeLimit {
    /// `None` disables both checks.
    pub(super) past: Option<Duration>,
    pub(super) future: Duration,
    pub(super) now: Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>,
}

impl Default for AgeLimit {
    fn default() -> Self {
        Self { past: None, future: Duration::from_secs(5 * 60), now: Arc::new(Utc::now) }
    }
}

impl AgeLimit {
    pub(super) fn check(&self, created_at: Option<DateTime<Utc>>) -> Result<(), Error> {
        let Some(limit) = self.past else { return Ok(()) };
        let age = (self.now)() - created_at.ok_or(Error::NoTime)?;
        match (age.to_std(), (-age).to_std()) {
            (Ok(age), _) if age > limit => Err(Error::TooOld { age, limit }),
            (_, Ok(ahead)) if ahead > self.future => Err(Error::InFuture { ahead, limit: self.future }),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for AgeLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgeLimit").field("past", &self.past).field("future", &self.future).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(seconds_ago: i64) -> Result<(), Error> {
        let now: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
        let limit = AgeLimit {
            past: Some(Duration::from_secs(60)),
            future: Duration::from_secs(10),
            now: Arc::new(move || now),
        };
        limit.check(Some(now - chrono::TimeDelta::seconds(seconds_ago)))
    }

    #[test]
    fn the_limits_in_the_past_and_in_the_future_are_inclusive() {
        for (ago, expected) in [(0, "ok"), (60, "ok"), (61, "old"), (-10, "ok"), (-11, "future")] {
            let outcome = match check(ago) {
                Ok(()) => "ok",
                Err(Error::TooOld { .. }) => "old",
                Err(Error::InFuture { .. }) => "future",
                Err(error) => panic!("{error}"),
            };
            assert_eq!(outcome, expected, "{ago} s ago");
        }
    }

    #[test]
    fn without_a_limit_every_event_is_accepted() {
        assert!(AgeLimit::default().check(None).is_ok());
        assert!(AgeLimit::default().check(Some(DateTime::UNIX_EPOCH)).is_ok());
    }

    #[test]
    fn an_event_without_a_time_is_refused() {
        let limit = AgeLimit { past: Some(Duration::MAX), ..AgeLimit::default() };
        assert!(matches!(limit.check(None), Err(Error::NoTime)));
    }

    #[test]
    fn the_first_and_last_times_do_not_overflow() {
        let limit = AgeLimit { past: Some(Duration::MAX), ..AgeLimit::default() };
        assert!(limit.check(Some(DateTime::<Utc>::MIN_UTC)).is_ok());
        assert!(matches!(limit.check(Some(DateTime::<Utc>::MAX_UTC)), Err(Error::InFuture { .. })));
    }
}
