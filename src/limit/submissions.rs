//! The limit on submitted work orders, which the answers do not report.

use std::collections::VecDeque;
use std::time::Duration;

use super::turnstile::Gate;
use super::window::MINUTE;

/// At most `limit` submissions in any minute.
///
/// A submission takes a slot until a minute after its answer: wherever in between the service counted it, and wherever its
/// own windows begin, it counts no more than `limit` in one.
#[derive(Debug)]
pub(super) struct Submissions {
    limit: u32,
    in_flight: u32,
    /// When the slots of answered submissions become free, in order.
    free_at: VecDeque<Duration>,
    held_until: Duration,
}

impl Submissions {
    pub(super) fn new(limit: u32) -> Self {
        Self { limit, in_flight: 0, free_at: VecDeque::new(), held_until: Duration::ZERO }
    }

    /// A submission has ended, whatever came of it.
    pub(super) fn answered(&mut self, now: Duration) {
        self.in_flight = self.in_flight.saturating_sub(1);
        // Answers overtake each other between looking at the clock and coming here.
        let last = self.free_at.back().copied().unwrap_or_default();
        self.free_at.push_back(last.max(now + MINUTE));
    }

    /// A caller passed and sent nothing.
    pub(super) fn unsent(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Lets nobody pass before this.
    pub(super) fn hold(&mut self, until: Duration) {
        self.held_until = self.held_until.max(until);
    }

    fn taken(&self, now: Duration) -> usize {
        let free = self.free_at.partition_point(|free_at| *free_at <= now);
        self.in_flight as usize + self.free_at.len() - free
    }
}

impl Gate for Submissions {
    fn try_pass(&mut self, now: Duration) -> Result<(), Duration> {
        if now < self.held_until {
            return Err(self.held_until);
        }
        while self.free_at.front().is_some_and(|free_at| *free_at <= now) {
            self.free_at.pop_front();
        }
        if self.taken(now) < self.limit as usize {
            self.in_flight += 1;
            return Ok(());
        }
        // With all slots on their way, the next answer says more; a minute later at the earliest.
        Err(self.free_at.front().copied().unwrap_or(now + MINUTE))
    }

    fn estimate(&self, ahead: u32, now: Duration) -> Duration {
        let free = (self.limit as usize).saturating_sub(self.taken(now));
        let opens = match (ahead as usize).checked_sub(free) {
            None => now,
            Some(beyond) => {
                let rounds = u32::try_from(beyond / (self.limit as usize).max(1)).unwrap_or(u32::MAX);
                let next = self.free_at.iter().find(|free_at| **free_at > now).copied();
                // The slot of one on its way is free a minute after its answer.
                next.unwrap_or(now + MINUTE).saturating_add(MINUTE.saturating_mul(rounds))
            }
        };
        opens.max(self.held_until)
    }
}

#[cfg(test)]
mod tests {
    use super::Submissions;
    use crate::limit::turnstile::Gate;
    use crate::limit::window::MINUTE;
    use std::time::Duration;

    const START: Duration = Duration::from_secs(1_000);

    #[test]
    fn a_slot_is_free_a_minute_after_the_answer() {
        let mut gate = Submissions::new(2);
        gate.try_pass(START).unwrap();
        gate.try_pass(START).unwrap();
        assert!(gate.try_pass(START).is_err());
        let answered = START + Duration::from_secs(5);
        gate.answered(answered);
        assert_eq!(gate.try_pass(answered), Err(answered + MINUTE));
        assert!(gate.try_pass(answered + MINUTE).is_ok());
        assert!(gate.try_pass(answered + MINUTE).is_err());
    }

    #[test]
    fn no_minute_holds_more_than_the_limit_however_calls_arrive() {
        let mut gate = Submissions::new(20);
        let mut counted = Vec::new();
        for tenth in 0..6_000_u64 {
            let now = START + Duration::from_millis(tenth * 100);
            while gate.try_pass(now).is_ok() {
                // The service counts at some time between the request and the answer.
                counted.push(now + Duration::from_millis(fastrand::u64(0..50)));
                gate.answered(now + Duration::from_millis(50));
            }
        }
        counted.sort();
        assert!(counted.windows(21).all(|window| window[20] >= window[0] + MINUTE));
        assert!(counted.len() >= 180, "{}", counted.len());
    }

    #[test]
    fn a_limit_of_nothing_lets_nothing_pass_and_does_not_divide_by_it() {
        let mut gate = Submissions::new(0);
        assert!(gate.try_pass(START).is_err());
        assert!(gate.estimate(7, START) >= START);
    }
}
