//! Reads JSON that the parsers of JavaScript and Python accept, also where `serde_json` refuses it.
//!
//! A service in one of those languages may write such JSON: a string that is cut inside an emoji ends in half a
//! surrogate pair, and Python writes `NaN`. One such value would make a run, its page and its events unreadable. So a
//! body that was refused is read again, with replacements:
//!
//! | received | read as |
//! |---|---|
//! | an unpaired surrogate, such as `"\ud83d"` | U+FFFD |
//! | bytes that are not UTF-8 | U+FFFD |
//! | a byte order mark at the start | nothing |
//! | a number beyond the range of `f64`, such as `1e400`; `NaN` and `Infinity` | `null`, as JavaScript writes them |
//! | an array or object inside of 127 others | `null` |
//! | a key that occurs more than once | its last value |
//!
//! An optional field that is `null` counts as missing. The replacements take one pass over the body, without recursion.

use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;

/// The deepest nesting that `serde_json` reads.
const MAX_DEPTH: usize = 127;

/// Reads JSON, with replacements if necessary. The error is that of the JSON without replacements.
pub(crate) fn read(body: &[u8]) -> serde_json::Result<Value> {
    serde_json::from_slice(body).or_else(|error| serde_json::from_slice(&replaced(body)).map_err(|_| error))
}

/// Converts a value to a type through its text. The decoders of types from text exist in any case, and those from a
/// [`Value`] would double the size of each type in a program.
pub(crate) fn convert<T: DeserializeOwned>(value: &impl Serialize) -> serde_json::Result<T> {
    serde_json::from_slice(&serde_json::to_vec(value)?)
}

fn replaced(body: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body));
    let mut rest = text.as_bytes();
    let mut output = Vec::with_capacity(rest.len());
    let mut depth = 0_usize;
    while let Some(first) = rest.first() {
        let (token, after) = rest.split_at(token_length(rest));
        rest = after;
        if matches!(first, b'[' | b'{') {
            depth += 1;
            if depth == MAX_DEPTH + 1 {
                output.extend(b"null");
            }
        }
        if depth <= MAX_DEPTH {
            match first {
                b'"' => write_string(token, &mut output),
                _ if is_word(*first) => write_word(token, &mut output),
                _ => output.extend(token),
            }
        }
        if matches!(first, b']' | b'}') {
            depth = depth.saturating_sub(1);
        }
    }
    output
}

/// Returns the length of the first token: a string, a word such as a number, or a single byte.
fn token_length(text: &[u8]) -> usize {
    match text {
        [b'"', inside @ ..] => {
            let mut is_escaped = false;
            let end = inside.iter().position(|byte| {
                let ends = *byte == b'"' && !is_escaped;
                is_escaped = *byte == b'\\' && !is_escaped;
                ends
            });
            end.map_or(text.len(), |end| end + 2)
        }
        _ => text.iter().take_while(|byte| is_word(**byte)).count().max(1),
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
}

fn write_string(mut string: &[u8], output: &mut Vec<u8>) {
    while let Some(position) = string.iter().position(|byte| *byte == b'\\') {
        let (plain, escape) = string.split_at(position);
        output.extend(plain);
        let length = match (code_unit(escape), escape.get(6..).and_then(code_unit)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                output.extend(br"\ufffd");
                string = &escape[6..];
                continue;
            }
            _ => escape.len().min(2),
        };
        let (escape, after) = escape.split_at(length);
        output.extend(escape);
        string = after;
    }
    output.extend(string);
}

/// Returns the UTF-16 code unit of the `\u` escape at the start of the text.
fn code_unit(text: &[u8]) -> Option<u16> {
    let digits = text.strip_prefix(br"\u")?.get(..4)?;
    u16::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
}

fn write_word(word: &[u8], output: &mut Vec<u8>) {
    // `f64` parses words that are not JSON, such as `inf` and `1.`.
    let is_json = serde_json::from_slice::<IgnoredAny>(word).is_ok();
    let number = str::from_utf8(word).ok().filter(|_| is_json).and_then(|word| word.parse::<f64>().ok());
    match (word, number) {
        (b"NaN" | b"Infinity" | b"-Infinity", _) => output.extend(b"null"),
        (_, Some(number)) if number.is_infinite() => output.extend(b"null"),
        _ => output.extend(word),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_replaced(body: &[u8]) -> Option<Value> {
        serde_json::from_slice(&replaced(body)).ok()
    }

    /// Reads JSON that `serde_json` refuses.
    fn read_only_here(body: impl AsRef<[u8]>) -> Value {
        let body = body.as_ref();
        let shown = String::from_utf8_lossy(body);
        assert!(serde_json::from_slice::<Value>(body).is_err(), "serde_json reads {shown}");
        read(body).unwrap_or_else(|error| panic!("{error}: {shown}"))
    }

    fn nested(depth: usize, inside: &str) -> String {
        "[".repeat(depth) + inside + &"]".repeat(depth)
    }

    #[test]
    fn an_unpaired_surrogate_is_replaced() {
        for (string, expected) in [
            (r"\ud83d", "\u{fffd}"),
            (r"\uD83D", "\u{fffd}"),
            (r"\ude00", "\u{fffd}"),
            (r"a\ud83d\n", "a\u{fffd}\n"),
            (r"\ud83dA", "\u{fffd}A"),
            (r"\ud83d\u0041", "\u{fffd}A"),
            (r"\ud83d\ud83d\ude00", "\u{fffd}\u{1f600}"),
            (r"\ude00\ud83d", "\u{fffd}\u{fffd}"),
            (r"\ud83d\\ude00", "\u{fffd}\\ude00"),
            (r#"\\\"\ud83d\""#, "\\\"\u{fffd}\""),
            (r"\ud83d\ude00\ud83d", "\u{1f600}\u{fffd}"),
        ] {
            assert_eq!(read_only_here(format!("\"{string}\"")), json!(expected), "{string}");
            assert_eq!(read_only_here(format!("{{\"{string}\": 1}}")), json!({ expected: 1 }), "{string}");
        }
    }

    #[test]
    fn a_number_beyond_the_range_is_null() {
        let digits = "9".repeat(400);
        for number in ["1e400", "-1e400", "1E+400", "123.5e999999999999", "NaN", "Infinity", "-Infinity", &digits] {
            assert_eq!(read_only_here(format!(r#"[{number}, {{"a":{number}}}, 7]"#)), json!([null, {"a": null}, 7]));
        }
    }

    #[test]
    fn too_deep_nesting_is_null_and_the_rest_is_read() {
        let expected: Value = serde_json::from_str(&nested(MAX_DEPTH, "null")).unwrap();
        for depth in [MAX_DEPTH + 1, MAX_DEPTH + 2, 1000, 100_000] {
            assert_eq!(read_only_here(nested(depth, r#"{"]": "[\"", "a": 1e400}"#)), expected, "{depth}");
        }
        let around = format!(r#"{{"a": 1, "deep": {}, "b": "]"}}"#, nested(1000, ""));
        let value = read_only_here(around);
        assert_eq!((&value["a"], &value["b"]), (&json!(1), &json!("]")));
        assert!(value["deep"].is_array());
    }

    #[test]
    fn the_deepest_nesting_that_serde_json_reads_is_kept() {
        let deepest = nested(MAX_DEPTH, "1");
        assert_eq!(read_replaced(deepest.as_bytes()), Some(serde_json::from_str(&deepest).unwrap()));
    }

    #[test]
    fn invalid_utf_8_is_replaced_and_a_byte_order_mark_is_ignored() {
        assert_eq!(read_only_here(b"\xef\xbb\xbf{\"a\": 1}"), json!({"a": 1}));
        assert_eq!(read_only_here(b"[\"\xffa\", \"\xed\xa0\xbd\"]"), json!(["\u{fffd}a", "\u{fffd}\u{fffd}\u{fffd}"]));
    }

    #[test]
    fn of_duplicate_keys_the_last_value_counts() {
        assert_eq!(read_replaced(br#"{"a": 1, "b": 2, "a": 3}"#), Some(json!({"a": 3, "b": 2})));
    }

    #[test]
    fn text_that_is_not_json_is_refused_with_the_error_of_serde_json() {
        let one_by_one =
            ["", " ", "- 1", "1e400 1", "{1e400: 1}", r#"{"a": 1e400"#, "\"\n\"", "\u{feff}", "\u{feff}\u{feff}1"];
        let words = r#"{ [1 "\ud83d "\ud83d\" "\ud8" "\x" nan inf +1 1e400. 01.0 .5 1. - Nan infinity +Infinity [1e400,] ] [} <html>"#;
        for body in one_by_one.into_iter().chain(words.split(' ')) {
            let error = serde_json::from_str::<Value>(body).unwrap_err().to_string();
            assert_eq!(read(body.as_bytes()).unwrap_err().to_string(), error, "{body}");
        }
    }

    #[test]
    fn hostile_nesting_neither_overflows_the_stack_nor_takes_long() {
        for hostile in ["[", "{\"a\":", "\"\\", "\\ud83d", "-", "1e400", "\"\\ud83d"] {
            assert!(read(hostile.repeat(1_000_000).as_bytes()).is_err(), "{hostile}");
        }
    }
}
