//! What sees to it that the reading of a list ends, whatever the service answers.

use crate::Error;

/// So many requests in succession may bring no item that is new.
pub(super) const FRUITLESS: u32 = 100;
/// So many times in succession may a page come again.
const REPEATS: u32 = 3;
/// So many pages in succession may leave as many items to come as there were before.
const STALLED: u32 = 1_000;
/// The API's whole numbers are 32 bits wide and signed.
const LAST_OFFSET: u64 = 2_147_483_647;

/// Why a list cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The same page comes for every offset.
    Repeats,
    /// Pages come, with nothing on them that is new.
    Fruitless,
    /// All of the items that were given last have left the list.
    Lost,
    /// The list grows at its end as fast as it is read.
    Grows,
    /// It goes on where no offset reaches.
    TooLong,
}

impl Trouble {
    pub(super) fn into_error(self) -> Error {
        let (problem, advice) = match self {
            Self::Repeats => (
                format!("the same page has come {} times, for different offsets", REPEATS + 1),
                "What came until now is not the whole list; look for a proxy that caches or drops the query.",
            ),
            Self::Fruitless => (
                format!("{FRUITLESS} requests in succession have brought no item that is new"),
                "Begin again, with filters that change less or with larger pages.",
            ),
            Self::Lost => (
                "all the items that were given last have left the list, so its rest cannot be told from what was given"
                    .to_owned(),
                "Begin again and read faster, or without the filter by a status that does not last.",
            ),
            Self::Grows => (
                format!("the list grows as fast as it is read: {STALLED} pages have not brought its end nearer"),
                "End the reading with `max_items`, or narrow the list with a filter.",
            ),
            Self::TooLong => (
                format!("the list goes on past the offset {LAST_OFFSET}, the last that the service can be asked for"),
                "Narrow the list with a filter.",
            ),
        };
        Error::pagination(problem, advice)
    }
}

/// A page by its ends, and the total. New items may bring the same page again, and then the total has grown.
type Mark = (String, String, usize, Option<u64>);

/// Counts what must not go on for ever.
#[derive(Debug, Default)]
pub(super) struct Guard {
    fruitless: u32,
    last: Option<Mark>,
    repeats: u32,
    /// The fewest items that were still to come.
    fewest_left: Option<u64>,
    stalled: u32,
}

impl Guard {
    /// A page has come. Says whether it is the one before once more.
    pub(super) fn sees<'a>(
        &mut self,
        mut ids: impl ExactSizeIterator<Item = &'a str> + DoubleEndedIterator,
        total: Option<u64>,
    ) -> bool {
        let count = ids.len();
        let first = ids.next().map(str::to_owned);
        let mark = first.map(|first| (first.clone(), ids.next_back().map_or(first, str::to_owned), count, total));
        let is_repeated = mark.is_some() && mark == self.last;
        self.repeats = if is_repeated { self.repeats + 1 } else { 0 };
        self.last = mark;
        is_repeated
    }

    /// It had something new, and so many items are to come by the service's account.
    pub(super) fn progress(&mut self, left: Option<u64>) -> Result<(), Trouble> {
        (self.fruitless, self.repeats) = (0, 0);
        let left = left.filter(|left| *left > 0);
        if left.is_some() && self.fewest_left.is_some() && left >= self.fewest_left {
            self.stalled += 1;
        } else {
            self.stalled = 0;
            self.fewest_left = left.or(self.fewest_left);
        }
        if self.stalled >= STALLED { Err(Trouble::Grows) } else { Ok(()) }
    }

    /// It had nothing new.
    pub(super) fn no_progress(&mut self) -> Result<(), Trouble> {
        self.fruitless += 1;
        match self {
            Self { repeats: REPEATS.., .. } => Err(Trouble::Repeats),
            Self { fruitless: FRUITLESS.., .. } => Err(Trouble::Fruitless),
            _ => Ok(()),
        }
    }

    pub(super) fn repeats_too_often(&self) -> bool {
        self.repeats >= REPEATS
    }
}

/// The offset, if the service can be asked for it.
pub(super) fn checked(offset: u64) -> Result<u64, Trouble> {
    if offset > LAST_OFFSET { Err(Trouble::TooLong) } else { Ok(offset) }
}
