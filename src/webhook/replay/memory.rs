//! A replay guard for one process.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Claim, ClaimToken, GuardError, GuardFuture, LEASE, RETENTION, ReplayGuard};
use crate::types::EventId;

/// How many events are remembered by default.
const CAPACITY: usize = 100_000;

/// Remembers events in memory. Clones share what they remember.
///
/// For a receiver that is one process. It forgets everything when the process ends: with several processes, or if a
/// duplicate across a restart does harm, use `RedisReplayGuard` (feature `redis`).
///
/// An event takes some 150 bytes, so that the default of 100 000 events takes some 15 MB, twice that while as many are in
/// progress.
#[derive(Clone)]
pub struct MemoryReplayGuard {
    capacity: usize,
    lease: Duration,
    retention: Duration,
    now: Arc<dyn Fn() -> Instant + Send + Sync>,
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    /// By whom.
    claimed: Expiring<ClaimToken>,
    handled: Expiring<()>,
}

impl Default for MemoryReplayGuard {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryReplayGuard {
    /// Remembers the last 100 000 events for three days.
    #[must_use]
    pub fn new() -> Self {
        Self {
            capacity: CAPACITY,
            lease: LEASE,
            retention: RETENTION,
            now: Arc::new(Instant::now),
            known: Arc::default(),
        }
    }

    /// How many handled events are remembered; beyond, the oldest are forgotten early. As many can be in progress at the same time;
    /// beyond, claims fail. 100 000 by default; 0 counts as 1.
    #[must_use]
    pub fn capacity(mut self, events: usize) -> Self {
        self.capacity = events.max(1);
        self
    }

    /// How long a claim lasts. Two minutes by default; it should be longer than the handler takes.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// How long a handled event is remembered. Three days by default; it should be longer than
    /// [`max_age`](crate::webhook::Verifier::max_age) and [`max_clock_skew`](crate::webhook::Verifier::max_clock_skew) together.
    #[must_use]
    pub fn retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// What tells the time. The system's monotonic clock by default.
    #[must_use]
    pub fn clock(mut self, now: impl Fn() -> Instant + Send + Sync + 'static) -> Self {
        self.now = Arc::new(now);
        self
    }

    /// How many events are remembered at this moment: handled ones and claimed ones.
    #[must_use]
    pub fn len(&self) -> usize {
        let (known, _) = self.known();
        known.claimed.len() + known.handled.len()
    }

    /// Whether no event is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is known now, and what time it is.
    fn known(&self) -> (MutexGuard<'_, Known>, Instant) {
        let now = (self.now)();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.claimed.expire(now);
        known.handled.expire(now);
        (known, now)
    }

    fn try_claim(&self, event_id: &EventId, token: &ClaimToken) -> Result<Claim, GuardError> {
        let (mut known, now) = self.known();
        if known.handled.get(event_id).is_some() {
            return Ok(Claim::Handled);
        }
        if let Some(holder) = known.claimed.get(event_id) {
            return Ok(if holder == token { Claim::First } else { Claim::InProgress });
        }
        if known.claimed.len() >= self.capacity {
            return Err(GuardError::new(format!("as many events are in progress as are allowed: {}", self.capacity)));
        }
        known.claimed.insert(event_id, token.clone(), now.checked_add(self.lease));
        Ok(Claim::First)
    }

    fn note(&self, event_id: &EventId) {
        let (mut known, now) = self.known();
        known.claimed.remove(event_id);
        known.handled.insert(event_id, (), now.checked_add(self.retention));
        while known.handled.len() > self.capacity {
            known.handled.remove_oldest();
        }
    }

    fn give_back(&self, event_id: &EventId, token: &ClaimToken) {
        let (mut known, _) = self.known();
        if known.claimed.get(event_id) == Some(token) {
            known.claimed.remove(event_id);
        }
    }
}

impl ReplayGuard for MemoryReplayGuard {
    fn claim<'a>(&'a self, event_id: &'a EventId, token: &'a ClaimToken) -> GuardFuture<'a, Claim> {
        Box::pin(async move { self.try_claim(event_id, token) })
    }

    fn complete<'a>(&'a self, event_id: &'a EventId) -> GuardFuture<'a, ()> {
        Box::pin(async move {
            self.note(event_id);
            Ok(())
        })
    }

    fn release<'a>(&'a self, event_id: &'a EventId, token: &'a ClaimToken) -> GuardFuture<'a, ()> {
        Box::pin(async move {
            self.give_back(event_id, token);
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

/// Ids, each with a value and the time at which it is forgotten; `None` is never.
#[derive(Debug)]
struct Expiring<V> {
    ids: HashMap<Arc<str>, (V, Option<Instant>)>,
    /// The same, the next to be forgotten first.
    order: BTreeSet<(Instant, Arc<str>)>,
}

impl<V> Default for Expiring<V> {
    fn default() -> Self {
        Self { ids: HashMap::new(), order: BTreeSet::new() }
    }
}

impl<V> Expiring<V> {
    fn len(&self) -> usize {
        self.ids.len()
    }

    fn get(&self, id: &EventId) -> Option<&V> {
        self.ids.get(id.as_str()).map(|(value, _)| value)
    }

    fn insert(&mut self, id: &EventId, value: V, until: Option<Instant>) {
        self.remove(id);
        let id: Arc<str> = id.as_str().into();
        self.order.extend(until.map(|until| (until, Arc::clone(&id))));
        self.ids.insert(id, (value, until));
    }

    fn remove(&mut self, id: &EventId) {
        if let Some((id, (_, Some(until)))) = self.ids.remove_entry(id.as_str()) {
            self.order.remove(&(until, id));
        }
    }

    fn remove_oldest(&mut self) {
        let oldest = self.order.pop_first().map(|(_, id)| id).or_else(|| self.ids.keys().next().cloned());
        if let Some(id) = oldest {
            self.ids.remove(&id);
        }
    }

    fn expire(&mut self, now: Instant) {
        while self.order.first().is_some_and(|(until, _)| *until <= now) {
            self.remove_oldest();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A guard, and what moves its clock.
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
    fn an_event_is_claimed_once_until_its_lease_runs_out() {
        let (guard, pass) = guard();
        assert_eq!(claim(&guard, "evt_1"), Claim::First);
        pass(9);
        assert_eq!(claim(&guard, "evt_1"), Claim::InProgress);
        pass(1);
        assert_eq!(claim(&guard, "evt_1"), Claim::First);
    }

    #[test]
    fn a_handled_event_is_remembered_until_its_retention_ends_and_cannot_be_released() {
        let (guard, pass) = guard();
        let token = ClaimToken::new();
        assert_eq!(guard.try_claim(&"evt_1".into(), &token).unwrap(), Claim::First);
        guard.note(&"evt_1".into());
        guard.give_back(&"evt_1".into(), &token);
        pass(99);
        assert_eq!(claim(&guard, "evt_1"), Claim::Handled);
        pass(1);
        assert_eq!(claim(&guard, "evt_1"), Claim::First);
        assert_eq!(guard.len(), 1);
    }

    #[test]
    fn a_released_event_can_be_claimed_again() {
        let (guard, _) = guard();
        let token = ClaimToken::new();
        assert_eq!(guard.try_claim(&"evt_1".into(), &token).unwrap(), Claim::First);
        guard.give_back(&"evt_1".into(), &token);
        assert!(guard.is_empty());
        assert_eq!(claim(&guard, "evt_1"), Claim::First);
    }

    #[test]
    fn a_claim_is_its_owners_until_its_lease_runs_out() {
        let (guard, pass) = guard();
        let (id, mine, yours) = ("evt_1".into(), ClaimToken::new(), ClaimToken::new());
        assert_eq!(guard.try_claim(&id, &mine).unwrap(), Claim::First);
        pass(9);
        assert_eq!(guard.try_claim(&id, &mine).unwrap(), Claim::First);
        guard.give_back(&id, &yours);
        assert_eq!(guard.try_claim(&id, &yours).unwrap(), Claim::InProgress);
        // To ask again does not make it last longer.
        pass(1);
        assert_eq!(guard.try_claim(&id, &yours).unwrap(), Claim::First);
        guard.give_back(&id, &mine);
        assert_eq!(guard.try_claim(&id, &mine).unwrap(), Claim::InProgress);
    }

    #[test]
    fn the_oldest_handled_events_are_forgotten_when_there_are_too_many() {
        let (guard, pass) = guard();
        for id in ["evt_1", "evt_2", "evt_3", "evt_4"] {
            guard.note(&id.into());
            pass(1);
        }
        assert_eq!(guard.len(), 3);
        assert_eq!(claim(&guard, "evt_1"), Claim::First);
        assert_eq!(claim(&guard, "evt_2"), Claim::Handled);
    }

    #[test]
    fn no_claim_is_forgotten_for_another() {
        let (guard, pass) = guard();
        for id in ["evt_1", "evt_2", "evt_3"] {
            assert_eq!(claim(&guard, id), Claim::First);
        }
        assert!(
            guard
                .try_claim(&"evt_4".into(), &ClaimToken::new())
                .unwrap_err()
                .to_string()
                .ends_with("as are allowed: 3")
        );
        assert_eq!(claim(&guard, "evt_1"), Claim::InProgress);
        pass(10);
        assert_eq!(claim(&guard, "evt_4"), Claim::First);
    }

    #[test]
    fn a_capacity_of_nothing_is_one_of_one() {
        let guard = MemoryReplayGuard::new().capacity(0);
        assert_eq!(claim(&guard, "evt_1"), Claim::First);
        guard.note(&"evt_1".into());
        assert_eq!(claim(&guard, "evt_1"), Claim::Handled);
    }

    #[test]
    fn a_retention_without_end_is_still_bounded_by_the_capacity() {
        let guard = MemoryReplayGuard::new().retention(Duration::MAX).capacity(2);
        for number in 0..1000 {
            guard.note(&format!("evt_{number}").into());
        }
        assert_eq!(guard.len(), 2);
    }

    #[test]
    fn events_that_come_and_go_leave_nothing_behind() {
        let (guard, pass) = guard();
        for number in 0..1000 {
            let (id, token) = (format!("evt_{number}").into(), ClaimToken::new());
            guard.try_claim(&id, &token).unwrap();
            if number % 2 == 0 {
                guard.note(&id);
            } else {
                guard.give_back(&id, &token);
            }
            pass(1);
        }
        pass(1000);
        assert!(guard.is_empty());
        let known = guard.known.lock().unwrap();
        assert!(known.claimed.order.is_empty() && known.handled.order.is_empty());
    }
}
