//! The class of each change of a contract, for programs that speak HTTP and for users of the Rust API.

use serde_json::{Value, json};

use super::sample::{contract, rows, with};
use crate::contract_differences::{Changes, Contract};
use crate::contract_http::Class::{self, Additive, Breaking, Documentation};

fn read(contract: &Value) -> Result<Contract, String> {
    Contract::read(&contract.to_string())
}

fn class(letter: &Value) -> Class {
    match letter.as_str().unwrap() {
        "d" => Documentation,
        "a" => Additive,
        _ => Breaking,
    }
}

#[test]
fn every_change_has_a_class_for_http_and_one_for_rust() {
    let old = read(&contract()).unwrap();
    let rows = rows(include_str!("changes.yaml"));
    assert!(rows.len() >= 100, "{}", rows.len());
    let mut wrong = Vec::new();
    for row in rows {
        let [what, http, rust, edits] = row.as_slice() else { panic!("{row:?}") };
        match read(&with(edits)) {
            Ok(new) => {
                let changes = Changes::between(&old, &new);
                let (actual, expected) = ((changes.http(), changes.rust()), (class(http), class(rust)));
                if actual != expected {
                    wrong.push(format!("{what}: {actual:?} in place of {expected:?}\n{}", changes.report()));
                }
            }
            Err(error) => wrong.push(format!("{what}: {error}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_contract_does_not_differ_from_itself() {
    assert!(Changes::between(&read(&contract()).unwrap(), &read(&contract()).unwrap()).is_empty());
}

#[test]
fn the_changelog_names_what_users_write() {
    let old = read(&contract()).unwrap();
    for (edits, line) in [
        (
            json!({"/components/schemas/NewWidget/x-property-order": ["name", "id", "origin"]}),
            "- **Breaking:** Changed `NewWidget::new`, `client.widgets().create`.",
        ),
        (
            json!({"/components/schemas/NewWidget/properties/title": {"type": "string", "description": "It."}}),
            "- Added `NewWidget.title`, `client.widgets().create().title`.",
        ),
        (
            json!({"/paths/~1v1~1spare-parts": null}),
            "- **Breaking:** Removed `Part`, `PartCreated`, `PartId`, `client.spare_parts().create`, \
             `client.spare_parts().create_from`, `client.spare_parts().list`.",
        ),
        (
            json!({"/components/schemas/NewWidget/properties/name/minLength": 9}),
            "- **Breaking** over HTTP: `NewWidget.name`: `minLength` changes from 1 to 9.",
        ),
        (json!({"/info/version": "2"}), "- The documentation of the contract changed."),
    ] {
        let report = Changes::between(&old, &read(&with(&edits)).unwrap()).report();
        assert_eq!(report.lines().skip_while(|line| !line.starts_with("For CHANGELOG")).nth(1), Some(line), "{report}");
    }
}
