//! Sanitizes texts of the service for one line of a terminal.

/// The numbers of characters of the beginning and of the end that an excerpt has.
const EXCERPT: usize = 120;
const END: usize = 60;

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

/// Returns the beginning and the end of a body, or of the text of a page, as one line. The name of a proxy is in the
/// title of its page, or at the end.
pub(super) fn excerpt(body: &[u8], is_page: bool) -> String {
    let text = String::from_utf8_lossy(body);
    let line = if is_page { one_line(&without_markup(&text)) } else { one_line(&text) };
    let length = line.chars().count();
    let part = |skip, take| line.chars().skip(skip).take(take).collect::<String>();
    if length <= EXCERPT + END {
        return line;
    }
    format!("{} … {}", part(0, EXCERPT).trim_end(), part(length - END, END).trim_start())
}

/// Removes tags, comments, styles and scripts.
fn without_markup(page: &str) -> String {
    let (mut text, mut position, lower) = (String::new(), 0, page.to_ascii_lowercase());
    while let Some(start) = lower[position..].find('<').map(|start| position + start) {
        text.push_str(&page[position..start]);
        text.push(' ');
        let tag = &lower[start..];
        let ends = [("<!--", "-->"), ("<style", "</style"), ("<script", "</script")];
        let end = ends.iter().find(|(name, _)| tag.starts_with(name)).map_or(Some(0), |(_, end)| tag.find(end));
        let length = end.and_then(|end| Some(end + tag[end..].find('>')? + 1));
        position = length.map_or(page.len(), |length| start + length);
    }
    text + &page[position..]
}

#[cfg(test)]
mod tests {
    use super::{excerpt, one_line};

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(one_line("a\u{1b}[31mb\r\nc\u{202e}d"), "a [31mb c d");
    }

    #[test]
    fn of_a_page_the_words_remain() {
        for (page, words) in [
            ("<!DOCTYPE html PUBLIC \"-//W3C//DTD\">\n<TITLE>Oh</TITLE><STYLE>b{}</STYLE ><p>a<br>b</p>", "Oh a b"),
            ("<!-- <b>no</b> --><script>if (a < b) {}</script>yes<script src='x'></script><b", "yes"),
            ("<ä", ""),
            ("<p>\u{130} Ä</p>", "\u{130} Ä"),
        ] {
            assert_eq!(excerpt(page.as_bytes(), true), words, "{page}");
        }
    }

    #[test]
    fn the_end_of_a_long_page_is_shown_as_its_beginning_is() {
        let page = format!("<title>ERROR</title><p>{}</p><address>by proxy (squid/4.10)</address>", "ä ".repeat(500));
        let excerpt = excerpt(page.as_bytes(), true);
        assert!(excerpt.starts_with("ERROR ä ä") && excerpt.ends_with("ä by proxy (squid/4.10)"), "{excerpt}");
        assert!(excerpt.chars().count() < 190, "{excerpt}");
    }

    #[test]
    fn a_long_body_is_cut_between_characters() {
        let body = "ä".repeat(1000);
        assert_eq!(excerpt(body.as_bytes(), false), format!("{} … {}", "ä".repeat(120), "ä".repeat(60)));
    }

    #[test]
    fn a_body_that_is_not_utf_8_is_shown_with_replacement_characters() {
        assert_eq!(excerpt(b"\xff\xfeab", false), "\u{fffd}\u{fffd}ab");
    }
}
