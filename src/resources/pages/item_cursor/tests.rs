//! Model lists that change between any two requests.

#![allow(clippy::cast_possible_wrap)]

use std::collections::HashSet;

use fastrand::Rng;

use super::*;

#[derive(Clone, Debug, PartialEq)]
struct Item {
    number: i64,
    id: String,
}

impl Item {
    fn new(number: i64) -> Self {
        Self { number, id: format!("run_{number}") }
    }
}

impl Listed for Item {
    fn id(&self) -> &str {
        &self.id
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Total {
    Honest,
    Missing,
    TooSmall,
    TooLarge,
    /// Totals above this number are not counted.
    Capped(u64),
}

/// An index into a list of any length.
#[derive(Clone, Copy, Debug)]
struct Index(usize);

impl Index {
    fn index(self, length: usize) -> usize {
        self.0 % length
    }
}

/// A change of the list between two requests.
#[derive(Clone, Debug)]
enum Change {
    Add(usize),
    /// Inserts a new item behind this index.
    Squeeze(Index),
    Remove(Index),
    RemoveMany(Index, usize),
}

#[derive(Clone, Debug)]
struct Service {
    list: Vec<Item>,
    newest: i64,
    /// The largest page that the service returns.
    cap: usize,
    total: Total,
}

impl Service {
    fn new(count: usize) -> Self {
        let newest = 10 * count as i64;
        let list = (1..=count as i64).rev().map(|number| Item::new(10 * number)).collect();
        Self { list, newest, cap: 100, total: Total::Honest }
    }

    fn respond(&self, request: Request) -> (Vec<Item>, Option<u64>) {
        let limit = self.cap.min(request.limit as usize);
        let page = self.list.iter().skip(request.offset as usize).take(limit).cloned().collect();
        let count = self.list.len() as u64;
        let total = match self.total {
            Total::Honest => Some(count),
            Total::Missing => None,
            Total::TooSmall => Some(count / 3),
            Total::TooLarge => Some(count + 57),
            Total::Capped(most) => Some(count.min(most)),
        };
        (page, total)
    }

    fn change(&mut self, change: &Change) {
        match change {
            Change::Add(count) => {
                let new = (1..=*count as i64).rev().map(|number| Item::new(self.newest + 10 * number));
                self.list.splice(..0, new.collect::<Vec<_>>());
                self.newest += 10 * *count as i64;
            }
            Change::Squeeze(at) if !self.list.is_empty() => {
                let at = at.index(self.list.len());
                let number = self.list[at].number - 1;
                if self.list.get(at + 1).is_none_or(|next| next.number < number) {
                    self.list.insert(at + 1, Item::new(number));
                }
            }
            Change::Remove(at) if !self.list.is_empty() => drop(self.list.remove(at.index(self.list.len()))),
            Change::RemoveMany(at, count) if !self.list.is_empty() => {
                let at = at.index(self.list.len());
                self.list.drain(at..(at + count).min(self.list.len()));
            }
            _ => {}
        }
    }
}

/// The result of reading a list.
struct Read {
    given: Vec<Item>,
    requests: Vec<Request>,
    end: Step,
    /// The items that were in the list from the first request to the last.
    throughout: Vec<Item>,
    /// The totals were true. Without them, a list may change too fast to find the place in 100 requests, and new items
    /// may repeat a page, which cannot be told from a service that repeats itself.
    is_counted: bool,
    /// The pages are so small that 100 requests are not enough to search the list.
    is_far: bool,
}

impl Read {
    fn offsets(&self) -> Vec<u32> {
        self.requests.iter().map(|request| request.offset).collect()
    }

    fn numbers(&self) -> Vec<i64> {
        self.given.iter().map(|item| item.number).collect()
    }

    /// Checks that nothing was returned twice, that nothing was skipped, and that the end was reached unless an error
    /// is excused.
    fn check(&self) {
        let returned: HashSet<_> = self.given.iter().map(|item| &item.id).collect();
        assert_eq!(returned.len(), self.given.len(), "an item was returned twice");
        let throughout: HashSet<_> = self.throughout.iter().map(|item| &item.id).collect();
        let given: Vec<_> = self.given.iter().filter(|item| throughout.contains(&item.id)).collect();
        let expected: Vec<_> = self.throughout.iter().collect();
        assert!(expected.starts_with(&given), "an item was skipped");
        let is_excused = match self.end {
            Step::Fail(StallReason::NoNewItems) => !self.is_counted || self.is_far,
            Step::Fail(StallReason::RepeatedPage) => {
                !self.is_counted || self.requests.iter().any(|request| request.limit < 4)
            }
            _ => false,
        };
        if !is_excused {
            assert_eq!(self.end, Step::End);
            assert_eq!(given, expected);
        }
    }
}

fn read(mut cursor: ItemCursor, service: &mut Service, mut changes: impl FnMut(&mut Service, usize)) -> Read {
    let mut throughout: Vec<_> = service.list.iter().skip(cursor.request().offset as usize).cloned().collect();
    let (mut given, mut requests) = (Vec::new(), Vec::new());
    loop {
        let request = cursor.request();
        assert!(requests.len() < 10_000, "it does not end");
        requests.push(request);
        let (page, total) = service.respond(request);
        let (new, step) = cursor.advance(page, total);
        given.extend(new);
        if step != Step::Fetch {
            let list: HashSet<_> = service.list.iter().map(|item| &item.id).collect();
            throughout.retain(|item| list.contains(&item.id));
            let is_far = service.list.len() > 30 * (service.cap.min(request.limit as usize) - 1);
            let is_counted = service.total == Total::Honest;
            return Read { given, requests, end: step, throughout, is_counted, is_far };
        }
        changes(service, requests.len());
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

fn cursor(limit: u32, offset: u32) -> ItemCursor {
    ItemCursor::new(Some(Request { limit, offset }))
}

fn read_still(limit: u32, service: &mut Service) -> Read {
    read(cursor(limit, 0), service, |_, _| ())
}

#[test]
fn pages_overlap_by_one_item_and_the_last_one_is_known_by_the_total() {
    let read = read_still(100, &mut Service::new(250));
    assert_eq!(read.offsets(), [0, 99, 198]);
    assert_eq!((read.given.len(), read.end), (250, Step::End));
}

#[test]
fn a_short_list_takes_one_request() {
    assert_eq!(read_still(100, &mut Service::new(0)).offsets(), [0]);
    assert_eq!(read_still(100, &mut Service::new(99)).offsets(), [0]);
}

#[test]
fn a_full_page_does_not_count_as_the_last() {
    assert_eq!(read_still(100, &mut Service::new(100)).offsets(), [0, 99]);
    // Some services count no further than 10,000, which is where a page ends.
    let mut service = Service { total: Total::Capped(10_000), ..Service::new(12_000) };
    assert_eq!(read_still(100, &mut service).given.len(), 12_000);
}

#[test]
fn without_a_total_a_page_without_new_items_is_the_last() {
    for count in [1, 2, 99, 100, 101, 250] {
        let mut service = Service { total: Total::Missing, ..Service::new(count) };
        let read = read_still(100, &mut service);
        assert_eq!((read.given.len(), read.end), (count, Step::End));
        assert!(read.requests.len() <= 2 + count / 99, "{count}: {:?}", read.requests);
    }
}

#[test]
fn a_wrong_total_loses_no_item() {
    for total in [Total::TooSmall, Total::TooLarge] {
        for count in [1, 2, 30, 100, 250, 1000] {
            let read = read_still(100, &mut Service { total, ..Service::new(count) });
            assert_eq!((read.given.len(), read.end), (count, Step::End), "{total:?}");
            assert!(read.requests.len() <= 2 + count / 99, "{total:?} {count}: {:?}", read.requests);
        }
    }
}

#[test]
fn an_impossible_total_is_ignored() {
    let mut cursor = self::cursor(3, 0);
    assert_eq!(cursor.advance((0..3).map(Item::new).collect(), Some(0)).1, Step::Fetch);
    // No item is known, so a plausible total would correct the offset.
    assert_eq!(cursor.advance((3..6).map(Item::new).collect(), Some(u64::MAX)).1, Step::Fetch);
    assert_eq!(cursor.request().offset, 0);
}

#[test]
fn a_service_may_return_fewer_items_than_requested() {
    for cap in [1, 2, 3, 50] {
        for total in [Total::Honest, Total::Missing] {
            let mut service = Service { cap, total, ..Service::new(120) };
            let read = read_still(100, &mut service);
            assert_eq!((read.given.len(), read.end), (120, Step::End), "{cap} {total:?}");
        }
    }
}

#[test]
fn items_added_in_front_are_not_returned_and_cause_no_duplicates() {
    let read = read(cursor(10, 0), &mut Service::new(100), |service, _| service.change(&Change::Add(3)));
    assert_eq!(read.numbers(), (1..=100).rev().map(|number| 10 * number).collect::<Vec<_>>());
}

#[test]
fn many_new_items_in_front_cost_few_requests_with_a_total() {
    for burst in [99, 100, 101, 500, 5_000, 1_000_000] {
        let read = read(cursor(100, 0), &mut Service::new(250), once(1, |service| service.change(&Change::Add(burst))));
        assert_eq!((read.given.len(), read.end), (250, Step::End), "{burst}");
        assert!(read.requests.len() <= 6, "{burst}: {:?}", read.requests);
    }
}

#[test]
fn many_new_items_cost_few_requests_deep_in_a_list_with_a_total() {
    for burst in [500, 1_500, 5_000] {
        let read =
            read(cursor(100, 0), &mut Service::new(5_000), once(20, |service| service.change(&Change::Add(burst))));
        assert_eq!((read.given.len(), read.end), (5_000, Step::End), "{burst}");
        assert!(read.requests.len() <= 52, "{burst}: {}", read.requests.len());
    }
}

#[test]
fn many_new_items_are_searched_through_without_a_total() {
    for (burst, most) in [(100, 7), (500, 13), (2_000, 45)] {
        let mut service = Service { total: Total::Missing, ..Service::new(5_000) };
        let read = read(cursor(100, 0), &mut service, once(20, |service| service.change(&Change::Add(burst))));
        assert_eq!((read.given.len(), read.end), (5_000, Step::End), "{burst}");
        assert!(read.requests.len() <= 52 + most, "{burst}: {}", read.requests.len());
    }
}

#[test]
fn the_cursor_steps_back_if_all_returned_items_have_left() {
    // All that was given has left, and all that was not has moved to its place.
    let read = read(cursor(100, 0), &mut Service::new(250), once(1, |service| drop(service.list.drain(..100))));
    assert_eq!((read.given.len(), read.end), (250, Step::End));
    assert!(read.requests.len() <= 6, "{:?}", read.requests);
}

#[test]
fn the_rest_of_a_list_is_found_after_many_of_the_returned_items_have_left() {
    for total in [Total::Honest, Total::Missing] {
        let mut service = Service { total, ..Service::new(2_000) };
        let read = read(
            cursor(100, 0),
            &mut service,
            once(10, |service| {
                service.list.drain(400..1_100);
                service.change(&Change::Add(50));
            }),
        );
        assert_eq!(read.end, Step::End);
        read.check();
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
    assert!(read.requests.len() <= 1_001, "{}", read.requests.len());
}

#[test]
fn a_list_with_an_offset_fails_if_all_returned_items_have_left() {
    // Items in front of the offset must not be returned, and nothing tells them from the rest.
    for total in [Total::Honest, Total::Missing] {
        let mut service = Service { total, ..Service::new(500) };
        let read = read(cursor(100, 50), &mut service, once(1, |service| drop(service.list.drain(20..200))));
        assert_eq!((read.given.len(), read.end), (100, Step::Fail(StallReason::PlaceLost)));
    }
}

#[test]
fn an_emptied_list_ends() {
    for total in [Total::Honest, Total::Missing] {
        let mut service = Service { total, ..Service::new(1_000) };
        let read = read(cursor(100, 0), &mut service, once(5, |service| service.list.clear()));
        assert_eq!(read.end, Step::End);
    }
}

#[test]
fn a_list_is_read_from_its_offset() {
    let mut service = Service::new(250);
    let read = read(cursor(100, 120), &mut service, |_, _| ());
    assert_eq!((read.given.len(), read.given[0].number), (130, 1300));
    let read = self::read(cursor(100, 250), &mut service, |_, _| ());
    assert_eq!((read.given.len(), read.end, read.requests.len()), (0, Step::End, 1));
}

#[test]
fn no_more_items_are_requested_than_wanted() {
    let mut cursor = self::cursor(100, 0);
    cursor.max_items(5);
    let read = read(cursor, &mut Service::new(250), |_, _| ());
    assert_eq!((read.given.len(), read.requests), (5, vec![Request { limit: 5, offset: 0 }]));
}

#[test]
fn a_page_has_at_least_two_items() {
    let read = read_still(1, &mut Service::new(4));
    assert!(read.requests.iter().all(|request| request.limit == 2));
    assert_eq!(read.given.len(), 4);
}

#[test]
fn a_list_beyond_the_largest_offset_ends_with_an_error() {
    let mut cursor = self::cursor(100, 2_147_483_600);
    let page: Vec<_> = (0..100).map(Item::new).collect();
    assert_eq!(cursor.advance(page, None).1, Step::Fail(StallReason::OffsetTooLarge));
}

#[test]
fn an_endless_list_ends_with_an_error() {
    for total in [None, Some(1_000_000), Some(7)] {
        let mut cursor = self::cursor(10, 0);
        let mut step = Step::Fetch;
        let mut requests = 0;
        while step == Step::Fetch {
            requests += 1;
            let page = (10 * requests..10 * (requests + 1)).map(Item::new).collect();
            step = cursor.advance(page, total).1;
            assert!(requests <= 1_200, "it does not end");
        }
        assert!(matches!(step, Step::Fail(_)), "{step:?}");
    }
}

fn change(rng: &mut Rng, most: usize) -> Change {
    let place = Index(rng.usize(..));
    match rng.u32(..11) {
        0..4 => Change::Add(rng.usize(1..=3)),
        4 => Change::Add(rng.usize(1..=most)),
        5..7 => Change::Squeeze(place),
        7..10 => Change::Remove(place),
        _ => Change::RemoveMany(place, rng.usize(1..=most)),
    }
}

fn total(rng: &mut Rng) -> Total {
    match rng.u32(..7) {
        0..3 => Total::Honest,
        3..5 => Total::Missing,
        5 => Total::TooSmall,
        _ => Total::TooLarge,
    }
}

/// Reads the list, with up to `changes` changes of up to `most` items after each of the first `requests` requests.
fn read_while_it_changes(
    rng: &mut Rng,
    mut service: Service,
    limit: u32,
    most: usize,
    changes: usize,
    requests: usize,
) {
    let requests = rng.usize(..requests);
    let read = read(cursor(limit, 0), &mut service, |service, request| {
        if request <= requests {
            for _ in 0..rng.usize(..changes) {
                service.change(&change(rng, most));
            }
        }
    });
    read.check();
}

#[test]
fn short_lists_are_read_exactly_while_they_change() {
    for seed in 0..2_000 {
        println!("seed {seed}");
        let rng = &mut Rng::with_seed(seed);
        let cap = if rng.bool() { 100 } else { rng.usize(2..12) };
        let total = Some(total(rng)).filter(|total| cap == 100 || *total != Total::TooSmall);
        let service = Service { cap, total: total.unwrap_or(Total::Missing), ..Service::new(rng.usize(..60)) };
        let limit = rng.u32(1..12);
        read_while_it_changes(rng, service, limit, 30, 4, 40);
    }
}

#[test]
fn long_lists_are_read_exactly_while_they_change() {
    for seed in 0..300 {
        println!("seed {seed}");
        let rng = &mut Rng::with_seed(seed);
        let service = Service { total: total(rng), ..Service::new(rng.usize(..1_500)) };
        let limit = if rng.bool() { 100 } else { rng.u32(20..100) };
        read_while_it_changes(rng, service, limit, 150, 5, 100);
    }
}

/// With a true total, and fewer than a page of changes of a kind between two requests, only pages of less than four
/// items may stall.
#[test]
fn each_item_that_stays_is_returned_exactly_once_while_others_are_added_in_front_and_removed() {
    let mut ends = 0;
    for seed in 0..3_000 {
        println!("seed {seed}");
        let rng = &mut Rng::with_seed(seed);
        let total = if rng.u32(..4) > 0 { Total::Honest } else { Total::Missing };
        let mut service = Service { total, ..Service::new(rng.usize(..300)) };
        let (limit, changing) = (rng.u32(1..=100), rng.usize(..60));
        let read = read(cursor(limit, 0), &mut service, |service, requests| {
            if requests <= changing {
                service.change(&Change::Add(rng.usize(..limit.max(2) as usize)));
                for _ in 0..rng.usize(..limit.max(2) as usize) {
                    service.change(&Change::Remove(Index(rng.usize(..))));
                }
            }
        });
        let read = Read { is_far: false, ..read };
        read.check();
        ends += usize::from(read.end == Step::End);
    }
    println!("{ends} ends");
    assert!(ends >= 2_950, "{ends}");
}
