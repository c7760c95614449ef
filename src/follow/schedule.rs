//! When to ask for a run again.

use std::time::Duration;

/// How often a run is asked for while somebody waits for it.
///
/// The pause between two polls grows with the run's age: a tenth of it by default, but no less than 2 seconds and no more than 30. So a
/// run of ten seconds is seen to end within some two, and one of ten minutes within some thirty; how late the end is noticed stays
/// in proportion to how long the run took. Each pause is lengthened or shortened at random by up to a fifth, so that many
/// programs do not ask at the same moment.
///
/// ```
/// use std::time::Duration;
/// use agentgate::follow::PollSchedule;
///
/// let patient = PollSchedule::default().at_least(Duration::from_secs(10)).at_most(Duration::from_secs(120));
/// assert_eq!(patient.pause(Duration::from_secs(600)), Duration::from_secs(60));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PollSchedule {
    least: Duration,
    most: Duration,
    share_of_age: f64,
}

impl Default for PollSchedule {
    fn default() -> Self {
        Self { least: Duration::from_secs(2), most: Duration::from_secs(30), share_of_age: 0.1 }
    }
}

impl PollSchedule {
    /// The shortest pause. 2 seconds by default; never less than a tenth of a second.
    #[must_use]
    pub fn at_least(mut self, pause: Duration) -> Self {
        self.least = pause.max(Duration::from_millis(100));
        self
    }

    /// The longest pause. 30 seconds by default. If it is shorter than the shortest, that counts.
    #[must_use]
    pub fn at_most(mut self, pause: Duration) -> Self {
        self.most = pause;
        self
    }

    /// How long a pause is in proportion to the run's age. A tenth (`0.1`) by default; 0 polls at the shortest pause all the time.
    /// What is no proportion (negative, not a number) counts as 0.
    #[must_use]
    pub fn share_of_age(mut self, share: f64) -> Self {
        self.share_of_age = if share.is_finite() { share.max(0.0) } else { 0.0 };
        self
    }

    /// The pause before the next poll of a run that has been waited for so long, before chance changes it.
    #[must_use]
    pub fn pause(&self, age: Duration) -> Duration {
        let share = Duration::try_from_secs_f64(age.as_secs_f64() * self.share_of_age).unwrap_or(Duration::MAX);
        share.min(self.most).max(self.least)
    }

    /// The pause, changed by chance: a number from 0 to 1.
    pub(super) fn jittered(&self, age: Duration, chance: f64) -> Duration {
        Duration::try_from_secs_f64(self.pause(age).as_secs_f64() * (0.8 + 0.4 * chance)).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_with_the_age_between_two_bounds() {
        let schedule = PollSchedule::default();
        for (age, pause) in [(0, 2), (20, 2), (60, 6), (299, 29), (300, 30), (100_000, 30)] {
            assert_eq!(schedule.pause(Duration::from_secs(age)).as_secs(), pause, "after {age} s");
        }
    }

    #[test]
    fn chance_changes_a_pause_by_a_fifth_at_most() {
        let schedule = PollSchedule::default();
        let age = Duration::from_secs(300);
        assert_eq!(schedule.jittered(age, 0.0), Duration::from_secs(24));
        assert_eq!(schedule.jittered(age, 1.0), Duration::from_secs(36));
    }

    #[test]
    fn absurd_settings_make_no_busy_loop_and_no_panic() {
        let schedule = PollSchedule::default().at_least(Duration::ZERO).at_most(Duration::ZERO).share_of_age(f64::NAN);
        assert_eq!(schedule.pause(Duration::MAX), Duration::from_millis(100));
        let schedule = PollSchedule::default().at_most(Duration::MAX).share_of_age(f64::MAX);
        assert_eq!(schedule.pause(Duration::MAX), Duration::MAX);
        let _ = PollSchedule::default().at_least(Duration::MAX).share_of_age(f64::MAX).jittered(Duration::MAX, 1.0);
    }
}
