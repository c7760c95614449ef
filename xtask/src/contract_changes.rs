//! `cargo xtask contract-changes [each]`: compiles the library and the tests' calls with the changes of the contract
//! that have to work, in a copy of the repository, and fails on warnings. Changes that do not touch each other are made
//! together; with `each`, one at a time. A change whose place is no longer in the contract is skipped.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use serde_json::Value;

use crate::build::parse;
use crate::changes::{CHANGES, Change, Outcome as Expected, apply};
use crate::repository_copy::copy_repository;
use crate::{Outcome, cargo_path, root};

pub(crate) fn run() -> Outcome {
    let one_by_one = env::args().nth(2).as_deref() == Some("each");
    let text = fs::read_to_string(root().join("openapi.yaml")).map_err(|error| format!("openapi.yaml: {error}"))?;
    let contract = parse(&text).map_err(|error| error.to_string())?;
    let copy = root().join("target/contract-changes");
    copy_repository(&copy, |_, content| content)?;
    let mut left: Vec<_> = CHANGES.iter().filter(|(.., expected)| *expected == Expected::Works).collect();
    let mut failed = Vec::new();
    while !left.is_empty() {
        let (batch, changed, later) = batch(&contract, &left, one_by_one);
        left = later;
        let names: Vec<_> = batch.iter().map(|(what, ..)| *what).collect();
        println!("\n== {}", names.join(", "));
        write(&copy.join("openapi.yaml"), &changed.to_string())?;
        if !compiles(&copy)? {
            failed.extend(names);
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    let hint = if one_by_one { "" } else { "; find which with `cargo xtask contract-changes each`" };
    Err(format!("the library does not compile with {}{hint}", failed.join(", ")))
}

/// The changes to make next, the contract with all of them, and the changes that are left.
type Batch<'a> = (Vec<&'a Change>, Value, Vec<&'a Change>);

fn batch<'a>(contract: &Value, changes: &[&'a Change], one_by_one: bool) -> Batch<'a> {
    let (mut batch, mut left) = (Vec::<&Change>::new(), Vec::new());
    let mut changed = contract.clone();
    for change in changes {
        let touches = batch.iter().any(|other| touch(other, change));
        if touches || (one_by_one && !batch.is_empty()) {
            left.push(*change);
            continue;
        }
        match apply(&changed, change.1) {
            Ok(applied) => {
                changed = applied;
                batch.push(change);
            }
            Err(problem) => println!("skipped: {}: {problem}", change.0),
        }
    }
    (batch, changed, left)
}

/// Returns `true` if two changes edit the same place, or one within the other. Lists count as one place, unless both
/// only append.
fn touch(one: &Change, other: &Change) -> bool {
    let place = |pointer: &str| {
        let (parent, key) = pointer.rsplit_once('/').unwrap_or_default();
        // The keys of responses are statuses.
        let is_index = key.parse::<usize>().is_ok() && !parent.ends_with("responses");
        if is_index { parent.to_owned() } else { pointer.to_owned() }
    };
    let within = |inner: &str, outer: &str| inner == outer || inner.starts_with(&format!("{outer}/"));
    one.1.iter().any(|(first, _)| {
        other.1.iter().any(|(second, _)| {
            let appends = first.ends_with("/-") && second.ends_with("/-");
            let (first, second) = (place(first), place(second));
            !appends && (within(&first, &second) || within(&second, &first))
        })
    })
}

/// Returns `true` if the copy compiles without a warning.
fn compiles(copy: &Path) -> Result<bool, String> {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let output = Command::new(cargo_path())
        .args(["check", "--quiet", "--package", "agentgate", "--package", "agentgate-tests", "--lib"])
        .current_dir(copy)
        .env("CARGO_TARGET_DIR", target)
        .output()
        .map_err(|error| format!("cargo cannot be run: {error}"))?;
    let messages = String::from_utf8_lossy(&output.stderr);
    eprint!("{messages}");
    Ok(output.status.success() && !messages.contains("warning:"))
}

fn write(path: &Path, text: &str) -> Outcome {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
