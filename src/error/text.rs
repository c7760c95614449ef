//! Sanitizes texts of the service for one line of a terminal.

/// The maximum length of an excerpt, in characters.
const EXCERPT: usize = 120;

/// Returns the text without line breaks and characters that control a terminal.
pub(super) fn one_line(text: &str) -> String {
    let printable: String = text.chars().map(|letter| if is_harmless(letter) { letter } else { ' ' }).collect();
    printable.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns whether a character is neither a control character nor one that changes the text direction.
fn is_harmless(letter: char) -> bool {
    let is_directional = matches!(letter, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !letter.is_control() && !is_directional
}

/// Returns the beginning of a body as one line.
pub(super) fn excerpt(body: &[u8]) -> String {
    let start = String::from_utf8_lossy(&body[..body.len().min(4 * EXCERPT)]);
    let line = one_line(&start);
    let short: String = line.chars().take(EXCERPT).collect();
    if short.len() < line.len() || body.len() > 4 * EXCERPT { format!("{short}…") } else { short }
}

#[cfg(test)]
mod tests {
    use super::{excerpt, one_line};

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(one_line("a\u{1b}[31mb\r\nc\u{202e}d"), "a [31mb c d");
    }

    #[test]
    fn a_long_body_is_cut_between_characters() {
        let body = "ä".repeat(1000);
        let excerpt = excerpt(body.as_bytes());
        assert_eq!(excerpt.chars().count(), 121);
        assert!(excerpt.ends_with('…'));
    }

    #[test]
    fn a_body_that_is_not_utf_8_is_shown_with_replacement_characters() {
        assert_eq!(excerpt(b"\xff\xfeab"), "\u{fffd}\u{fffd}ab");
    }
}
