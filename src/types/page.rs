//! Iterates over the items of a page.

use super::{CreditTransaction, CreditTransactionPage, RunPage, RunSummary};

macro_rules! page {
    ($page:ty, $items:ident: $item:ty) => {
        impl IntoIterator for $page {
            type Item = $item;
            type IntoIter = ::std::vec::IntoIter<$item>;

            fn into_iter(self) -> Self::IntoIter {
                self.$items.into_iter()
            }
        }

        #[allow(clippy::into_iter_without_iter, reason = "the list itself is public")]
        impl<'a> IntoIterator for &'a $page {
            type Item = &'a $item;
            type IntoIter = ::std::slice::Iter<'a, $item>;

            fn into_iter(self) -> Self::IntoIter {
                self.$items.iter()
            }
        }
    };
}

page!(RunPage, data: RunSummary);
page!(CreditTransactionPage, transactions: CreditTransaction);
