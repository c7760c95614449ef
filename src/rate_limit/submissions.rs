//! The limit on submitted work orders, which no header reports.

use std::collections::VecDeque;
use std::time::Duration;

use super::window::MINUTE;

/// The number of work orders that may be submitted in a minute, by the service's documentation.
pub(crate) const SUBMISSIONS_PER_MINUTE: u32 = 20;

/// At most `limit` submissions in any minute.
///
/// A submission takes a slot until a minute after its response. So the service counts no more than `limit` in one of
/// its windows, wherever that begins, and at whatever time it counts a submission.
#[derive(Debug)]
pub(super) struct Submissions {
    limit: u32,
    in_flight: u32,
    /// The times at which the slots of submissions with a response become free, in order.
    free_at: VecDeque<Duration>,
    held_until: Duration,
}

impl Submissions {
    pub(super) fn new(limit: u32) -> Self {
        Self { limit, in_flight: 0, free_at: VecDeque::new(), held_until: Duration::ZERO }
    }

    /// Takes a slot, or returns the time at which to try again at the latest.
    pub(super) fn try_acquire(&mut self, now: Duration) -> Result<(), Duration> {
        if now < self.held_until {
            return Err(self.held_until);
        }
        self.remove_free(now);
        if self.free(now) > 0 {
            self.in_flight += 1;
            return Ok(());
        }
        // If all slots are in flight, the next response decides when one is free.
        Err(self.free_at.front().copied().unwrap_or(Duration::MAX))
    }

    /// Takes a slot for a submission with a leased permit, or returns the time at which to try again at the latest.
    pub(super) fn acquire_leased(&mut self, now: Duration) -> Result<(), Duration> {
        if now < self.held_until {
            return Err(self.held_until);
        }
        self.in_flight += 1;
        Ok(())
    }

    fn remove_free(&mut self, now: Duration) {
        while self.free_at.front().is_some_and(|free_at| *free_at <= now) {
            self.free_at.pop_front();
        }
    }

    /// Returns the number of submissions in a minute.
    pub(super) fn limit(&self) -> u32 {
        self.limit
    }

    /// Gives back a slot. If the submission was sent, [`responded`](Self::responded) follows.
    pub(super) fn release(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// A submission that was sent has ended.
    pub(super) fn responded(&mut self, now: Duration) {
        self.remove_free(now);
        // Responses may arrive here in another order than they read the clock.
        let last = self.free_at.back().copied().unwrap_or_default();
        self.free_at.push_back(last.max(now + MINUTE));
    }

    /// Grants nothing before this time.
    pub(super) fn hold(&mut self, until: Duration) {
        self.held_until = self.held_until.max(until);
    }

    /// Returns the number of free slots.
    pub(super) fn free(&self, now: Duration) -> u32 {
        let taken = self.free_at.len() - self.free_at.partition_point(|free_at| *free_at <= now);
        self.limit.saturating_sub(self.in_flight).saturating_sub(u32::try_from(taken).unwrap_or(u32::MAX))
    }

    /// Returns the earliest time at which a submission behind so many others can be sent, as far as that is known.
    pub(super) fn estimate(&self, ahead: u32, now: Duration) -> Duration {
        let opens = match ahead.checked_sub(self.free(now)) {
            None => now,
            Some(beyond) => {
                let next = self.free_at.iter().find(|free_at| **free_at > now).copied();
                // The slot of one in flight is free a minute after its response.
                next.unwrap_or(now + MINUTE).saturating_add(MINUTE.saturating_mul(beyond / self.limit.max(1)))
            }
        };
        opens.max(self.held_until)
    }
}

#[cfg(test)]
mod tests {
    use super::Submissions;
    use crate::rate_limit::window::MINUTE;
    use std::time::Duration;

    const START: Duration = Duration::from_secs(1_000);

    fn end(submissions: &mut Submissions, now: Duration) {
        submissions.release();
        submissions.responded(now);
    }

    #[test]
    fn a_slot_is_free_a_minute_after_the_response() {
        let mut submissions = Submissions::new(2);
        submissions.try_acquire(START).unwrap();
        submissions.try_acquire(START).unwrap();
        assert!(submissions.try_acquire(START).is_err());
        let responded = START + Duration::from_secs(5);
        end(&mut submissions, responded);
        assert_eq!(submissions.try_acquire(responded), Err(responded + MINUTE));
        assert!(submissions.try_acquire(responded + MINUTE).is_ok());
        assert!(submissions.try_acquire(responded + MINUTE).is_err());
    }

    #[test]
    fn no_minute_has_more_submissions_than_the_limit() {
        let mut submissions = Submissions::new(20);
        let mut counted = Vec::new();
        for tenth in 0..6_000_u64 {
            let now = START + Duration::from_millis(tenth * 100);
            while submissions.try_acquire(now).is_ok() {
                // The service counts at some time between the request and the response.
                counted.push(now + Duration::from_millis(fastrand::u64(0..50)));
                end(&mut submissions, now + Duration::from_millis(50));
            }
        }
        counted.sort();
        assert!(counted.windows(21).all(|window| window[20] >= window[0] + MINUTE));
        assert!(counted.len() >= 180, "{}", counted.len());
    }

    #[test]
    fn a_limit_of_zero_grants_nothing() {
        let mut submissions = Submissions::new(0);
        assert!(submissions.try_acquire(START).is_err());
        assert!(submissions.estimate(7, START) >= START);
    }
}
