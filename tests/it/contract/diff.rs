//! The classification of contract changes by their impact on users.

use std::fmt::Write as _;

use serde_json::Value;

use super::changes::{CHANGES, Change, Outcome, apply};
use super::fixture::CONTRACT;
use super::generator::{fields, signatures};
use super::outline::outline;

use crate::build::{self, yaml};
use crate::contract_differences::Class::Breaking;
use crate::contract_differences::{compare, is_breaking, report};

fn contract() -> Value {
    yaml::read(CONTRACT).unwrap()
}

#[test]
fn every_contract_change_is_classified() {
    let old = contract();
    let mut text = String::new();
    let mut wrong = Vec::new();
    for (what, edits, http, rust, _) in CHANGES {
        let new = apply(&old, edits).unwrap();
        let differences = compare(&old, &new);
        let strongest = (differences.iter().map(|it| it.http).max(), differences.iter().map(|it| it.rust).max());
        if strongest != (Some(*http), Some(*rust)) {
            wrong.push(format!("{what}: {strongest:?} instead of {:?}", (http, rust)));
        }
        assert_eq!(is_breaking(&differences), http.max(rust) == &Breaking, "{what}");
        writeln!(text, "# {what}\n{}", report(&differences)).unwrap();
    }
    assert!(wrong.is_empty(), "{}\n{text}", wrong.join("\n"));
    insta::assert_snapshot!(text);
}

#[test]
fn identical_contracts_have_no_differences() {
    assert_eq!(report(&compare(&contract(), &contract())), "");
}

#[test]
fn a_renamed_schema_breaks_only_rust() {
    let old = contract();
    let text = old.to_string().replace("schemas/RunCost\"", "schemas/Price\"").replace("\"RunCost\":", "\"Price\":");
    let differences = compare(&old, &serde_json::from_str(&text).unwrap());
    assert_eq!(
        report(&differences).lines().nth(1),
        Some("    components.schemas.RunCost: the schema is now called `Price` (HTTP: documentation, Rust: breaking)")
    );
    assert_eq!(differences.len(), 1);
}

/// Returns the lines of the public API that a change removes and adds.
fn lines_changed(before: &str, after: &str) -> String {
    let mut text = String::new();
    let mut only = |sign: char, lines: &str, others: &str| {
        let others: Vec<_> = others.lines().collect();
        for line in lines.lines().filter(|line| !others.contains(line)) {
            writeln!(text, "    {sign} {}", line.trim()).unwrap();
        }
    };
    only('-', before, after);
    only('+', after, before);
    text
}

/// Returns the public API generated from a contract, or the error.
fn surface(contract: &Value) -> Result<String, String> {
    let generated = build::generate(&contract.to_string()).map_err(|error| error.to_string())?;
    let mut owner = String::new();
    let mut text = String::new();
    for line in format!("{}{}", signatures(&generated.calls), fields(&generated.types)).lines() {
        if let Some(member) = line.strip_prefix("    ") {
            writeln!(text, "{owner}: {}", member.trim()).unwrap();
        } else {
            line.trim_start_matches("struct ").clone_into(&mut owner);
            writeln!(text, "{line}").unwrap();
        }
    }
    Ok(text)
}

#[test]
fn every_contract_change_generates_or_is_rejected_and_shows_in_the_outline() {
    assert!(CHANGES.len() >= 60, "{}", CHANGES.len());
    let old = contract();
    let (before, shown) = (surface(&old).unwrap(), outline(&old));
    let run = |(what, edits, _, _, expected): &Change| {
        let new = apply(&old, edits).unwrap();
        let (surface, actual) = match surface(&new) {
            Ok(after) => (lines_changed(&before, &after), Outcome::Works),
            Err(line) => (format!("    {line}\n"), Outcome::Rejected),
        };
        assert_ne!(outline(&new), shown, "{what} does not show in the outline");
        let is_as_expected = (*expected == Outcome::Rejected) == (actual == Outcome::Rejected);
        (format!("# {what}\n{surface}\n"), (!is_as_expected).then(|| format!("{what}: {actual:?}\n{surface}")))
    };
    // The generator is slow without optimization.
    let half = CHANGES.len() / 2;
    let (first, second) = std::thread::scope(|scope| {
        let first = scope.spawn(|| CHANGES[..half].iter().map(run).collect::<Vec<_>>());
        let second: Vec<_> = CHANGES[half..].iter().map(run).collect();
        (first.join().unwrap(), second)
    });
    let (texts, wrong): (Vec<_>, Vec<_>) = first.into_iter().chain(second).unzip();
    let wrong: Vec<_> = wrong.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    insta::assert_snapshot!(texts.concat());
}
