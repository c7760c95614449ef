//! The chain of an error, without what its text says already.

use std::error::Error;

/// The first cause behind all those that the text names; `cause` is the first of them. Some errors show their source as if it were they.
pub(crate) fn unnamed<'a>(text: &str, cause: Option<&'a (dyn Error + 'static)>) -> Option<&'a (dyn Error + 'static)> {
    let causes: Vec<_> = std::iter::successors(cause, |&error| error.source()).collect();
    let named = causes.iter().rposition(|cause| text.contains(&cause.to_string()));
    causes.get(named.map_or(0, |last| last + 1)).copied()
}
