//! [`Replicas`]: the number of other replicas that poll with the same rate limit.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};

/// The interval at which a replica that awaits runs announces itself.
pub(super) const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(30);

/// The time for which an announcement counts: two in a row may be lost.
const ANNOUNCEMENT_LIFETIME: Duration = Duration::from_secs(90);

const MAX_REPLICAS: usize = 1_000;

#[derive(Debug, Default)]
pub(in crate::follow) struct Replicas(HashMap<String, Replica>);

#[derive(Debug)]
struct Replica {
    sent_at: DateTime<Utc>,
    received: Duration,
}

impl Replicas {
    /// Records an announcement. Returns whether the replica is new.
    pub(super) fn announced(&mut self, id: String, sent_at: DateTime<Utc>, now: Duration) -> bool {
        self.expire(now);
        if self.0.len() >= MAX_REPLICAS && !self.0.contains_key(&id) {
            return false;
        }
        // A repeated announcement does not count for longer.
        let is_repeated = self.0.get(&id).is_some_and(|known| sent_at <= known.sent_at);
        !is_repeated && self.0.insert(id, Replica { sent_at, received: now }).is_none()
    }

    pub(in crate::follow) fn count(&mut self, now: Duration) -> u32 {
        self.expire(now);
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    fn expire(&mut self, now: Duration) {
        self.0.retain(|_, replica| replica.received.saturating_add(ANNOUNCEMENT_LIFETIME) > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_counts_for_ninety_seconds_after_its_last_announcement() {
        let seconds = Duration::from_secs;
        let sent = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        let mut replicas = Replicas::default();
        assert!(replicas.announced("a".to_owned(), sent(0), seconds(0)));
        assert!(replicas.announced("b".to_owned(), sent(30), seconds(30)));
        assert!(!replicas.announced("b".to_owned(), sent(60), seconds(60)));
        assert_eq!([89, 90, 149, 150].map(|now| replicas.count(seconds(now))), [2, 1, 1, 0]);
    }

    #[test]
    fn a_repeated_announcement_counts_once() {
        let seconds = Duration::from_secs;
        let mut replicas = Replicas::default();
        let sent = DateTime::UNIX_EPOCH;
        assert!(replicas.announced("a".to_owned(), sent, seconds(0)));
        assert!(!replicas.announced("a".to_owned(), sent, seconds(80)));
        assert_eq!(replicas.count(seconds(90)), 0);
    }

    #[test]
    fn no_more_than_a_thousand_replicas_are_counted() {
        let mut replicas = Replicas::default();
        for number in 0..2 * MAX_REPLICAS {
            replicas.announced(number.to_string(), DateTime::UNIX_EPOCH, Duration::ZERO);
        }
        assert_eq!(replicas.count(Duration::ZERO), 1_000);
    }
}
