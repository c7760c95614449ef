//! [`Freshness`]: whether a response shows that it came from a cache.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use http::{HeaderMap, header};

use crate::bounded_map::BoundedMap;
use crate::response::{RawResponse, date, request_id};

/// The number of responses that are remembered.
const MAX_SEEN: usize = 1_000;

/// The clocks of the servers of a service may differ by this much.
const CLOCK_DIFFERENCE: Duration = Duration::from_secs(60);

/// The number of responses in succession that seem old, after which it was the earlier one that had a wrong `Date`.
const MAX_OLD: u32 = 3;

/// What the responses so far tell about the next.
#[derive(Debug, Default)]
pub(crate) struct Freshness(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// The hashes of request ids with the bodies of their responses.
    responses: BoundedMap<u64, ()>,
    /// The latest `Date` of a response.
    latest: Option<SystemTime>,
    /// The number of responses since that one.
    old: u32,
    /// Counts the page sizes, from a random number.
    sizes: Option<u8>,
}

impl Freshness {
    /// Returns whether a response shows that it is out of date: it has an `Age`, is older than another response, or was
    /// received before. A cache need not show any of this.
    pub(super) fn is_stale(&self, request: &HeaderMap, response: &RawResponse) -> bool {
        let RawResponse { headers, body, .. } = response;
        let age: Option<u64> = headers.get(header::AGE).and_then(|age| age.to_str().ok()?.trim().parse().ok());
        // A service repeats the id that a request has.
        let id = request_id(headers).filter(|_| !request.contains_key("x-request-id"));
        let hash = id.map(|id| {
            let mut hasher = DefaultHasher::new();
            (id, body).hash(&mut hasher);
            hasher.finish()
        });
        let date = date(headers);
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let behind = date.zip(seen.latest).and_then(|(date, latest)| latest.duration_since(date).ok());
        let is_old = behind.is_some_and(|behind| behind > CLOCK_DIFFERENCE);
        seen.old = if is_old { seen.old + 1 } else { 0 };
        seen.latest = if seen.old > MAX_OLD { date } else { seen.latest.max(date) };
        let is_repeated = hash.is_some_and(|hash| seen.responses.get(&hash).is_some());
        if let Some(hash) = hash {
            seen.responses.insert(hash, (), ());
            seen.responses.shrink_while(|count, ()| count > MAX_SEEN);
        }
        age.is_some_and(|age| age > 0) || is_old || is_repeated
    }
}

impl Freshness {
    /// Returns a page size that makes a request for which a cache has no response yet: up to the half of `largest`
    /// smaller, and another each time, also after a restart of the program.
    pub(crate) fn new_page_size(&self, largest: u32) -> u32 {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sizes = seen.sizes.map_or_else(|| fastrand::u8(..), |sizes| sizes.wrapping_add(1));
        seen.sizes = Some(sizes);
        largest - u32::from(sizes) % (largest / 2).max(1)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

    use super::Freshness;
    use crate::response::RawResponse;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    /// Returns which of the responses are stale.
    fn stale(
        request: &[(&'static str, &'static str)],
        responses: &[(&'static str, &'static str, &'static str)],
    ) -> Vec<bool> {
        let freshness = Freshness::default();
        let each = responses.iter().map(|(name, value, body)| {
            let (headers, body) = (headers(&[(name, value)]), Bytes::from_static(body.as_bytes()));
            freshness.is_stale(&self::headers(request), &RawResponse { status: StatusCode::OK, headers, body })
        });
        each.collect()
    }

    #[test]
    fn page_sizes_differ_and_are_not_small() {
        let freshness = Freshness::default();
        let sizes: std::collections::HashSet<_> = (0..50).map(|_| freshness.new_page_size(100)).collect();
        assert!(sizes.len() >= 44 && sizes.iter().all(|size| (51..=100).contains(size)), "{sizes:?}");
        assert_eq!(freshness.new_page_size(1), 1);
    }

    #[test]
    fn a_response_with_an_age_is_stale() {
        let ages = ["0", "1", "86400", "", "soon", "-1"].map(|age| ("age", age, ""));
        assert_eq!(stale(&[], &ages), [false, true, true, false, false, false]);
    }

    #[test]
    fn a_response_that_was_received_before_is_stale_unless_the_request_names_its_id() {
        let responses = [("req_1", "a"), ("req_2", "a"), ("req_1", "b"), ("req_1", "a")]
            .map(|(id, body)| ("x-request-id", id, body));
        assert_eq!(stale(&[], &responses), [false, false, false, true]);
        assert_eq!(stale(&[("x-request-id", "req_1")], &responses), [false; 4]);
    }

    #[test]
    fn a_response_that_is_older_than_an_earlier_one_is_stale() {
        let at = |time: &str| ("date", &*format!("Thu, 01 Jan 2026 {time} GMT").leak(), "");
        let dates = ["10:00:00", "10:10:00", "10:09:05", "10:08:59", "10:11:00"].map(at);
        assert_eq!(stale(&[], &dates), [false, false, false, true, false]);
        // A wrong date is forgotten.
        let dates = ["10:00:00", "23:00:00", "10:00:01", "10:00:02", "10:00:03", "10:00:04", "10:00:05"].map(at);
        assert_eq!(stale(&[], &dates), [false, false, true, true, true, true, false]);
    }
}
