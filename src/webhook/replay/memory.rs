//! [`MemoryReplayGuard`]: a replay guard for one process.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Claim, ClaimToken, GuardError, GuardFuture, LEASE, RETENTION, ReplayGuard};
use crate::bounded_map::BoundedMap;
use crate::types::EventId;

const CAPACITY: usize = 100_000;

/// A replay guard that remembers events in memory. Its clones share them.
///
/// It is for a receiver that is one process, and forgets all events when the process ends. For several processes, or if
/// a duplicate after a restart does harm, use `RedisReplayGuard` (feature `redis`).
///
/// An event takes some 150 bytes: the default capacity of 100,000 events takes 15 MB, and twice that while as many are
/// in progress.
#[derive(Clone)]
pub struct MemoryReplayGuard {
    capacity: usize,
    lease: Duration,
    retention: Duration,
    now: Arc<dyn Fn() -> Instant + Send + Sync>,
    events: Arc<Mutex<Events>>,
}

/// The claimed and the handled events. Those that expire next are removed first.
#[derive(Debug, Default)]
struct Events {
    claimed: BoundedMap<EventId, ClaimToken, Expiry>,
    handled: BoundedMap<EventId, (), Expiry>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Expiry {
    At(Instant),
    Never,
}

impl Expiry {
    fn after(now: Instant, duration: Duration) -> Self {
        now.checked_add(duration).map_or(Self::Never, Self::At)
    }
}

impl Default for MemoryReplayGuard {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryReplayGuard {
    /// Creates a guard that remembers the last 100,000 events for three days.
    #[must_use]
    pub fn new() -> Self {
        Self {
            capacity: CAPACITY,
            lease: LEASE,
            retention: RETENTION,
            now: Arc::new(Instant::now),
            events: Arc::default(),
        }
    }

    /// Sets the number of handled events that are remembered, at least 1; beyond it, the oldest are forgotten. It is
    /// also the limit of events in progress; beyond it, claims fail. Defaults to 100,000.
    #[must_use]
    pub fn capacity(mut self, events: usize) -> Self {
        self.capacity = events.max(1);
        self
    }

    /// Sets the duration of a claim, which should be longer than the handler takes. Defaults to 2 minutes.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Sets the time for which a handled event is remembered, which should be longer than
    /// [`max_age`](crate::webhook::Verifier::max_age) and [`max_clock_skew`](crate::webhook::Verifier::max_clock_skew)
    /// together. Defaults to 3 days.
    #[must_use]
    pub fn retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// Sets the clock. Defaults to the system's monotonic clock.
    #[must_use]
    pub fn clock(mut self, now: impl Fn() -> Instant + Send + Sync + 'static) -> Self {
        self.now = Arc::new(now);
        self
    }

    /// Returns the number of remembered events, handled and claimed ones.
    #[must_use]
    pub fn len(&self) -> usize {
        let (events, _) = self.events();
        events.claimed.len() + events.handled.len()
    }

    /// Returns `true` if no event is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the events that have not expired, and the time.
    fn events(&self) -> (MutexGuard<'_, Events>, Instant) {
        let now = (self.now)();
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.claimed.shrink_while(|_, expiry| expiry <= Expiry::At(now));
        events.handled.shrink_while(|_, expiry| expiry <= Expiry::At(now));
        (events, now)
    }

    fn try_claim(&self, event_id: &EventId, token: &ClaimToken) -> Result<Claim, GuardError> {
        let (mut events, now) = self.events();
        if events.handled.get(event_id).is_some() {
            return Ok(Claim::Handled);
        }
        if let Some(holder) = events.claimed.get(event_id) {
            return Ok(if holder == token { Claim::First } else { Claim::InProgress });
        }
        if events.claimed.len() >= self.capacity {
            return Err(GuardError::new(format!("as many events are in progress as are allowed: {}", self.capacity)));
        }
        events.claimed.insert(event_id.clone(), token.clone(), Expiry::after(now, self.lease));
        Ok(Claim::First)
    }

    fn set_handled(&self, event_id: &EventId) {
        let (mut events, now) = self.events();
        events.claimed.remove(event_id);
        events.handled.insert(event_id.clone(), (), Expiry::after(now, self.retention));
        events.handled.shrink_while(|count, _| count > self.capacity);
    }

    fn release_claim(&self, event_id: &EventId, token: &ClaimToken) {
        let (mut events, _) = self.events();
        if events.claimed.get(event_id).is_some_and(|holder| holder == token) {
            events.claimed.remove(event_id);
        }
    }
}

impl ReplayGuard for MemoryReplayGuard {
    fn claim<'a>(&'a self, event_id: &'a EventId, token: &'a ClaimToken) -> GuardFuture<'a, Claim> {
        Box::pin(async move { self.try_claim(event_id, token) })
    }

    fn complete<'a>(&'a self, event_id: &'a EventId) -> GuardFuture<'a, ()> {
        Box::pin(async move {
            self.set_handled(event_id);
            Ok(())
        })
    }

    fn release<'a>(&'a self, event_id: &'a EventId, token: &'a ClaimToken) -> GuardFuture<'a, ()> {
        Box::pin(async move {
            self.release_claim(event_id, token);
            Ok(())
        })
    }
}

impl fmt::Debug for MemoryReplayGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryReplayGuard")
            .field("events", &self.len())
            .field("capacity", &self.capacity)
            .field("lease", &self.lease)
            .field("retention", &self.retention)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a guard and a function that advances its clock by seconds.
    fn guard() -> (MemoryReplayGuard, impl Fn(u64)) {
        let now = Arc::new(Mutex::new(Instant::now()));
        let hand = Arc::clone(&now);
        let guard = MemoryReplayGuard::new()
            .lease(Duration::from_secs(10))
            .retention(Duration::from_secs(100))
            .capacity(3)
            .clock(move || *now.lock().unwrap());
        (guard, move |seconds| *hand.lock().unwrap() += Duration::from_secs(seconds))
    }

    fn claim(guard: &MemoryReplayGuard, id: &str) -> Claim {
        guard.try_claim(&id.into(), &ClaimToken::new()).unwrap()
    }

    #[test]
    fn a_handled_event_is_remembered_until_its_retention_ends_and_cannot_be_released() {
        let (guard, pass) = guard();
        let token = ClaimToken::new();
        assert_eq!(guard.try_claim(&"evt_1".into(), &token).unwrap(), Claim::First);
        guard.set_handled(&"evt_1".into());
        guard.release_claim(&"evt_1".into(), &token);
        pass(99);
        assert_eq!(claim(&guard, "evt_1"), Claim::Handled);
        pass(1);
        assert_eq!(claim(&guard, "evt_1"), Claim::First);
        assert_eq!(guard.len(), 1);
    }

    #[test]
    fn a_claim_of_a_clone_with_a_longer_lease_does_not_extend_the_others() {
        let (guard, pass) = guard();
        assert_eq!(claim(&guard.clone().lease(Duration::MAX), "evt_1"), Claim::First);
        assert_eq!(claim(&guard.clone().lease(Duration::from_secs(60)), "evt_2"), Claim::First);
        assert_eq!(claim(&guard, "evt_3"), Claim::First);
        pass(10);
        assert_eq!(claim(&guard, "evt_1"), Claim::InProgress);
        assert_eq!(claim(&guard, "evt_2"), Claim::InProgress);
        assert_eq!(claim(&guard, "evt_3"), Claim::First);
    }

    #[test]
    fn a_released_event_can_be_claimed_again() {
        let (guard, _) = guard();
        let token = ClaimToken::new();
        assert_eq!(guard.try_claim(&"evt_1".into(), &token).unwrap(), Claim::First);
        guard.release_claim(&"evt_1".into(), &token);
        assert!(guard.is_empty());
        assert_eq!(claim(&guard, "evt_1"), Claim::First);
    }

    #[test]
    fn a_claim_belongs_to_its_token_until_its_lease_expires() {
        let (guard, pass) = guard();
        let (id, mine, yours) = ("evt_1".into(), ClaimToken::new(), ClaimToken::new());
        assert_eq!(guard.try_claim(&id, &mine).unwrap(), Claim::First);
        pass(9);
        assert_eq!(guard.try_claim(&id, &mine).unwrap(), Claim::First);
        guard.release_claim(&id, &yours);
        assert_eq!(guard.try_claim(&id, &yours).unwrap(), Claim::InProgress);
        // A repeated claim does not extend the lease.
        pass(1);
        assert_eq!(guard.try_claim(&id, &yours).unwrap(), Claim::First);
        guard.release_claim(&id, &mine);
        assert_eq!(guard.try_claim(&id, &mine).unwrap(), Claim::InProgress);
    }

    #[test]
    fn the_oldest_handled_events_are_forgotten_when_there_are_too_many() {
        let (guard, pass) = guard();
        for id in ["evt_1", "evt_2", "evt_3", "evt_4"] {
            guard.set_handled(&id.into());
            pass(1);
        }
        assert_eq!(guard.len(), 3);
        assert_eq!(claim(&guard, "evt_1"), Claim::First);
        assert_eq!(claim(&guard, "evt_2"), Claim::Handled);
    }

    #[test]
    fn a_claim_beyond_the_capacity_fails() {
        let (guard, pass) = guard();
        for id in ["evt_1", "evt_2", "evt_3"] {
            assert_eq!(claim(&guard, id), Claim::First);
        }
        let error = guard.try_claim(&"evt_4".into(), &ClaimToken::new()).unwrap_err().to_string();
        assert!(error.ends_with("as are allowed: 3"), "{error}");
        assert_eq!(claim(&guard, "evt_1"), Claim::InProgress);
        pass(10);
        assert_eq!(claim(&guard, "evt_4"), Claim::First);
    }

    #[test]
    fn a_capacity_of_zero_counts_as_one() {
        let guard = MemoryReplayGuard::new().capacity(0);
        assert_eq!(claim(&guard, "evt_1"), Claim::First);
        guard.set_handled(&"evt_1".into());
        assert_eq!(claim(&guard, "evt_1"), Claim::Handled);
    }

    #[test]
    fn an_endless_retention_is_bounded_by_the_capacity() {
        let guard = MemoryReplayGuard::new().retention(Duration::MAX).capacity(2);
        for number in 0..1000 {
            guard.set_handled(&format!("evt_{number}").into());
        }
        assert_eq!(guard.len(), 2);
    }

    #[test]
    fn expired_and_released_events_take_no_memory() {
        let (guard, pass) = guard();
        for number in 0..1000 {
            let (id, token) = (format!("evt_{number}").into(), ClaimToken::new());
            guard.try_claim(&id, &token).unwrap();
            if number % 2 == 0 {
                guard.set_handled(&id);
            } else {
                guard.release_claim(&id, &token);
            }
            pass(1);
        }
        pass(1000);
        assert!(guard.is_empty());
    }
}
