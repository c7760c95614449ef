//! Checks the dependencies by `deny.toml`: with cargo-deny where it is installed, and else their licenses alone.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::{Outcome, cargo, cargo_path, root};

pub(crate) fn run() -> Outcome {
    if !succeeds(&["deny", "--version"]) {
        println!("skipped: bans, sources and advisories (no cargo-deny); the licenses are checked");
        return check_licenses();
    }
    cargo("deny --workspace check bans licenses sources")?;
    // The database of advisories is on the network. A hosted CI has one.
    if std::env::var_os("CI").is_none() && !succeeds(&["deny", "fetch", "db"]) {
        println!("skipped: advisories (their database cannot be fetched)");
        return Ok(());
    }
    cargo("deny --workspace check advisories")
}

fn succeeds(arguments: &[&str]) -> bool {
    Command::new(cargo_path()).args(arguments).current_dir(root()).output().is_ok_and(|it| it.status.success())
}

/// Checks that each package has an allowed license, and that each allowed license is one of a package.
fn check_licenses() -> Outcome {
    let config = fs::read_to_string(root().join("deny.toml")).map_err(|error| format!("deny.toml: {error}"))?;
    let allowed = allowed(&config);
    let output = Command::new(cargo_path())
        .args(["metadata", "--format-version", "1", "--all-features"])
        .current_dir(root())
        .output()
        .map_err(|error| format!("cargo metadata: {error}"))?;
    let metadata: Value = serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata: {error}"))?;
    let mut named = BTreeSet::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        // A package that is not published needs no license.
        if package["publish"].as_array().is_some_and(Vec::is_empty) {
            continue;
        }
        let license = package["license"].as_str().unwrap_or_default();
        if !satisfies(license, &allowed) {
            return Err(format!("deny.toml does not allow the license of {}: {license:?}", package["name"]));
        }
        named.extend(words(license));
    }
    match allowed.iter().find(|license| !named.contains(**license)) {
        Some(license) => Err(format!("deny.toml allows {license}, which no dependency has")),
        None => Ok(()),
    }
}

/// Returns the licenses that the section `[licenses]` allows.
fn allowed(config: &str) -> BTreeSet<&str> {
    let section = config.split_once("\n[licenses]\n").map_or("", |(_, section)| section);
    let list =
        section.split_once("allow = [").and_then(|(_, list)| list.split_once("\n]")).map_or("", |(list, _)| list);
    list.lines().filter_map(|line| line.trim().strip_prefix('"')?.split('"').next()).collect()
}

/// Splits an SPDX expression into words, with `OR` for the slash of older manifests.
fn words(license: &str) -> Vec<String> {
    let spaced = license.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    spaced.split_whitespace().map(ToOwned::to_owned).collect()
}

/// Evaluates an SPDX expression, in which `AND` binds more tightly than `OR`.
fn satisfies(license: &str, allowed: &BTreeSet<&str>) -> bool {
    any(&mut words(license).into_iter().rev().collect(), allowed)
}

fn any(words: &mut Vec<String>, allowed: &BTreeSet<&str>) -> bool {
    let mut is_met = all(words, allowed);
    while words.pop_if(|word| word == "OR").is_some() {
        is_met |= all(words, allowed);
    }
    is_met
}

fn all(words: &mut Vec<String>, allowed: &BTreeSet<&str>) -> bool {
    let mut is_met = one(words, allowed);
    while words.pop_if(|word| word == "AND").is_some() {
        is_met &= one(words, allowed);
    }
    is_met
}

fn one(words: &mut Vec<String>, allowed: &BTreeSet<&str>) -> bool {
    let word = words.pop().unwrap_or_default();
    if word == "(" {
        let is_met = any(words, allowed);
        return words.pop().is_some_and(|word| word == ")") && is_met;
    }
    // An exception makes a license of its own, which is written as one entry.
    let exception = words.pop_if(|word| word == "WITH").and_then(|_| words.pop());
    exception.is_none() && allowed.contains(word.as_str())
}

#[cfg(test)]
mod tests {
    use super::{allowed, satisfies};

    #[test]
    fn and_binds_more_tightly_than_or() {
        let allowed = allowed("\n[licenses]\nallow = [\n    \"MIT\",\n    # Why.\n    \"ISC\", # Why.\n]\n");
        for license in ["MIT", "GPL-3.0/MIT", "GPL-3.0 OR MIT", "MIT AND ISC", "(MIT OR GPL-3.0) AND ISC"] {
            assert!(satisfies(license, &allowed), "{license}");
        }
        for license in ["", "GPL-3.0", "MIT AND GPL-3.0", "(GPL-3.0 OR MIT) AND GPL-3.0", "(MIT", "MIT WITH x"] {
            assert!(!satisfies(license, &allowed), "{license}");
        }
    }
}
