//! The causes of an error that its text does not contain.

use std::error::Error;

/// Returns the first cause after all those that the text contains, beginning with `cause`. Some errors show the text of
/// their source as their own.
pub(crate) fn unnamed<'a>(text: &str, cause: Option<&'a (dyn Error + 'static)>) -> Option<&'a (dyn Error + 'static)> {
    let causes: Vec<_> = std::iter::successors(cause, |&error| error.source()).collect();
    let named = causes.iter().rposition(|cause| text.contains(&cause.to_string()));
    causes.get(named.map_or(0, |last| last + 1)).copied()
}
