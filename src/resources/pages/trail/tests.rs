//! The reading of model lists that change between any two requests.

#![allow(clippy::cast_possible_wrap)]

use std::collections::HashMap;

use fastrand::Rng;

use super::*;

#[derive(Clone, Debug, PartialEq)]
struct Item {
    number: i64,
    id: String,
    is_timed: bool,
}

impl Item {
    fn new(number: i64, is_timed: bool) -> Self {
        Self { number, id: format!("run_{number}"), is_timed }
    }
}

impl Listed for Item {
    fn id(&self) -> &str {
        &self.id
    }

    fn time(&self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp(self.number, 0).filter(|_| self.is_timed)
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Total {
    Honest,
    Missing,
    TooSmall,
    TooLarge,
    /// No more than so many are counted.
    Capped(u64),
}

/// A place in a list of any length.
#[derive(Clone, Copy, Debug)]
struct Index(usize);

impl Index {
    fn index(self, length: usize) -> usize {
        self.0 % length
    }
}

/// What happens to the list between two requests.
#[derive(Clone, Debug)]
enum Change {
    Add(usize),
    /// Something that was not in the list comes to stand in its midst.
    Squeeze(Index),
    Remove(Index),
    RemoveMany(Index, usize),
}

#[derive(Clone, Debug)]
struct Service {
    list: Vec<Item>,
    newest: i64,
    /// The most items it gives.
    cap: usize,
    total: Total,
    is_timed: bool,
}

impl Service {
    fn new(count: usize) -> Self {
        let newest = 10 * count as i64;
        let list = (1..=count as i64).rev().map(|number| Item::new(10 * number, false)).collect();
        Self { list, newest, cap: 100, total: Total::Honest, is_timed: false }
    }

    fn timed(mut self, is_timed: bool) -> Self {
        self.is_timed = is_timed;
        self.list.iter_mut().for_each(|item| item.is_timed = is_timed);
        self
    }

    fn answer(&self, request: Request) -> (Vec<Item>, Option<u64>) {
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
                let new = (1..=*count as i64).rev().map(|number| Item::new(self.newest + 10 * number, self.is_timed));
                self.list.splice(..0, new.collect::<Vec<_>>());
                self.newest += 10 * *count as i64;
            }
            Change::Squeeze(at) if !self.list.is_empty() => {
                let at = at.index(self.list.len());
                let number = self.list[at].number - 1;
                if self.list.get(at + 1).is_none_or(|next| next.number < number) {
                    self.list.insert(at + 1, Item::new(number, self.is_timed));
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

/// What was read.
struct Read {
    given: Vec<Item>,
    requests: Vec<Request>,
    end: Next,
    /// What was in the list from the first request to the last.
    throughout: Vec<Item>,
    /// The totals were true. Without them, a list may change too fast to find the place in 100 requests, and the same page that comes
    /// again after new items is the same as from a service that repeats itself.
    is_counted: bool,
    /// The pages are so small that 100 of them are not enough to look through the list.
    is_far: bool,
    /// All that was given last has left the list, and no times tell the rest from what was given.
    is_lost: bool,
}

impl Read {
    fn offsets(&self) -> Vec<u32> {
        self.requests.iter().map(|request| request.offset).collect()
    }

    fn numbers(&self) -> Vec<i64> {
        self.given.iter().map(|item| item.number).collect()
    }

    /// Nothing was given twice, and nothing was lost.
    fn check(&self) {
        let mut counts = HashMap::new();
        for item in &self.given {
            *counts.entry(&item.id).or_insert(0) += 1;
        }
        assert!(counts.values().all(|count| *count == 1), "an item was given twice");
        let is_excused = match self.end {
            Next::Fail(Trouble::Fruitless) => !self.is_counted || self.is_far,
            Next::Fail(Trouble::Repeats) => !self.is_counted || self.requests.iter().any(|request| request.limit < 4),
            Next::Fail(Trouble::Lost) => self.is_lost,
            _ => false,
        };
        if is_excused {
            return;
        }
        assert_eq!(self.end, Next::End);
        let given: Vec<_> = self.given.iter().filter(|item| self.throughout.contains(item)).collect();
        assert_eq!(given, self.throughout.iter().collect::<Vec<_>>());
    }
}

fn read(mut trail: Trail, service: &mut Service, mut changes: impl FnMut(&mut Service, usize)) -> Read {
    let mut throughout: Vec<_> = service.list.iter().skip(trail.request().offset as usize).cloned().collect();
    let (mut given, mut requests) = (Vec::new(), Vec::new());
    loop {
        let request = trail.request();
        assert!(requests.len() < 10_000, "it does not end");
        requests.push(request);
        let (page, total) = service.answer(request);
        let (new, next) = trail.hear(&page, total);
        given.extend(new.into_iter().map(|index| page[index].clone()));
        if next != Next::Ask {
            throughout.retain(|item| service.list.contains(item));
            let has_left = |item: &Item| !service.list.contains(item);
            let is_lost = !service.is_timed && given.iter().rev().take(300).all(has_left);
            let is_far = service.list.len() > 30 * (service.cap.min(request.limit as usize) - 1);
            let is_counted = service.total == Total::Honest;
            return Read { given, requests, end: next, throughout, is_counted, is_far, is_lost };
        }
        changes(service, requests.len());
    }
}

fn read_still(limit: u32, service: &mut Service) -> Read {
    read(Trail::new(limit, 0), service, |_, _| ())
}

#[test]
fn pages_overlap_by_one_item_and_the_last_one_is_known_by_the_total() {
    let read = read_still(100, &mut Service::new(250));
    assert_eq!(read.offsets(), [0, 99, 198]);
    assert_eq!((read.given.len(), read.end), (250, Next::End));
}

#[test]
fn a_short_list_takes_one_request() {
    assert_eq!(read_still(100, &mut Service::new(0)).offsets(), [0]);
    assert_eq!(read_still(100, &mut Service::new(99)).offsets(), [0]);
}

#[test]
fn a_full_page_is_not_taken_for_the_last_one() {
    assert_eq!(read_still(100, &mut Service::new(100)).offsets(), [0, 99]);
    // Some services count no further than 10,000, which is where a page ends.
    let mut service = Service { total: Total::Capped(10_000), ..Service::new(12_000) };
    assert_eq!(read_still(100, &mut service).given.len(), 12_000);
}

#[test]
fn without_a_total_the_last_page_is_the_one_with_nothing_new() {
    for count in [1, 2, 99, 100, 101, 250] {
        let mut service = Service { total: Total::Missing, ..Service::new(count) };
        let read = read_still(100, &mut service);
        assert_eq!((read.given.len(), read.end), (count, Next::End));
        assert!(read.requests.len() <= 2 + count / 99, "{count}: {:?}", read.requests);
    }
}

#[test]
fn a_wrong_total_loses_nothing() {
    for total in [Total::TooSmall, Total::TooLarge] {
        for count in [1, 2, 30, 100, 250, 1000] {
            let read = read_still(100, &mut Service { total, ..Service::new(count) });
            assert_eq!((read.given.len(), read.end), (count, Next::End), "{total:?}");
            assert!(read.requests.len() <= 2 + count / 99, "{total:?} {count}: {:?}", read.requests);
        }
    }
}

#[test]
fn a_service_that_gives_fewer_than_asked_for_is_read_by_what_comes() {
    for cap in [1, 2, 3, 50] {
        for total in [Total::Honest, Total::Missing] {
            let mut service = Service { cap, total, ..Service::new(120) };
            let read = read_still(100, &mut service);
            assert_eq!((read.given.len(), read.end), (120, Next::End), "{cap} {total:?}");
        }
    }
}

#[test]
fn what_is_added_in_front_is_not_given_and_doubles_nothing() {
    let read = read(Trail::new(10, 0), &mut Service::new(100), |service, _| service.change(&Change::Add(3)));
    assert_eq!(read.numbers(), (1..=100).rev().map(|number| 10 * number).collect::<Vec<_>>());
}

#[test]
fn more_than_a_page_of_new_items_costs_one_request_where_the_total_tells() {
    for burst in [99, 100, 101, 500, 5_000, 1_000_000] {
        let read = read(Trail::new(100, 0), &mut Service::new(250), |service, requests| {
            if requests == 1 {
                service.change(&Change::Add(burst));
            }
        });
        assert_eq!((read.given.len(), read.end), (250, Next::End), "{burst}");
        assert!(read.requests.len() <= 6, "{burst}: {:?}", read.requests);
    }
}

#[test]
fn more_than_a_page_of_new_items_is_searched_through_where_nothing_tells() {
    for (burst, most) in [(100, 7), (500, 13), (2_000, 45)] {
        for is_timed in [false, true] {
            let mut service = Service { total: Total::Missing, ..Service::new(5_000).timed(is_timed) };
            let read = read(Trail::new(100, 0), &mut service, |service, requests| {
                if requests == 20 {
                    service.change(&Change::Add(burst));
                }
            });
            assert_eq!((read.given.len(), read.end), (5_000, Next::End), "{burst}");
            assert!(read.requests.len() <= 52 + most, "{burst}: {}", read.requests.len());
        }
    }
}

#[test]
fn what_leaves_the_list_makes_the_reading_step_back() {
    // All that was given has left, and all that was not has moved to its place.
    let read = read(Trail::new(100, 0), &mut Service::new(250), |service, requests| {
        if requests == 1 {
            service.list.drain(..100);
        }
    });
    assert_eq!((read.given.len(), read.end), (250, Next::End));
    assert!(read.requests.len() <= 6, "{:?}", read.requests);
}

#[test]
fn times_tell_the_rest_of_a_list_all_of_whose_given_items_have_left() {
    for is_timed in [true, false] {
        let mut service = Service::new(2_000).timed(is_timed);
        let read = read(Trail::new(100, 0), &mut service, |service, requests| {
            if requests == 10 {
                service.list.drain(400..1_100);
                service.change(&Change::Add(50));
            }
        });
        if is_timed {
            read.check();
        } else {
            assert_eq!(read.end, Next::Fail(Trouble::Lost));
        }
    }
}

#[test]
fn a_list_that_is_emptied_has_ended() {
    for total in [Total::Honest, Total::Missing] {
        let mut service = Service { total, ..Service::new(1_000) };
        let read = read(Trail::new(100, 0), &mut service, |service, requests| {
            if requests == 5 {
                service.list.clear();
            }
        });
        assert_eq!(read.end, Next::End);
    }
}

#[test]
fn the_reading_begins_at_the_offset_and_no_earlier() {
    let mut service = Service::new(250);
    let read = read(Trail::new(100, 120), &mut service, |_, _| ());
    assert_eq!((read.given.len(), read.given[0].number), (130, 1300));
    let read = self::read(Trail::new(100, 250), &mut service, |_, _| ());
    assert_eq!((read.given.len(), read.end, read.requests.len()), (0, Next::End, 1));
}

#[test]
fn no_more_is_asked_for_than_is_wanted() {
    let mut trail = Trail::new(100, 0);
    trail.at_most(5);
    let read = read(trail, &mut Service::new(250), |_, _| ());
    assert_eq!((read.given.len(), read.requests), (5, vec![Request { limit: 5, offset: 0 }]));
}

#[test]
fn a_page_has_room_for_two() {
    let read = read_still(1, &mut Service::new(4));
    assert!(read.requests.iter().all(|request| request.limit == 2));
    assert_eq!(read.given.len(), 4);
}

#[test]
fn a_list_that_goes_on_past_the_last_offset_ends_with_an_error() {
    let mut trail = Trail::new(100, 2_147_483_600);
    let page: Vec<_> = (0..100).map(|number| Item::new(number, false)).collect();
    assert_eq!(trail.hear(&page, None).1, Next::Fail(Trouble::TooLong));
}

#[test]
fn a_service_that_makes_items_up_is_given_up() {
    for (is_timed, total) in [(false, None), (true, None), (false, Some(1_000_000)), (true, Some(7))] {
        for direction in [1, -1, 0] {
            let mut trail = Trail::new(10, 0);
            let mut next = Next::Ask;
            let mut requests = 0;
            while next == Next::Ask {
                requests += 1;
                let time = 1_000_000 + direction * 1_000 * requests;
                let page: Vec<_> = (0..10)
                    .map(|number| Item { id: format!("{requests} {number}"), ..Item::new(time - number, is_timed) })
                    .collect();
                next = trail.hear(&page, total).1;
                assert!(requests <= 1_200, "it does not end");
            }
            assert!(matches!(next, Next::Fail(_)), "{next:?}");
        }
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

/// Reads this list, with up to so many changes of this size before each of so many requests.
fn read_while_it_changes(
    rng: &mut Rng,
    mut service: Service,
    limit: u32,
    most: usize,
    changes: usize,
    requests: usize,
) {
    let requests = rng.usize(..requests);
    let read = read(Trail::new(limit, 0), &mut service, |service, request| {
        if request <= requests {
            for _ in 0..rng.usize(..changes) {
                service.change(&change(rng, most));
            }
        }
    });
    read.check();
}

#[test]
fn short_lists_are_read_exactly_whatever_happens_to_them() {
    for seed in 0..2_000 {
        println!("seed {seed}");
        let rng = &mut Rng::with_seed(seed);
        let cap = if rng.bool() { 100 } else { rng.usize(2..12) };
        let total = Some(total(rng)).filter(|total| cap == 100 || *total != Total::TooSmall);
        let service =
            Service { cap, total: total.unwrap_or(Total::Missing), ..Service::new(rng.usize(..60)).timed(rng.bool()) };
        let limit = rng.u32(1..12);
        read_while_it_changes(rng, service, limit, 30, 4, 40);
    }
}

#[test]
fn long_lists_are_read_exactly_whatever_happens_to_them() {
    for seed in 0..300 {
        println!("seed {seed}");
        let rng = &mut Rng::with_seed(seed);
        let service = Service { total: total(rng), ..Service::new(rng.usize(..1_500)).timed(rng.bool()) };
        let limit = if rng.bool() { 100 } else { rng.u32(20..100) };
        read_while_it_changes(rng, service, limit, 150, 5, 100);
    }
}
