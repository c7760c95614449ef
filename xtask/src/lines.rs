//! Checks the length of comments, which rustfmt leaves as they are.

use crate::{Outcome, sources};

/// As in rustfmt.toml.
const WIDTH: usize = 120;

pub(crate) fn run() -> Outcome {
    let mut long = Vec::new();
    for (file, text) in sources("*.rs")? {
        long.extend(long_comments(&text).map(|line| format!("{file}:{line}: a comment of more than {WIDTH} columns")));
    }
    if long.is_empty() { Ok(()) } else { Err(format!("{} comments\n{}", long.len(), long.join("\n"))) }
}

/// Returns the numbers of the lines that are too long. Rows of tables and the targets of links cannot be wrapped.
fn long_comments(text: &str) -> impl Iterator<Item = usize> {
    let is_long = |line: &str| {
        let is_comment = line.trim_start().starts_with("//") && line.chars().count() > WIDTH;
        is_comment && !line.trim_start_matches(['/', '!', ' ']).starts_with(['|', '['])
    };
    (1..).zip(text.lines()).filter(move |(_, line)| is_long(line)).map(|(number, _)| number)
}

#[cfg(test)]
mod tests {
    use super::{WIDTH, long_comments};

    #[test]
    fn a_comment_of_one_column_too_many_is_found() {
        let line = |length: usize| format!("    //{}", "ü".repeat(length - 6));
        let text = [line(WIDTH), line(WIDTH + 1), "x".repeat(WIDTH + 1)].join("\n");
        assert_eq!(long_comments(&text).collect::<Vec<_>>(), [2]);
    }
}
