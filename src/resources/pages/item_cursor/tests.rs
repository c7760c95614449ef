//! Model lists that change between any two requests, of services that page and count as they like.

#![allow(clippy::cast_possible_wrap)]

use std::collections::HashSet;

use fastrand::Rng;

use super::*;

#[derive(Clone, Debug, PartialEq)]
struct Item(String);

impl Item {
    fn new(number: i64) -> Self {
        Self(number.to_string())
    }
}

impl Listed for Item {
    fn id(&self) -> &str {
        &self.0
    }
}

/// The total that a service reports.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Total {
    Right,
    Missing,
    TooSmall,
    TooLarge,
    /// That of some requests before.
    Late,
    /// The number of items on the page.
    OfPage,
    Random,
}

/// The size of a page, if the limit and the list allow it.
#[derive(Clone, Copy, Debug)]
enum Size {
    Full,
    Capped(usize),
    /// From 1 to the limit, as of a service that pages by bytes.
    Random,
}

#[derive(Debug)]
struct Service {
    /// Numbers of items, in the order of the list.
    list: Vec<i64>,
    newest: i64,
    size: Size,
    total: Total,
    /// One page in this many is answered from a cache, if there is one.
    cached: Option<u32>,
    past: Vec<Vec<i64>>,
    rng: Rng,
}

impl Service {
    fn new(count: usize) -> Self {
        let newest = 10 * count as i64;
        let list = (1..=count as i64).rev().map(|number| 10 * number).collect();
        let (size, total) = (Size::Full, Total::Right);
        Self { list, newest, size, total, cached: None, past: Vec::new(), rng: Rng::with_seed(1) }
    }

    fn respond(&mut self, request: Request) -> Batch<Item> {
        self.past.push(self.list.clone());
        let is_stale = self.cached.is_some_and(|most| self.rng.u32(..most) == 0);
        let past = self.rng.usize(self.past.len().saturating_sub(5)..self.past.len());
        let list = if is_stale { &self.past[past] } else { &self.list };
        let limit = request.limit as usize;
        let size = match self.size {
            Size::Full => limit,
            Size::Capped(most) => most.min(limit),
            Size::Random => self.rng.usize(1..=limit),
        };
        let items: Vec<_> =
            list.iter().skip(request.offset as usize).take(size).map(|number| Item::new(*number)).collect();
        let count = list.len() as u64;
        let total = match self.total {
            Total::Right => Some(count),
            Total::Missing => None,
            Total::TooSmall => Some(count / 3),
            Total::TooLarge => Some(count + 57),
            Total::Late => Some(self.past[past].len() as u64),
            Total::OfPage => Some(items.len() as u64),
            Total::Random => self.rng.bool().then(|| self.rng.u64(..2 * count + 2)),
        };
        Batch { items, total, is_stale }
    }

    fn add(&mut self, count: usize) {
        let new = (1..=count as i64).rev().map(|number| self.newest + 10 * number);
        self.list.splice(..0, new.collect::<Vec<_>>());
        self.newest += 10 * count as i64;
    }

    /// Makes some of up to `most` changes of a kind.
    fn change(&mut self, most: usize) {
        let (place, count) = (self.rng.usize(..=self.list.len()), self.rng.usize(..=most));
        match self.rng.u32(..8) {
            0..3 => self.add(count),
            // A run that enters a filtered list stands where it was created.
            3 if place > 0 => {
                let number = self.list[place - 1] - 1;
                if self.list.get(place).is_none_or(|next| *next < number) {
                    self.list.insert(place, number);
                }
            }
            4..7 if place < self.list.len() => drop(self.list.remove(place)),
            7 => drop(self.list.drain(place..self.list.len().min(place + count))),
            _ => {}
        }
    }
}

/// The result of reading a list.
struct Read {
    given: Vec<String>,
    requests: Vec<Request>,
    end: Step,
    /// The items that were in the list from the first request to the last.
    throughout: Vec<String>,
}

impl Read {
    fn offsets(&self) -> Vec<u32> {
        self.requests.iter().map(|request| request.offset).collect()
    }

    /// Checks that nothing was returned twice, and that what was there throughout was returned in its order, and to its
    /// end unless there is an error.
    fn check(&self) {
        let returned: HashSet<_> = self.given.iter().collect();
        assert_eq!(returned.len(), self.given.len(), "an item was returned twice");
        let throughout: HashSet<_> = self.throughout.iter().collect();
        let given: Vec<_> = self.given.iter().filter(|item| throughout.contains(item)).collect();
        let expected: Vec<_> = self.throughout.iter().collect();
        assert!(expected.starts_with(&given), "an item was skipped, {:?}: {:?}", self.end, self.requests);
        assert!(self.end != Step::End || given == expected, "items are missing: {:?}", self.requests);
    }
}

fn read(mut cursor: ItemCursor, service: &mut Service, mut change: impl FnMut(&mut Service, usize)) -> Read {
    let first = next(&cursor).offset as usize;
    let mut throughout: Vec<_> = service.list.iter().skip(first).copied().collect();
    let (mut given, mut requests) = (Vec::new(), Vec::new());
    loop {
        let request = next(&cursor);
        assert!(requests.len() < 10_000, "it does not end");
        requests.push(request);
        let (new, step) = cursor.advance(service.respond(request));
        given.extend(new.into_iter().map(|item| item.0));
        let list: HashSet<_> = service.list.iter().collect();
        throughout.retain(|number| list.contains(number));
        if step != Step::Fetch {
            let throughout = throughout.iter().map(ToString::to_string).collect();
            return Read { given, requests, end: step, throughout };
        }
        change(service, requests.len());
    }
}

/// Makes a change after this number of requests.
fn once(after: usize, mut change: impl FnMut(&mut Service)) -> impl FnMut(&mut Service, usize) {
    move |service, requests| {
        if requests == after {
            change(service);
        }
    }
}

fn next(cursor: &ItemCursor) -> Request {
    Cursor::<Item>::request(cursor)
}

fn cursor(limit: u32, offset: u32) -> ItemCursor {
    ItemCursor::new(Request { limit, offset })
}

fn read_still(limit: u32, service: &mut Service) -> Read {
    read(cursor(limit, 0), service, |_, _| ())
}

#[test]
fn pages_overlap_by_one_item_and_an_empty_page_ends_the_list() {
    let offsets = |count| read_still(100, &mut Service::new(count)).offsets();
    assert_eq!(offsets(0), [0]);
    assert_eq!(offsets(99), [0, 99]);
    assert_eq!(offsets(100), [0, 100]);
    assert_eq!(offsets(250), [0, 99, 198, 250]);
}

#[test]
fn without_a_total_the_last_item_is_seen_again_after_the_empty_page() {
    for count in [1, 2, 99, 100, 101, 250] {
        let read = read_still(100, &mut Service { total: Total::Missing, ..Service::new(count) });
        assert_eq!((read.given.len(), read.end), (count, Step::End));
        assert!(read.requests.len() <= 4 + count / 99, "{count}: {:?}", read.offsets());
    }
}

#[test]
fn a_list_that_ends_before_its_total_is_an_error_after_all_its_items() {
    for count in [0, 1, 30, 100, 250] {
        let read = read_still(100, &mut Service { total: Total::TooLarge, ..Service::new(count) });
        let (offset, total) = (count as u64, count as u64 + 57);
        assert_eq!((read.given.len(), read.end), (count, Step::Fail(StallReason::EndsBeforeTotal { offset, total })));
        assert!(read.requests.len() <= 7 + count / 99, "{count}: {:?}", read.offsets());
        // A cache has no response to a request that differs.
        let limits: HashSet<_> = read.requests.iter().map(|request| request.limit).collect();
        assert_eq!(limits.len(), 3);
    }
}

#[test]
fn a_total_that_is_too_small_or_that_of_the_page_loses_no_item() {
    for total in [Total::TooSmall, Total::OfPage] {
        for size in [Size::Full, Size::Capped(1), Size::Capped(7), Size::Random] {
            for count in [1, 2, 30, 100, 250] {
                let read = read_still(10, &mut Service { size, total, ..Service::new(count) });
                assert_eq!((read.given.len(), read.end), (count, Step::End), "{total:?} {size:?}");
            }
        }
    }
}

#[test]
fn a_service_may_return_fewer_items_than_requested() {
    for cap in [1, 2, 3, 50] {
        for total in [Total::Right, Total::Missing] {
            let read = read_still(100, &mut Service { size: Size::Capped(cap), total, ..Service::new(120) });
            assert_eq!((read.given.len(), read.end), (120, Step::End), "{cap} {total:?}");
            let most = 10 + 120 / (cap - 1).max(1);
            assert!(read.requests.len() <= most, "{cap} {total:?}: {:?}", read.offsets());
        }
    }
}

#[test]
fn many_new_items_in_front_are_read_before_the_rest() {
    for burst in [99, 100, 101, 500, 5_000] {
        let read = read(cursor(100, 0), &mut Service::new(250), once(1, |service| service.add(burst)));
        assert_eq!(read.end, Step::End, "{burst}");
        read.check();
        assert!(read.requests.len() <= 12 + burst / 99, "{burst}: {:?}", read.offsets());
    }
}

#[test]
fn a_list_that_each_item_leaves_as_soon_as_it_is_returned_takes_two_requests_a_page() {
    let read = read(cursor(10, 0), &mut Service::new(5_000), |service, requests| {
        if requests % 2 == 1 {
            service.list.drain(..10.min(service.list.len()));
        }
    });
    assert_eq!((read.given.len(), read.end), (5_000, Step::End));
    assert!(read.requests.len() <= 1_002, "{}", read.requests.len());
}

#[test]
fn a_list_with_an_offset_fails_if_all_returned_items_have_left() {
    for total in [Total::Right, Total::Missing] {
        let mut service = Service { total, ..Service::new(500) };
        let read = read(cursor(100, 50), &mut service, once(1, |service| drop(service.list.drain(20..200))));
        assert_eq!((read.given.len(), read.end), (100, Step::Fail(StallReason::PlaceLost)));
    }
}

#[test]
fn a_list_is_read_from_its_offset() {
    for count in [370, 120, 7] {
        let read = read(cursor(100, 120), &mut Service::new(count), |_, _| ());
        assert_eq!((read.given.len(), read.end), (count.saturating_sub(120), Step::End));
        read.check();
    }
}

#[test]
fn an_emptied_list_ends() {
    for total in [Total::Right, Total::Missing] {
        let mut service = Service { total, ..Service::new(1_000) };
        let read = read(cursor(100, 0), &mut service, once(5, |service| service.list.clear()));
        assert_eq!(read.end, Step::End);
    }
}

#[test]
fn no_more_items_are_requested_than_wanted() {
    let mut cursor = self::cursor(100, 0);
    Cursor::<Item>::max_items(&mut cursor, 5);
    let read = read(cursor, &mut Service::new(250), |_, _| ());
    assert_eq!((read.given.len(), read.requests), (5, vec![Request { limit: 5, offset: 0 }]));
}

#[test]
fn an_end_from_a_cache_is_no_end() {
    let mut cursor = self::cursor(100, 0);
    let empty = || Batch::<Item> { items: Vec::new(), total: Some(0), is_stale: true };
    assert_eq!(cursor.advance(empty()).1, Step::Fetch);
    assert_eq!(cursor.advance(empty()).1, Step::Fetch);
    assert_eq!(cursor.advance(empty()).1, Step::Fail(StallReason::StaleEnd));
}

#[test]
fn an_endless_list_ends_with_an_error() {
    for total in [None, Some(1_000_000), Some(7)] {
        let mut cursor = self::cursor(10, 0);
        let (mut step, mut requests) = (Step::Fetch, 0);
        while step == Step::Fetch {
            requests += 1;
            let items = (10 * requests..10 * (requests + 1)).map(Item::new).collect();
            step = cursor.advance(Batch { items, total, is_stale: false }).1;
            assert!(requests <= 1_200, "it does not end");
        }
        assert!(matches!(step, Step::Fail(_)), "{step:?}");
    }
}

/// Lists of services that page by bytes, count wrongly, cache, and change between any two requests.
#[test]
fn each_item_that_stays_is_returned_once_or_the_list_ends_with_an_error() {
    use Total::{Late, Missing, OfPage, Random, Right, TooLarge, TooSmall};

    let (mut ends, mut requests) = (0, 0);
    for seed in 0..5_000 {
        let mut rng = Rng::with_seed(seed);
        let total = [Right, Right, Missing, TooSmall, TooLarge, Late, OfPage, Random][rng.usize(..8)];
        let size = match rng.u32(..3) {
            0 => Size::Full,
            // A service that returns one item a page leaves no trace of an item that has left meanwhile.
            1 => Size::Capped(rng.usize(2..50)),
            _ => Size::Random,
        };
        let cached = rng.bool().then(|| rng.u32(2..20));
        let longest = if rng.u32(..10) == 0 { 1_000 } else { 60 };
        let count = rng.usize(..longest);
        let mut service = Service { size, total, cached, rng: rng.fork(), ..Service::new(count) };
        let (limit, offset) = (rng.u32(4..=100), if rng.u32(..5) == 0 { rng.u32(..40) } else { 0 });
        let (most, changing) = (rng.usize(..40), rng.usize(..40));
        println!("seed {seed}: {count} items, limit {limit}, {size:?}, {total:?}, cached {cached:?}");
        let read = read(cursor(limit, offset), &mut service, |service, requests| {
            if requests <= changing {
                (0..rng.usize(..4)).for_each(|_| service.change(most));
            }
        });
        read.check();
        ends += usize::from(read.end == Step::End);
        requests += read.requests.len();
    }
    println!("{ends} ends, {requests} requests");
    assert!(ends >= 3_000, "{ends}");
}
