//! Recognizes misspelt words.

/// Returns `true` for words that differ by at most two letters, by case and hyphens, or by a missing end.
pub fn is_close(written: &str, meant: &str) -> bool {
    let plain = |text: &str| text.to_lowercase().replace(['-', '_'], "");
    let is_cut = written.len() > 3 && meant.starts_with(written);
    is_cut || plain(written) == plain(meant) || distance(written, meant) <= 2.min(meant.len() / 3)
}

/// Returns the number of letters to insert, remove or replace (Levenshtein).
pub fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut last = i + 1;
        row[0] = last;
        for (right, cell) in b.chars().zip(row.iter_mut().skip(1)) {
            let cost = diagonal + usize::from(left != right);
            diagonal = *cell;
            last = cost.min(last + 1).min(*cell + 1);
            *cell = last;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn the_distance_is_the_number_of_letters_that_differ() {
        for (a, b, expected) in
            [("", "", 0), ("nulable", "nullable", 1), ("requried", "required", 2), ("get", "put", 2)]
        {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }
}
