//! Which page to ask for next, and what of it is new: the part of [`Items`](super::Items) without input and output.
//!
//! An offset counts from the front of a list, and the front moves: runs are added to it, and with a filter they leave from
//! anywhere. So an offset is only where to look. What is new is told by ids: the last [`KEPT`](super::window::KEPT) items that
//! were given are known, each page begins with the last one of the page before, and whatever stands behind a known item has not
//! been given yet, as items keep their order.
//!
//! A page without any known item is not given but looked around from: by how the total has grown, by the times of the items
//! if the list is sorted by them, else page by page backward and forward in turn, until a known item turns up.

use chrono::{DateTime, Utc};

use super::guard::{FRUITLESS, Guard, Trouble, checked};
use super::window::Window;
use super::{Listed, Request};

/// Searches through the whole list, before the place is given up as lost.
const SWEEPS: u32 = 3;

/// What follows from a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Ask,
    End,
    Fail(Trouble),
}

/// Where a page lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// From this index on, items come after those that were given.
    Place(usize),
    /// All of it comes before the place.
    Before,
    /// All of it comes after the place, and something else may come between.
    Behind,
    Unknown,
}

/// The reading of a list that changes meanwhile.
#[derive(Debug)]
pub(super) struct Trail {
    limit: u32,
    start: u64,
    /// How many items may still be given.
    left: Option<u64>,
    /// What to ask for next.
    ask: u64,
    given: Window,
    times: Times,
    /// Where the last item that was given stood, and how many there were then.
    place: u64,
    total: Option<u64>,
    /// Items on the fullest page.
    fullest: usize,
    search: Option<Search>,
    sweeps: u32,
    /// The place was looked for where the order of what was given says; after that, page by page.
    has_jumped: bool,
    /// Places in succession that only times have told.
    by_time: u32,
    /// All that was given has left, and all of it is known: whatever is there now is new.
    is_adrift: bool,
    guard: Guard,
}

impl Trail {
    pub(super) fn new(limit: u32, start: u32) -> Self {
        Self {
            // A page of one has no room for the item that is known and another.
            limit: if limit == 1 { 2 } else { limit },
            start: start.into(),
            left: None,
            ask: start.into(),
            given: Window::default(),
            times: Times::default(),
            place: start.into(),
            total: None,
            fullest: 0,
            search: None,
            sweeps: 0,
            has_jumped: false,
            by_time: 0,
            is_adrift: false,
            guard: Guard::default(),
        }
    }

    /// Gives no more than so many from now on.
    pub(super) fn at_most(&mut self, items: u64) {
        self.left = Some(items);
    }

    pub(super) fn is_over(&self) -> bool {
        self.left == Some(0)
    }

    pub(super) fn request(&self) -> Request {
        let few = self.left.filter(|_| self.given.is_empty()).and_then(|left| u32::try_from(left).ok());
        let limit = few.map_or(self.limit, |few| few.min(self.limit));
        Request { limit, offset: u32::try_from(self.ask).unwrap_or(u32::MAX) }
    }

    /// Takes in the answer to the request. Gives the indices of the items that are new, in their order, and what to do next.
    pub(super) fn hear<T: Listed>(&mut self, page: &[T], total: Option<u64>) -> (Vec<usize>, Next) {
        let was_fullest = self.fullest;
        self.fullest = self.fullest.max(page.len());
        self.guard.sees(page.iter().map(Listed::id), total);
        if page.is_empty() && (self.given.is_empty() || self.ask == 0 || self.is_one_by_one()) {
            return (Vec::new(), Next::End);
        }
        let found = self.find(page);
        let is_by_time = !self.given.is_empty() && !page.iter().any(|item| self.given.knows(item.id()));
        if found == Found::Before && page.len() < self.fullest {
            // The list ends with this page, so the rest has left it.
            return (Vec::new(), Next::End);
        }
        let Found::Place(from) = found else {
            return (Vec::new(), self.search(found, page.len(), total).unwrap_or_else(Next::Fail));
        };
        if is_by_time && !self.is_one_by_one() {
            self.by_time += 1;
            if self.by_time > FRUITLESS {
                return (Vec::new(), Next::Fail(Trouble::Lost));
            }
        } else {
            self.by_time = 0;
        }
        let mut new: Vec<usize> = (from..page.len()).filter(|&index| self.given.insert(page[index].id())).collect();
        if new.is_empty() {
            return (new, self.stay(page, total).unwrap_or_else(Next::Fail));
        }
        self.times.note(new.iter().map(|&index| page[index].time()));
        if let Some(left) = &mut self.left {
            new.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= new.len() as u64;
        }
        let next = self.go_on(page.len(), was_fullest, total).unwrap_or_else(Next::Fail);
        (new, if self.is_over() { Next::End } else { next })
    }

    /// The service gives one item a page, so that pages cannot overlap.
    fn is_one_by_one(&self) -> bool {
        self.fullest == 1
    }

    fn find<T: Listed>(&self, page: &[T]) -> Found {
        if self.given.is_empty() || self.is_adrift {
            return Found::Place(0);
        }
        if let Some(last) = page.iter().rposition(|item| self.given.knows(item.id())) {
            return Found::Place(last + 1);
        }
        if self.is_one_by_one() {
            return Found::Place(0);
        }
        if page.is_empty() {
            return Found::Behind;
        }
        match self.times.older(page) {
            Some(0) if self.ask > 0 => Found::Behind,
            Some(from) if from == page.len() => Found::Before,
            Some(from) => Found::Place(from),
            None => Found::Unknown,
        }
    }

    /// The page had something new.
    fn go_on(&mut self, count: usize, was_fullest: usize, total: Option<u64>) -> Result<Next, Trouble> {
        let asked = self.request();
        let end = self.ask + count as u64;
        self.guard.progress(total.map(|total| total.saturating_sub(end)))?;
        (self.search, self.sweeps, self.is_adrift, self.has_jumped) = (None, 0, false, false);
        (self.place, self.total) = (end - 1, total);
        // A full page is never taken for the last one, whatever the total: it may be a number that the service does not count beyond.
        let is_short = count < asked.limit as usize && (was_fullest == 0 || count < was_fullest);
        if is_short && total == Some(end) {
            return Ok(Next::End);
        }
        self.ask = checked(if self.is_one_by_one() { end } else { self.place })?;
        Ok(Next::Ask)
    }

    /// The place was on the page, and nothing new behind it.
    fn stay<T: Listed>(&mut self, page: &[T], total: Option<u64>) -> Result<Next, Trouble> {
        self.is_adrift = false;
        let count = page.len();
        let has_room = count < self.fullest;
        if has_room {
            return Ok(Next::End);
        }
        match self.guard.no_progress() {
            // A service that does not know of pages gives the whole list each time.
            Err(Trouble::Repeats) if total == Some(count as u64) || count > self.limit as usize => {
                return Ok(Next::End);
            }
            outcome => outcome?,
        }
        let Some(last) = page.last() else { return Ok(Next::End) };
        // The page lies before the place, as far as it does by the order of what was given; or nearer, if some have left.
        let by_steps = self.search.take().is_some() || std::mem::replace(&mut self.has_jumped, true);
        let ahead = if by_steps { 0 } else { self.given.since(last.id()) };
        let place = self.ask + (count - 1) as u64 + ahead;
        self.ask = checked(if place == self.ask { place + 1 } else { place })?;
        Ok(Next::Ask)
    }

    /// The place was not on the page.
    fn search(&mut self, found: Found, count: usize, total: Option<u64>) -> Result<Next, Trouble> {
        self.guard.no_progress()?;
        let stride = (self.fullest.max(2) - 1) as u64;
        let grown = total.zip(self.total).map_or(0, |(now, then)| now.saturating_sub(then));
        let center = self.place + grown;
        let before = self.search.as_ref().map_or(0, |search| search.grown);
        let mut search = match self.search.take() {
            // Much has been added since the last look.
            _ if grown > before + stride && found != Found::Behind => {
                // Half a page earlier, as some may have left meanwhile.
                let guess = center.saturating_sub(stride / 2);
                self.search = Some(Search::around(guess, stride, grown));
                self.ask = checked(guess)?;
                return Ok(Next::Ask);
            }
            Some(search) => search.drift(grown),
            None => Search::around(self.ask, stride, grown),
        };
        // The end of the list is where its total says, unless that has been looked at before.
        let end = total.filter(|_| count == 0 && self.sweeps == 0);
        search.hear(found, self.ask, stride, end, count < self.fullest);
        if let Some(offset) = search.next(stride) {
            self.search = Some(search);
            self.ask = checked(offset)?;
        } else if self.start == 0 && self.given.is_whole() {
            self.given.pin();
            (self.is_adrift, self.ask) = (true, 0);
        } else {
            // It may have moved from where it was yet to be looked for to where that had been done.
            self.sweeps += 1;
            if self.sweeps == SWEEPS {
                return Err(Trouble::Lost);
            }
            self.search = Some(Search::around(center, stride, grown));
            self.ask = checked(center)?;
        }
        Ok(Next::Ask)
    }
}

/// A search for the place, backward and forward in turn.
#[derive(Debug)]
struct Search {
    back: Option<u64>,
    ahead: Option<u64>,
    was_back: bool,
    /// By how much the list had grown by the last look.
    grown: u64,
}

impl Search {
    fn around(center: u64, stride: u64, grown: u64) -> Self {
        let back = (center > 0).then(|| center.saturating_sub(stride));
        Self { back, ahead: Some(center + stride), was_back: false, grown }
    }

    /// Moves with the list, by what was added to it since the last look.
    fn drift(mut self, grown: u64) -> Self {
        let by = grown.saturating_sub(self.grown);
        self.back = self.back.map(|back| if back > 0 { back + by } else { 0 });
        self.ahead = self.ahead.map(|ahead| ahead + by);
        self.grown = grown;
        self
    }

    /// What was found at this offset.
    fn hear(&mut self, found: Found, at: u64, stride: u64, end: Option<u64>, is_last: bool) {
        match found {
            Found::Before => {
                self.back = None;
                self.ahead = Some(self.ahead.map_or(at + stride, |ahead| ahead.max(at + stride)));
            }
            Found::Behind => {
                self.ahead = None;
                self.back = self.back.map(|back| back.min(end.unwrap_or(at).min(at).saturating_sub(stride)));
            }
            _ => {}
        }
        if is_last && found != Found::Before {
            self.ahead = None;
        }
        if at == 0 {
            self.back = None;
        }
    }

    fn next(&mut self, stride: u64) -> Option<u64> {
        self.was_back = !self.was_back && self.back.is_some() || self.ahead.is_none();
        if self.was_back {
            let offset = self.back?;
            self.back = (offset > 0).then(|| offset.saturating_sub(stride));
            Some(offset)
        } else {
            let offset = self.ahead?;
            self.ahead = Some(offset + stride);
            Some(offset)
        }
    }
}

/// Whether the list is sorted by time, newest first, as far as it was read.
#[derive(Debug, Default)]
struct Times {
    first: Option<DateTime<Utc>>,
    last: Option<DateTime<Utc>>,
    is_unsorted: bool,
}

impl Times {
    fn note(&mut self, times: impl Iterator<Item = Option<DateTime<Utc>>>) {
        for time in times {
            self.is_unsorted |= time.is_none() || (self.last.is_some() && time > self.last);
            self.first = self.first.or(time);
            self.last = time;
        }
    }

    /// The index from which on the items are older than all that were given. None if times do not tell.
    fn older<T: Listed>(&self, page: &[T]) -> Option<usize> {
        let last = self.last.filter(|last| !self.is_unsorted && self.first > Some(*last))?;
        let is_sorted = page.iter().all(|item| item.time().is_some_and(|time| time != last))
            && page.is_sorted_by(|one, next| one.time() >= next.time());
        is_sorted.then(|| page.iter().take_while(|item| item.time() > Some(last)).count())
    }
}

#[cfg(test)]
mod tests;
