//! Checks the versions that Cargo.toml names: of the dependencies, and of Rust. Each takes a toolchain that may not be
//! there.

use std::path::Path;
use std::process::Command;

use crate::repository_copy::copy_repository;
use crate::{Outcome, root, run};

/// The `rust-version` of Cargo.toml.
const RUST: &str = env!("CARGO_PKG_RUST_VERSION");

/// Compiles the library with the lowest versions of its direct dependencies, in a copy of the package without the rest
/// of the workspace.
pub(crate) fn minimal() -> Outcome {
    if !is_installed("nightly") {
        println!("skipped: the lowest versions of the dependencies (no nightly toolchain)");
        return Ok(());
    }
    let copy = root().join("target/minimal-versions");
    copy_repository(&copy, without_members)?;
    let manifest = copy.join("Cargo.toml");
    let cargo = |command: &str| {
        let mut rustup = Command::new("rustup");
        rustup.args(["run", "nightly", "cargo", command, "-Zdirect-minimal-versions", "--quiet", "--manifest-path"]);
        rustup.arg(&manifest);
        rustup
    };
    run(&mut cargo("update"))?;
    run(cargo("check").args(["--features", "full", "--target-dir", "target/minimal"]))
}

/// Leaves the package without the rest of its workspace, whose dependencies have lowest versions of their own.
fn without_members(path: &Path, content: Vec<u8>) -> Vec<u8> {
    if path != "Cargo.toml" {
        return content;
    }
    let is_member = |line: &&str| line.starts_with("members = ") || line.starts_with("default-members = ");
    let manifest = String::from_utf8_lossy(&content);
    manifest.lines().filter(|line| !is_member(line)).collect::<Vec<_>>().join("\n").into_bytes()
}

/// Compiles the library with the oldest Rust that it is for.
pub(crate) fn msrv() -> Outcome {
    if !is_installed(RUST) {
        println!("skipped: Rust {RUST} (no such toolchain)");
        return Ok(());
    }
    let arguments = ["cargo", "check", "--quiet", "--package", "agentgate", "--features", "full"];
    run(Command::new("rustup").args(["run", RUST]).args(arguments).args(["--target-dir", "target/msrv"]))
}

fn is_installed(toolchain: &str) -> bool {
    Command::new("rustup")
        .args(["run", toolchain, "cargo", "--version"])
        .env("RUSTUP_AUTO_INSTALL", "0")
        .output()
        .is_ok_and(|it| it.status.success())
}
