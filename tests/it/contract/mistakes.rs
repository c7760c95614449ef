//! What a mistake in a contract says: one line, with the place and the correction.

use super::sample::{contract, error, rows, with};

#[test]
fn every_mistake_is_one_line_with_its_place_and_its_correction() {
    let mut wrong = Vec::new();
    for row in rows(include_str!("mistakes.yaml")) {
        let (what, edits) = (&row[0], &row[1]);
        let actual = error(&with(edits).to_string());
        let expected = row.get(2).and_then(|expected| expected.as_str()).unwrap_or_default();
        if actual != format!("openapi.yaml: {expected}") {
            wrong.push(format!("{}\n{actual}", what.as_str().unwrap()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn text_that_is_not_yaml_is_an_error_with_its_line() {
    for (text, expected) in [
        ("openapi: 3.0.3: 1", "mapping values are not allowed in this context at line 1, column 15"),
        ("a: 1\na: 2\n", "duplicate key \"a\" at line 2, column 4"),
        ("a: 1\n---\nb: 2\n", "it holds more than one document"),
        (&"[".repeat(2_000), "recursion limit exceeded"),
        (&format!("a: {}1{}", "{a: ".repeat(200), "}".repeat(200)), "it is nested deeper than 96 objects"),
    ] {
        let line = error(text);
        assert!(line.starts_with("openapi.yaml: not valid YAML: ") && line.contains(expected), "{line}");
    }
}

#[test]
fn a_truncated_contract_never_panics() {
    let text = contract().to_string();
    for length in (0..text.len()).step_by(997) {
        error(text.get(..length).unwrap_or_default());
    }
}
