//! The cheapest way to learn how runs are doing.
//!
//! One request gets one run in full, or lists a hundred in brief. Which is cheaper depends on how many runs are waited for and on where
//! they lie in the list, newest first:
//!
//! - a few are asked for one by one;
//! - many that lie close together are on a few pages, and the pages between need not be read;
//! - many that lie far apart, among runs that ended long ago, are all on the few pages of those that have not ended. A run that is
//!   missing there has left: it has ended, and is asked for by itself.

use crate::resources::PAGE;

/// By how many places a run may have moved since it was seen last, without anybody having been told. Pages begin so much before
/// the first run that they are read for.
pub(super) const MARGIN: u32 = 2;

/// A way to learn how the runs that are due are doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// One by one.
    Singles,
    /// By the pages they are on, newest first.
    Pages,
    /// By the pages of the runs that have not ended, and one by one those that are missing there.
    Active,
}

/// What is known of the runs that are due.
#[derive(Clone, Debug, Default)]
pub(super) struct Situation {
    /// Where in the list those lie whose place is known, newest first. Sorted.
    pub(super) places: Vec<u64>,
    /// How many there are whose place is not known.
    pub(super) unknown: usize,
    /// How many runs of the organization have the status `running`, and `pending`, by the last answer.
    pub(super) running: Option<u64>,
    pub(super) pending: Option<u64>,
    /// How many runs were missing among those that have not ended, the last times.
    pub(super) left: usize,
    /// Whether lists can be used at all.
    pub(super) lists: bool,
}

impl Situation {
    /// The plan that takes the fewest requests; of two that take as many, the one that tells more.
    pub(super) fn plan(&self) -> Plan {
        let singles = self.due();
        if !self.lists {
            return Plan::Singles;
        }
        let pages = cover(&self.places) + discovery(self.unknown);
        let due = self.due() as u64;
        let active = pages_of(self.running.unwrap_or(due)) + pages_of(self.pending.unwrap_or(0)) + self.left;
        if singles <= pages && singles <= active {
            Plan::Singles
        } else if pages <= active {
            Plan::Pages
        } else {
            Plan::Active
        }
    }

    /// How many runs are due.
    pub(super) fn due(&self) -> usize {
        self.places.len() + self.unknown
    }
}

/// Where the page begins that is read for a run at this place.
pub(super) fn page_for(place: u64) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX).saturating_sub(MARGIN)
}

/// How many pages hold these places, which are sorted.
fn cover(places: &[u64]) -> usize {
    let (mut pages, mut end) = (0, 0);
    for &place in places {
        if place >= end {
            pages += 1;
            end = u64::from(page_for(place)) + u64::from(PAGE);
        }
    }
    pages
}

/// How many pages it takes to find so many runs whose place is not known, if they are the newest. Two are found sooner one by one.
fn discovery(unknown: usize) -> usize {
    if unknown <= FEW { unknown } else { 1 + unknown / PAGE as usize }
}

/// So few runs are asked for one by one rather than searched for.
pub(super) const FEW: usize = 2;

/// How many pages it takes to list so many. An empty list takes one, too.
fn pages_of(runs: u64) -> usize {
    usize::try_from(runs.div_ceil(u64::from(PAGE))).unwrap_or(usize::MAX / 4).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn situation(places: impl IntoIterator<Item = u64>, unknown: usize) -> Situation {
        Situation { places: places.into_iter().collect(), unknown, lists: true, ..Situation::default() }
    }

    #[test]
    fn one_run_or_two_are_asked_for_one_by_one() {
        assert_eq!(situation([], 1).plan(), Plan::Singles);
        assert_eq!(situation([], 2).plan(), Plan::Singles);
        assert_eq!(situation([5], 0).plan(), Plan::Singles);
        assert_eq!(situation([5, 7000], 0).plan(), Plan::Singles);
    }

    #[test]
    fn runs_that_lie_together_are_read_off_a_page() {
        assert_eq!(situation([5, 7], 0).plan(), Plan::Pages);
        assert_eq!(situation(0..100, 0).plan(), Plan::Pages);
        assert_eq!(situation([], 25).plan(), Plan::Pages);
        assert_eq!(situation([], 10_000).plan(), Plan::Pages);
    }

    #[test]
    fn runs_that_lie_far_apart_are_read_off_the_few_that_have_not_ended() {
        let mut situation = situation((0..10).map(|number| number * 500), 0);
        situation.running = Some(10);
        situation.pending = Some(3);
        assert_eq!(situation.plan(), Plan::Active);
        situation.left = 20;
        assert_eq!(situation.plan(), Plan::Singles);
        situation.lists = false;
        assert_eq!(situation.plan(), Plan::Singles);
    }

    #[test]
    fn pages_are_counted_without_those_between() {
        assert_eq!(cover(&[]), 0);
        assert_eq!(cover(&[0, 50, 97]), 1);
        assert_eq!(cover(&[0, 98, 99, 100]), 2);
        assert_eq!(cover(&[10, 107, 108]), 2);
        assert_eq!(cover(&[3, 1000, 5000]), 3);
        assert_eq!(cover(&(0..10_000).collect::<Vec<_>>()), 103);
        assert_eq!(cover(&[u64::MAX]), 1);
    }
}
